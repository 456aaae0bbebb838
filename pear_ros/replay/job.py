# SPDX-License-Identifier: Apache-2.0
"""Replay of many bags: the pieces to replay, and the bags that they are joined to.

A piece is a bag or a chunk of one. Pieces are independent, so workers can take them in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pear_ros.bags.bag import Bag, find_bags, name_of
from pear_ros.bags.chunks import begin, chunk_folder, join
from pear_ros.bags.topic import BagError
from pear_ros.bags.unfinished import summary_of
from pear_ros.core.parameters import Parameters
from pear_ros.replay.events import Piece
from pear_ros.replay.options import ReplayOptions, fingerprint_of
from pear_ros.replay.replay import FRAMES_PER_PART
from pear_ros.replay.statistics import ReplayStatistics

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline


class WorkersError(Exception):
    """No worker could be started; the text says why and what to do."""


Build = Callable[[Parameters, int], Sequence["Pipeline"]]
"""Function that makes that many pipelines of these parameters, each for a thread of its own.

It can be pickled, as other processes call it, too.
"""


@dataclass(frozen=True)
class Job:
    """What to do with every bag."""

    options: ReplayOptions
    """Options as the user gave them, not resolved for a bag."""
    parameters: Parameters
    frames_per_part: int = FRAMES_PER_PART


@dataclass(frozen=True)
class Task:
    """A bag to be replayed, with its pieces."""

    source: Path
    folder: Path
    image: str
    """Topic of images."""
    images: int
    """Approximate number of images."""
    damage: tuple[str, ...]
    """Damage of the bag, in sentences."""
    pieces: tuple[Piece, ...]


def find_pairs(sources: Sequence[Path], output: Path) -> list[tuple[Path, Path]]:
    """Return each bag at `sources` with the bag to be written for it.

    A single bag that was named itself becomes `output`; otherwise each becomes a bag of its name in
    the folder `output`. Raises BagError if there is none, if two have the same name, or if one
    would replace itself.
    """
    found = [bag for source in sources for bag in find_bags(source, leave_out=output)]
    if len(sources) == 1 and found == list(sources):
        return [_pair(found[0], output)]
    names = [name_of(bag) for bag in found]
    for name in names:
        if names.count(name) > 1:
            alike = ", ".join(
                str(bag) for bag, own in zip(found, names, strict=True) if own == name
            )
            raise BagError(f"bags of the same name would be one in {output}: {alike}")
    return [_pair(bag, output / name) for bag, name in zip(found, names, strict=True)]


def _pair(source: Path, folder: Path) -> tuple[Path, Path]:
    if source.resolve().is_relative_to(folder.resolve()):
        raise BagError(f"{folder} would take the place of {source}: choose another --output")
    return source, folder


def plan(source: Path, folder: Path, job: Job) -> Task:
    """Return the task for one bag, and prepare its folder.

    Raises BagError if it cannot be replayed, ResumeError if it was begun with other options.
    """
    bag = Bag(source)
    options = job.options.resolve(bag)
    parts = options.time_ranges(bag)
    if not parts:
        raise BagError(f"{source} ends before second {options.start:g}")
    fingerprint = fingerprint_of(bag, options, job.parameters)
    begin(folder, fingerprint, chunked=options.chunk is not None)
    topic = options.topics.image
    share = (parts[-1].last - parts[0].first) / max(bag.end - bag.start, 1)
    images = -(-round(share * bag.topics[topic].count) // options.every)
    pieces = tuple(Piece(source, folder, number) for number in range(len(parts)))
    return Task(source, folder, topic, images, tuple(bag.damage), pieces)


def conclude(task: Task, job: Job, statistics: ReplayStatistics | None) -> ReplayStatistics | None:
    """Join the finished pieces of a bag and return its statistics.

    `statistics`: those of all pieces; None if they are no longer known, as the pieces were joined
    earlier. Raises BagError if no piece has an image.
    """
    chunks = [chunk_folder(task.folder, piece.chunk) for piece in task.pieces]
    if job.options.chunk is None or not any(chunk.exists() for chunk in chunks):
        known = summary_of(task.folder)
        return ReplayStatistics.loads(known) if known else statistics
    if statistics is not None and not statistics.images:
        raise BagError(f"{task.source} has no image on {task.image} to replay")
    join(task.folder, chunks, statistics.dumps() if statistics else "")
    return statistics
