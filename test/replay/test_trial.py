# SPDX-License-Identifier: Apache-2.0
"""Images that end the process: the run that resumes gets past them, and loses no other image."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from pear_ros.bags.mark import Mark, mark_of_killed
from pear_ros.bags.matching import Frame
from pear_ros.bags.unfinished import MARK, UNFINISHED, BagLock
from pear_ros.core.estimator import DeviceLostError
from pear_ros.core.parameters import Parameters
from pear_ros.replay import reader, trial
from pear_ros.replay.frames import FrameReader
from pear_ros.replay.in_threads import replay_in_threads
from testing.image_bags import PERIOD, START, write_bag
from testing.replaying import SQUARES, Replayed, Stopped, content, ids_of, recorded, replayed
from testing.tiny_pipeline import TinyPipeline

LONG = SQUARES * 2
BAD = 7
"""Number of the image that ends the process, in the second of the parts with five images."""


class Fatal(TinyPipeline):
    """Ends the process at images with these numbers by `signal.SIGSEGV`, as a library may."""

    def __init__(self, *bad: int) -> None:
        super().__init__()
        self.bad = bad

    def __call__(self, image: Any, camera: Any, stamp: float = 0.0, **more: Any) -> Any:
        if round((stamp * 1e9 - START) / PERIOD) in self.bad:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().__call__(image, camera, stamp, **more)


class Endless(Fatal):
    """Does not return from them."""

    def __call__(self, image: Any, camera: Any, stamp: float = 0.0, **more: Any) -> Any:
        if round((stamp * 1e9 - START) / PERIOD) in self.bad:
            time.sleep(3600)
        return TinyPipeline.__call__(self, image, camera, stamp, **more)


def tiny(_: Parameters, count: int) -> list[TinyPipeline]:
    return [TinyPipeline() for _ in range(count)]


def fatal(_: Parameters, count: int, bad: tuple[int, ...] = (BAD,)) -> list[Fatal]:
    return [Fatal(*bad) for _ in range(count)]


def run(source: Path, folder: Path, build: Any = tiny, **how: Any) -> Replayed:
    return replayed([source], folder, partial(replay_in_threads, build=build, count=2), **how)


def dying(*arguments: Any, **how: Any) -> int | None:
    """Exit code of a process that replays."""
    process = multiprocessing.get_context("fork").Process(
        target=lambda: sys.exit(run(*arguments, **how).code)
    )
    process.start()
    process.join()
    return process.exitcode


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What replay imports late, so that forked processes need not do it."""
    folder = tmp_path_factory.mktemp("first")
    assert run(write_bag(folder / "walk", recorded()), folder / "out").code == 0


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return write_bag(tmp_path / "walk", recorded(LONG))


