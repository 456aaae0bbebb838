# SPDX-License-Identifier: Apache-2.0
"""Restricted unpickler for FLAME's files: reads arrays without executing code, and without chumpy.

A pickle is a program that may call any function it names. Here it may only name those of FLAME's
files, or of another kind that the caller describes, and each name stands for a placeholder that
stores its arguments and does nothing. Then ordinary code checks the placeholders and converts those
of arrays.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.body.array_files import foreign_content
from pear_ros.pear.pickle_sizes import check_sizes


class UnsafePickleError(ValueError):
    """A pickle names a function that no model file needs; nothing was executed."""


class Unread:
    """Stands for a value that is not numeric, such as a formula of chumpy."""

    def __init__(self, name: str, arguments: Any = (), state: Any = None) -> None:
        """`name`: of the value's class in the pickle.

        `arguments`, `state`: what it would be made with, where PickleKind.classes names its class.
        """
        self.name, self.arguments, self.state = name, arguments, state

    def __repr__(self) -> str:
        return f"<{self.name}, not read>"


@dataclass(frozen=True)
class PickleKind:
    """What a pickle may contain."""

    owner: str
    """Whose files they are, as an error says it."""
    classes: str = ""
    """Regular expression of further names, whose values are `Unread` with arguments and state."""
    objects: bool = False
    """Whether arrays of texts and of objects are read."""


FLAME = PickleKind("FLAME")


def load_pickle(path: Path, kind: PickleKind = FLAME) -> Any:
    """Return the content of a pickle: plain containers, strings, numbers and NumPy arrays.

    Of Python 2 or 3, whose bytes are read as Latin-1. Arrays of chumpy become NumPy arrays, sparse
    matrices of SciPy become dense ones, and values that are not numeric become `Unread`.

    Raises UnsafePickleError when the file names any other function, ValueError when it is damaged
    or no pickle, both with the file's name and the reason; OSError when it cannot be read.
    """
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise ValueError(f"{path} is not a pickle of {kind.owner}: it has {size >> 20} MB")
    content = path.read_bytes()
    if foreign := foreign_content(content[:64]):
        raise ValueError(f"{path} is {foreign}, not a pickle")
    try:
        return _loaded(content, path, kind)
    except ValueError:
        if content.startswith(pickle.PROTO) or b"\r\n" not in content:
            raise
    # Of protocol 0 and copied as a text to Windows; line ends within its texts are escaped.
    return _loaded(content.replace(b"\r\n", b"\n"), path, kind)


def _loaded(content: bytes, path: Path, kind: PickleKind) -> Any:
    try:
        check_sizes(content)
        return _Reader(kind).read(_Unpickler(io.BytesIO(content), path, kind).load())
    except UnsafePickleError:
        raise
    except Exception as error:  # What a damaged pickle raises depends on the damage.
        raise ValueError(f"{path} is damaged or not a pickle of arrays") from error


class Placeholder:
    """Stands for an object that a pickle constructs: stores arguments and state, does nothing."""

    name: str
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Placeholder:
        self = object.__new__(cls)
        self.arguments = arguments
        self.state = None
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state


_MAX_BYTES = 1 << 31
_MAX_MATRIX = 1 << 24
"""Numbers of the largest sparse matrix that is made dense; FLAME's have 25,000."""
_ALLOWED = re.compile(
    r"numpy\.(ndarray|dtype)"
    r"|numpy\._?core\.multiarray\.(_reconstruct|scalar)"
    r"|numpy\._?core\.numeric\._frombuffer"
    r"|_codecs\.encode"
    r"|(__builtin__|builtins)\.(object|set|frozenset|bytes)"
    r"|(copy_reg|copyreg)\._reconstructor"
    r"|scipy\.sparse(\.\w+)?\.(csc|csr)_(matrix|array)"
    r"|chumpy(\.\w+)+"
)
"""The names that a pickle may use. Nothing is imported for them: `_Reader` interprets them."""


class _Unpickler(pickle.Unpickler):
    """Returns a class of placeholders for each allowed name of a pickle, and refuses others."""

    def __init__(self, file: Any, path: Path, kind: PickleKind) -> None:
        super().__init__(file, encoding="latin1")
        self._path, self._kind = path, kind
        self._classes: dict[str, type[Placeholder]] = {}

    def find_class(self, module_name: str, global_name: str) -> type[Placeholder]:
        name = f"{module_name}.{global_name}"
        if not _ALLOWED.fullmatch(name) and not re.fullmatch(self._kind.classes, name):
            raise UnsafePickleError(
                f"{self._path} would run {_escaped(name)}: it is not {self._kind.owner}'s file, "
                "and nothing of it was executed"
            )
        # New classes for each file: what a pickle does to them cannot outlive it.
        return self._classes.setdefault(name, type("_Named", (Placeholder,), {"name": name}))


