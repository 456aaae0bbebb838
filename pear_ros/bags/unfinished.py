# SPDX-License-Identifier: Apache-2.0
"""The folder UNFINISHED in a bag that is not complete: its lock, and what is no part of it."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from pear_ros.bags.parts import custom_data
from pear_ros.bags.topic import listed
from pear_ros.bags.writing import is_own_storage

UNFINISHED = ".unfinished"
SNAPSHOT = "snapshot"
"""File in the folder UNFINISHED with the snapshot of the last complete part."""
CHUNKED = "chunked"
"""File in the folder UNFINISHED of a bag that is written in chunks."""
PART = "part"
"""Folder in the folder UNFINISHED with the part that is being written."""
LOCK = "lock"
MARK = "mark"
"""File in the folder UNFINISHED that says how far the writer is: see pear_ros.bags.mark."""
SUMMARY = "pear_ros summary"
"""Key in custom_data of a complete bag: the summary of its content."""
_NOTES = {LOCK, MARK, *(name for own in (SNAPSHOT, CHUNKED) for name in (own, f".{own}.draft"))}
_STORAGE = re.compile(r"\w+_\d+\.(mcap|db3)(-journal|-wal|-shm)?")


class ResumeError(RuntimeError):
    """A bag that cannot be begun or resumed; the text says why and what to do."""


class BagLock:
    """Locks a bag against other writing processes, until released or this process ends."""

    def __init__(self, bag: Path) -> None:
        """Lock `bag`.

        Raises ResumeError where another process holds the lock, or a link is in its way.
        """
        check_links(bag)
        folder = bag / UNFINISHED
        folder.mkdir(parents=True, exist_ok=True)
        # Neither truncated nor opened through a link: it might be the file of another program.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._file = os.fdopen(os.open(folder / LOCK, flags, 0o644), "rb")
        except OSError as error:
            raise ResumeError(f"{folder / LOCK} cannot be opened: {error.strerror}") from error
        try:
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                raise ResumeError(f"{folder / LOCK} is no regular file: choose another --output")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise ResumeError(f"{bag} is being written by another process") from error
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock; further calls do nothing."""
        self._file.close()


def check_links(bag: Path) -> None:
    """Raise ResumeError where a link is among the folders that replay makes for `bag`."""
    path = bag / UNFINISHED
    for folder in (path, *path.parents):
        if UNFINISHED in folder.parts and (
            folder.is_symlink() or (folder.exists() and not folder.is_dir())
        ):
            raise ResumeError(
                f"{folder} is a link, or no folder, and is not used: choose another --output"
            )


def summary_of(bag: Path) -> str | None:
    """Return the summary of a bag that ResumableBag completed; None for other folders."""
    return custom_data(bag).get(SUMMARY)


def check_own(bag: Path) -> None:
    """Raise ResumeError where `bag` is a folder with other content, which is not overwritten."""
    check_links(bag)
    if not (bag / UNFINISHED).exists():
        if bag.exists() and any(bag.iterdir()):
            raise ResumeError(f"{bag} is not empty, and holds nothing that can be resumed")
        return
    names = {"metadata.yaml", UNFINISHED}
    _refuse(
        bag,
        [
            path
            for path in _foreign(bag)
            if path.relative_to(bag).parts[0] in names or _STORAGE.fullmatch(path.name)
        ],
    )


def clear(bag: Path) -> None:
    """Remove a bag that ResumableBag wrote, complete or not; leave other folders unchanged.

    Nothing is removed where the folder holds anything else. Raises ResumeError then, and while
    another process writes it.
    """
    if not bag.is_dir() or (summary_of(bag) is None and not (bag / UNFINISHED).exists()):
        return
    check_links(bag)
    _refuse(bag, _foreign(bag))
    lock = BagLock(bag)
    try:
        _remove(bag)
    finally:
        lock.release()


def remove_unfinished(bag: Path) -> None:
    """Remove the folder UNFINISHED. Raises ResumeError where it holds anything else."""
    check_links(bag)
    if (bag / UNFINISHED).exists():
        _refuse(bag, _foreign_in_work(bag / UNFINISHED))
        _remove(bag / UNFINISHED)


def _refuse(bag: Path, foreign: list[Path]) -> None:
    if foreign:
        names = listed([str(path.relative_to(bag)) for path in foreign])
        raise ResumeError(
            f"{bag} holds {names}, which replay cannot prove to have written, and nothing is "
            "removed: move it, or choose another --output"
        )


def _foreign(bag: Path) -> list[Path]:
    """Return everything in a bag that ResumableBag has not written."""
    own = SUMMARY in custom_data(bag)
    foreign = []
    for path in sorted(bag.iterdir()):
        if path.name == UNFINISHED:
            foreign += _foreign_in_work(path)
        elif path.name in ("metadata.yaml", ".metadata.yaml.draft"):
            foreign += [] if _is_file(path) and (own or path.name[0] == ".") else [path]
        elif not (_STORAGE.fullmatch(path.name) and _is_file(path) and is_own_storage(path)):
            foreign.append(path)
    return foreign


def _foreign_in_work(folder: Path) -> list[Path]:
    """Return everything in a folder UNFINISHED that ResumableBag has not written."""
    if folder.is_symlink() or not folder.is_dir():
        return [folder]
    foreign = []
    for path in sorted(folder.iterdir()):
        if path.name in _NOTES and _is_file(path):
            continue
        if path.is_symlink() or not path.is_dir():
            foreign.append(path)
        elif path.name == PART:
            foreign += _foreign_in_part(path)
        elif re.fullmatch(r"chunk_\d+", path.name):
            foreign += _foreign(path)
        else:
            foreign.append(path)
    return foreign


def _foreign_in_part(folder: Path) -> list[Path]:
    """Return everything in a part that is being written that PartWriter has not written."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if not (
            (path.parent == folder and path.is_dir() and not path.is_symlink())
            or (path.parent.parent == folder and _is_file(path) and _is_part(path))
        )
    ]


def _is_part(path: Path) -> bool:
    return path.name in ("metadata.yaml", "metadata.yaml.tmp") or (
        bool(_STORAGE.fullmatch(path.name))
        and path.name.startswith(path.parent.name)
        and (not path.name.endswith(".mcap") or is_own_storage(path))
    )


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _remove(folder: Path) -> None:
    """Remove a folder in which nothing foreign was found, without following links."""
    for path in _inner_first(folder):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def _inner_first(folder: Path) -> Iterator[Path]:
    """Yield everything in a folder, what a folder holds before it; UNFINISHED last."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == UNFINISHED):
        if path.is_dir() and not path.is_symlink():
            yield from _inner_first(path)
        else:
            yield path
    yield folder


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
