# SPDX-License-Identifier: Apache-2.0
"""What is to be replayed, in pieces that know nothing of each other, and who replays a piece.

A piece is a bag, or a chunk of one. Workers, wherever they are, take one after the other and tell
what happens as events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pear_ros import __version__
from pear_ros.bags.bag import Bag, find_bags, name_of
from pear_ros.bags.chunks import begin, chunk_folder, join
from pear_ros.bags.snapshot import dumps, loads
from pear_ros.bags.topic import BagError
from pear_ros.bags.unfinished import ResumeError, summary_of
from pear_ros.core.parameters import Parameters
from pear_ros.replay.replay import FRAMES_PER_PART, Choice, Replay, Tally, fingerprint_of
from pear_ros.replay.state_classes import state_classes
from pear_ros.replay.topics import Wanted, choose_topics

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

_SECONDS_PER_REPORT = 0.5


class WorkersError(Exception):
    """Nobody can replay anything; the text says why and what to do."""


Build = Callable[[Parameters, int], Sequence["Pipeline"]]
"""Makes pipelines of these parameters, that many, each for a thread of its own."""


@dataclass(frozen=True)
class Job:
    """What is to be made of every bag."""

    topics: Wanted
    parameters: Parameters
    start: float = 0.0
    """This and the others: see Choice."""
    end: float | None = None
    every: int = 1
    chunk: float | None = None
    with_inputs: bool = False
    markers: bool = False
    storage: str = "mcap"
    frames_per_part: int = FRAMES_PER_PART

    def choice(self, bag: Bag) -> Choice:
        """What is to be made of `bag`. Raises BagError where it lacks a topic."""
        return Choice(
            choose_topics(bag, self.topics),
            self.start,
            self.end,
            self.every,
            self.chunk,
            self.with_inputs,
            self.markers,
            self.storage,
        )


@dataclass(frozen=True)
class Piece:
    """A bag, or one of its chunks."""

    source: Path
    folder: Path
    """The bag to be written."""
    chunk: int = 0


@dataclass(frozen=True)
class Task:
    """A bag and all its pieces."""

    source: Path
    folder: Path
    image: str
    """Topic."""
    images: int
    """About so many."""
    damage: tuple[str, ...]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Begun:
    """A worker took a piece."""

    piece: Piece
    done: int
    """Images that an earlier worker has done."""


@dataclass(frozen=True)
class Advanced:
    """A worker has replayed some images."""

    piece: Piece
    images: int
    """Since the last event of the piece."""
    seconds: float
    """Of the bag, likewise."""
    people: int
    """Ids so far."""


@dataclass(frozen=True)
class Told:
    """Something is wrong with a piece."""

    piece: Piece
    text: str


@dataclass(frozen=True)
class Finished:
    """A piece is complete."""

    piece: Piece
    tally: Tally | None
    """None where it is not known any more."""
    damage: list[str] = field(default_factory=list)
    """Met on the way."""
    earlier: bool = False
    """Whether it was complete before."""


@dataclass(frozen=True)
class Failed:
    """A piece cannot be replayed."""

    piece: Piece
    text: str


Event = Begun | Advanced | Told | Finished | Failed


def find_pairs(sources: Sequence[Path], output: Path) -> list[tuple[Path, Path]]:
    """Each bag at `sources`, and the bag to be written of it.

    One that was named itself becomes `output`; otherwise each becomes a bag of its name in the
    folder `output`. Raises BagError where there is none, several would be one, or one would take
    its own place.
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
    """What is to be done for one bag.

    Raises BagError where it cannot be replayed, ResumeError where it was begun in another way.
    """
    bag = Bag(source)
    choice = job.choice(bag)
    parts = choice.stretches(bag)
    if not parts:
        raise BagError(f"{source} ends before second {job.start:g}")
    fingerprint = fingerprint_of(bag, choice, job.parameters)
    begin(folder, fingerprint, chunked=job.chunk is not None)
    share = (parts[-1].last - parts[0].first) / max(bag.end - bag.start, 1)
    images = -(-round(share * bag.topics[choice.topics.image].count) // job.every)
    pieces = tuple(Piece(source, folder, number) for number in range(len(parts)))
    return Task(source, folder, choice.topics.image, images, tuple(bag.damage), pieces)


def conclude(task: Task, job: Job, tally: Tally | None) -> Tally | None:
    """Make one bag of the pieces, all of them finished, and return its tally.

    `tally`: None where it is not known of all pieces, as of those that were put together earlier.
    Raises BagError where no piece has an image.
    """
    chunks = [chunk_folder(task.folder, piece.chunk) for piece in task.pieces]
    if job.chunk is None or not any(chunk.exists() for chunk in chunks):
        known = summary_of(task.folder)
        return Tally.loads(known) if known else tally
    if tally is not None and not tally.frames:
        raise BagError(f"{task.source} has no image on {task.image} to replay")
    join(task.folder, chunks, tally.dumps() if tally else "")
    return tally


class Worker:
    """Replays pieces, one at a time, each as if it were the first."""

    def __init__(self, pipeline: Pipeline, job: Job) -> None:
        """`pipeline`: one that has seen no image."""
        self._pipeline = pipeline
        self._job = job
        self._fresh = dumps(pipeline.state(), state_classes())
        self._versions = versions(pipeline)

    def __call__(
        self, piece: Piece, tell: Callable[[Event], None], stopped: Callable[[], bool]
    ) -> None:
        """Replay `piece`, until it is finished, it fails, or `stopped` says so between images."""
        try:
            self._replay(piece, tell, stopped)
        except (BagError, ResumeError, OSError) as error:
            tell(Failed(piece, str(error)))

    def _replay(
        self, piece: Piece, tell: Callable[[Event], None], stopped: Callable[[], bool]
    ) -> None:
        bag = Bag(piece.source)
        known = len(bag.damage)
        self._pipeline.restore(loads(self._fresh, state_classes()))
        work = Replay(
            bag,
            piece.folder,
            self._job.choice(bag),
            self._job.parameters,
            self._pipeline,
            self._versions,
            chunk=piece.chunk,
            tell=lambda text: tell(Told(piece, text)),
            frames_per_part=self._job.frames_per_part,
        )
        summary = work.finished()
        if summary is not None:
            tell(Finished(piece, Tally.loads(summary) if summary else None, earlier=True))
            return
        done, seconds, last = work.start(), 0.0, time.monotonic()
        tell(Begun(piece, done))
        with closing(work.run()) as frames:
            for _ in frames:
                if stopped():
                    return
                if time.monotonic() - last > _SECONDS_PER_REPORT:
                    tell(_advanced(piece, work, done, seconds))
                    done, seconds, last = work.tally.frames, work.seconds, time.monotonic()
        tell(_advanced(piece, work, done, seconds))
        tell(Finished(piece, work.tally, bag.damage[known:]))


def _advanced(piece: Piece, work: Replay, done: int, seconds: float) -> Advanced:
    tally = work.tally
    return Advanced(piece, tally.frames - done, work.seconds - seconds, len(tally.ids))


def versions(pipeline: Pipeline) -> dict[str, str]:
    """What results depend on beside the bag and what was asked for."""
    diagnostics = pipeline.diagnostics
    return {
        "pear_ros": __version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "rosbags": version("rosbags"),
        "model": pipeline.model_id,
        "body": f"{pipeline.body.name} {pipeline.body.sha256}",
        **{name: diagnostics[name] for name in ("runtime", "device") if name in diagnostics},
    }
