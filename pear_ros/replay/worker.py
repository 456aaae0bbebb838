# SPDX-License-Identifier: Apache-2.0
"""A worker that replays pieces with one pipeline, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from pear_ros.bags.bag import Bag
from pear_ros.bags.snapshot import SnapshotError, dumps, loads
from pear_ros.bags.topic import BagError
from pear_ros.bags.unfinished import ResumeError
from pear_ros.replay.events import Advanced, Begun, Event, Failed, Finished, Piece, Warned
from pear_ros.replay.job import Job, WorkersError
from pear_ros.replay.reader import OneByOne
from pear_ros.replay.replay import Replay, Source
from pear_ros.replay.state_classes import state_classes
from pear_ros.replay.statistics import ReplayStatistics

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

_REPORT_PERIOD_SECONDS = 0.5


class Worker:
    """Replay pieces, one at a time, each with a pipeline in its initial state."""

    def __init__(self, pipeline: Pipeline, job: Job) -> None:
        """Replay with `pipeline`, which has processed no image yet.

        Raises WorkersError if its state cannot be saved.
        """
        self._pipeline = pipeline
        self._job = job
        self._classes = state_classes(pipeline.components().values())
        try:
            self._initial_state = dumps(pipeline.state(), self._classes)
        except SnapshotError as error:
            raise WorkersError(_unsaved(pipeline, error)) from error

    def __call__(
        self,
        piece: Piece,
        report: Callable[[Event], None],
        stopped: Callable[[], bool],
        one_by_one: OneByOne | None = None,
    ) -> None:
        """Replay `piece` until it is finished, it fails, or `stopped` returns true.

        `stopped` is called after each image. `one_by_one`: see Replay.run.
        """
        try:
            self._replay(piece, report, stopped, one_by_one)
        except (BagError, ResumeError, OSError) as error:
            report(Failed(piece, str(error)))
        except SnapshotError as error:
            report(Failed(piece, f"{piece.source}: {_unsaved(self._pipeline, error)}"))

    def _replay(
        self,
        piece: Piece,
        report: Callable[[Event], None],
        stopped: Callable[[], bool],
        one_by_one: OneByOne | None,
    ) -> None:
        bag, job = Bag(piece.source), self._job
        known_damage = set(bag.damage)
        self._pipeline.restore(loads(self._initial_state, self._classes))
        replay = Replay(
            Source(bag, job.options.resolve(bag), job.parameters, piece.chunk),
            piece.folder,
            self._pipeline,
            lambda text: report(Warned(piece, text)),
            job.frames_per_part,
        )
        summary = replay.finished()
        if summary is not None:
            statistics = ReplayStatistics.loads(summary) if summary else None
            report(Finished(piece, statistics, earlier=True))
            return
        done, seconds, last = replay.start(), 0.0, time.monotonic()
        report(Begun(piece, done))
        with closing(replay.run(one_by_one)) as frames:
            for _ in frames:
                if stopped():
                    return
                if time.monotonic() - last > _REPORT_PERIOD_SECONDS:
                    report(_advanced(piece, replay, done, seconds))
                    done, seconds = replay.statistics.images, replay.seconds
                    last = time.monotonic()
        report(_advanced(piece, replay, done, seconds))
        damage = [text for text in bag.damage if text not in known_damage]
        report(Finished(piece, replay.statistics, damage))


def _unsaved(pipeline: Pipeline, error: SnapshotError) -> str:
    return (
        f"the state of the pipeline with {pipeline.model_id} cannot be saved: {error}. It may hold "
        "plain data, NumPy arrays, and dataclasses of the modules of estimator and detector"
    )


def _advanced(piece: Piece, replay: Replay, done: int, seconds: float) -> Advanced:
    statistics = replay.statistics
    return Advanced(piece, statistics.images - done, replay.seconds - seconds, len(statistics.ids))
