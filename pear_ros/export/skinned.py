# SPDX-License-Identifier: Apache-2.0
"""One person as a skinned mesh that moves: what an animation needs, in glTF's terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel
from pear_ros.core.people import Array
from pear_ros.export.tracks import Recording, Track

INFLUENCES = 8
"""Joints that move a vertex, at most: two sets of four, as glTF has them."""


@dataclass(frozen=True)
class RestShape:
    """The body of one person in the T-pose, metres, of a scale of 1."""

    vertices: Array
    """(V, 3)"""
    joints: Array
    """(55, 3)"""


@dataclass(frozen=True)
class Motion:
    """What one person does in T images."""

    seconds: Array
    """(T,) since the first image of the recording, ascending."""
    pelvis: Array
    """(T, 3) position of joint 0 over the person's scale, optical frame."""
    rotations: Array
    """(T, 55, 4) unit quaternions x y z w relative to the parent; no sudden changes of sign."""
    expression: Array
    """(T, E)"""
    scale: float
    """Size of the person over that of the rest shape."""
    seen_seconds: Array
    """(K,) when the person comes and goes, and the first image."""
    seen: npt.NDArray[np.bool_]
    """(K,) whether the person is there from then on."""


def rest_shape(body: BodyModel, track: Track) -> RestShape:
    """The person's body by the median of their betas: one shape for all images."""
    betas = np.nan_to_num(np.median(track.betas, axis=0)).astype(np.float32)
    none = np.zeros((1, body.num_expression), np.float32)
    return RestShape(
        vertices=body.v_template + body.shapedirs @ betas,
        joints=body.rest_joints(betas[None], none)[0],
    )


def motion(track: Track, recording: Recording) -> Motion:
    """What the person does. The pelvis is where it was; rotations that are not known are none."""
    scale = float(np.median(track.scale))
    count, joints, _ = track.pose.shape
    rotations = Rotation.from_rotvec(np.nan_to_num(track.pose).reshape(-1, 3)).as_quat()
    rotations = rotations.reshape(count, joints, 4)
    # Of the two quaternions of a rotation, that closer to the one before: so nothing spins between.
    turned = (rotations[1:] * rotations[:-1]).sum(axis=2) < 0.0
    signs = np.where(np.cumsum(turned, axis=0) % 2, -1.0, 1.0)
    rotations[1:] *= signs[:, :, None]

    seconds = ((recording.stamps_ns - recording.stamps_ns[0]) * 1e-9).astype(np.float32)
    there = np.zeros(len(seconds), bool)
    there[track.frames] = True
    changes = np.append(0, 1 + np.flatnonzero(there[1:] != there[:-1]))
    return Motion(
        seconds=seconds[track.frames],
        pelvis=track.arrays["joints"][:, 0] / np.float32(scale),
        rotations=rotations.astype(np.float32),
        expression=np.nan_to_num(track.expression),
        scale=scale,
        seen_seconds=seconds[changes],
        seen=there[changes],
    )


def influences(body: BodyModel) -> tuple[npt.NDArray[np.uint8], Array]:
    """(V, 8) joints that move each vertex, the strongest first, and (V, 8) their weights.

    Places that are not needed are joint 0 with a weight of 0.
    """
    dense = body.weights.toarray()
    joints = np.argsort(-dense, axis=1, kind="stable")[:, :INFLUENCES]
    weights = np.take_along_axis(dense, joints, axis=1)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.where(weights > 0.0, joints, 0).astype(np.uint8), weights.astype(np.float32)
