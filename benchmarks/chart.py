# SPDX-License-Identifier: Apache-2.0
"""Line charts as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Curve = Sequence[tuple[float, float]]
"""Points (x, y)."""

_WIDTH, _HEIGHT, _MARGIN = 800, 200, 50
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_HEADROOM = 1.1
_COLOURS = ("#1b6ca8", "#c05621", "#888888")


def chart(panels: Mapping[str, Mapping[str, Curve]], right: float) -> str:
    """Return an SVG with one panel below the other, each with up to three curves.

    `panels`: curves by name, by the panel's title; x goes from 0 to `right`, y from 0.
    """
    size = f"{_WIDTH + 2 * _MARGIN} {len(panels) * (_HEIGHT + 2 * _MARGIN)}"
    style = 'font-family="sans-serif" font-size="12" fill="#333"'
    drawn = [
        _panel(title, curves, right, number * (_HEIGHT + 2 * _MARGIN) + _MARGIN)
        for number, (title, curves) in enumerate(panels.items())
    ]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" {style}>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        *(line for panel in drawn for line in panel),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _panel(title: str, curves: Mapping[str, Curve], right: float, top: float) -> list[str]:
    highest = max(y for curve in curves.values() for _, y in curve)
    floor, across, up = top + _HEIGHT, _WIDTH / right, _HEIGHT / (_HEADROOM * highest)
    lines = [
        f'<rect x="{_MARGIN}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" '
        'stroke="#bbb"/>',
        f'<text x="{_MARGIN}" y="{top - 8}">{title}</text>',
    ]
    for tick in _TICKS:
        x, y = _MARGIN + tick * _WIDTH, floor - tick * highest * up
        below = f'x="{x:.0f}" y="{floor + 16}" text-anchor="middle"'
        beside = f'x="{_MARGIN - 5}" y="{y + 4:.0f}" text-anchor="end"'
        lines.append(f"<text {below}>{tick * right:.0f}</text>")
        lines.append(f"<text {beside}>{tick * highest:.0f}</text>")
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number]
        points = " ".join(f"{_MARGIN + x * across:.1f},{floor - y * up:.1f}" for x, y in curve)
        place = f'x="{_MARGIN + _WIDTH - 70 * (len(curves) - number)}" y="{top - 8}"'
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        lines.append(f'<text {place} fill="{colour}">{name}</text>')
    return lines
