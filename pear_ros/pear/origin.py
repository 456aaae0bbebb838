# SPDX-License-Identifier: Apache-2.0
"""Whose weights a file of PEAR's network holds, and which body they were trained for.

PEAR's release says nothing of the kind, and needs its body files; what `pear train` writes names
model and body. Imports neither torch nor onnx.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pear_ros.pear.pickle_sizes import check_sizes

RELEASE = "pear"
"""Model of PEAR's released weights, the first part of `model_id`."""
ORIGIN_KEYS = ("body", "model_id", "heads")
"""Keys of an origin in a checkpoint; in the record of a graph `body` and `model_id`."""

_MODEL = re.compile(r"pear-train/[A-Za-z0-9_-]{1,100}")
_BODY = re.compile(r"[A-Za-z0-9_./-]{1,100}")
_MAX_PICKLE = 1 << 26
"""Largest index of a checkpoint, bytes; that of PEAR's has 200 kB."""


@dataclass(frozen=True)
class Origin:
    """Whose weights they are."""

    model: str = RELEASE
    """First part of `model_id`: RELEASE, or pear-train/NAME."""
    body: str = ""
    """Name of the body that they were trained for; empty: EHM-s, or SMPL-X, of a user's files."""
    heads: int | None = None
    """Attention heads of the backbone; None: by its width, as usual."""

    def named(self) -> dict[str, str]:
        """Return `body` and `model_id` by these keys; nothing for PEAR's release."""
        return {"body": self.body, "model_id": self.model} if self.body else {}


def read_origin(content: Mapping[str, Any]) -> Origin:
    """Return the origin in a checkpoint or a record of a graph; PEAR's release without one.

    Raises ValueError where it is incomplete or not valid.
    """
    if not any(key in content for key in ORIGIN_KEYS):
        return Origin()
    body, model, heads = (content.get(key) for key in ORIGIN_KEYS)
    if not isinstance(body, str) or not _BODY.fullmatch(body):
        raise ValueError("its body is not the name of one")
    if not isinstance(model, str) or not _MODEL.fullmatch(model):
        raise ValueError("its model_id is not pear-train/NAME")
    if heads is not None and (type(heads) is not int or not 0 < heads <= 1024):
        raise ValueError("its heads are not a number of attention heads")
    return Origin(model, body, heads)


def peek_origin(checkpoint: Path) -> Origin:
    """Return the origin in a file of torch.save without torch, and without running its code.

    Of other files, and of damaged ones, which are refused when they are loaded: PEAR's release.
    """
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            (index,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            if archive.getinfo(index).file_size > _MAX_PICKLE:
                return Origin()
            pickled = archive.read(index)
        check_sizes(pickled)
        content = _Outline(io.BytesIO(pickled)).load()
        return read_origin(content) if isinstance(content, dict) else Origin()
    except Exception:  # Whatever is wrong with it, loading it says so.
        return Origin()


class _Nothing:
    """Stands for all objects of a pickle but plain data: takes anything, does nothing."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass


class _Outline(pickle.Unpickler):
    """Reads plain data; every class and function of a pickle is replaced by _Nothing."""

    def find_class(self, module: str, name: str) -> Any:
        return _Nothing

    def persistent_load(self, pid: object) -> Any:
        return _Nothing()
