# SPDX-License-Identifier: Apache-2.0
"""Metric scale of people who stand, walk, sit or lie on a known floor.

A body scaled by s about the camera's centre projects to the same pixels. With the floor at the
height h below the camera, and the lowest point p of the body at m = -n . p below it at scale 1,
the body touches the floor at

    s = h / m,    z = log s = log h - log m

and to first order, with the distance d of p and its horizontal part r,

    var z = (sigma_h / h)^2           height of the camera
          + (sigma_tilt r / m)^2      direction of the normal
          + (sigma_ray d / m)^2       direction of the ray, by pixels
          + (sigma_body / m)^2        soles, shoes and pose of the body across the ray
          + (sigma_lean / d)^2        and along it

Whether the body touches the floor is not known. Off the floor, in mid-air or on a step, it is
nearer than it seems, s <= h / m, and so

    p(z | s) = w N(z; s, var z) + (1 - w) U(z - s; 0, 1)

where w is the probability that the lowest point is seen and rests on the floor. With a prior of s
the posterior is computed on a grid. An implausible height thus lowers the weight of the floor: the
prior of a person of unknown height has a narrow part, adults, and a wide one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import Array, Person
from pear_ros.scale.beam_model import LogScalePrior

Doubles = npt.NDArray[np.float64]

_LOWEST_SHARE = 0.004
"""Share of the vertices, the lowest ones, whose mean is the sole: a single one is an outlier of the
pose."""
_BODY_STD = 0.035
"""sigma_body: error of a body's sole across the ray, metres: shoes, shape and pose."""
_LEAN_STD = 0.06
"""sigma_lean: error of the sole's distance relative to the pelvis' along the ray, metres."""
_PIXELS_STD = 1.5
"""Error of a sole in the image that does not shrink with the person, pixels."""
_CONTACT_PROBABILITY = 0.9
"""Probability that a person whose lowest body part is seen touches the floor with it."""
_UNKNOWN_CONFIDENCE = 0.8
"""Confidence of a joint that the estimator does not tell."""
_MIN_SEEN = 0.4
"""Confidence of a joint below which it is not seen: its position is the prior's."""
_MAX_LOG_LIFT = 1.0
"""Greatest log ratio of the distance that the floor implies to that of a body off the floor."""
_BELOW = 0.02
"""Likelihood, over that of a lift, of a body that is below the floor."""
_MIN_DROP = 0.1
"""Least m, metres: a body that is not below the camera cannot be measured on the floor."""
_POPULATION = ((0.85, math.log(1.69), 0.08), (0.15, math.log(1.35), 0.2))
"""Weight, mean and standard deviation of the log heights of adults, and of children and others."""
_TINY = 1e-300
"""Added to densities before their logarithm is taken."""
_GRID: Doubles = np.linspace(-1.5, 1.5, 601, dtype=np.float64)
"""Candidates of the log scale around the mean of the prior."""


@dataclass(frozen=True)
class FloorScale:
    """Log scale of one person as the floor implies it."""

    log_scale: float
    """z."""
    std: float
    """Standard deviation of z if the person touches the floor."""
    contact: float
    """w: probability that the person does, before the size is considered."""


@dataclass(frozen=True)
class Posterior:
    """Log scale of one person from the floor and a prior."""

    log_scale: float
    std: float
    contact: float
    """Probability that the person touches the floor."""


def measure(
    persons: Sequence[Person], vertices: Array, ground: GroundPlane, camera: Camera
) -> list[FloorScale | None]:
    """Return what `ground` implies for each person; None where it says nothing.

    `vertices` (N, V, 3): meshes of `persons`, metres, in the optical frame, like the persons.
    """
    soles = _lowest_points(vertices, ground)  # (N, 3)
    return [_measure(*one, ground, camera) for one in zip(persons, soles, strict=True)]


class PopulationPrior:
    """Prior of the log scale of a person of unknown height."""

    def __init__(self, log_height: float) -> None:
        """Take the log height of the person's body at scale 1, log metres."""
        self._log_height = log_height
        self.mean = _POPULATION[0][1] - log_height
        """Mean of the log scale of adults."""

    def log_density(self, log_scale: Doubles) -> Doubles:
        """Return the log density at `log_scale` (K,), up to a constant."""
        log_height = log_scale + self._log_height
        densities = [
            weight / std * np.exp(-0.5 * ((log_height - mean) / std) ** 2)
            for weight, mean, std in _POPULATION
        ]
        return np.asarray(np.log(np.sum(densities, axis=0) + _TINY))


def combine(floor: FloorScale, prior: LogScalePrior | PopulationPrior) -> Posterior:
    """Return the posterior of the log scale, from what the floor implies and a prior."""
    s = _GRID + prior.mean
    lift = floor.log_scale - s
    touching = np.exp(-0.5 * (lift / floor.std) ** 2) / (np.sqrt(2.0 * np.pi) * floor.std)
    off = np.where((lift >= 0.0) & (lift < _MAX_LOG_LIFT), 1.0, _BELOW) / _MAX_LOG_LIFT
    density = np.exp(prior.log_density(s))
    touching *= floor.contact * density
    posterior = touching + (1.0 - floor.contact) * off * density
    total = posterior.sum()
    mean = float((posterior * s).sum() / total)
    variance = float((posterior * (s - mean) ** 2).sum() / total)
    return Posterior(mean, variance**0.5, float(touching.sum() / total))


def _lowest_points(vertices: Array, ground: GroundPlane) -> Doubles:
    """(N, 3) mean of the lowest vertices of each person."""
    below = ground.below(vertices)  # (N, V)
    count = max(1, round(_LOWEST_SHARE * below.shape[1]))
    rows = np.argpartition(below, -count, axis=1)[:, -count:]  # (N, count)
    lowest = np.take_along_axis(vertices, rows[..., None], axis=1)
    return np.asarray(lowest.mean(axis=1, dtype=np.float64))


def _measure(
    person: Person, sole: Doubles, ground: GroundPlane, camera: Camera
) -> FloorScale | None:
    m = float(ground.below(sole))
    if not m > _MIN_DROP or not ground.height > 0.0:
        return None
    pixel = camera.project(sole)
    if not ((pixel >= 0.0) & (pixel < (camera.width, camera.height))).all():
        return None
    nearest = int(((person.joints - sole) ** 2).sum(axis=1).argmin())
    confidence = float(person.joint_confidence[nearest])
    confidence = _UNKNOWN_CONFIDENCE if np.isnan(confidence) else min(confidence, 1.0)
    if confidence < _MIN_SEEN:
        return None
    d = float(np.linalg.norm(sole))
    r = max(d * d - m * m, 0.0) ** 0.5
    ray = _PIXELS_STD / min(camera.fx, camera.fy)
    std = np.linalg.norm(
        [
            ground.height_std / ground.height,
            ground.tilt_std * r / m,
            ray * d / m,
            _BODY_STD / confidence / m,
            _LEAN_STD / d,
        ]
    )
    return FloorScale(
        float(np.log(ground.height / m)), float(std), _CONTACT_PROBABILITY * confidence
    )
