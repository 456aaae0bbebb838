# SPDX-License-Identifier: Apache-2.0
"""Images of a camera on its side or its head, turned upright, and the results turned back.

A turn by a multiple of 90 degrees is exact: pixels are moved, not interpolated. The camera of the
turned image has the same optical axis; its x and y axes are turned with the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.distortion import Distortion
from pear_ros.core.estimator import Detection
from pear_ros.core.ground import GroundPlane
from pear_ros.core.moving import moved
from pear_ros.core.people import Array, People, Person
from pear_ros.core.rigid_transform import RigidTransform

Pixels = TypeVar("Pixels", bound=npt.NDArray[Any])
Floats = npt.NDArray[np.floating]

_CODES = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_AXES = {
    0: ((1.0, 0.0), (0.0, 1.0)),
    90: ((0.0, -1.0), (1.0, 0.0)),
    180: ((-1.0, 0.0), (0.0, -1.0)),
    270: ((0.0, 1.0), (-1.0, 0.0)),
}
"""Rotation (2, 2) of x to the right, y down, clockwise as seen in the image, by degrees."""
_VECTORS = ((3, 2), (8, 10), (9, 11))
"""Indices of OpenCV's coefficients that are x and y of vectors across the optical axis: p2 and p1,
s1 and s3, s2 and s4."""


def turned(image: Pixels, degrees: int) -> Pixels:
    """Return an image (height, width, ...) turned clockwise by 90, 180 or 270 degrees: a copy."""
    rotated: Pixels = cv2.rotate(image, _CODES[degrees])  # type: ignore[assignment]
    return rotated


class Turn:
    """A turn of the images of one camera, clockwise."""

    def __init__(self, degrees: int, camera: Camera) -> None:
        """Turn by `degrees`: 0, 90, 180 or 270; `camera`: the one that took the images."""
        self.degrees = degrees
        self._source = camera
        self._linear = np.array(_AXES[degrees])
        self._axes = np.eye(3)
        self._axes[:2, :2] = self._linear
        self._centre = np.array([camera.width - 1, camera.height - 1]) / 2.0
        size = np.abs(self._linear) @ (camera.width, camera.height)
        self._turned_centre = (size - 1.0) / 2.0
        width, height = (int(side) for side in size)
        fx, fy = np.abs(self._linear) @ (camera.fx, camera.fy)
        cx, cy = self._pixels(np.array([camera.cx, camera.cy]))
        lens = camera.distortion and _turned_lens(camera.distortion, self._linear)
        self.camera = Camera(
            width, height, float(fx), float(fy), float(cx), float(cy), camera.source, lens
        )
        """The camera of the turned image."""

    def detections(self, detections: Sequence[Detection]) -> list[Detection]:
        """Return detections in the turned image."""
        return [replace(one, box=_turned_box(one.box, self._pixels)) for one in detections]

    def ground(self, ground: GroundPlane) -> GroundPlane:
        """Return the floor in the optical frame of the turned image."""
        return ground.rotated(self._axes)

    def ground_back(self, ground: GroundPlane) -> GroundPlane:
        """Return the floor in the camera's optical frame, of that in the turned image's."""
        return ground.rotated(self._axes.T)

    def pose(self, pose: RigidTransform) -> RigidTransform:
        """Return the pose of the turned image's optical frame, of that of the camera's."""
        return pose @ RigidTransform(self._axes.T, np.zeros(3))

    def back(self, people: People) -> People:
        """Return people in the turned image as people in the image of the camera."""
        persons = tuple(self._person_back(one) for one in people.persons)
        return replace(people, camera=self._source, persons=persons)

    def _person_back(self, person: Person) -> Person:
        return replace(
            moved(person, RigidTransform(self._axes.T, np.zeros(3))),
            box=_turned_box(person.box, self._pixels_back),
            keypoints=self._pixels_back(person.keypoints).astype(np.float32),
        )

    def _pixels(self, pixels: Floats) -> Floats:
        """Pixels (..., 2) of the turned image at pixels (..., 2) of the camera's."""
        moved: Floats = (pixels - self._centre) @ self._linear.T + self._turned_centre
        return moved

    def _pixels_back(self, pixels: Floats) -> Floats:
        """Pixels (..., 2) of the camera's image at pixels (..., 2) of the turned one."""
        moved: Floats = (pixels - self._turned_centre) @ self._linear + self._centre
        return moved


def _turned_box(box: Array, pixels: Callable[[Floats], Floats]) -> Array:
    """Box (4,) whose corners are moved by `pixels`; its edges are at the corners of pixels."""
    corners = pixels(box.reshape(2, 2) - 0.5) + 0.5
    low_and_high: Array = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return low_and_high.astype(np.float32)


def _turned_lens(lens: Distortion, linear: npt.NDArray[np.float64]) -> Distortion:
    """Return the distortion of the turned image; its radial part is the same.

    A tilted sensor (the 13th and 14th coefficient) cannot be described after a turn by 90 degrees:
    it is left out there.
    """
    if lens.model == "equidistant":
        return lens
    k = np.array(lens.coefficients)
    for x, y in _VECTORS:
        if max(x, y) < len(k):
            k[[x, y]] = linear @ k[[x, y]]
    if len(k) == 14:
        k[12:] *= linear[0, 0]
    return replace(lens, coefficients=tuple(map(float, k)))