class _Reader:
    """Converts a tree of containers and placeholders to values; shared objects stay shared."""

    def __init__(self, kind: PickleKind) -> None:
        self._kind = kind
        self._done: dict[int, Any] = {}
        self._started: set[int] = set()

    def read(self, value: Any) -> Any:
        if isinstance(value, type) and issubclass(value, Placeholder):
            return Unread(value.name)
        if not isinstance(value, (dict, list, tuple, set, frozenset, Placeholder)):
            return value
        key = id(value)
        if key not in self._done:
            if key in self._started:
                raise ValueError("something in it contains itself")
            self._started.add(key)
            self._done[key] = self._read(value)
        return self._done[key]

    def _read(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.read(item) for key, item in value.items()}
        if not isinstance(value, Placeholder):
            return type(value)(self.read(item) for item in value)
        name, arguments = value.name, value.arguments
        if name.endswith("._reconstructor"):
            name, arguments = arguments[0].name, ()
        if re.fullmatch(self._kind.classes, name):
            return Unread(name, self.read(value.arguments), self.read(value.state))
        if name.startswith("chumpy."):
            # An array of chumpy is its x; formulas have none.
            known = isinstance(value.state, dict) and "x" in value.state
            return self.read(value.state["x"]) if known else Unread(name)
        if name.startswith("scipy."):
            return self._matrix(name.rsplit(".", 1)[1], value.state)
        readers: dict[str, Callable[..., Any]] = {
            "_reconstruct": lambda *_: self._array(*value.state[-4:]),
            "_frombuffer": lambda data, dtype, shape, order: self._array(
                shape, dtype, order == "F", data
            ),
            "scalar": self._scalar,
            "encode": lambda text, encoding: text.encode("latin1"),
            "set": lambda items=(): set(self.read(items)),
            "frozenset": lambda items=(): frozenset(self.read(items)),
            "bytes": lambda: b"",
        }
        read = readers.get(name.rsplit(".", 1)[1])
        return read(*arguments) if read else Unread(name)

    def _array(self, shape: Any, dtype: Any, fortran: Any, data: Any) -> Any:
        if self._kind.objects and dtype.arguments[0] in ("O", "O4", "O8"):
            return self._objects(shape, data)
        number = _number_type(dtype, texts=self._kind.objects)
        if number is None:
            return Unread("numpy.ndarray of no numbers")
        raw = self._bytes(data)
        if any(size < 0 for size in shape) or math.prod(shape) * number.itemsize != len(raw):
            raise ValueError("an array's size and its data disagree")
        return np.frombuffer(raw, number).reshape(shape, order="F" if fortran else "C")

    def _objects(self, shape: Any, data: Any) -> npt.NDArray[Any]:
        """An array of any values; C order, as all that have more than one axis are pickled."""
        values = self.read(data)
        if type(values) is not list or math.prod(shape) != len(values) or min(shape, default=0) < 0:
            raise ValueError("an array's size and its data disagree")
        array = np.empty(len(values), object)
        for index, value in enumerate(values):
            array[index] = value
        return array.reshape(shape)

    def _scalar(self, dtype: Any, data: Any = b"") -> Any:
        number = self._array((), dtype, False, data)
        return number if isinstance(number, Unread) else number[()]

    def _bytes(self, data: Any) -> bytes | bytearray:
        found = self.read(data)
        if isinstance(found, (bytes, bytearray)):
            return found
        text: str = found
        return text.encode("latin1")

    def _matrix(self, kind: str, state: Any) -> npt.NDArray[Any]:
        """A sparse matrix, made dense."""
        data, indices, indptr = (self.read(state[key]) for key in ("data", "indices", "indptr"))
        shape = tuple(map(int, self.read(state["_shape"] if "_shape" in state else state["shape"])))
        if len(shape) != 2 or min(shape) < 0 or math.prod(shape) > _MAX_MATRIX:
            raise ValueError("a sparse matrix is of no size that any model has")
        if kind.startswith("csc"):
            return _dense(data, indices, indptr, shape[::-1]).T
        return _dense(data, indices, indptr, shape)


def _dense(
    data: npt.NDArray[Any],
    columns: npt.NDArray[Any],
    starts: npt.NDArray[Any],
    shape: tuple[int, int],
) -> npt.NDArray[Any]:
    """Return the matrix of `shape` with the numbers `data` in `columns`; row n begins at starts[n].

    SciPy is not asked, since it writes beyond its memory where the file is forged.
    """
    if starts.dtype.kind not in "iu" or columns.dtype.kind not in "iu":
        raise ValueError("the places in a sparse matrix are no whole numbers")
    counts = np.diff(starts.astype(np.int64))
    if starts.shape != (shape[0] + 1,) or starts[0] != 0 or counts.min(initial=0) < 0:
        raise ValueError("the rows of a sparse matrix are damaged")
    used = int(counts.sum())
    if used > min(data.size, columns.size) or columns[:used].min(initial=0) < 0:
        raise ValueError("the columns of a sparse matrix are damaged")
    dense = np.zeros(shape, data.dtype.newbyteorder("="))
    np.add.at(dense, (np.repeat(np.arange(shape[0]), counts), columns[:used]), data[:used])
    return dense


def _number_type(note: Any, texts: bool = False) -> np.dtype[Any] | None:
    """The dtype that a placeholder of numpy.dtype describes; None unless it is of numbers.

    `texts`: whether those of texts of 1 to 999 characters count as well.
    """
    code, order = note.arguments[0], note.state[1]
    known = r"b1|[iu][1248]|f[248]" + (r"|[SU][1-9]\d{0,2}" if texts else "")
    if not re.fullmatch(known, code) or order not in ("<", ">", "=", "|"):
        return None
    number: np.dtype[Any] = np.dtype(order + code)
    return number


def _escaped(text: str) -> str:
    """Text of an untrusted file, safe to print on one line of a terminal."""
    return ascii(text[:80])[1:-1]
