# SPDX-License-Identifier: Apache-2.0
"""A worker goes on with the next source where one is lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pear_ros.annotation.frames import Frame, Pictures, Unreadable
from pear_ros.annotation.job import Job
from pear_ros.annotation.sources import Inputs, LabelledSource
from pear_ros.annotation.worker import Worker
from pear_ros.core.parameters import Parameters


@dataclass(frozen=True)
class Unplugged(Pictures):
    """Pictures on a disk that is lost after the first one."""

    def frames(self, parameters: Parameters, every: int) -> Iterator[Frame | Unreadable]:
        first = replace(self, paths=self.paths[:1])
        yield from Pictures(first.name, first.paths).frames(parameters, every)
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(self.paths[1]))


def test_a_source_that_is_lost_on_the_way_is_named(picture: Path, tmp_path: Path) -> None:
    job = Job(Inputs([picture]), tmp_path, per_shard=1)
    lost = LabelledSource(Unplugged("lost", [picture, tmp_path / "b.png"]))
    worker = Worker(job)
    ended = worker(lost, lambda count: None)
    assert ended.failure == f"{tmp_path / 'b.png'} cannot be read to its end: Input/output error"
    assert ended.statistics.images == 1 and len(ended.shards) == 1
    assert not worker(LabelledSource(Pictures("next", [picture])), lambda count: None).failure


def test_a_picture_whose_name_is_too_long_is_counted(picture: Path, tmp_path: Path) -> None:
    """As of a file in COCO's format."""
    job = Job(Inputs([picture]), tmp_path)
    source = Pictures("some", [tmp_path / ("n" * 300), picture])
    ended = Worker(job)(LabelledSource(source), lambda count: None)
    assert not ended.failure and ended.statistics.images == 2
    assert sum(ended.statistics.unreadable.values()) == 1
