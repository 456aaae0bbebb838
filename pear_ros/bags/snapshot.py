# SPDX-License-Identifier: Apache-2.0
"""Where a long work stands, as bytes: plain data, dataclasses of this package and NumPy arrays.

A pickle is a program that may call whatever it names. Here it can only name what such data consist
of; and a hash tells what was damaged on its way.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import io
import pickle
import re
from typing import Any

_PROTOCOL = 4  # From 5 on, arrays name more of NumPy.
_HASH_BYTES = hashlib.sha256().digest_size
_OTHERS = re.compile(
    r"numpy\.(ndarray|dtype)"
    r"|numpy\._?core\.multiarray\.(_reconstruct|scalar)"
    r"|collections\.deque"
)
"""What may be named beside this package's dataclasses and enumerations."""


class SnapshotError(ValueError):
    """Bytes that are no snapshot, or a damaged one."""


def dumps(state: Any) -> bytes:
    """A snapshot of `state`."""
    file = io.BytesIO()
    _Pickler(file, _PROTOCOL).dump(state)
    content = file.getvalue()
    return hashlib.sha256(content).digest() + content


def loads(snapshot: bytes) -> Any:
    """The state in a snapshot. Raises SnapshotError; then nothing of it has been executed."""
    digest, content = snapshot[:_HASH_BYTES], snapshot[_HASH_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise SnapshotError("it is damaged")
    try:
        return _Unpickler(io.BytesIO(content)).load()
    except SnapshotError:
        raise
    except Exception as error:  # What a wrong pickle raises depends on what is wrong.
        raise SnapshotError(f"it is of another version ({type(error).__name__})") from error


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, enum.Enum):  # Some releases of Python 3.11 would name getattr for it.
            return type(value), (value.value,)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if _OTHERS.fullmatch(f"{module}.{name}"):
            return super().find_class(module, name)
        if module.split(".")[0] == "pear_ros" and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module and _is_plain(found):
                return found
        raise SnapshotError(f"it names {module[:80]!r}.{name[:80]!r}, which it has no use for")


def _is_plain(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or issubclass(kind, enum.Enum)
