# SPDX-License-Identifier: Apache-2.0
"""Reading and writing of small files in folders where others may have put links and devices."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class UnusualFileError(ValueError):
    """A file that is not read, since it may not end; the text says what it is."""


def read_small(path: Path, most: int, *, follow: bool = False) -> bytes:
    """Return the content of a regular file of at most `most` bytes.

    `follow`: whether the path may be a link to one. Raises UnusualFileError where it is none, or
    larger; OSError where it cannot be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    if not follow and path.is_symlink():
        raise UnusualFileError("it is a link")
    handle = os.open(path, flags)
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise UnusualFileError("it is no regular file")
        if about.st_size > most:
            raise UnusualFileError(f"it has more than {most >> 10} KiB")
        return file.read(most)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically and sync it to disk. Raises OSError, which names the file."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(draft, flags, 0o644), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    os.replace(draft, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Sync a file, or the entries of a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
