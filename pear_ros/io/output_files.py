# SPDX-License-Identifier: Apache-2.0
"""Files of results: each is complete or absent, and is written through no link of others."""

from __future__ import annotations

import io
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, TextIO, TypeVar

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

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.keep()
        else:
            self.discard()


_Opened = TypeVar("_Opened", bound="OutputFile")


class OutputFile(ABC):
    """A file that is written piece by piece; a context manager.

    It appears, in place of what is there, when it is complete: on `close`, or where the block ends
    without an exception. Else no file is left.
    """

    def __init__(self, path: Path) -> None:
        """Begin the file `path`. Raises OSError, which names it."""
        self._path = path
        self._draft = Draft(path)
        try:
            with naming(path):
                self._open(self._draft.path)
        except BaseException:
            self._draft.discard()
            raise

    @abstractmethod
    def _open(self, draft: Path) -> None:
        """Open `draft`, where the file is until it is complete, for writing."""

    @abstractmethod
    def _finish(self) -> None:
        """Write what is left and close the file."""

    @abstractmethod
    def _abandon(self) -> None:
        """Close the file, which is not kept."""

    def close(self) -> None:
        """Complete the file. Raises OSError, which names it, and leaves no file then."""
        with self._draft, naming(self._path):
            self._finish()

    def discard(self) -> None:
        """Leave no file."""
        try:
            with suppress(OSError):  # as with a full disk, which cannot take what is left
                self._abandon()
        finally:
            self._draft.discard()

    def __enter__(self: _Opened) -> _Opened:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()


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
    with Draft(path) as draft, naming(path), draft.path.open("w+b") as file:
        yield file


@contextmanager
def replaced_text(path: Path, encoding: str, newline: str) -> Iterator[TextIO]:
    """Give a new text file, as `replaced` does; `encoding` and `newline` as of open()."""
    with replaced(path) as file:
        text = io.TextIOWrapper(file, encoding, newline=newline)
        yield text
        text.flush()
        text.detach()


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8. Raises OSError, which names the file."""
    with replaced(path) as file:
        file.write(text.encode())


def write_picture(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    """Write a picture in the format of the path's suffix. Raises OSError, which names it."""
    content = cv2.imencode(path.suffix, picture)[1]
    with replaced(path) as file:
        file.write(content.tobytes())