@pytest.mark.timeout(600)
def test_a_resumed_replay_goes_past_an_image_that_ends_the_process(
    bag: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert dying(bag, out, fatal) == -signal.SIGSEGV
    assert dying(bag, out, fatal) == 1
    printed = capfd.readouterr()
    assert "refused               1: 1 ends the process" in printed.out
    assert f"Left out: image {BAD} (0.703 s) of {bag}, since it ends the process (SIGSEGV)" in (
        printed.err
    )
    complete = run(bag, out)
    assert complete.code == 1, "it is complete, and the image still counts"
    assert complete.ids == ids_of(LONG[:BAD] + LONG[BAD + 1 :])


@pytest.mark.usefixtures("trials_forked")
def test_several_images_in_chunks_that_end_the_process(bag: Path, tmp_path: Path) -> None:
    """At most as many runs die as there are such images."""
    bad = (2, 3, 23)
    build = partial(fatal, bad=bad)
    out = tmp_path / "out"
    codes: list[int | None] = []
    while not codes or codes[-1] == -signal.SIGSEGV:
        codes.append(dying(bag, out, build, chunk=0.5))
    assert codes[-1] == 1 and 1 < len(codes) <= len(bad) + 1
    stamps = [time for time, _ in run(bag, out, chunk=0.5).messages()]
    good = [k for k in range(len(LONG)) if k not in bad]
    assert stamps == [k * PERIOD + 3_000_000 for k in good]


@pytest.mark.usefixtures("trials_forked")
def test_an_image_that_ends_the_process_when_it_is_decoded_ahead(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = FrameReader.__call__

    def deadly(self: FrameReader, frame: Frame) -> Any:
        if frame.number == BAD:
            os.kill(os.getpid(), signal.SIGSEGV)
        return decode(self, frame)

    monkeypatch.setattr(FrameReader, "__call__", deadly)
    out = tmp_path / "out"
    assert dying(bag, out) == -signal.SIGSEGV
    assert dying(bag, out) == 1
    assert run(bag, out).ids == ids_of(LONG[:BAD] + LONG[BAD + 1 :])


@pytest.mark.usefixtures("trials_forked")
def test_a_bag_that_cannot_be_read_on_fails_with_a_remedy(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And others are replayed."""
    write_bag(tmp_path / "many" / "good", recorded())
    bad = write_bag(tmp_path / "many" / "bad", recorded())
    events = reader.TimeRangeReader._events

    def deadly(self: Any) -> Iterator[Any]:
        for event in events(self):
            if self._bag.path == bad and isinstance(event, Frame) and event.number == BAD:
                os.kill(os.getpid(), signal.SIGSEGV)
            yield event

    monkeypatch.setattr(reader.TimeRangeReader, "_events", deadly)
    out = tmp_path / "out"
    assert dying(bad.parent, out) == -signal.SIGSEGV
    assert dying(bad.parent, out) == 1
    said = capfd.readouterr().err
    assert f"error: image {BAD - 1} (0.603 s) of {bad} ends the process (SIGSEGV), even if" in said
    assert "--start" in said
    assert Replayed(0, out / "good").ids == ids_of(SQUARES)


@pytest.mark.usefixtures("trials_forked")
def test_an_image_that_takes_for_ever_is_left_out(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_LIMIT_SECONDS", 3)
    out = tmp_path / "out"
    assert dying(bag, out, fatal) == -signal.SIGSEGV

    def endless(_: Parameters, count: int) -> list[TinyPipeline]:
        return [Endless(BAD) for _ in range(count)]

    assert dying(bag, out, endless) == 1
    assert run(bag, out).ids == ids_of(LONG[:BAD] + LONG[BAD + 1 :])


@pytest.mark.usefixtures("trials_forked")
def test_what_kills_the_trial_once_is_no_fault_of_an_image(bag: Path, tmp_path: Path) -> None:
    out, killed = tmp_path / "out", tmp_path / "killed"

    class Once(TinyPipeline):
        def __call__(self, *arguments: Any, **more: Any) -> Any:
            if len(self.stamps) == 3 and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(*arguments, **more)

    assert dying(bag, out, fatal) == -signal.SIGSEGV
    assert dying(bag, out, lambda _, count: [Once() for _ in range(count)]) == 0
    assert killed.exists()
    assert run(bag, tmp_path / "whole").code == 0
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.usefixtures("trials_forked")
def test_ctrl_c_ends_both_processes_and_the_next_run_tries_again(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    class Interrupted(Fatal):
        def __call__(self, *arguments: Any, **more: Any) -> Any:
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(3600)

    assert dying(bag, out, fatal) == -signal.SIGSEGV
    assert dying(bag, out, lambda _, count: [Interrupted()] * count) == 130
    assert mark_of_killed(out) is not None
    assert dying(bag, out, fatal) == 1
    assert run(bag, out).ids == ids_of(LONG[:BAD] + LONG[BAD + 1 :])


def test_an_ordered_end_leaves_no_mark(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    mark = out / UNFINISHED / MARK
    lost = TinyPipeline()
    lost.fault = DeviceLostError("lost")
    for pipeline, code in ((Stopped(), 130), (lost, 1)):
        assert run(bag, out, lambda _, count, tiny=pipeline: [tiny]).code == code  # type: ignore[misc]
        assert mark.parent.exists() and not mark.exists()


def test_mark_is_that_of_a_killed_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pear_ros.bags.mark._PATIENCE_SECONDS", 0.0)
    assert mark_of_killed(tmp_path) is None
    lock = BagLock(tmp_path)
    mark = Mark(tmp_path)
    mark.set(7)
    mark.set(300)
    assert mark_of_killed(tmp_path) is None, "it is being written"
    lock.release()
    assert mark_of_killed(tmp_path) == 300
    path = tmp_path / UNFINISHED / MARK
    for strange in (b"", b"1", bytes(9)):
        path.write_bytes(strange)
        assert mark_of_killed(tmp_path) is None
    mark.remove()
    assert not path.exists()
