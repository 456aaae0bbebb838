# SPDX-License-Identifier: Apache-2.0
"""Replay small bags with the tiny pipeline, and read the results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader

from pear_ros.cli.replay import Run, replay_all
from pear_ros.core.parameters import Parameters
from pear_ros.replay.job import Job
from pear_ros.replay.options import ReplayOptions
from pear_ros.replay.topics import TopicSelection
from testing.image_bags import PERIOD, START, Recorded, camera_info, raw
from testing.tiny_pipeline import TinyPipeline, picture

IMAGE, INFO = "/front/image_raw", "/front/camera_info"
SQUARES = [(0,), (0, 2), (2,), (), (1,), (1, 3), (1,), (3,), (0, 3), (0,), (0, 1), (2,)]
PART = 5


class Stopped(TinyPipeline):
    """Raises KeyboardInterrupt at the ninth image, like Ctrl-C."""

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        if len(self.stamps) == 8:
            raise KeyboardInterrupt
        return super().__call__(*arguments, **more)


def recorded(squares: list[tuple[int, ...]] = SQUARES) -> Iterator[Recorded]:
    """Yield messages of a camera and people; each image is recorded 3 ms after its stamp."""
    for k, present in enumerate(squares):
        yield INFO, k * PERIOD, camera_info(64, 48, 90.0, k * PERIOD)
        yield IMAGE, k * PERIOD + 3_000_000, raw(picture(*present), k * PERIOD)


def replayed(
    sources: list[Path],
    folder: Path,
    run: Run,
    parameters: Parameters = Parameters(),  # noqa: B008
    overwrite: bool = False,
    **options: Any,
) -> Replayed:
    """Replay into `folder`; `options`: fields of ReplayOptions and of TopicSelection."""
    names = [name for name in vars(TopicSelection()) if name in options]
    topics = TopicSelection(**{name: options.pop(name) for name in names})
    job = Job(ReplayOptions(topics, **options), parameters, frames_per_part=PART)
    return Replayed(replay_all(sources, folder, job, run, overwrite), folder)


class Replayed:
    """The results of a replay."""

    def __init__(self, code: int, folder: Path) -> None:
        self.code = code
        self.folder = folder

    def messages(self, topic: str = "/humans") -> list[tuple[int, Any]]:
        """Recording times, nanoseconds after START, and messages."""
        with AnyReader([self.folder]) as reader:
            connections = [c for c in reader.connections if c.topic == topic]
            return [
                (time - START, reader.deserialize(data, connection.msgtype))
                for connection, time, data in reader.messages(connections)
            ]

    @property
    def ids(self) -> list[list[str]]:
        """Ids of the people present in each image."""
        messages = [message for _, message in self.messages()]
        return [
            [human.id for human in message.humans if human.tracking_state != human.LOST]
            for message in messages
        ]


def content(folder: Path) -> dict[str, bytes]:
    """Return the content of all files of `folder` by name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def ids_of(squares: list[tuple[int, ...]]) -> list[list[str]]:
    """Return the ids that the tiny pipeline gives."""
    return [[f"h{square + 1}" for square in present] for present in squares]
