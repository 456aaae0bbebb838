# SPDX-License-Identifier: Apache-2.0
"""Capsules as moveit_msgs/CollisionObject: MoveIt has no capsules, but cylinders and spheres."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from std_msgs.msg import Header

from pear_ros.core import quaternions
from pear_ros.hri.body_parts import Float64
from pear_ros.hri.capsule_mesh import axis_frames
from pear_ros.hri.capsules import Capsules

try:
    from moveit_msgs.msg import CollisionObject
    from shape_msgs.msg import SolidPrimitive
except ImportError:
    CollisionObject = None

__all__ = ["CollisionObject", "collision_objects", "removal"]


def collision_objects(header: Header, ids: list[str], capsules: Capsules) -> list[Any]:
    """Return one CollisionObject for each of N people, which replaces the one of the same id.

    Each known capsule is a cylinder and a sphere at either end, in the frame of `header`. A person
    of whom no capsule is known has no object, so that the last one stays.
    """
    known, lengths = capsules.known, np.linalg.norm(capsules.ends - capsules.begins, axis=2)
    frames, middles = axis_frames(capsules), (capsules.begins + capsules.ends) / 2
    objects = []
    for person, track_id in enumerate(ids):
        result = CollisionObject(header=header, id=track_id, operation=CollisionObject.ADD)
        for part in np.flatnonzero(known[person]):
            at = (person, part)
            radius, length = float(capsules.radii[at]), float(lengths[at])
            result.primitives += [
                SolidPrimitive(type=SolidPrimitive.CYLINDER, dimensions=[length, radius]),
                SolidPrimitive(type=SolidPrimitive.SPHERE, dimensions=[radius]),
                SolidPrimitive(type=SolidPrimitive.SPHERE, dimensions=[radius]),
            ]
            x, y, z, w = quaternions.from_matrix(frames[at]).tolist()
            cylinder = Pose(
                position=_point(middles[at]), orientation=Quaternion(x=x, y=y, z=z, w=w)
            )
            spheres = [Pose(position=_point(end[at])) for end in (capsules.begins, capsules.ends)]
            result.primitive_poses += [cylinder, *spheres]
        if result.primitives:
            objects.append(result)
    return objects


def removal(header: Header, track_id: str) -> Any:
    """Return the CollisionObject that removes a person."""
    return CollisionObject(header=header, id=track_id, operation=CollisionObject.REMOVE)


def _point(place: Float64) -> Point:
    x, y, z = place.tolist()
    return Point(x=x, y=y, z=z)
