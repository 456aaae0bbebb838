# SPDX-License-Identifier: Apache-2.0
"""Converted body files, kept beside the originals: one npz that loads at once.

Its name tells the contents of the originals, so a changed original never meets an old cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pear_ros.body.array_files import Arrays
from pear_ros.core.log import get_logger
from pear_ros.pear.convert import convert, with_reduced_meshes

FORMAT = "pear_ros body 1"
"""To be changed whenever the same originals are converted to other arrays, as it goes into the hash
that is published of them; arrays that are merely added leave it."""

_log = get_logger(__name__)


def files_key(originals: Iterable[Path]) -> str:
    """SHA-256, in hexadecimal, of FORMAT and of the contents of all `originals`, in their order.

    Raises OSError when one cannot be read.
    """
    digest = hashlib.sha256(FORMAT.encode())
    for path in originals:
        digest.update(_sha256(path))
    return digest.hexdigest()


def cache_file(folder: Path, key: str) -> Path:
    """Where the arrays of `key` are kept; it need not exist."""
    return folder / f"pear_ros_body_{key[:12]}.npz"


def converted(folder: Path, key: str, found: Mapping[str, Path]) -> Arrays:
    """What `convert` makes of the files in `found`, from the cache in `folder` when it is there.

    Reduced meshes are with them, and are added to a cache without them, as soon as meshoptimizer is
    installed. A cache that cannot be written is logged, and nothing else. Raises as `convert` does.
    """
    cache = cache_file(folder, key)
    kept = _read(cache, key)
    arrays = with_reduced_meshes(convert(found) if kept is None else kept)
    if kept is None or len(arrays) > len(kept):
        try:
            _write(cache, key, arrays)
        except OSError as error:
            _log.warning(
                "Converted body files cannot be kept in %s (%s): they are converted at each start.",
                folder,
                error.strerror or error,
            )
    return arrays


def _read(cache: Path, key: str) -> Arrays | None:
    """What was kept; None when there is nothing, or it is broken."""
    try:
        with np.load(cache, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except FileNotFoundError:
        return None
    except Exception as error:  # What NumPy raises for a damaged file depends on the damage.
        _log.warning("%s is broken (%s) and is made anew.", cache, error)
        return None
    return arrays if arrays.pop("key", None) == key else None


def _write(cache: Path, key: str, arrays: Arrays) -> None:
    """Write all or nothing, and remove what was kept of earlier originals."""
    handle, part = tempfile.mkstemp(dir=cache.parent, prefix=f".{cache.stem}_", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, key=np.array(key), **arrays)  # type: ignore[arg-type]
        os.chmod(part, 0o644)
        os.replace(part, cache)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
    for other in cache.parent.glob("pear_ros_body_*.npz"):
        if other != cache and re.fullmatch(r"pear_ros_body_[0-9a-f]{12}\.npz", other.name):
            other.unlink(missing_ok=True)


def _sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()
