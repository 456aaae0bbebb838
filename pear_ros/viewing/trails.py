# SPDX-License-Identifier: Apache-2.0
"""Trails: where people's pelvises have been in the last seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import viser

from pear_ros.core.people import Person
from pear_ros.rendering.colours import id_colour
from pear_ros.viewing.moment import Moment

_SECONDS = 5.0
_STEP_METRES = 0.04
"""Distance of two points of a trail."""
_GAP_SECONDS = 1.0
"""Time without an image after which a trail begins again, as after a jump in time."""
_MAX_POINTS = 200

Point = npt.NDArray[np.float64]


class Trails:
    """Lines through the places at which people were shown."""

    def __init__(self, scene: viser.SceneApi, node: str) -> None:
        """`node`: name of all lines' parent."""
        self._scene, self._node = scene, node
        self._points: dict[str, list[tuple[float, Point]]] = {}
        self._lines: dict[str, viser.LineSegmentsHandle] = {}
        self._seconds = 0.0

    def show(self, moment: Moment, present: Sequence[Person]) -> None:
        """Extend the trails of those who are present; others' are removed."""
        if not 0.0 <= moment.seconds - self._seconds < _GAP_SECONDS:
            self._points.clear()
        self._seconds = moment.seconds
        known = {p.id: p for p in present if np.isfinite(p.joints[0]).all()}
        self._points = {name: self._points.get(name, []) for name in known}
        for name, person in known.items():
            place = moment.camera_pose.apply(person.joints[0].astype(np.float64))
            points = self._points[name]
            if not points or np.linalg.norm(points[-1][1] - place) > _STEP_METRES:
                points.append((moment.seconds, place))
            since = moment.seconds - _SECONDS
            points[:] = [point for point in points if point[0] >= since][-_MAX_POINTS:]
        self._draw()

    def _draw(self) -> None:
        drawn = {name: points for name, points in self._points.items() if len(points) > 1}
        for name in [name for name in self._lines if name not in drawn]:
            self._lines.pop(name).remove()
        for name, points in drawn.items():
            places = np.array([place for _, place in points], np.float32)
            segments = np.stack([places[:-1], places[1:]], axis=1)  # (N, 2, 3)
            if name in self._lines:
                line = self._lines[name]
                if line.points.shape != segments.shape or (line.points[-1] != segments[-1]).any():
                    line.points = segments
                continue
            red, green, blue = (round(255 * channel) for channel in id_colour(name))
            self._lines[name] = self._scene.add_line_segments(
                f"{self._node}/{len(self._lines)}_{name}",
                segments,
                (red, green, blue),
                thickness=0.015,
            )
