# SPDX-License-Identifier: Apache-2.0
"""Arrays in files that joblib wrote without compression, read without joblib or executing them.

Such a file is a pickle in which the numbers of an array follow a note of its shape and type.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from pear_ros.pear.unpickle import Placeholder, UnsafePickleError

_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_NAMES = {
    *("numpy.ndarray", "numpy.dtype", "_codecs.encode", _WRAPPER),
    *(f"{module}.multiarray.scalar" for module in ("numpy.core", "numpy._core")),
}
_MAX_BYTES = 1 << 31
_HEAD = 4096
"""Bytes at the beginning of a file in which the first note stands."""
# The one in C cannot be told to read something that is no pickle.
_PythonUnpickler: Any = pickle._Unpickler


def is_joblib(file: Path) -> bool:
    """Return whether joblib wrote a file, without compression."""
    with file.open("rb") as content:
        return _WRAPPER.rpartition(".")[2].encode() in content.read(_HEAD)


def read_joblib(file: Path, name: str) -> npt.NDArray[Any]:
    """Return the array `name` of the dictionary in a file. Raises ValueError, OSError.

    UnsafePickleError, a ValueError, where the file holds more than arrays.
    """
    if file.stat().st_size > _MAX_BYTES:
        raise ValueError(f"it has {file.stat().st_size >> 20} MB")
    found = _Unpickler(file.read_bytes(), file).load()
    array = found.get(name) if isinstance(found, dict) else None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"it has no array {name!r}")
    return array


class _Unpickler(_PythonUnpickler):  # type: ignore[misc]
    """Reads the arrays that follow their notes; runs nothing."""

    dispatch: ClassVar[dict[int, Any]] = dict(_PythonUnpickler.dispatch)

    def __init__(self, content: bytes, path: Path) -> None:
        self._content = io.BytesIO(content)
        self._path = path
        self._size = len(content)
        super().__init__(self._content, encoding="latin1")

    def find_class(self, module_name: str, global_name: str) -> type[Placeholder]:
        name = f"{module_name}.{global_name}"
        if name not in _NAMES:
            raise UnsafePickleError(
                f"{self._path} would run {ascii(name[:80])[1:-1]}: it holds more than arrays, and "
                "nothing of it was executed"
            )
        return type("_Named", (Placeholder,), {"name": name})

    def load_build(self) -> None:
        super().load_build()
        note = self.stack[-1]
        if isinstance(note, Placeholder) and note.name == _WRAPPER:
            self.stack[-1] = self._array(note.state)

    dispatch[pickle.BUILD[0]] = load_build

    def _array(self, state: dict[str, Any]) -> npt.NDArray[Any]:
        kind = np.dtype(f"{state['dtype'].state[1]}{state['dtype'].arguments[0]}")
        count = int(np.prod([int(side) for side in state["shape"]], dtype=object))
        if kind.kind not in "fiu" or not 0 <= count * kind.itemsize <= self._size:
            raise ValueError("an array's size and its data disagree")
        if state.get("numpy_array_alignment_bytes") is not None:
            self._content.read(self._content.read(1)[0])
        shape = tuple(int(side) for side in state["shape"])
        raw = np.frombuffer(self._content.read(count * kind.itemsize), kind)
        return raw.reshape(shape, order="F" if state["order"] == "F" else "C")
