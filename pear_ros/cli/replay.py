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
from pear_ros.cli.replay_options import replay_parameters
from pear_ros.cli.replay_table import replay_table
from pear_ros.cli.stopping import INTERRUPTED
from pear_ros.core.configuration import EstimatorError
from pear_ros.core.estimator import DeviceLostError
from pear_ros.core.quoting import printable
from pear_ros.replay.events import Advanced, Begun, Event, Failed, Finished, Piece, Warned
from pear_ros.replay.in_threads import replay_in_threads
from pear_ros.replay.job import Job, Task, WorkersError, conclude, find_pairs, plan
from pear_ros.replay.options import ReplayOptions
from pear_ros.replay.topics import TopicSelection

Run = Callable[[Sequence[Piece], Job], Generator[Event, None, None]]
"""Function that replays pieces, in threads or by Ray, and yields events."""


def replay(options: argparse.Namespace) -> int:
    """Replay as the command line asks; return the exit code."""
    if options.end is not None and options.end <= options.start:
        print(f"error: --end {options.end:g} is not after --start", file=sys.stderr)
        return 1
    if options.detector == "topic" and not options.detections:
        print("error: --detector topic needs --detections TOPIC", file=sys.stderr)
        return 1
    job = Job(
        ReplayOptions(
            TopicSelection(options.image, options.camera_info, options.depth, options.detections),
            options.start,
            options.end,
            options.every,
            options.chunk,
            options.with_inputs,
            options.markers,
            options.storage,
        ),
        replay_parameters(options),
    )
    run: Run = partial(replay_in_threads, count=options.batch)
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
    """Replay all bags at `sources` into `output`; return the exit code.

    A bag that fails does not prevent the others from being replayed. `several`: whether the user
    asked for several pieces at once, and is warned if there is one.
    """
    terminal = _Terminal()
    try:
        tasks = list(_plan(sources, output, job, overwrite, terminal))
        pieces = [piece for task in tasks for piece in task.pieces]
        if several and len(pieces) == 1:
            terminal.warning(
                "One bag in one piece is replayed image by image. --batch and --ray are faster "
                "where there are several bags, or pieces of one: --chunk SECONDS"
            )
        if pieces:
            with closing(run(pieces, job)) as events:
                terminal.follow(tasks, job, events)
    except (BagError, OSError, EstimatorError, WorkersError) as error:
        terminal.failure(str(error))
    except DeviceLostError as error:
        terminal.failure(f"{error}. The same command resumes the replay")
    except KeyboardInterrupt:
        print("Stopped. The same command resumes the replay.")
        return INTERRUPTED
    return 1 if terminal.failed else 0


def _plan(
    sources: Sequence[Path], output: Path, job: Job, overwrite: bool, terminal: _Terminal
) -> Iterator[Task]:
    for source, folder in find_pairs(sources, output):
        try:
            if overwrite:
                clear(folder)
            task = plan(source, folder, job)
        except (BagError, ResumeError, OSError) as error:
            terminal.failure(str(error))
            continue
        for damage in task.damage:
            terminal.warning(damage)
        yield task


class _Terminal:
    """Output on the terminal."""

    def __init__(self) -> None:
        self.failed = False

    def warning(self, text: str) -> None:
        tqdm.write(printable(f"warning: {text}"), sys.stderr)

    def failure(self, text: str) -> None:
        tqdm.write(printable(f"error: {text}"), sys.stderr)
        self.failed = True

    def follow(self, tasks: Sequence[Task], job: Job, events: Iterator[Event]) -> None:
        """Print progress and, once all pieces of a bag are finished, join them."""
        task_of = {piece: task for task in tasks for piece in task.pieces}
        ends: dict[Piece, Finished | Failed] = {}
        with _Bar(sum(task.images for task in tasks)) as bar:
            for event in events:
                bar.update(event)
                if isinstance(event, Warned):
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
        tqdm.write(printable(f"{task.source}{chunk}: replaying {task.image}"))
        if event.done:
            tqdm.write(f"Resumed after {event.done} images of an earlier run.")

    def _ended(self, task: Task, job: Job, ends: Sequence[Finished | Failed]) -> None:
        failures = [end.text for end in ends if isinstance(end, Failed)]
        for text in dict.fromkeys(failures):
            self.failure(text)
        if failures:
            return
        finished = [end for end in ends if isinstance(end, Finished)]
        known = [end.statistics for end in finished if end.statistics is not None]
        statistics = reduce(add, known) if len(known) == len(finished) else None
        try:
            statistics = conclude(task, job, statistics)
        except (BagError, ResumeError, OSError) as error:
            self.failure(str(error))
            return
        met = dict.fromkeys(text for end in finished for text in end.damage)
        for text in met:
            self.warning(text)
        if all(end.earlier for end in finished):
            tqdm.write(printable(f"{task.folder} is complete already."))
        if statistics is not None:
            table = replay_table(statistics, [*task.damage, *met])
            tqdm.write(printable(f"\n{table}\n\nResults are in {task.folder.resolve()}"))
            self.failed |= bool(statistics.refused)
            if statistics.useless:
                self.failure(f"{task.source}: nobody was found ({statistics.useless})")


class _Bar:
    """Progress bar with speed and number of ids; nothing without a terminal."""

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
        """Number of images of this run, and their rate."""
        speed = self._images / self._elapsed
        return f"{self._images} images in {self._elapsed:.1f} s: {speed:.1f} per second"

    @property
    def _elapsed(self) -> float:
        """Seconds since the first piece was started, without loading the models."""
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
