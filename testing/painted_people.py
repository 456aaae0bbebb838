# SPDX-License-Identifier: Apache-2.0
"""Pictures of the open body with one colour for each part of PARTS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.people import Array, Image, Person, stack
from pear_ros.reidentification.appearance import AppearanceSampler
from pear_ros.reidentification.body_parts import PARTS, part_of_vertices
from pear_ros.rendering.raster import rasterize
from testing.open_people import CAMERA, JOINT, open_body, person, t_pose

Colour = tuple[int, int, int]
SKIN: Colour = (120, 150, 200)
RED = dict.fromkeys(("chest", "upper_arms", "waist"), (30, 30, 190)) | {"hair": (15, 20, 25)}
GREEN = dict.fromkeys(("chest", "upper_arms", "waist"), (40, 160, 40)) | {"thighs": (160, 60, 40)}
"""Colours of parts, blue, green, red; other parts are SKIN."""


class OpenBodies:
    """The functions of an estimator that ScaledBodies uses, of the open body."""

    body = property(lambda self: open_body())

    def meshes(self, persons: Sequence[Person]) -> Array:
        return np.asarray(open_body().vertices(*_arguments(persons)))

    def joints(self, persons: Sequence[Person]) -> Array:
        return np.asarray(open_body().joints(*_arguments(persons)))

    def heights(self, persons: Sequence[Person]) -> Array:
        return open_body().heights(np.stack([one.smplx.betas for one in persons]))


def _arguments(persons: Sequence[Person]) -> tuple[Array, ...]:
    smplx = stack([one.smplx for one in persons])
    return smplx.pose, smplx.betas, smplx.expression, smplx.transl


BODIES = ScaledBodies(OpenBodies())  # type: ignore[arg-type]


def sampler() -> AppearanceSampler:
    """Return a sampler of people with the open body."""
    return AppearanceSampler(BODIES, open_body())


def standing(track_id: str = "h1", x: float = 0.0, back: bool = False) -> Person:
    """Return a person 4 m in front of CAMERA, `x` metres to the right, arms lowered."""
    pose = t_pose(left_shoulder=(0.0, 0.0, -1.2), right_shoulder=(0.0, 0.0, 1.2))
    if back:
        pose[JOINT["pelvis"]] = (0.0, 0.0, np.pi)
    return person(pose, (x, 0.0, 4.0), track_id)


@cache
def _parts() -> npt.NDArray[np.intp]:
    return part_of_vertices(standing(), BODIES)


def picture(people: Sequence[tuple[Person, Mapping[str, Colour]]]) -> Image:
    """Return the picture that CAMERA takes of people in these colours, before grey."""
    image = np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8)
    depth = np.full(image.shape[0] * image.shape[1], np.inf)
    for one, colours in people:
        raster = rasterize(BODIES.meshes([one])[0], open_body().faces, CAMERA)
        palette = np.array([*(colours.get(part, SKIN) for part in PARTS), SKIN], np.uint8)
        nearest = raster.depth < depth[raster.pixel]
        pixel, face = raster.pixel[nearest], raster.face[nearest]
        depth[pixel] = raster.depth[nearest]
        image.reshape(-1, 3)[pixel] = palette[_parts()[open_body().faces[face, 0]]]
    return image
