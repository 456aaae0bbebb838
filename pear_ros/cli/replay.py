# SPDX-License-Identifier: Apache-2.0
"""`pear replay`: recorded bags through the node's pipeline, every image."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial, reduce
from operator import add
from pathlib import Path

from tqdm import tqdm

from pear_ros.bags.topic import BagError
from pear_ros.bags.unfinished import ResumeError, clear
from pear_ros.cli.replay_options import parameters_from
from pear_ros.cli.replay_table import replay_table
from pear_ros.core.configuration import EstimatorError
from pear_ros.replay.here import replay_here
from pear_ros.replay.job import (
    Advanced,
    Begun,
    Event,
    Failed,
    Finished,
    Job,
    Piece,
    Task,
    Told,
    WorkersError,
    conclude,
    find_pairs,
    plan,
)
from pear_ros.replay.topics import Wanted

_INTERRUPTED = 130


Run = Callable[[Sequence[Piece], Job], Generator[Event, None, None]]
"""Replays pieces somewhere."""


def replay(options: argparse.Namespace) -> int:
    """Replay what the command line asks for; returns the exit code."""
    if options.end is not None and options.end <= options.start:
        print(f"error: --end {options.end:g} is not after --start", file=sys.stderr)
        return 1
    job = Job(
        Wanted(options.image, options.camera_info, options.depth, options.detections),
        parameters_from(options),
        options.start,
        options.end,
        options.every,
        options.chunk,
        options.with_inputs,
        options.markers,
        options.storage,
    )
    run: Run = partial(replay_here, count=options.batch)
    if options.ray is not None:
        try:
            from pear_ros.replay.on_ray import replay_by_ray
        except ImportError:
            print("error: --ray needs Ray: pip install ray", file=sys.stderr)
            return 1
        run = partial(
            replay_by_ray,
            count=options.batch,
            address=options.ray or None,
            workers=options.workers,
        )
    # Absolute, since workers elsewhere run in another folder.
    bags = [bag.absolute() for bag in options.bags]
    several = options.batch > 1 or options.ray is not None
    return replay_all(bags, options.output.absolute(), job, run, options.overwrite, several=several)


def replay_all(
    sources: Sequence[Path],
    output: Path,
    job: Job,
    run: Run,
    overwrite: bool = False,
    *,
    several: bool = False,
) -> int:
    """Replay all bags at `sources` into `output`; returns the exit code.

    What is wrong with one bag does not keep the others from being replayed. `several`: whether
    `run` can replay several pieces at once, so that somebody may expect it to.
    """
    shown = _Shown()
    try:
        tasks = list(_plan(sources, output, job, overwrite, shown))
        pieces = [piece for task in tasks for piece in task.pieces]
        if several and len(pieces) == 1:
            shown.warning(
                "One bag in one piece is replayed image by image. --batch and --ray are faster "
                "where there are several bags, or pieces of one: --chunk SECONDS"
            )
        if pieces:
            with closing(run(pieces, job)) as events:
                shown.follow(tasks, job, events)
    except (BagError, OSError, EstimatorError, WorkersError) as error:
        shown.failure(str(error))
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from what is kept.")
        return _INTERRUPTED
    return 1 if shown.failed else 0


def _plan(
    sources: Sequence[Path], output: Path, job: Job, overwrite: bool, shown: _Shown
) -> Iterator[Task]:
    for source, folder in find_pairs(sources, output):
        try:
            if overwrite:
                clear(folder)
            task = plan(source, folder, job)
        except (BagError, ResumeError, OSError) as error:
            shown.failure(str(error))
            continue
        for damage in task.damage:
            shown.warning(damage)
        yield task


class _Shown:
    """What the terminal shows."""

    def __init__(self) -> None:
        self.failed = False

    def warning(self, text: str) -> None:
        tqdm.write(f"warning: {text}", sys.stderr)

    def failure(self, text: str) -> None:
        tqdm.write(f"error: {text}", sys.stderr)
        self.failed = True

    def follow(self, tasks: Sequence[Task], job: Job, events: Iterator[Event]) -> None:
        """Show what happens and, when a bag has all its pieces, put them together."""
        task_of = {piece: task for task in tasks for piece in task.pieces}
        ends: dict[Piece, Finished | Failed] = {}
        with _Bar(sum(task.images for task in tasks)) as bar:
            for event in events:
                bar.update(event)
                if isinstance(event, Told):
                    self.warning(event.text)
                elif isinstance(event, Begun):
                    self._begun(task_of[event.piece], event)
                elif isinstance(event, (Finished, Failed)):
                    ends[event.piece] = event
                    task = task_of[event.piece]
                    if all(piece in ends for piece in task.pieces):
                        self._ended(task, job, [ends[piece] for piece in task.pieces])
        print(f"\n{bar.summary}")

    def _begun(self, task: Task, event: Begun) -> None:
        chunk = f", chunk {event.piece.chunk}" if len(task.pieces) > 1 else ""
        tqdm.write(f"{task.source}{chunk}: looking for people in {task.image}")
        if event.done:
            tqdm.write(f"Going on after {event.done} images that are done already.")

    def _ended(self, task: Task, job: Job, ends: Sequence[Finished | Failed]) -> None:
        failures = [end.text for end in ends if isinstance(end, Failed)]
        for text in dict.fromkeys(failures):
            self.failure(text)
        if failures:
            return
        finished = [end for end in ends if isinstance(end, Finished)]
        tallies = [end.tally for end in finished if end.tally is not None]
        tally = reduce(add, tallies) if len(tallies) == len(finished) else None
        try:
            tally = conclude(task, job, tally)
        except (BagError, ResumeError, OSError) as error:
            self.failure(str(error))
            return
        met = dict.fromkeys(text for end in finished for text in end.damage)
        for text in met:
            self.warning(text)
        if all(end.earlier for end in finished):
            tqdm.write(f"{task.folder} is complete already.")
        if tally is not None:
            table = replay_table(tally, [*task.damage, *met])
            tqdm.write(f"\n{table}\n\nResults are in {task.folder.resolve()}")
            self.failed |= bool(tally.refused)


class _Bar:
    """How far the work is, how fast, and how many people were found; none without a terminal."""

    def __init__(self, images: int) -> None:
        self._bar = tqdm(total=images, unit="image", disable=None)
        self._done: dict[Piece, int] = {}
        self._people: dict[Piece, int] = {}
        self._images, self._seconds = 0, 0.0
        self._began: float | None = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    @property
    def summary(self) -> str:
        """What was done in this run."""
        speed = self._images / self._elapsed
        return f"{self._images} images in {self._elapsed:.1f} s: {speed:.1f} a second"

    @property
    def _elapsed(self) -> float:
        """Seconds since the first piece was begun: before, models are loaded."""
        return max(time.monotonic() - (self._began or time.monotonic()), 1e-9)

    def update(self, event: Event) -> None:
        if isinstance(event, Begun):
            self._began = self._began or time.monotonic()
            self._done[event.piece] = event.done
        elif isinstance(event, Advanced):
            self._done[event.piece] += event.images
            self._people[event.piece] = event.people
            self._images += event.images
            self._seconds += event.seconds
            self._bar.set_postfix_str(
                f"{sum(self._people.values())} ids, "
                f"{self._seconds / self._elapsed:.2f} x real time",
                refresh=False,
            )
        self._bar.update(sum(self._done.values()) - self._bar.n)
