# SPDX-License-Identifier: Apache-2.0
"""Reads the arrays of users' model files without executing anything, and checks them."""

from __future__ import annotations

import errno
import io
import math
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]
Shape = tuple[int | None, ...]
"""Expected sizes along the axes; None: any size."""

_MAX_ARRAY = 1 << 31
"""Bytes of the largest array that is read; the largest of SMPL-X has an eighth."""
_HEADER = 1 << 14
"""Bytes at the beginning of an npy file in which its header ends."""


def read_npz(
    path: Path, names: Collection[str], what: str, optional: Collection[str] = ()
) -> Arrays:
    """Read the named arrays of an npz file; others, which may hold objects, are not read.

    `what`: the kind of file, for error messages. `optional`: those of `names` that may be missing,
    as in files of older versions. Raises ValueError, in one sentence, when the file
    is damaged or an array is missing, OSError when it cannot be read.
    """
    _refuse_foreign(path, what)
    with _refused(path, "npz"):
        with path.open("rb") as file:
            check_npz(file, names)
        with np.load(path, allow_pickle=False) as data:
            found = set(data.files)
            arrays = {name: data[name] for name in names if name in found}
    require_names(path, arrays, [name for name in names if name not in optional], what)
    return arrays


def read_npy(path: Path, what: str) -> npt.NDArray[Any]:
    """Read the array of an npy file; `what`: the kind of file, for error messages.

    Raises ValueError, in one sentence, when the file is damaged, OSError when it cannot be read.
    """
    _refuse_foreign(path, what)
    with _refused(path, "npy"):
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                file.seek(0)
                _check_npy(file.read(_HEADER), path.stat().st_size)
        array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} is not {what}: it is an npz file, not an npy file")
    return array


def check_npz(file: IO[bytes], names: Collection[str] | None = None) -> None:
    """Raise ValueError where an array of an npz file declares more numbers than the file holds.

    NumPy takes the memory that an array declares before it reads it. `names`: of the arrays that
    are to be read; None: all. A damaged file raises one of several errors.
    """
    with zipfile.ZipFile(file) as members:
        for one in members.infolist():
            if names is not None and one.filename.removesuffix(".npy") not in names:
                continue
            with members.open(one) as member:
                _check_npy(member.read(_HEADER), one.file_size)


def _check_npy(start: bytes, size: int) -> None:
    """Raise ValueError where an array declares another size than it has.

    `start`: the first _HEADER bytes of an npy file of `size` bytes.
    """
    content = io.BytesIO(start)
    form: Any = np.lib.format
    version = form.read_magic(content)
    reading = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    if version not in reading:
        raise ValueError(f"its version is {version}")
    shape, _, dtype = reading[version](content)
    if dtype.hasobject:
        return  # Refused, or not read, by whoever reads it.
    expected = math.prod(int(length) for length in shape) * dtype.itemsize
    if size > _MAX_ARRAY or any(length < 0 for length in shape):
        raise ValueError("an array is too large")
    if expected != size - content.tell():
        raise ValueError("an array's size and its data disagree")


def require_names(path: Path, arrays: Iterable[str], names: Iterable[str], what: str) -> None:
    """Raise ValueError unless all `names` are among those of `arrays`."""
    there = set(arrays)
    missing = [name for name in names if name not in there]
    if missing:
        raise ValueError(f"{path} is not {what}: it lacks {', '.join(missing)}")


def check_shapes(path: Path, arrays: Mapping[str, Any], shapes: Mapping[str, Shape]) -> None:
    """Raise ValueError, naming the first at fault, unless all are numbers of these shapes."""
    for name, expected in shapes.items():
        array = arrays[name]
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            raise ValueError(f"{path}: {name} is not an array of numbers")
        fits = len(array.shape) == len(expected) and all(
            size in (found, None) for found, size in zip(array.shape, expected, strict=True)
        )
        if not fits:
            raise ValueError(f"{path}: {name} is {_size(array.shape)}, not {_size(expected)}")


def check_indices(path: Path, name: str, indices: npt.NDArray[Any], count: int) -> None:
    """Raise ValueError unless all indices are whole numbers from 0 to `count` - 1."""
    if indices.dtype.kind not in "iu":
        raise ValueError(f"{path}: {name} is not an array of whole numbers")
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        raise ValueError(
            f"{path}: {name} goes from {indices.min()} to {indices.max()}, not within 0 to "
            f"{count - 1}"
        )


def foreign_content(start: bytes) -> str | None:
    """Return what a file is that was saved instead of a model file; None: it may be the right one.

    `start`: the file's first bytes.
    """
    if not start:
        return "empty"
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS"
    if start.lstrip().startswith(b"<"):
        return "a web page"
    return None


@contextmanager
def _refused(path: Path, kind: str) -> Iterator[None]:
    """Raise ValueError, in one sentence, where reading `path` fails by what it holds."""
    try:
        yield
    except Exception as error:  # What a damaged file raises depends on the damage.
        # A place before the file's beginning, as a forged directory of an archive names one, is an
        # error of the system, too.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise ValueError(f"{path} is damaged or not an {kind} file of numbers") from error


def _refuse_foreign(path: Path, what: str) -> None:
    with path.open("rb") as file:
        if foreign := foreign_content(file.read(64)):
            raise ValueError(f"{path} is {foreign}, not {what}")


def _size(shape: Shape) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape) or "one number"
