# SPDX-License-Identifier: Apache-2.0
"""Least distances as pear_msgs/Separation, and as lines for displays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from pear_msgs.msg import Separation
from pear_ros.hri.body_parts import Float64
from pear_ros.hri.capsules import PARTS
from pear_ros.hri.separation import Separations
from pear_ros.ros.conversion.markers import LIFETIME_SECONDS

_LINE_WIDTH = 0.01
_RED = ColorRGBA(r=0.9, g=0.1, b=0.1, a=1.0)


class RobotFrame(NamedTuple):
    """A frame of the robot with a sphere around it."""

    name: str
    radius: float
    """Metres."""


def separation_messages(
    ids: Sequence[str], frames: Sequence[RobotFrame], found: Separations, speeds: Float64
) -> list[Separation]:
    """Return one message for each of N people and R frames; `speeds` (N, R), metres a second."""
    return [
        Separation(
            human_id=track_id,
            robot_frame=frame.name,
            robot_radius=frame.radius,
            body_part=PARTS[part] if (part := int(found.parts[at])) >= 0 else "",
            distance=float(found.distances[at]),
            distance_error=float(found.errors[at]),
            closing_speed=float(speeds[at]),
            human_point=_point(found.human_points[at]),
            robot_point=_point(found.robot_points[at]),
        )
        for person, track_id in enumerate(ids)
        for sphere, frame in enumerate(frames)
        for at in [(person, sphere)]
    ]


def distance_lines(header: Header, found: Separations) -> MarkerArray:
    """Return lines between the nearest points; a removal of the lines if there are none."""
    known = found.parts >= 0
    ends = np.stack([found.human_points[known], found.robot_points[known]], axis=1)
    marker = Marker(
        header=header,
        ns="separation",
        type=Marker.LINE_LIST,
        action=Marker.ADD if known.any() else Marker.DELETE,
        color=_RED,
        lifetime=Duration(nanosec=round(LIFETIME_SECONDS * 1e9)),
        points=[_point(end) for end in ends.reshape(-1, 3)],
    )
    marker.scale.x = _LINE_WIDTH
    return MarkerArray(markers=[marker])


def _point(place: Float64) -> Point:
    x, y, z = place.tolist()
    return Point(x=x, y=y, z=z)
