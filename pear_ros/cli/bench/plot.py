# SPDX-License-Identifier: Apache-2.0
"""The plot of a measurement: each frame, the mean of each stage, and the distribution."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.cli.bench.measure import Measured
from pear_ros.core.people import Image

_WIDTH, _HEIGHT = 1400, 860
_FACTOR = 2
"""Supersampling factor, for smooth edges."""
_INK, _FAINT, _GRID, _PAPER = (60, 50, 45), (130, 120, 115), (228, 224, 222), (255, 255, 255)
_PALETTE = (
    *((180, 119, 78), (61, 142, 242), (87, 161, 89), (87, 87, 225), (178, 183, 118)),
    *((72, 201, 237), (161, 122, 176), (167, 157, 255), (95, 117, 156), (172, 176, 186)),
    *((140, 86, 60), (60, 90, 140)),
)
"""BGR colours of the stages; neighbours differ."""
_MARKS = ((50, "median"), (95, "95 %"), (99, "99 %"))
_BINS = 40
_LABEL = 135
"""Width of a percentile's label, pixels."""

Rectangle = tuple[int, int, int, int]
"""Corners x0, y0, x1, y1 of a rectangle, pixels."""


def draw_plot(measured: Measured, title: Sequence[str]) -> Image:
    """Return the plot with lines of title above it, (H, W, 3) uint8 BGR."""
    canvas = _Canvas()
    for number, line in enumerate(title):
        colour = _FAINT if number else _INK
        size = canvas.fitting(line, 0.5 if number else 0.8, _WIDTH - 80)
        canvas.text(line, (40, 46 + 26 * number), colour, size)
    milliseconds = 1e3 * measured.seconds
    top = 70 + 26 * len(title)
    _draw_frames(canvas, (90, top, _WIDTH - 40, top + 300), milliseconds, measured.warm_up)
    _draw_stages(canvas, (40, top + 390, 640, _HEIGHT - 40), milliseconds, measured.stages)
    _draw_distribution(
        canvas, (760, top + 390, _WIDTH - 40, _HEIGHT - 70), milliseconds.sum(axis=1)
    )
    return canvas.picture()


class _Canvas:
    """Draws lines, areas and text in coordinates of the final image."""

    def __init__(self) -> None:
        self._canvas = np.full((_FACTOR * _HEIGHT, _FACTOR * _WIDTH, 3), _PAPER, np.uint8)

    def picture(self) -> Image:
        smaller: Image = np.asarray(
            cv2.resize(self._canvas, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA), np.uint8
        )
        return smaller

    def text(
        self,
        text: str,
        place: tuple[float, float],
        colour: tuple[int, int, int] = _INK,
        size: float = 0.5,
        align: float = 0.0,
    ) -> None:
        """Draw text; `place`: the point at the fraction `align` (0: left end) of its baseline."""
        scale, thickness = (
            _FACTOR * size,
            _FACTOR if size < 0.7 else _FACTOR + 1,
        )
        (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
        at = (round(_FACTOR * place[0] - align * length), round(_FACTOR * place[1]))
        cv2.putText(
            self._canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA
        )

    def fitting(self, text: str, size: float, width: float) -> float:
        """Return `size`, reduced where the text would be longer than `width`."""
        (length, _), _ = cv2.getTextSize(
            text, cv2.FONT_HERSHEY_SIMPLEX, _FACTOR * size, _FACTOR + 1
        )
        return size * min(1.0, _FACTOR * width / length)

    def line(
        self, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int] = _GRID
    ) -> None:
        begin, end = ((round(_FACTOR * x), round(_FACTOR * y)) for x, y in ((x0, y0), (x1, y1)))
        cv2.line(self._canvas, begin, end, colour, _FACTOR)

    def area(
        self, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int]
    ) -> None:
        """Fill a rectangle, without its right and lower edge."""
        left, right = sorted((round(_FACTOR * x0), round(_FACTOR * x1)))
        upper, lower = sorted((round(_FACTOR * y0), round(_FACTOR * y1)))
        self._canvas[upper:lower, left:right] = colour


def _draw_frames(
    canvas: _Canvas, place: Rectangle, milliseconds: npt.NDArray[np.float64], first: int
) -> None:
    """Draw a stacked bar for each frame."""
    x0, y0, x1, y1 = place
    canvas.text("each frame, stages on top of each other, ms", (x0 - 50, y0 - 14))
    count = len(milliseconds)
    step = nice_step(milliseconds.sum(axis=1).max(), 5)
    height = (y1 - y0) / _top(milliseconds.sum(axis=1).max(), step)
    _draw_rules(canvas, place, step, height)
    ends = np.cumsum(milliseconds, axis=1)
    width = (x1 - x0) / count
    for number in range(count):
        base = 0.0
        for stage, end in enumerate(ends[number]):
            left, right = x0 + number * width, x0 + (number + 1) * width
            canvas.area(left, y1 - base * height, right, y1 - end * height, _colour(stage))
            base = end
    canvas.line(x0, y1, x1, y1, _INK)
    apart = max(1, round(nice_step(count, 10)))
    for number in range(-first % apart, count, apart):
        canvas.text(str(first + number), (x0 + (number + 0.5) * width, y1 + 22), _FAINT, 0.45, 0.5)
    canvas.text("frame", (x1, y1 + 42), _FAINT, 0.45, 1.0)


