# SPDX-License-Identifier: Apache-2.0
"""Cache of converted body files beside the originals: one npz that loads at once.

Its name contains a hash of the originals, so a changed original never uses an old cache.
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
"""Part of the published hash: change it whenever the same originals are converted to other arrays,
but not when arrays are merely added."""

_log = get_logger(__name__)


def files_key(originals: Iterable[Path]) -> str:
    """Return the SHA-256, hexadecimal, of FORMAT and the contents of `originals`, in their order.

    Raises OSError when one cannot be read.
    """
    digest = hashlib.sha256(FORMAT.encode())
    for path in originals:
        digest.update(_sha256(path))
    return digest.hexdigest()


def cache_file(folder: Path, key: str) -> Path:
    """Return the cache file in `folder` for the `files_key` `key`; it need not exist."""
    return folder / f"pear_ros_body_{key[:12]}.npz"


def converted(folder: Path, key: str, found: Mapping[str, Path]) -> Arrays:
    """Return the arrays that `convert` makes of the files `found`, from the cache if there is one.

    `folder`: of the cache; `key`: the files' `files_key`. Reduced meshes are included, and added to
    a cache without them, if meshoptimizer is installed. A cache that cannot be written is only
    logged.

    Raises ValueError, naming file and array, when a file is not what it should be; OSError when it
    cannot be read.
    """
    cache = cache_file(folder, key)
    kept = _read(cache, key)
    arrays = with_reduced_meshes(convert(found) if kept is None else kept)
    if kept is None or len(arrays) > len(kept):
        try:
            _write(cache, key, arrays)
        except OSError as error:
            _log.warning(
                "Body files are converted at each start, as %s cannot be written (%s).",
                folder,
                error.strerror or error,
            )
    return arrays


def _read(cache: Path, key: str) -> Arrays | None:
    """Return the cached arrays; None when there are none, or they are damaged."""
    try:
        with np.load(cache, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except FileNotFoundError:
        return None
    except Exception as error:  # What NumPy raises for a damaged file depends on the damage.
        _log.warning("%s is damaged (%s) and is rebuilt.", cache, error)
        return None
    return arrays if arrays.pop("key", None) == key else None


def _write(cache: Path, key: str, arrays: Arrays) -> None:
    """Replace the cache atomically, and remove caches of earlier originals."""
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
