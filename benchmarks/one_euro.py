# SPDX-License-Identifier: Apache-2.0
"""The One Euro filter (Casiez, Roussel and Vogel, CHI 2012) of rotations and positions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.motion import Doubles
from benchmarks.motion_scene import Scene
from pear_ros.core import quaternions


def one_euro(
    values: Doubles,
    rate: float,
    cutoff: float,
    slope: float,
    minus: Callable[[Doubles, Doubles], Doubles],
    plus: Callable[[Doubles, Doubles], Doubles],
) -> Doubles:
    """Return values (T, ...) filtered by One Euro; speed is low-passed at 1 Hz, as published.

    `minus` returns the step from one value to another, `plus` the value after a step.
    """

    def gain(frequency: Doubles | float) -> Doubles:
        return np.asarray(1.0 / (1.0 + rate / (2.0 * np.pi * frequency)))

    smooth, before = values[0], values[0]
    velocity = np.zeros_like(minus(before, before))
    result = [smooth]
    for value in values[1:]:
        velocity = velocity + gain(1.0) * (minus(before, value) * rate - velocity)
        speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
        smooth = plus(smooth, gain(cutoff + slope * speed) * minus(smooth, value))
        before = value
        result.append(smooth)
    return np.stack(result)


def one_euro_joints(scene: Scene, cutoff: float, slope: float) -> Doubles:
    """Return (T, N, 55, 4) rotations, filtered in the tangent space of the last estimate."""
    return one_euro(
        scene.rotations,
        scene.rate,
        cutoff,
        slope,
        lambda start, end: quaternions.to_vectors(quaternions.difference(start, end)),
        lambda start, step: quaternions.product(start, quaternions.from_vectors(step)),
    )


def one_euro_pelvis(scene: Scene, cutoff: float, slope: float) -> Doubles:
    """Return (T, N, 3) pelvis; rays and log depth are filtered with the same parameters."""
    pelvis = scene.pelvis
    straight = (lambda start, end: end - start, lambda start, step: start + step)
    rays = one_euro(pelvis[..., :2] / pelvis[..., 2:], scene.rate, cutoff, slope, *straight)
    depth = np.exp(one_euro(np.log(pelvis[..., 2:]), scene.rate, cutoff, slope, *straight))
    return np.concatenate([rays * depth, depth], axis=-1)
