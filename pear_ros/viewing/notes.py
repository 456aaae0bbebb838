# SPDX-License-Identifier: Apache-2.0
"""Sentences for people on a viewer's page, as HTML in which nothing of them is markup."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from pear_ros.core.quoting import printable
from pear_ros.viewing.colouring import Rgb

_SHOWN = 8
_LETTERS = 600


def notes_html(notes: Sequence[str], *, warn: bool = False) -> str:
    """Return HTML with one paragraph for each of the first notes; empty without any.

    `warn`: whether they are set off as a warning.
    """
    if not notes:
        return ""
    style = "padding:.3em .75em;font-size:13px;line-height:1.4;overflow-wrap:anywhere"
    colour = "color:#c92a2a;font-weight:600;" if warn else ""
    shown = [*notes[:_SHOWN], *([f"and {len(notes) - _SHOWN} more"] if len(notes) > _SHOWN else [])]
    lines = "".join(f"<p style='margin:.3em 0'>{_escaped(note)}</p>" for note in shown)
    return f"<div style='{colour}{style}'>{lines}</div>"


def legend_html(names: Mapping[str, Rgb]) -> str:
    """Return HTML that says which colour stands for what."""
    entries = "".join(
        f"<span style='margin-right:1em'><span style='color:rgb{colour}'>&#9632;</span> "
        f"{_escaped(name)}</span>"
        for name, colour in names.items()
    )
    return f"<div style='padding:.3em .75em;font-size:14px;font-weight:600'>{entries}</div>"


def _escaped(note: str) -> str:
    return html.escape(printable(note)[:_LETTERS])
