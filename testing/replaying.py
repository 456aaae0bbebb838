# SPDX-License-Identifier: Apache-2.0
"""Replays of small bags by the tiny pipeline, and what came of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from pear_ros.cli.replay import Run, replay_all
from pear_ros.core.parameters import Parameters
from pear_ros.replay.job import Job
from pear_ros.replay.topics import Wanted
from testing.image_bags import PERIOD, START, Recorded, camera_info, raw
from testing.tiny_pipeline import TinyPipeline, picture

IMAGE, INFO = "/front/image_raw", "/front/camera_info"
SQUARES = [(0,), (0, 2), (2,), (), (1,), (1, 3), (1,), (3,), (0, 3), (0,), (0, 1), (2,)]
PART = 5


class Stopped(TinyPipeline):
    """Is interrupted at the ninth image, as by Ctrl-C."""

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        if len(self.stamps) == 8:
            raise KeyboardInterrupt
        return super().__call__(*arguments, **more)


def recorded(squares: list[tuple[int, ...]] = SQUARES) -> Iterator[Recorded]:
    """People in front of a camera; each image reaches the recorder 3 ms late."""
    for k, present in enumerate(squares):
        yield INFO, k * PERIOD, camera_info(64, 48, 90.0, k * PERIOD)
        yield IMAGE, k * PERIOD + 3_000_000, raw(picture(*present), k * PERIOD)


def replayed(
    sources: list[Path],
    folder: Path,
    run: Run,
    parameters: Parameters = Parameters(),  # noqa: B008
    overwrite: bool = False,
    **job: Any,
) -> Replayed:
    """Replay into `folder`; `job`: fields of Job and of Wanted."""
    topics = Wanted(**{name: job.pop(name) for name in vars(Wanted()) if name in job})
    made = Job(topics, parameters, frames_per_part=PART, **job)
    return Replayed(replay_all(sources, folder, made, run, overwrite), folder)


class Replayed:
    """What a replay gave."""

    def __init__(self, code: int, folder: Path) -> None:
        self.code = code
        self.folder = folder

    def messages(self, topic: str = "/humans") -> list[tuple[int, Any]]:
        """Times of recording after START, and messages."""
        with AnyReader([self.folder]) as reader:
            connections = [c for c in reader.connections if c.topic == topic]
            return [
                (time - START, reader.deserialize(data, connection.msgtype))
                for connection, time, data in reader.messages(connections)
            ]

    @property
    def ids(self) -> list[list[str]]:
        """Who is there in each image."""
        messages = [message for _, message in self.messages()]
        return [
            [human.id for human in message.humans if human.tracking_state != human.LOST]
            for message in messages
        ]


def content(folder: Path) -> dict[str, bytes]:
    """Of all its files."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def ids_of(squares: list[tuple[int, ...]]) -> list[list[str]]:
    """Those of the tiny pipeline."""
    return [[f"h{square + 1}" for square in present] for present in squares]