def _draw_stages(
    canvas: _Canvas, place: Rectangle, milliseconds: npt.NDArray[np.float64], names: Sequence[str]
) -> None:
    """Draw the stages of the mean frame, and the legend."""
    x0, y0, x1, _ = place
    means = milliseconds.mean(axis=0)
    canvas.text(f"mean frame: {means.sum():.1f} ms", (x0, y0 - 14))
    wide, left = (x1 - x0) / means.sum(), float(x0)
    for stage, mean in enumerate(means):
        canvas.area(left, y0, left + wide * mean, y0 + 44, _colour(stage))
        left += wide * mean
    rows = (len(names) + 1) // 2
    for stage, (name, mean) in enumerate(zip(names, means, strict=True)):
        column, row = divmod(stage, rows)
        x, y = x0 + 310 * column, y0 + 78 + 30 * row
        canvas.area(x, y - 13, x + 16, y + 3, _colour(stage))
        canvas.text(name, (x + 28, y))
        canvas.text(f"{mean:.1f}", (x + 190, y), align=1.0)
        canvas.text(f"{100 * mean / means.sum():.0f} %", (x + 250, y), _FAINT, align=1.0)


def _draw_distribution(canvas: _Canvas, place: Rectangle, totals: npt.NDArray[np.float64]) -> None:
    """Draw the histogram of the frames' times, with percentiles."""
    x0, y0, x1, y1 = place
    canvas.text("distribution of the frames' times", (x0 - 50, y0 - 14))
    step = nice_step(totals.max(), 8)
    end = _top(totals.max(), step)
    wide = float((x1 - x0) / end)
    counts, edges = np.histogram(totals, bins=_BINS, range=(0.0, end))
    apart = max(1.0, nice_step(counts.max(), 4))
    # Room for the names of the marks.
    high = 0.8 * (y1 - y0) / _top(counts.max(), apart)
    _draw_rules(canvas, (x0, round(y1 - high * _top(counts.max(), apart)), x1, y1), apart, high)
    for count, left, right in zip(counts, edges, edges[1:], strict=False):
        canvas.area(x0 + wide * left, y1, x0 + wide * right - 1, y1 - high * count, _PALETTE[0])
    canvas.line(x0, y1, x1, y1, _INK)
    for number in range(round(end / step) + 1):
        x = x0 + wide * step * number
        canvas.text(f"{step * number:g}", (x, y1 + 22), _FAINT, 0.45, 0.5)
    canvas.text("ms", (x1, y1 + 42), _FAINT, 0.45, 1.0)
    marks = [x0 + wide * float(np.percentile(totals, percent)) for percent, _ in _MARKS]
    for row, x in enumerate(marks):
        canvas.line(x, y0 + 2 + 20 * row, x, y1, _PALETTE[3])
    for row, (x, (_, name)) in enumerate(zip(marks, _MARKS, strict=True)):
        room = x + _LABEL < x1
        left, y = x + 3 if room else x - _LABEL, y0 + 12 + 20 * row
        canvas.area(left, y - 12, left + _LABEL - 3, y + 4, _PAPER)
        label, end_of_it = f"{name} {(x - x0) / wide:.1f} ms", x + 6 if room else x - 6
        canvas.text(label, (end_of_it, y), _PALETTE[3], 0.45, 0.0 if room else 1.0)


def _draw_rules(canvas: _Canvas, place: Rectangle, step: float, height: float) -> None:
    """Draw horizontal grid lines every `step`; a unit is `height` pixels high."""
    x0, y0, x1, y1 = place
    for number in range(round((y1 - y0) / (step * height)) + 1):
        y = y1 - number * step * height
        canvas.line(x0, y, x1, y)
        canvas.text(f"{number * step:g}", (x0 - 10, y + 5), _FAINT, 0.45, 1.0)


def nice_step(largest: float, parts: int) -> float:
    """Return 1, 2, 5 or 10 times a power of ten, so that `largest` has at most `parts` steps."""
    power = 10.0 ** np.floor(np.log10(max(largest, 1e-9) / parts))
    return float(next(f * power for f in (1, 2, 5, 10) if largest / (f * power) <= parts))


def _top(largest: float, step: float) -> float:
    """Return the next multiple of `step`."""
    return float(step * np.ceil(largest / step))


def _colour(stage: int) -> tuple[int, int, int]:
    return _PALETTE[stage % len(_PALETTE)]
