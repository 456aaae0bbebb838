# SPDX-License-Identifier: Apache-2.0
"""The folder UNFINISHED in a bag that is not complete: its lock, and what is no part of it."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Mapping
from pathlib import Path

from pear_ros.bags.parts import custom_data

UNFINISHED = ".unfinished"
SUMMARY = "pear_ros summary"
"""Key in custom_data of a complete bag: the summary of its content."""


class ResumeError(RuntimeError):
    """A bag that cannot be begun or resumed; the text says why and what to do."""


class BagLock:
    """Locks a bag against other writing processes, until released or this process ends."""

    def __init__(self, bag: Path) -> None:
        """Lock `bag`. Raises ResumeError where another process holds the lock."""
        folder = bag / UNFINISHED
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "lock").open("wb")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise ResumeError(f"{bag} is being written by another process") from error

    def release(self) -> None:
        """Release the lock; further calls do nothing."""
        self._file.close()


def summary_of(bag: Path) -> str | None:
    """Return the summary of a bag that ResumableBag completed; None for other folders."""
    return custom_data(bag).get(SUMMARY)


def check_own(bag: Path) -> None:
    """Raise ResumeError where `bag` is a folder with other content, which is not overwritten."""
    if not (bag / UNFINISHED).exists() and bag.exists() and any(bag.iterdir()):
        raise ResumeError(f"{bag} is not empty, and holds nothing that can be resumed")


def clear(bag: Path) -> None:
    """Remove a bag that ResumableBag wrote, complete or not; leave other folders unchanged.

    Raises ResumeError while another process writes it.
    """
    if summary_of(bag) is not None or (bag / UNFINISHED).exists():
        lock = BagLock(bag)
        shutil.rmtree(bag)
        lock.release()


def check_same(bag: Path, found: Mapping[str, str], own: Mapping[str, str]) -> None:
    """Raise ResumeError where the fingerprint `found` in `bag` differs from that of now, `own`."""
    different = [
        f"{name} was {found.get(name, '')!r} and is {own.get(name, '')!r}"
        for name in {**found, **own}
        if found.get(name) != own.get(name)
    ]
    if different:
        raise ResumeError(
            f"{bag} was begun with other options: {', '.join(different)}. Give the same command "
            "again, another --output, or --overwrite to start again"
        )
