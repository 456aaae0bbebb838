# SPDX-License-Identifier: Apache-2.0
"""A bag that is written in parts goes on after a kill, and is then as if there had been none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from pear_ros.bags.bag import Bag
from pear_ros.bags.parts import NewTopic
from pear_ros.bags.resumable import ResumableBag
from pear_ros.bags.unfinished import ResumeError, clear
from pear_ros.core.configuration import STORAGES
from testing.image_bags import START, TYPES, header, raw, write_bag


class Killed(BaseException):
    pass


TOPICS = [NewTopic("/stamps", "std_msgs/msg/Header", TYPES)]


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def count_to(bag: ResumableBag, end: int) -> None:
    """Write numbers, two to a part; the last one is the state."""
    start = bag.resume() or 0
    for k in range(start, end):
        data = bytes(TYPES.serialize_cdr(header(k), "std_msgs/msg/Header"))
        bag.write(("/stamps", START + k, data), TOPICS)
        if k % 2:
            bag.end_part(k + 1)
    bag.end_part(end)
    bag.complete("numbers")


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.fixture
def counted(tmp_path: Path, storage: str) -> dict[str, bytes]:
    count_to(ResumableBag(tmp_path / "whole", "n", {"to": "5"}, storage), 5)
    return content(tmp_path / "whole")


@pytest.mark.parametrize("before", [False, True])
def test_resumable_bag_resumes_after_a_kill_at_any_step(
    tmp_path: Path,
    counted: dict[str, bytes],
    storage: str,
    before: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The writer is killed before or after each call that changes the file system."""
    replace, rmtree = os.replace, shutil.rmtree
    left = 0

    def killing(function: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any, **options: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0 and before:
                raise Killed
            function(*arguments, **options)
            if left == 0:
                raise Killed

        return call

    for deadly in range(1, 31):
        left = deadly

        folder = tmp_path / str(deadly)
        monkeypatch.setattr(os, "replace", killing(replace))
        monkeypatch.setattr(shutil, "rmtree", killing(rmtree))
        try:
            count_to(ResumableBag(folder, "n", {"to": "5"}, storage), 5)
            ended = True
        except Killed:
            ended = False
        monkeypatch.setattr(os, "replace", replace)
        monkeypatch.setattr(shutil, "rmtree", rmtree)
        bag = ResumableBag(folder, "n", {"to": "5"}, storage)
        if not bag.is_complete():
            count_to(bag, 5)
        assert content(folder) == counted
        if ended:
            assert deadly > 8
            return
    pytest.fail("there are more steps than expected")


def test_resumable_bag_is_a_bag_when_complete(
    tmp_path: Path, counted: dict[str, bytes], storage: str
) -> None:
    suffix = {"mcap": "mcap", "sqlite3": "db3"}[storage]
    assert set(counted) == {"metadata.yaml", *(f"n_{n}.{suffix}" for n in range(3))}
    with AnyReader([tmp_path / "whole"]) as reader:
        times = [time for _, time, _ in reader.messages()]
        assert times == [START + k for k in range(5)]
        assert (reader.start_time, reader.end_time, reader.message_count) == (START, START + 5, 5)
    for n in range(3):
        assert list(Bag(tmp_path / "whole" / f"n_{n}.{suffix}").messages())


def test_resumable_bag_refuses_another_fingerprint(
    tmp_path: Path, counted: dict[str, bytes], storage: str
) -> None:
    folder = tmp_path / "whole"
    with pytest.raises(ResumeError, match="to was '5' and is '8'"):
        ResumableBag(folder, "n", {"to": "8"}).is_complete()
    begun = ResumableBag(tmp_path / "begun", "n", {"to": "9"})
    begun.resume()
    begun.write(("/stamps", START, b"\0\1\0\0"), TOPICS)
    begun.end_part(1)
    begun.abandon()
    with pytest.raises(ResumeError, match="begun with other options: to was '9' and is '8'"):
        ResumableBag(tmp_path / "begun", "n", {"to": "8"}).resume()
    other = ResumableBag(tmp_path / "begun", "n", {"to": "5"}, storage)
    clear(tmp_path / "begun")
    count_to(other, 5)
    assert content(tmp_path / "begun") == counted


def test_resumable_bag_leaves_other_folders_unchanged(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    clear(tmp_path)
    bag = ResumableBag(tmp_path, "n", {})
    with pytest.raises(ResumeError, match="not empty"):
        bag.resume()
    assert (tmp_path / "thesis.tex").exists()
    recorded = write_bag(tmp_path / "recorded", [("/image", 0, raw(np.zeros((2, 2, 3)), 0))])
    clear(recorded)
    assert Bag(recorded).topics, "a bag of another program"


def test_resumable_bag_has_one_writer_at_a_time(tmp_path: Path) -> None:
    first, second = (ResumableBag(tmp_path / "bag", "n", {"to": "5"}) for _ in range(2))
    first.resume()
    for attempt in (second.resume, lambda: clear(tmp_path / "bag")):
        with pytest.raises(ResumeError, match="written by another process"):
            attempt()
    first.abandon()
    count_to(second, 5)
