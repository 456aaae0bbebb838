# SPDX-License-Identifier: Apache-2.0
"""Images that end the process: the run that resumes gets past them, and loses no other image."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from pear_ros.core.parameters import Parameters
from pear_ros.replay.in_threads import replay_in_threads
from pear_ros.replay.job import Build
from testing.image_bags import PERIOD, START, write_bag
from testing.replaying import SQUARES, Replayed, ids_of, recorded, replayed
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


def tiny(_: Parameters, count: int) -> list[TinyPipeline]:
    return [TinyPipeline() for _ in range(count)]


def fatal(_: Parameters, count: int, bad: tuple[int, ...] = (BAD,)) -> list[Fatal]:
    return [Fatal(*bad) for _ in range(count)]


def run(source: Path, folder: Path, build: Build = fatal, **how: Any) -> Replayed:
    return replayed([source], folder, partial(replay_in_threads, build=build, count=2), **how)


def dying(*arguments: Any, **how: Any) -> int | None:
    """Exit code of a process that replays."""
    process = multiprocessing.get_context("fork").Process(
        target=lambda: sys.exit(run(*arguments, **how).code)
    )
    process.start()
    process.join()
    return process.exitcode


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return write_bag(tmp_path / "walk", recorded(LONG))


def test_a_resumed_replay_goes_past_an_image_that_ends_the_process(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert dying(bag, out) == -signal.SIGSEGV
    again = run(bag, out)
    assert again.code == 1
    assert again.ids == ids_of(LONG[:BAD] + LONG[BAD + 1 :])
    printed = capsys.readouterr()
    assert f"refused               1: 1 {'ends the process'}" in printed.out
    assert f"Left out: image {BAD} (0.703 s) of {bag}, since it ends the process (SIGSEGV)" in (
        printed.err
    )
    assert run(bag, out).code == 1, "complete, and the image is still counted"
