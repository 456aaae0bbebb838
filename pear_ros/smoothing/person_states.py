# SPDX-License-Identifier: Apache-2.0
"""Filter states of whole people: initialisation, and update with the measurements of an image.

Joints and pelvis are filtered by an interacting multiple model filter (`imm_filter`), whose error
states are in the tangent space of the estimated pose (`tangent_space`). Shape coefficients are
constants, so they are averaged. Face coefficients are low-pass filtered.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions
from pear_ros.core.people import DepthSource
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.smoothing import imm_filter
from pear_ros.smoothing.imm_filter import Channels, ImmState
from pear_ros.smoothing.measurements import FACE_JOINTS, Doubles, Measurements
from pear_ros.smoothing.tangent_space import boxminus, boxplus

_INITIAL_ROTATION_RATE_STD = 4.0
"""Standard deviation of a joint's rate about an axis at first, rad/s."""
_INITIAL_VELOCITY_STD = 0.7
"""Standard deviation of the pelvis' velocity along an axis at first, m/s."""
# Process noise q of the modes rest and motion, see imm_filter.
_ROTATION_PROCESS_NOISE = (0.05, 20.0)
"""Process noise of a joint's rotation about an axis, rad^2/s^3."""
_ACROSS_PROCESS_NOISE = (0.3, 30.0)
"""Process noise of the pelvis across the line of sight, m^2/s^3."""
_DEPTH_PROCESS_NOISE = (0.01, 1.0)
"""Process noise of the pelvis' depth, m^2/s^3."""

_SHAPE_TIME_CONSTANT = 5.0
"""Least time constant of the shape's mean, seconds."""
_FACE_TIME_CONSTANT = 0.04
"""Time constant of the face's low-pass filter, seconds; a blink takes a tenth of a second."""


@dataclass(frozen=True)
class PersonStates:
    """Filter states of N people, each after their last measurement."""

    stamp: Doubles
    """(N,) stamp of the last measurement, seconds."""
    rotations: Doubles
    """(N, J, 4) unit quaternions of the joints, in the order of Measurements.rotation_vectors."""
    pelvis: Doubles
    """(N, 3) position in the camera's optical frame, metres."""
    scale: Doubles
    """(N,) scale of the last measurement."""
    depth_source: npt.NDArray[np.integer]
    """(N,) depth source of the last measurement, values of DepthSource."""
    shape: Doubles
    """(N, K) mean shape coefficients, in the order of Measurements.shape."""
    shape_images: Doubles
    """(N,) number of images in the mean of the shape."""
    face: Doubles
    """(N, L) filtered face coefficients, in the order of Measurements.face."""
    imm: ImmState
    """IMM filter of C = J + 2 channels: joints, pelvis across the line of sight, its depth."""


def initialise(measurements: Measurements, stamp: float) -> PersonStates:
    """Return the states of people measured for the first time, at `stamp` (seconds)."""
    vectors = measurements.rotation_vectors  # (N, J, 3)
    count = len(vectors)
    return PersonStates(
        stamp=np.full(count, stamp),
        rotations=quaternions.from_vectors(vectors),
        pelvis=measurements.pelvis,
        scale=measurements.scale,
        depth_source=measurements.depth_source,
        shape=measurements.shape.astype(np.float64),
        shape_images=np.ones(count),
        face=measurements.face.astype(np.float64),
        imm=imm_filter.initialise(_channels(vectors.shape[1]), measurements.standard_deviations),
    )


