# SPDX-License-Identifier: Apache-2.0
"""The folder within a bag for what is not part of it: there while the bag is not complete."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Mapping
from pathlib import Path

from pear_ros.bags.parts import custom_data

UNFINISHED = ".unfinished"
SUMMARY = "pear_ros summary"
"""In custom_data of a bag that is complete: what was told of its content."""


class ResumeError(RuntimeError):
    """A bag that cannot be begun or gone on with; the text says why and what to do."""


class BagLock:
    """Keeps other processes from writing a bag, until released or this process ends."""

    def __init__(self, bag: Path) -> None:
        """Raises ResumeError while another process has it."""
        folder = bag / UNFINISHED
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "lock").open("wb")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise ResumeError(f"{bag} is being written by another process") from error

    def release(self) -> None:
        """Let the others; may be called twice."""
        self._file.close()


def summary_of(bag: Path) -> str | None:
    """What was told of the content of a bag of ours when it was completed; None: it is none."""
    return custom_data(bag).get(SUMMARY)


def check_own(bag: Path) -> None:
    """Raises ResumeError where `bag` is a folder of something else, not to be written into."""
    if not (bag / UNFINISHED).exists() and bag.exists() and any(bag.iterdir()):
        raise ResumeError(f"{bag} is not empty, and holds nothing that can be resumed")


def clear(bag: Path) -> None:
    """Remove a bag, complete or not, so that it can be begun anew; leaves other folders alone.

    Raises ResumeError while another process writes it.
    """
    if summary_of(bag) is not None or (bag / UNFINISHED).exists():
        lock = BagLock(bag)
        shutil.rmtree(bag)
        lock.release()


def check_same(bag: Path, found: Mapping[str, str], own: Mapping[str, str]) -> None:
    """Raises ResumeError where what `bag` was made of, `found`, is not what it is now, `own`."""
    different = [
        f"{name} was {found.get(name, '')!r} and is {own.get(name, '')!r}"
        for name in {**found, **own}
        if found.get(name) != own.get(name)
    ]
    if different:
        raise ResumeError(
            f"{bag} was begun in another way: {', '.join(different)}. Give the same command "
            "again, another --output, or --overwrite to begin anew"
        )
