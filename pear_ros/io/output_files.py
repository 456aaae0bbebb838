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


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Give a new file that takes the place of `path` when the block ends without an exception.

    What is there is replaced, also where it is a link, whose target stays as it is. Raises OSError
    that names `path`, as with a full disk.
    """
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w+b") as file:
                mask = os.umask(0)
                os.umask(mask)
                os.fchmod(handle, 0o666 & ~mask)
                yield file
            os.replace(draft, path)
        except BaseException:
            os.unlink(draft)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_picture(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    """Write a picture in the format of the path's suffix. Raises OSError, which names it."""
    content = cv2.imencode(path.suffix, picture)[1]
    with replaced(path) as file:
        file.write(content.tobytes())
