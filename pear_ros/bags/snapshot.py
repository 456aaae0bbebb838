# SPDX-License-Identifier: Apache-2.0
"""The state of a long computation as bytes: JSON and NumPy arrays, read without an unpickler.

A snapshot is MAGIC, the SHA-256 of what follows, the length of a JSON text (8 bytes, little
endian), that text, and an npz file with all arrays. The JSON text is a tree: numbers, strings, None
and lists stand for themselves, everything else is an object with one of these keys:

    float       bits of a float64 that JSON has no literal for (NaN, infinities), 16 hex digits
    array       number of an array in the npz file; an object that occurs twice is stored once
    scalar      the same for a NumPy scalar, stored as an array without dimensions
    tuple, set  list of the elements
    deque       list of the elements; `maxlen` beside it
    dict        list of [key, value]
    enum        name of the class; `value` beside it
    dataclass   name of the class; `fields` beside it

Classes are looked up by their names among those that the reader allows. None is imported, and none
of their code is run.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import io
import json
import math
import struct
import zipfile
from collections import deque
from collections.abc import Collection
from typing import Any

import numpy as np

from pear_ros.body.array_files import check_npz

MAGIC = b"pear_ros snapshot 1\n"
"""The first bytes of a snapshot; the number is that of the format."""
_HASH_BYTES = hashlib.sha256().digest_size
_LENGTH = struct.Struct("<Q")
_FLOAT = struct.Struct(">d")


class SnapshotError(ValueError):
    """A value that a snapshot cannot hold, or bytes that are no valid snapshot."""


def dumps(state: Any, classes: Collection[type] = ()) -> bytes:
    """Return a snapshot of `state`; equal states give equal bytes.

    `classes`: the dataclasses and enumerations that may occur in `state`. Raises SnapshotError
    where it holds anything else than these, plain data and NumPy arrays.
    """
    encoder = _Encoder(classes)
    tree = json.dumps(encoder.encode(state), allow_nan=False, separators=(",", ":")).encode()
    arrays = io.BytesIO()
    np.savez(arrays, *encoder.arrays)
    content = _LENGTH.pack(len(tree)) + tree + arrays.getvalue()
    return MAGIC + hashlib.sha256(content).digest() + content


def loads(snapshot: bytes, classes: Collection[type] = ()) -> Any:
    """Return the state in a snapshot; the arrays in it are new and writable.

    `classes`: the dataclasses and enumerations that may occur in it. Raises SnapshotError where it
    is damaged, of another version, or names any other class.
    """
    if not snapshot.startswith(MAGIC):
        raise SnapshotError("it is damaged, or of another version of pear_ros")
    digest = snapshot[len(MAGIC) : len(MAGIC) + _HASH_BYTES]
    content = snapshot[len(MAGIC) + _HASH_BYTES :]
    if hashlib.sha256(content).digest() != digest:
        raise SnapshotError("it is damaged")
    try:
        end = _LENGTH.size + _LENGTH.unpack_from(content)[0]
        tree = json.loads(content[_LENGTH.size : end])
        with zipfile.ZipFile(io.BytesIO(content[end:])) as members:
            # `dumps` stores arrays as they are: compressed ones could be of any size.
            if any(one.compress_type != zipfile.ZIP_STORED for one in members.infolist()):
                raise SnapshotError("it is of another version (compressed arrays)")
        check_npz(io.BytesIO(content[end:]))
        with np.load(io.BytesIO(content[end:]), allow_pickle=False) as arrays:
            return _Decoder(classes, [arrays[name] for name in arrays.files]).decode(tree)
    except SnapshotError:
        raise
    except Exception as error:  # What malformed content raises depends on what is wrong with it.
        raise SnapshotError(f"it is of another version ({type(error).__name__})") from error


class _Encoder:
    """Turns a value into a tree of JSON and a list of arrays."""

    def __init__(self, classes: Collection[type]) -> None:
        self._classes = set(classes)
        self._numbers: dict[int, int] = {}
        """Index of each array in `arrays`, by the array's id()."""
        self.arrays: list[Any] = []

    def encode(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": _FLOAT.pack(value).hex()}
        if kind is np.ndarray:
            return {"array": self._array(value)}
        if isinstance(value, np.generic):
            return {"scalar": self._array(value)}
        if kind is list:
            return self._all(value)
        if kind is tuple:
            return {"tuple": self._all(value)}
        if kind is set:
            return {"set": sorted(self._all(value), key=json.dumps)}
        if kind is deque:
            return {"deque": self._all(value), "maxlen": value.maxlen}
        if kind is dict:
            return {"dict": [self._all(item) for item in value.items()]}
        if kind in self._classes and isinstance(value, enum.Enum):
            return {"enum": _name(kind), "value": self.encode(value.value)}
        if kind in self._classes and dataclasses.is_dataclass(value):
            fields = {name: self.encode(getattr(value, name)) for name in _field_names(kind)}
            return {"dataclass": _name(kind), "fields": fields}
        raise SnapshotError(f"a snapshot cannot hold {_name(kind)}")

    def _all(self, values: Collection[Any]) -> list[Any]:
        return [self.encode(value) for value in values]

    def _array(self, value: Any) -> int:
        """Return the number of an array, or of a NumPy scalar, in `arrays`."""
        if value.dtype.hasobject:
            raise SnapshotError("a snapshot cannot hold arrays of objects")
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self.arrays)
            self.arrays.append(value)
        return self._numbers[id(value)]


class _Decoder:
    """Turns a tree of JSON and a list of arrays into the value that they were made of."""

    def __init__(self, classes: Collection[type], arrays: list[Any]) -> None:
        self._classes = {_name(kind): kind for kind in classes}
        self._arrays = arrays

    def decode(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return self._all(tree)
        if not isinstance(tree, dict):
            return tree
        kind, content = next(iter(tree.items()))
        if kind == "float":
            return _FLOAT.unpack(bytes.fromhex(content))[0]
        if kind == "array":
            return self._arrays[content]
        if kind == "scalar":
            return self._arrays[content][()]
        if kind == "tuple":
            return tuple(self._all(content))
        if kind == "set":
            return set(self._all(content))
        if kind == "deque":
            return deque(self._all(content), tree["maxlen"])
        if kind == "dict":
            return {self.decode(key): self.decode(value) for key, value in content}
        if kind == "enum":
            return self._class(content, enum.Enum)(self.decode(tree["value"]))
        if kind == "dataclass":
            return self._instance(content, tree["fields"])
        raise SnapshotError(f"it is of another version (it has a {kind[:80]!r})")

    def _all(self, trees: list[Any]) -> list[Any]:
        return [self.decode(tree) for tree in trees]

    def _instance(self, name: str, fields: dict[str, Any]) -> Any:
        kind = self._class(name, object)
        if list(fields) != _field_names(kind):
            raise SnapshotError(f"it is of another version ({name} has other fields)")
        instance = object.__new__(kind)
        for field, value in fields.items():
            object.__setattr__(instance, field, self.decode(value))
        return instance

    def _class(self, name: str, base: type) -> type[Any]:
        kind = self._classes.get(name)
        if kind is None or not issubclass(kind, base):
            raise SnapshotError(f"it is of another version (it names {name[:80]!r})")
        return kind


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _field_names(kind: type[Any]) -> list[str]:
    """Return the names of a dataclass's fields. Raises TypeError for other classes."""
    return [field.name for field in dataclasses.fields(kind)]
