# SPDX-License-Identifier: Apache-2.0
"""Applies Person.scale to the joints, meshes and heights of any estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pear_ros.core.estimator import Estimator
from pear_ros.core.people import NUM_JOINTS, Array, Person


class ScaledBodies:
    """The bodies of an estimator at the people's scale: point = scale * posed body + transl."""

    def __init__(self, estimator: Estimator) -> None:
        """Use the joints, meshes and heights of `estimator`, which are of scale 1."""
        self._estimator = estimator

    @property
    def faces(self) -> npt.NDArray[np.int32]:
        """(F, 3) vertex indices, counter-clockwise seen from outside."""
        return self._estimator.body.faces

    def joints(self, persons: Sequence[Person]) -> Array:
        """Compute the joints (N, 55, 3), metres, in the optical frame."""
        if not persons:
            return np.empty((0, NUM_JOINTS, 3), np.float32)
        return _scaled(self._estimator.joints(_unscaled(persons)), persons)

    def meshes(self, persons: Sequence[Person]) -> Array:
        """Compute the vertices (N, V, 3), metres, in the optical frame."""
        if not persons:
            return np.empty((0, self._estimator.body.vertex_count, 3), np.float32)
        return _scaled(self._estimator.meshes(_unscaled(persons)), persons)

    def heights(self, persons: Sequence[Person]) -> Array:
        """Compute the standing heights (N,), soles to crown, metres."""
        if not persons:
            return np.empty(0, np.float32)
        return self._estimator.heights(persons) * _scales(persons)[:, 0, 0]


def _unscaled(persons: Sequence[Person]) -> list[Person]:
    """Return the people moved along their rays so that their scale is 1."""
    return [
        person
        if person.scale == 1.0
        else replace(person, smplx=replace(person.smplx, transl=person.smplx.transl / person.scale))
        for person in persons
    ]


def _scaled(points: Array, persons: Sequence[Person]) -> Array:
    """Scale points (N, P, 3) of unscaled people about the camera, in place."""
    if any(person.scale != 1.0 for person in persons):
        points *= _scales(persons)
    return points


def _scales(persons: Sequence[Person]) -> Array:
    return np.array([person.scale for person in persons], np.float32)[:, None, None]
