# SPDX-License-Identifier: Apache-2.0
"""Texts of others, such as names in messages, in sentences for the log and the terminal."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 48
"""Characters of a text that are shown."""
_LONGEST_SENTENCE = 300
"""Characters of an error's text that are shown."""
_MOST = 8
"""Texts of a list that are shown."""


def printable(text: str) -> str:
    """Return `text` with control characters and terminal escapes written out; lines stay lines."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )


def quoted(text: object) -> str:
    """Return `text` in quotes, shortened, without control characters and terminal escapes."""
    shown = str(text)
    return ascii(shown) if len(shown) <= _LONGEST else f"{shown[:_LONGEST]!a}..."


def quoted_list(texts: Iterable[object]) -> str:
    """Return the first of `texts`, each quoted, separated by commas."""
    every = list(texts)
    more = [f"{len(every) - _MOST} more"] if len(every) > _MOST else []
    return ", ".join([*map(quoted, every[:_MOST]), *more])


def plain(text: object) -> str:
    """Return `text` in one line, shortened, without control characters and terminal escapes."""
    shown = " ".join(str(text).split())
    shown = "".join(one if one.isprintable() else "?" for one in shown[:_LONGEST_SENTENCE])
    return shown if len(str(text)) <= _LONGEST_SENTENCE else f"{shown}..."
