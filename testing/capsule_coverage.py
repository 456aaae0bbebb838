# SPDX-License-Identifier: Apache-2.0
"""How well capsules cover the mesh of the open body, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pear_ros.core.people import Array
from pear_ros.hri.body_parts import Float64
from pear_ros.hri.capsules import Capsules, body_capsules
from testing.open_people import open_body


def capsules_of(parameters: Sequence[Array]) -> Capsules:
    """Return the capsules of one open body with these arguments of BodyModel's methods."""
    joints = open_body().joints(*parameters)
    return body_capsules(joints, np.ones((1, 55), np.float32), np.ones(1, np.float32))


def axis_distances(capsules: Capsules, points: Array) -> Float64:
    """Return the distances (P, C) of `points` (P, 3) from the axes of the first person."""
    begins, along = capsules.begins[0], capsules.ends[0] - capsules.begins[0]
    shares = np.einsum("pck,ck->pc", points[:, None] - begins, along) / (along**2).sum(axis=1)
    nearest = begins + np.clip(shares, 0.0, 1.0)[..., None] * along
    distances: Float64 = np.linalg.norm(points[:, None] - nearest, axis=2)
    return distances


def outside(capsules: Capsules, points: Array) -> Float64:
    """Return distances (P,) of `points` (P, 3) from a person's capsules; negative: inside."""
    distances: Float64 = (axis_distances(capsules, points) - capsules.radii[0]).min(axis=1)
    return distances
