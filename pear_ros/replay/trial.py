# SPDX-License-Identifier: Apache-2.0
"""After a replay was killed: the images that may have killed it, in a process of their own.

A library may crash on an image, or take all memory, and so would the run that resumes. Therefore a
separate process first continues the bag, image by image, to the end of the part that follows the
images the killed run had read. An image at which it ends twice is left out. Its results are those
of any other run, which resumes where it has got to, and loads its own models only then.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from pear_ros.bags.chunks import chunk_folder
from pear_ros.bags.mark import mark_of_killed
from pear_ros.core.blas import OneBlasThread
from pear_ros.replay.events import Event, Failed, Piece, Warned
from pear_ros.replay.job import Build, Job
from pear_ros.replay.reader import IMAGES_AHEAD, OneByOne
from pear_ros.replay.worker import Worker

_START_METHOD: Final = "spawn"
_LIMIT_SECONDS = 600
"""Time that an image may take."""
_DEATHS = 2
"""Ends of the process at an image after which it is left out: one may have another cause."""
_REMEDY = "replay what is before it with --end, what is after it with --start, to another --output"


@dataclass
class _Trial:
    until: int
    """Number of images that have to be done."""
    deaths: Counter[int] = field(default_factory=Counter)
    """How often the process ended at an image, by its number."""


@dataclass(frozen=True)
class _Begun:
    """The process is about to decode an image."""

    piece: Piece
    number: int
    seconds: float

    def __str__(self) -> str:
        return f"image {self.number} ({self.seconds:.3f} s) of {self.piece.source}"


@dataclass(frozen=True)
class _Tried:
    """The process has got past all images in question of a piece."""

    piece: Piece


@dataclass(frozen=True)
class _Ended:
    """The process has ended before that."""

    how: str


_Message = _Begun | _Tried | _Ended | Warned


def try_after_kill(
    pieces: Sequence[Piece], job: Job, build: Build
) -> Generator[Event, None, Sequence[Piece]]:
    """Get pieces past the images at which an earlier run was killed; return those to replay.

    The others have failed, which has been reported. `build` runs in the other process, too.
    """
    marks = {piece: mark_of_killed(_folder(piece, job)) for piece in pieces}
    todo = {p: _Trial(mark + IMAGES_AHEAD + 1) for p, mark in marks.items() if mark is not None}
    for piece, trial in todo.items():
        yield Warned(
            piece,
            f"An earlier run was killed at image {trial.until - IMAGES_AHEAD - 1} of "
            f"{piece.source}, or soon after. A separate process tries these images first",
        )
    failed: set[Piece] = set()
    while todo:
        begun, how = None, ""
        with closing(_messages(todo, job, build)) as messages:
            while todo and (message := next(messages, None)) is not None:
                if isinstance(message, Warned):
                    yield message
                elif isinstance(message, _Begun):
                    begun = message
                elif isinstance(message, _Tried):
                    begun = None
                    del todo[message.piece]
                else:
                    how = message.how
        if begun is None:  # All are tried; or the models cannot be loaded, as the run will say.
            break
        deaths = todo[begun.piece].deaths
        deaths[begun.number] += 1
        if deaths[begun.number] == _DEATHS:
            yield Warned(begun.piece, f"Left out: {begun}, since it {how}")
        elif deaths[begun.number] > _DEATHS:
            del todo[begun.piece]
            failed.add(begun.piece)
            yield Failed(begun.piece, f"{begun} {how}, even if it is left out: {_REMEDY}")
    return [piece for piece in pieces if piece not in failed]


def _folder(piece: Piece, job: Job) -> Path:
    return piece.folder if job.options.chunk is None else chunk_folder(piece.folder, piece.chunk)


def _messages(
    todo: Mapping[Piece, _Trial], job: Job, build: Build
) -> Generator[_Message, None, None]:
    """Yield the messages of a new process, which ends with the iterator."""
    context = multiprocessing.get_context(_START_METHOD)
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sending, todo, job, build))
    # Inherited: Ctrl-C is for this process, which ends the other one.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        sending.close()
        limit: float | None = None
        while receiving.poll(limit):
            try:
                message = receiving.recv()
            except (EOFError, OSError):  # The latter within a message.
                process.join(_LIMIT_SECONDS)
                yield _Ended(f"ends the process ({_name(process.exitcode)})")
                return
            if not isinstance(message, Warned):
                limit = _LIMIT_SECONDS if isinstance(message, _Begun) else None
            yield message
        yield _Ended(f"takes more than {_LIMIT_SECONDS} seconds")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if process.pid is not None:
            process.kill()
            process.join()
        receiving.close()


def _name(code: int | None) -> str:
    with suppress(ValueError):
        return signal.Signals(-(code or 0)).name
    return f"exit code {code}"


def _work(sending: Connection, todo: Mapping[Piece, _Trial], job: Job, build: Build) -> None:
    """Try images in this process, and send _Begun, Warned and _Tried."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        (pipeline,) = build(job.parameters, 1)
        worker = Worker(pipeline, job)
    except Exception:  # As the run will say.
        return
    with OneBlasThread():
        for piece, trial in todo.items():
            with suppress(Exception):  # Likewise.
                _try(worker, piece, trial, job.frames_per_part, sending.send)
            sending.send(_Tried(piece))


def _try(
    worker: Worker, piece: Piece, trial: _Trial, part: int, send: Callable[[_Message], None]
) -> None:
    """Replay to the end of the part in which the last image in question is, or of the piece."""
    done = 0

    def begin(number: int, seconds: float) -> None:
        nonlocal done
        send(_Begun(piece, number, seconds))
        done = number + 1

    def stopped() -> bool:
        return done >= trial.until and done % part == 0

    def report(event: Event) -> None:
        if isinstance(event, Warned):
            send(event)

    leave_out = [number for number, deaths in trial.deaths.items() if deaths >= _DEATHS]
    worker(piece, report, stopped, OneByOne(begin, leave_out))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
