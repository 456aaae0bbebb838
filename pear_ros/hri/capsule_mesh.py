# SPDX-License-Identifier: Apache-2.0
"""Capsules as a mesh for displays, with the same triangles for everybody."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.hri.body_parts import Float64
from pear_ros.hri.capsules import PARTS, Capsules

_SIDES = 8
_RINGS = np.radians([-45.0, 0.0, 0.0, 45.0])
"""Latitudes of the rings of vertices, from the pole at the first end to that at the second."""


def axis_frames(capsules: Capsules) -> Float64:
    """Return rotations (N, C, 3, 3) that turn z into each capsule's axis; NaN where unknown."""
    axes = capsules.ends - capsules.begins
    lengths = np.linalg.norm(axes, axis=2, keepdims=True)
    z = np.where(lengths > 0.0, axes, (0.0, 0.0, 1.0)) / np.where(lengths > 0.0, lengths, 1.0)
    z[~capsules.known] = np.nan
    x = np.cross(z, np.where(np.abs(z[..., :1]) < 0.7, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))
    x /= np.linalg.norm(x, axis=2, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=3)


def _unit_capsule() -> tuple[Float64, npt.NDArray[np.bool_], npt.NDArray[np.int32]]:
    """Return the vertices and triangles of one capsule along z.

    Directions of the vertices from their end (K, 3), which of them are at the second end (K,), and
    triangles (F, 3), counter-clockwise seen from outside.
    """
    turns = np.arange(_SIDES) * 2.0 * np.pi / _SIDES
    rings = [
        np.stack(
            [
                np.cos(latitude) * np.cos(turns),
                np.cos(latitude) * np.sin(turns),
                np.full(_SIDES, np.sin(latitude)),
            ],
            axis=1,
        )
        for latitude in _RINGS
    ]
    directions = np.concatenate([[(0.0, 0.0, -1.0)], *rings, [(0.0, 0.0, 1.0)]])
    at_end = np.arange(len(directions)) > _SIDES * len(_RINGS) // 2
    last = len(directions) - 1
    faces = []
    for side in range(_SIDES):
        after = (side + 1) % _SIDES
        faces.append((0, 1 + after, 1 + side))
        for ring in range(len(_RINGS) - 1):
            a, b = 1 + ring * _SIDES + side, 1 + ring * _SIDES + after
            faces += [(a, b, b + _SIDES), (a, b + _SIDES, a + _SIDES)]
        top = last - _SIDES
        faces.append((last, top + side, top + after))
    return directions, at_end, np.array(faces, np.int32)


_DIRECTIONS, _AT_END, _FACES = _unit_capsule()
VERTEX_COUNT = len(PARTS) * len(_DIRECTIONS)
"""Vertices of one person."""
FACES: npt.NDArray[np.int32] = np.concatenate(
    [_FACES + part * len(_DIRECTIONS) for part in range(len(PARTS))]
)
"""(F, 3) indices of vertices, counter-clockwise seen from outside."""


def capsule_meshes(capsules: Capsules) -> Float64:
    """Return the vertices (N, VERTEX_COUNT, 3) of N people, metres.

    Unknown capsules become a point within a known one, as displays refuse NaN; NaN if none of the
    person is known.
    """
    ends = np.where(
        _AT_END[:, None], capsules.ends[:, :, None], capsules.begins[:, :, None]
    )  # (N, C, K, 3)
    turned = np.einsum("ncij,kj->ncki", axis_frames(capsules), _DIRECTIONS)
    vertices = ends + capsules.radii[..., None, None] * turned
    known = capsules.known
    people = np.arange(len(known))
    stand_in = capsules.begins[people, known.argmax(axis=1)]  # (N, 3)
    vertices = np.where(known[..., None, None], vertices, stand_in[:, None, None])
    return vertices.reshape(len(known), VERTEX_COUNT, 3)