def update(states: PersonStates, measurements: Measurements, stamp: float) -> PersonStates:
    """Return the states after the same N people were measured at `stamp` (seconds)."""
    dt = stamp - states.stamp  # (N,)
    vectors, sigma = measurements.rotation_vectors, measurements.standard_deviations
    channels = _channels(vectors.shape[1])
    imm, displacement = imm_filter.predict(channels, states.imm, dt)
    rotations, pelvis = boxplus(
        states.rotations, _rescaled_pelvis(states, measurements), displacement
    )
    innovation = boxminus(rotations, pelvis, quaternions.from_vectors(vectors), measurements.pelvis)
    imm, correction = imm_filter.update(channels, imm, dt, innovation, sigma)
    rotations, pelvis = boxplus(rotations, pelvis, correction)

    images = states.shape_images + 1.0
    # Twice the weight of a mean: estimators learn the shape, too, and their first one is the worst.
    shape_gain = np.maximum(2.0 / (images + 1.0), 1.0 - np.exp(-dt / _SHAPE_TIME_CONSTANT))
    face_gain = 1.0 - np.exp(-dt / _FACE_TIME_CONSTANT)
    return PersonStates(
        stamp=np.full_like(dt, stamp),
        # Normalised, since rounding errors of products accumulate.
        rotations=rotations / np.sqrt(np.einsum("nci,nci->nc", rotations, rotations))[..., None],
        pelvis=pelvis,
        scale=measurements.scale,
        depth_source=measurements.depth_source,
        shape=states.shape + shape_gain[:, None] * (measurements.shape - states.shape),
        shape_images=images,
        face=states.face + face_gain[:, None] * (measurements.face - states.face),
        imm=imm,
    )


def moved(states: PersonStates, transform: RigidTransform) -> PersonStates:
    """Return the states in the target frame of `transform`, the camera's after it has moved.

    Rates of joints are relative to their parents, and the root's to itself, so they stay.
    """
    turn = np.broadcast_to(transform.quaternion, states.rotations[:, 0].shape)
    rotations = states.rotations.copy()
    rotations[:, 0] = quaternions.product(turn, rotations[:, 0])
    pelvis = transform.apply(states.pelvis)

    def turned(steps: Doubles) -> Doubles:
        """Steps (N, ..., 3, C) of the pelvis, in the channels of its two parts."""
        result: Doubles = steps.copy()
        axes = (1,) * (steps.ndim - 3)
        before, after = (p.reshape(len(p), *axes, 3) for p in (states.pelvis, pelvis))
        vectors = steps[..., -2] + before / before[..., 2:] * steps[..., :1, -1]
        vectors = transform.rotate(vectors)
        result[..., 0, -1] = vectors[..., 2]
        result[..., -2] = vectors - after / after[..., 2:] * vectors[..., 2:]
        return result

    imm = replace(
        states.imm,
        position=turned(states.imm.position),
        rate=turned(states.imm.rate),
        residual=turned(states.imm.residual),
        displacement_error=turned(states.imm.displacement_error),
    )
    return replace(states, rotations=rotations, pelvis=pelvis, imm=imm)


def _rescaled_pelvis(states: PersonStates, measurements: Measurements) -> Doubles:
    """(N, 3) filtered pelvis at the scale of the measurements.

    When the scale becomes known, or unknown, the person has always been further away or nearer:
    the change is no motion.
    """
    assumed = np.equal(states.depth_source, DepthSource.ASSUMED)
    changed = assumed != (measurements.depth_source == DepthSource.ASSUMED)
    factor: Doubles = np.where(changed, measurements.scale / states.scale, 1.0)
    return states.pelvis * factor[:, None]


@functools.lru_cache
def _channels(num_joints: int) -> Channels:
    """The joints, the pelvis across the line of sight, and its depth."""
    body = FACE_JOINTS.start
    process_noise = [_ROTATION_PROCESS_NOISE] * num_joints
    return Channels(
        axes=np.array([3.0] * num_joints + [2.0, 1.0]),
        initial_rate_std=np.array(
            [_INITIAL_ROTATION_RATE_STD] * num_joints + [_INITIAL_VELOCITY_STD] * 2
        ),
        process_noise=np.array([*process_noise, _ACROSS_PROCESS_NOISE, _DEPTH_PROCESS_NOISE]).T,
        jump_share=(np.arange(num_joints + 2) < body) / body,
    )
