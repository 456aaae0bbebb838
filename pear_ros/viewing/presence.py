# SPDX-License-Identifier: Apache-2.0
"""Bars that say when each person of a recording was present, as a picture (SVG) for the page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pear_ros.core.quoting import printable
from pear_ros.viewing.colouring import track_colour
from pear_ros.viewing.moment import TrackSummary

Doubles = npt.NDArray[np.float64]

_WIDTH = 1000
_ROW, _BAR = 13, 9
_MAX_ROWS = 12
_GAP_SECONDS = 0.5
"""Absence that is too short for a gap in a bar."""


def presence_bars(
    tracks: Mapping[str, tuple[TrackSummary, Doubles]], duration: float, runs: Sequence[str] = ()
) -> str:
    """Return HTML with a row for each person, those who were there longest; times run rightwards.

    `tracks`: with the times (F,) of the images, seconds; `duration`: of the time line, seconds;
    `runs`: names of the runs, which have colours of their own where they are several. Ids are
    escaped.
    """
    longest = sorted(tracks, key=lambda name: -len(tracks[name][0].frames))[:_MAX_ROWS]
    rows = [name for name in tracks if name in longest]
    css = {name: "#{:02x}{:02x}{:02x}".format(*track_colour(name, runs)) for name in rows}
    drawn = [_row(n, *tracks[name], duration or 1.0, css[name]) for n, name in enumerate(rows)]
    left_out = len(tracks) - len(rows)
    more = f"<div style='font-size:11px;opacity:.7'>and {left_out} more people</div>"
    return (
        f"<div style='padding:0 0.75em'><svg viewBox='0 0 {_WIDTH} {max(len(rows), 1) * _ROW}' "
        f"preserveAspectRatio='none' style='width:100%;height:{max(len(rows), 1) * _ROW}px;"
        f"display:block' role='img' aria-label='presence'>{''.join(drawn)}</svg>"
        f"{more if left_out else ''}{_legend(css)}</div>"
    )


def intervals(frames: npt.NDArray[np.int64], seconds: Doubles) -> list[tuple[float, float]]:
    """Return first and last time, seconds, of each stretch in which a person was present.

    `frames`: (T,) indices into `seconds`, ascending.
    """
    if not len(frames):
        return []
    times = seconds[frames]
    breaks = np.flatnonzero(np.diff(times) > _GAP_SECONDS)
    starts, ends = np.append(0, breaks + 1), np.append(breaks, len(times) - 1)
    return [(float(times[a]), float(times[b])) for a, b in zip(starts, ends, strict=True)]


def _row(number: int, track: TrackSummary, seconds: Doubles, duration: float, css: str) -> str:
    bars = []
    for first, last in intervals(track.frames, seconds):
        x = _WIDTH * first / duration
        width = max(_WIDTH * (last - first) / duration, 3.0)
        bars.append(
            f"<rect x='{x:.1f}' y='{number * _ROW + 2}' width='{width:.1f}' "
            f"height='{_BAR}' rx='2' fill='{css}'/>"
        )
    return "".join(bars)


def _legend(css: Mapping[str, str]) -> str:
    names = [
        f"<span style='white-space:nowrap;margin-right:.8em'><span style='color:{colour}'>"
        f"&#9632;</span> {html.escape(printable(name)[:40])}</span>"
        for name, colour in css.items()
    ]
    return f"<div style='font-size:12px;line-height:1.5;margin-top:2px'>{' '.join(names)}</div>"
