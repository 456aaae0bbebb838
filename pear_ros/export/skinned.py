# SPDX-License-Identifier: Apache-2.0
"""Skinned animation of one person: rest shape, joint weights and motion, as glTF defines them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel
from pear_ros.core.people import Array
from pear_ros.export.tracks import Recording, Track

INFLUENCES = 8
"""Maximum number of joints that influence a vertex: two sets of four in glTF."""


@dataclass(frozen=True)
class RestShape:
    """The body of one person in the T-pose, in metres, for a scale of 1."""

    vertices: Array
    """(V, 3) positions in the body's frame."""
    joints: Array
    """(55, 3) positions in the body's frame."""


@dataclass(frozen=True)
class Animation:
    """The animation of one person over T images."""

    seconds: Array
    """(T,) time since the first image of the recording, seconds, ascending; images in which the
    person's place is unknown are left out."""
    pelvis: Array
    """(T, 3) position of joint 0 over the person's scale, optical frame."""
    rotations: Array
    """(T, 55, 4) unit quaternions x y z w relative to the parent, in one hemisphere over time."""
    expression: Array
    """(T, E) expression coefficients."""
    scale: float
    """Ratio of the person's size to that of the rest shape."""
    visible_seconds: Array
    """(K,) times at which `visible` changes, and that of the first image."""
    visible: npt.NDArray[np.bool_]
    """(K,) whether the person's place is known from each of `visible_seconds` on."""


def rest_shape(body: BodyModel, betas: Array) -> RestShape:
    """Return the body of a person with the shape coefficients `betas` (B,)."""
    none = np.zeros((1, body.num_expression), np.float32)
    return RestShape(
        vertices=body.v_template + body.shapedirs @ betas,
        joints=body.rest_joints(betas[None], none)[0],
    )


def is_animatable(track: Track) -> bool:
    """Return whether shape and size of a person, and their place in some image, are known."""
    sizes = (*track.typical_betas, track.typical_scale)
    return bool(np.isfinite(sizes).all() and track.typical_scale > 0.0 and _placed(track).any())


def _placed(track: Track) -> npt.NDArray[np.bool_]:
    """(T,) whether the place of the pelvis is known."""
    return np.asarray(np.isfinite(track.arrays["joints"][:, 0]).all(axis=1))


def animation(track: Track, recording: Recording) -> Animation:
    """Return the animation of a person who `is_animatable`.

    Unknown rotations and expressions (NaN) are those of the body at rest.
    """
    scale = track.typical_scale
    placed = _placed(track)
    pose, frames = track.pose[placed], track.frames[placed]
    count, joints, _ = pose.shape
    rotations = Rotation.from_rotvec(np.nan_to_num(pose).reshape(-1, 3)).as_quat()
    rotations = rotations.reshape(count, joints, 4)
    # q and -q are the same rotation: take the one closer to its predecessor, so that interpolation
    # takes the short way.
    turned = (rotations[1:] * rotations[:-1]).sum(axis=2) < 0.0
    signs = np.where(np.cumsum(turned, axis=0) % 2, -1.0, 1.0)
    rotations[1:] *= signs[:, :, None]

    seconds = ((recording.stamps_ns - recording.stamps_ns.min()) * 1e-9).astype(np.float32)
    there = np.zeros(len(seconds), bool)
    there[frames] = True
    changes = np.append(0, 1 + np.flatnonzero(there[1:] != there[:-1]))
    return Animation(
        seconds=seconds[frames],
        pelvis=track.arrays["joints"][placed, 0] / np.float32(scale),
        rotations=rotations.astype(np.float32),
        expression=np.nan_to_num(track.expression[placed]),
        scale=scale,
        visible_seconds=seconds[changes],
        visible=there[changes],
    )


def influences(body: BodyModel) -> tuple[npt.NDArray[np.uint8], Array]:
    """Return the (V, 8) joints with the greatest weights of each vertex, and (V, 8) their weights.

    Weights are sorted and sum to 1; unused entries are joint 0 with weight 0.
    """
    dense = body.weights.toarray()
    joints = np.argsort(-dense, axis=1, kind="stable")[:, :INFLUENCES]
    weights = np.take_along_axis(dense, joints, axis=1)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.where(weights > 0.0, joints, 0).astype(np.uint8), weights.astype(np.float32)
