# SPDX-License-Identifier: Apache-2.0
"""The mark of an unfinished bag: how far its writer was when it was killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pear_ros.bags.small_files import UnusualFileError, read_small
from pear_ros.bags.unfinished import MARK, UNFINISHED, BagLock, ResumeError

_BYTES = 8
_PATIENCE_SECONDS = 2.0
"""Time that processes of a killed writer get to end."""


class Mark:
    """A number in a file, which is removed unless this process is killed before."""

    def __init__(self, bag: Path) -> None:
        """Open the mark of `bag`, which this process has locked. Raises OSError."""
        self._path = bag / UNFINISHED / MARK
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o644)

    def set(self, number: int) -> None:
        """Write the number, at the cost of a microsecond. Raises OSError."""
        try:
            os.pwrite(self._file, number.to_bytes(_BYTES, "little"), 0)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def remove(self) -> None:
        """Remove the file, if it is still there."""
        os.close(self._file)
        self._path.unlink(missing_ok=True)


def mark_of_killed(bag: Path) -> int | None:
    """Return the mark that a killed writer of `bag` left; None if there is none.

    There is none either while another process writes the bag.
    """
    path = bag / UNFINISHED / MARK
    if not path.exists():
        return None
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            BagLock(bag).release()
            content = read_small(path, _BYTES)
        except (UnusualFileError, OSError):
            return None
        except ResumeError:
            if time.monotonic() > until:
                return None
            time.sleep(0.02)
        else:
            return int.from_bytes(content, "little") if len(content) == _BYTES else None
