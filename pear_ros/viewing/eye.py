# SPDX-License-Identifier: Apache-2.0
"""The eye of one viewer: moves it as the chosen view demands, and leaves it alone otherwise."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import viser

from pear_ros.core.people import Person, TrackingState
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.viewing.link import Link, Point, View
from pear_ros.viewing.moment import Moment
from pear_ros.viewing.views import Vector, Viewpoint, Window, above, beside, through

_CAMERA_MOVED = 1e-4
"""Movement of the camera that is followed: metres, or the sine of an angle."""
_CAMERA_JUMPED = 0.1
"""That of a jump, as when more is known of how the camera stands."""
_EYE_MOVED = 0.01
"""Distance of the eye from where it was put, from which on the viewer moved it, metres."""
_NEAR = 8.0
"""Distance of people up to which the camera is seen beside them at first, metres."""
_ON_FLOOR = np.array([1.0, 1.0, 0.0])
_NAMES = np.array([0.0, 0.0, 0.4])
"""Height of names over joints, metres."""


class Eye:
    """Where a viewer looks from."""

    def __init__(self, camera: viser.CameraHandle, link: Link) -> None:
        """`link`: whose eye, if it has one, is where its view begins."""
        self._camera = camera
        self._begin = link if link.eye and link.at else None
        self._view: View | None = None
        self._seen: tuple[RigidTransform, float] | None = None
        self._pose: RigidTransform | None = None
        """Of the camera at the last moment."""
        self._framed: Viewpoint | None = None
        """From where all people were seen when the eye was put there."""
        self._present: set[tuple[int, str]] = set()
        self._places: deque[Vector] = deque(maxlen=4)
        """Where the eye was put, and where it was before that."""
        self._chosen = False
        """Whether the eye was put where the link says."""
        self.origin: Vector = np.zeros(3)
        """(3,) point of the world that is shown at the page's origin: the person who is followed.

        The scene moves, and not the eye, which the browser reports late and the viewer may drag.
        """

    def look(
        self, moments: Sequence[Moment], offsets: Sequence[Vector], view: View, person: str
    ) -> None:
        """Move the eye for this moment of each run.

        `offsets`: (3,) place of each run in the world; `person`: id of the one to follow, in the
        first run; empty: the first.
        """
        if view is View.FOLLOW:
            self._follow(moments[0], person)
        else:
            self.origin = np.zeros(3)
        if view is View.CAMERA:
            self._through_camera(moments[0])
        elif view is not View.FOLLOW:
            self._settle(moments, offsets, view)
        self._view, self._pose = view, moments[0].camera_pose

    def reset(self) -> None:
        """Take the view anew at the next moment, as after its choice."""
        self._view = self._begin = None

    def place(self) -> tuple[Point, Point] | None:
        """Return where the eye is and what it looks at, metres from `origin`.

        None where people have not been seen yet, or the eye is the camera's.
        """
        if self._framed is None or self._view is View.CAMERA:
            return None
        if self._as_put():
            return _point(self._framed.position), _point(self._framed.look_at)
        return _point(self._camera.position), _point(self._camera.look_at)

    def _settle(self, moments: Sequence[Moment], offsets: Sequence[Vector], view: View) -> None:
        """Put the eye where the view begins.

        Again where people are out of sight who have just come, or been moved with the camera by a
        jump; unless the viewer moved the eye.
        """
        before = self._present
        pose = moments[0].camera_pose
        jumped = self._pose is not None and _change(self._pose, pose) > _CAMERA_JUMPED
        self._present = {
            (run, one.id) for run, moment in enumerate(moments) for one in _present(moment)
        }
        points = np.concatenate(
            [points_of(moment) + offset for moment, offset in zip(moments, offsets, strict=True)]
        )
        window = Window.of(self._camera)
        if view is self._view:
            seen = self._framed and self._framed.shows(points, window)
            same = self._present <= before and not jumped
            if seen or same or self._moved():
                return
        camera = pose.translation
        with_camera = np.concatenate([points, [camera, camera * _ON_FLOOR]])
        if view is View.TOP:
            viewpoint = above(with_camera, window)
        else:
            near = len(points) and np.linalg.norm(points - camera, axis=1).min() < _NEAR
            viewpoint = beside(with_camera if near and window.wide else points, window)
        self._put(viewpoint, known=len(points) > 0)

    def _through_camera(self, moment: Moment) -> None:
        window = Window.of(self._camera)
        seen = moment.camera_pose, window.aspect
        if self._view is View.CAMERA and self._seen and not _moved(self._seen, seen):
            return
        self._seen = seen
        through(moment.people.camera, moment.camera_pose, window).apply(self._camera)

    def _follow(self, moment: Moment, name: str) -> None:
        """Keep the person where they are on the page; the viewer chooses direction and distance."""
        person = _target(moment, name)
        if person is not None:
            self.origin = moment.camera_pose.apply(person.joints[0].astype(np.float64))
        unseen = self._framed is None and person is not None and not self._moved()
        if self._view is not View.FOLLOW or unseen:
            points = _points(moment, [person] if person else []) - self.origin
            self._put(beside(points, Window.of(self._camera)), known=person is not None)

    def _put(self, viewpoint: Viewpoint, *, known: bool) -> None:
        """Put the eye where the link says, else at `viewpoint`. `known`: whether people are."""
        begin, self._begin = self._begin, None
        self._chosen = begin is not None
        if begin and begin.eye and begin.at:
            eye, at = np.array(begin.eye), np.array(begin.at)
            viewpoint = Viewpoint(eye, at, viewpoint.up)
        self._places.extend((np.array(self._camera.position), viewpoint.position))
        viewpoint.apply(self._camera)
        self._framed = viewpoint if known or self._chosen else None

    def _moved(self) -> bool:
        """Return whether the eye is where the viewer wants it."""
        return self._chosen or not self._as_put()

    def _as_put(self) -> bool:
        """Return whether the eye is where it was put, or, as the browser is late, before that."""
        eye = self._camera.position
        return any(np.abs(eye - place).max() < _EYE_MOVED for place in self._places)


def _moved(old: tuple[RigidTransform, float], new: tuple[RigidTransform, float]) -> bool:
    return max(_change(old[0], new[0]), abs(old[1] - new[1])) > _CAMERA_MOVED


def _change(old: RigidTransform, new: RigidTransform) -> float:
    turned = np.abs(old.rotation - new.rotation).max()
    shifted = np.abs(old.translation - new.translation).max()
    return float(max(turned, shifted))


def _present(moment: Moment) -> list[Person]:
    return [p for p in moment.people.persons if p.state is not TrackingState.LOST]


def points_of(moment: Moment) -> Vector:
    """Return the joints (N, 3) of all people in the world, and places of the names above them."""
    return _points(moment, _present(moment))


def _points(moment: Moment, persons: Sequence[Person]) -> Vector:
    joints = [person.joints for person in persons]
    points = np.concatenate(joints).astype(np.float64) if joints else np.empty((0, 3))
    points = moment.camera_pose.apply(points[np.isfinite(points).all(axis=1)])
    return np.concatenate([points, points + _NAMES])


def _target(moment: Moment, name: str) -> Person | None:
    """Return the person to follow; None where their place is not known."""
    for person in _present(moment):
        if name in ("", person.id) and np.isfinite(person.joints[0]).all():
            return person
    return None


def _point(values: Vector) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z
