# SPDX-License-Identifier: Apache-2.0
"""Counts by cause of which there cannot be too many."""

from __future__ import annotations

from collections.abc import MutableMapping

OTHERS = "others"
"""Cause under which all further ones are counted."""
_MOST = 40
"""Causes that are counted by their own names; some contain a text from a message."""


def count(counts: MutableMapping[str, int], cause: str) -> str:
    """Add 1 to the count of `cause`, or to that of OTHERS; return under which it was counted."""
    name = cause if cause in counts or len(counts) < _MOST else OTHERS
    counts[name] = counts.get(name, 0) + 1
    return name
