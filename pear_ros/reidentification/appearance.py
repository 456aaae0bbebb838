# SPDX-License-Identifier: Apache-2.0
"""The appearance of people: one colour for each part of the body, and the body's height."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Body
from pear_ros.core.people import DepthSource, Image, Person
from pear_ros.reidentification.body_parts import PARTS, part_of_vertices
from pear_ros.scale.visible_surface import SurfacePoints, visible_surface

Doubles = npt.NDArray[np.float64]

_ROWS = 60
"""Rows of samples on the smallest person in an image."""
_MIN_SAMPLES = 8
"""Samples on a part from which on its colour is known."""
_MAX_IMAGES = 20
"""Images over which colours are averaged equally; then the mean becomes an exponential one."""
_METRIC = (DepthSource.BODY_HEIGHT, DepthSource.MEASURED, DepthSource.FLOOR)
_MIN_HEIGHT_STD = 0.03
"""Standard deviation of the log height of a person in one image at least; poses have errors."""


@dataclass(frozen=True)
class Appearance:
    """The appearance of one person in one image, or averaged over several."""

    colours: Doubles
    """(P, 3) median CIELAB colour L*, a*, b* of each of PARTS; NaN: not seen."""
    images: npt.NDArray[np.intp]
    """(P,) number of images in which each part was seen."""
    log_height: float = math.nan
    """Log of the standing height, log metres; NaN where size is not metric."""
    log_height_std: float = math.inf
    """Standard deviation of it."""

    def averaged(self, other: Appearance) -> Appearance:
        """Return the mean of this appearance and a later one of the same person, in one image."""
        seen = other.images > 0
        images = np.minimum(self.images + seen, _MAX_IMAGES)
        share = np.where(seen, 1.0 / np.maximum(images, 1), 0.0)[:, None]
        old = np.where(self.images[:, None] > 0, self.colours, other.colours)
        colours = old + np.where(seen[:, None], share * (other.colours - old), 0.0)
        better = self if self.log_height_std < other.log_height_std else other
        return Appearance(colours, images, better.log_height, better.log_height_std)


class AppearanceSampler:
    """Samples the appearance of people in an image on their meshes."""

    def __init__(self, bodies: ScaledBodies, body: Body) -> None:
        """Use the meshes of `bodies`, which have the body model `body`."""
        self._bodies = bodies
        self._faces = body.faces_of("low")
        self._part_of_face: npt.NDArray[np.intp] | None = None

    def __call__(
        self, image: Image, camera: Camera, persons: Sequence[Person], occluding: Sequence[Person]
    ) -> list[Appearance]:
        """Return the appearance of `persons` in an image.

        `image` (height, width, 3) uint8 BGR, by `camera`. `occluding`: all other people in it, who
        may hide parts of them.
        """
        if not persons:
            return []
        if self._part_of_face is None:
            parts = part_of_vertices(persons[0], self._bodies)
            self._part_of_face = parts[self._faces[:, 0]]
        vertices = self._bodies.meshes([*persons, *occluding])
        step = max(int(min(_visible_height(one, camera) for one in persons) / _ROWS), 1)
        surface = visible_surface(vertices, self._faces, camera, step)
        heights = np.log(self._bodies.heights(persons).astype(float))
        colours, known = self._colours(image, surface, len(persons))
        return [
            Appearance(colours[n], known[n].astype(np.intp), *_log_height(person, heights[n]))
            for n, person in enumerate(persons)
        ]

    def _colours(
        self, image: Image, surface: SurfacePoints, count: int
    ) -> tuple[Doubles, npt.NDArray[np.bool_]]:
        """(N, P, 3) median colours, NaN where unknown, and (N, P) whether they are known."""
        assert self._part_of_face is not None
        part = self._part_of_face[surface.face]
        wanted = (part >= 0) & (surface.person < count)
        colours = np.full((count * len(PARTS), 3), np.nan)
        shape = (count, len(PARTS))
        if not wanted.any():
            return colours.reshape(*shape, 3), np.zeros(shape, bool)
        key = surface.person[wanted] * len(PARTS) + part[wanted]  # (K,)
        pixels = image[surface.row[wanted], surface.column[wanted]][None]  # (1, K, 3)
        lab = cv2.cvtColor(pixels.astype(np.float32) / np.float32(255.0), cv2.COLOR_BGR2Lab)[0]
        samples = np.bincount(key, minlength=len(colours))
        order = np.argsort(key, kind="stable")
        ends = np.cumsum(samples)
        for n in np.flatnonzero(samples >= _MIN_SAMPLES):
            colours[n] = np.median(lab[order[ends[n] - samples[n] : ends[n]]], axis=0)
        return colours.reshape(*shape, 3), (samples >= _MIN_SAMPLES).reshape(shape)


def _visible_height(person: Person, camera: Camera) -> float:
    """Height of a person's box in the image, pixels."""
    top, bottom = np.clip(person.box[[1, 3]], 0.0, camera.height)
    return float(np.nan_to_num(bottom - top))


def _log_height(person: Person, log_height: float) -> tuple[float, float]:
    """The log height of a person of metric size, and its standard deviation; else unknown."""
    distance = float(np.linalg.norm(person.joints[0]))
    if person.depth_source not in _METRIC or not person.depth_error > 0.0:
        return math.nan, math.inf
    return log_height, max(person.depth_error / distance, _MIN_HEIGHT_STD)
