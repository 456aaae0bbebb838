# SPDX-License-Identifier: Apache-2.0
"""Files of results: each is complete or absent, and is written through no link of others."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt


class Draft:
    """A new, empty file that takes the place of another when it is complete.

    What is there is replaced, also where it is a link, whose target stays as it is.
    """

    def __init__(self, path: Path) -> None:
        """Create the file beside `path`. Raises OSError, which names `path`."""
        self._final = path
        with naming(path):
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            try:
                mask = os.umask(0)
                os.umask(mask)
                os.fchmod(handle, 0o666 & ~mask)
            finally:
                os.close(handle)
        self.path = Path(name)
        """Path of the file until it is complete."""

    def keep(self) -> None:
        """Give the file, which is complete, its name. Raises OSError, which names it."""
        with naming(self._final):
            try:
                os.replace(self.path, self._final)
            except OSError:
                self.discard()
                raise

    def discard(self) -> None:
        """Remove the file; what it was to replace stays."""
        self.path.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have errors of the system, as with a full disk, name the file `path`."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Give a new file that takes the place of `path` when the block ends without an exception.

    What is there is replaced, also where it is a link, whose target stays as it is. Raises OSError
    that names `path`, as with a full disk.
    """
    draft = Draft(path)
    try:
        with naming(path), draft.path.open("w+b") as file:
            yield file
    except BaseException:
        draft.discard()
        raise
    draft.keep()


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8. Raises OSError, which names the file."""
    with replaced(path) as file:
        file.write(text.encode())


def write_picture(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    """Write a picture in the format of the path's suffix. Raises OSError, which names it."""
    content = cv2.imencode(path.suffix, picture)[1]
    with replaced(path) as file:
        file.write(content.tobytes())
