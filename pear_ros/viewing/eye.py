# SPDX-License-Identifier: Apache-2.0
"""The eye of one viewer: moves it as the chosen view demands, and leaves it alone otherwise."""

from __future__ import annotations

import numpy as np
import viser

from pear_ros.core.people import Person, TrackingState
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.viewing.link import Link, Point, View
from pear_ros.viewing.moment import Moment
from pear_ros.viewing.views import FIELD_OF_VIEW, Vector, Viewpoint, Window, above, beside, through

_CAMERA_MOVED = 1e-4
"""Movement of the camera that is followed: metres, or the sine of an angle."""
_NAMES = np.array([0.0, 0.0, 0.4])
"""Height of names over joints, metres."""


class Eye:
    """Where a viewer looks from."""

    def __init__(self, camera: viser.CameraHandle, link: Link) -> None:
        """`link`: whose eye, if it has one, is where the view `orbit` begins."""
        self._camera = camera
        self._begin = link if link.eye and link.at else None
        self._view: View | None = None
        self._person = ""
        self._target: Vector | None = None
        self._seen: tuple[RigidTransform, float] | None = None
        self._placed = False

    def look(self, moment: Moment, view: View, person: str, others: Vector) -> None:
        """Move the eye for this moment.

        `person`: id of the one to follow, empty: the first; `others`: (N, 3) points of
        other runs in the world, which are to be seen as well.
        """
        if view is View.CAMERA:
            self._through_camera(moment)
        elif view is View.FOLLOW:
            self._follow(moment, person)
        elif view is not self._view or not self._placed:
            self._settle(moment, view, others)
        self._view = view

    def reset(self) -> None:
        """Take the view anew at the next moment, as after its choice."""
        self._view, self._placed, self._begin = None, False, None

    def place(self) -> tuple[Point, Point]:
        """Return where the eye is, and what it looks at, metres."""
        return _point(self._camera.position), _point(self._camera.look_at)

    def _settle(self, moment: Moment, view: View, others: Vector) -> None:
        """Move the eye to where the view begins; again with the first people."""
        points = np.concatenate([points_of(moment), others])
        self._placed = len(points) > 0
        if view is View.TOP:
            around = np.concatenate([points, moment.camera_pose.translation[None]])
            above(around, Window.of(self._camera)).apply(self._camera)
        elif self._begin and self._begin.eye and self._begin.at:
            eye, at = np.array(self._begin.eye), np.array(self._begin.at)
            Viewpoint(eye, at, np.array([0.0, 0.0, 1.0])).apply(self._camera)
            self._begin, self._placed = None, True
        else:
            beside(points, Window.of(self._camera)).apply(self._camera)

    def _through_camera(self, moment: Moment) -> None:
        seen = moment.camera_pose, self._camera.aspect
        if self._view is View.CAMERA and self._seen and not _moved(self._seen, seen):
            return
        self._seen = seen
        through(moment.people.camera, *seen).apply(self._camera)

    def _follow(self, moment: Moment, name: str) -> None:
        """Move with the person, and keep the direction and distance that the viewer chose."""
        target = _target(moment, name)
        if target is None:
            return
        if self._view is not View.FOLLOW or self._person != name or self._target is None:
            viewpoint = beside(target[None], Window.of(self._camera))
            viewpoint.apply(self._camera)
        elif (step := target - self._target).any():
            at = self._camera.look_at + step
            self._camera.position = self._camera.position + step
            self._camera.look_at = at
        self._person, self._target = name, target
        self._camera.fov = FIELD_OF_VIEW


def _moved(old: tuple[RigidTransform, float], new: tuple[RigidTransform, float]) -> bool:
    turned = np.abs(old[0].rotation - new[0].rotation).max()
    shifted = np.abs(old[0].translation - new[0].translation).max()
    return bool(max(turned, shifted, abs(old[1] - new[1])) > _CAMERA_MOVED)


def _present(moment: Moment) -> list[Person]:
    return [p for p in moment.people.persons if p.state is not TrackingState.LOST]


def points_of(moment: Moment) -> Vector:
    """Return the joints (N, 3) of all people in the world, and places of the names above them."""
    joints = [person.joints for person in _present(moment)]
    points = np.concatenate(joints).astype(np.float64) if joints else np.empty((0, 3))
    points = moment.camera_pose.apply(points[np.isfinite(points).all(axis=1)])
    return np.concatenate([points, points + _NAMES])


def _target(moment: Moment, name: str) -> Vector | None:
    """Return the pelvis (3,) of the person to follow in the world; None where it is not known."""
    for person in _present(moment):
        if name in ("", person.id) and np.isfinite(person.joints[0]).all():
            place: Vector = moment.camera_pose.apply(person.joints[0].astype(np.float64))
            return place
    return None


def _point(values: Vector) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z
