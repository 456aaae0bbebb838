# SPDX-License-Identifier: Apache-2.0
"""Metric scale of people from a depth image, given priors of their scales."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Person
from pear_ros.scale.beam_model import LogScalePrior, estimate_log_scale
from pear_ros.scale.visible_surface import median_depth, visible_surface

_MAX_SPACING = 0.03
"""Distance between depth samples on the furthest person, metres."""
_MIN_SPACING = 0.01
"""Least distance between depth samples on the nearest person, metres."""
_SURFACE_STD = 0.03
"""Standard deviation of an estimated body's surface close to its pelvis, metres."""
_LEAN_STD = 0.1
"""Growth of that deviation per metre from the pelvis, by errors of rotation, radians."""
_DEPTH_NOISE = 0.004
"""Standard deviation of measured depth at one metre, metres; of stereo cameras it grows with the
square of distance."""


def measure(
    scaled: Sequence[Person],
    priors: Sequence[LogScalePrior],
    bodies: ScaledBodies,
    camera: Camera,
    depth: Array,
) -> list[float | None]:
    """Return the change of log scale of each person that `depth` gives; None: it gives none.

    `scaled`: the people at their most likely scales, where occlusions between them are most likely
    right; `priors`: of the changes. `depth` (height, width), metres.
    """
    if not scaled:
        return []
    vertices = bodies.meshes(scaled)
    surface = visible_surface(vertices, bodies.faces, camera, _step(scaled, camera))
    measured = median_depth(depth, surface)  # (K,)
    known = np.isfinite(measured)
    pelvis = np.array([person.joints[0] for person in scaled])[surface.person]
    arm = np.linalg.norm(surface.points - pelvis, axis=1)  # (K,) metres
    z = surface.points[:, 2]
    with np.errstate(invalid="ignore"):
        log_ratio = np.log(measured / z)
    sigma = np.hypot(np.hypot(_SURFACE_STD, _LEAN_STD * arm) / z, _DEPTH_NOISE * z)
    result: list[float | None] = []
    for n, prior in enumerate(priors):
        own = known & (surface.person == n)
        result.append(
            estimate_log_scale(log_ratio[own].astype(float), sigma[own].astype(float), prior)
        )
    return result


def measured_std(distance: float) -> float:
    """Return the standard deviation of a measured log scale at a `distance`, metres.

    Errors of the body's surface and of the sensor are alike over large parts of a body, so that
    many samples are no better than few.
    """
    return float(np.hypot(_SURFACE_STD / max(distance, _SURFACE_STD), _DEPTH_NOISE * distance))


def check_size(depth: Array, camera: Camera) -> None:
    """Raise ValueError if the size of `depth` is not that of the images of `camera`."""
    if depth.shape != (camera.height, camera.width):
        height, width = depth.shape
        raise ValueError(
            f"the depth image has {width} x {height} pixels and the image {camera.width} x "
            f"{camera.height}; depth must be aligned with the image"
        )


def _step(persons: Sequence[Person], camera: Camera) -> int:
    """Pixels between depth samples, one number for all people.

    The furthest person gets samples that are dense enough, unless the nearest one would get so many
    that it takes long.
    """
    z = np.array([person.joints[0, 2] for person in persons])
    z = z[z > 0.0]
    if not len(z):
        return 1
    focal = max(camera.fx, camera.fy)
    spacing = max(_MAX_SPACING / float(z.max()), _MIN_SPACING / float(z.min()))
    return max(1, round(focal * spacing))
