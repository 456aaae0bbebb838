# SPDX-License-Identifier: Apache-2.0
"""Search of folders with all that is below them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_MAX_FOLDERS = 20_000
"""Most folders that are searched: a link may lead to all of a disk."""


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield `folder` and the folders below, linked ones, too, each once with its files' names.

    Folders that cannot be read are passed over.
    """
    seen: set[str] = set()
    for parent, below, here in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen or len(seen) == _MAX_FOLDERS:
            below.clear()
            continue
        seen.add(real)
        yield Path(parent), here
