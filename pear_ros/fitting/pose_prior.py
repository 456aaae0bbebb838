# SPDX-License-Identifier: Apache-2.0
"""Pose prior: a multilayer perceptron from body landmarks to the start of the fit.

Trained on renders of the open body (tools/train_pose_prior.py), it maps the 33 body landmarks to
joint rotations, shape and the expected error of each joint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import PoseLandmarks


def _other_side(names: Sequence[str]) -> list[int]:
    """Return for each name the index of the one with left and right swapped."""
    swap = {"left": "right", "right": "left"}
    return [names.index("_".join(swap.get(p, p) for p in name.split("_"))) for name in names]


OTHER_SIDE_JOINT = _other_side(SMPLX_JOINT_NAMES[:NUM_BODY_JOINTS])
"""Index of each body joint's counterpart on the other side."""
_OTHER_SIDE_LANDMARK = _other_side([landmark.name.lower() for landmark in Pose])
_FLIP_X = np.array([-1.0, 1.0, 1.0], np.float32)
_FLIP_DEPTH = np.array([1.0, 1.0, -1.0], np.float32)

PRIOR_FILE = Path(__file__).with_name("pose_prior.npz")


@dataclass(frozen=True)
class Proposal:
    """The body that the prior predicts."""

    rotations: Array
    """(22, 3, 3) relative to the parent; the first turns body axes into the optical frame."""
    betas: Array
    """(num_betas,) shape coefficients."""
    joint_error: Array
    """(22,) standard deviation per axis of each joint's position relative to the pelvis, metres."""


class PosePrior:
    """The trained network and the calibration of the landmarks that comes with it."""

    def __init__(self, path: Path = PRIOR_FILE) -> None:
        """Load the weights."""
        with np.load(path) as data:
            self._mean = data["input_mean"].astype(np.float32)
            self._scale = data["input_scale"].astype(np.float32)
            layers = int(data["layers"])
            self._layers = [
                (data[f"weight{i}"].astype(np.float32), data[f"bias{i}"].astype(np.float32))
                for i in range(layers)
            ]
            self.rotation_error: Array = data["rotation_error"].astype(np.float32)
            """(22,) standard deviation of each joint's rotation, radians per axis."""
            self.landmark_joint: npt.NDArray[np.intp] = data["landmark_joint"].astype(np.intp)
            """(33,) the joint that each landmark moves with."""
            self.landmark_offset: Array = data["landmark_offset"].astype(np.float32)
            """(33, 3) mean offset of the landmark from the joint, along its axes, metres."""
            self.landmark_error: Array = data["landmark_error"].astype(np.float32)
            """(33,) standard deviation of the landmark, as a share of the region's side."""

    def __call__(self, pose: PoseLandmarks, camera: Camera, *, mirrored: bool = False) -> Proposal:
        """Predict the body of a person with these landmarks in an image of the pinhole `camera`.

        `mirrored`: predict from the mirrored landmarks and mirror the result back.
        """
        value = prior_input(pose, camera)
        if mirrored:
            value = mirrored_input(value[None])[0]
        value = (value - self._mean) / self._scale
        for number, (weight, bias) in enumerate(self._layers):
            value = value @ weight + bias
            if number + 1 < len(self._layers):
                value = np.maximum(value, 0.0)
        rotations = gram_schmidt(value[: 6 * NUM_BODY_JOINTS].reshape(NUM_BODY_JOINTS, 6))
        error = np.exp(value[6 * NUM_BODY_JOINTS : 7 * NUM_BODY_JOINTS])
        if mirrored:
            rotations, error = mirrored_rotations(rotations), error[OTHER_SIDE_JOINT]
        rotations[0] = viewing_rotation(pose.roi, camera) @ rotations[0]
        return Proposal(rotations, value[7 * NUM_BODY_JOINTS :], error)


def prior_input(pose: PoseLandmarks, camera: Camera) -> Array:
    """Return the network's input (266,): landmarks in the image and in 3D, visibility, view ray.

    Image landmarks are relative to their region's centre, over its side. The ray to the region is
    there because people mostly stand upright and cameras are mostly level.
    """
    roi = pose.roi
    centre = np.array([roi.x, roi.y, 0.0], np.float32)
    image = (pose.image - centre) / roi.size
    ray = [(roi.x - camera.cx) / camera.fx, (roi.y - camera.cy) / camera.fy]
    return np.concatenate(
        [image.ravel(), pose.world.ravel(), pose.visibility, pose.presence, ray]
    ).astype(np.float32)


def front_back_swapped(pose: PoseLandmarks) -> PoseLandmarks:
    """Return the landmarks with left and right, near and far swapped.

    Both readings of a body look the same in an image without perspective.
    """
    return replace(
        pose,
        image=pose.image[_OTHER_SIDE_LANDMARK] * _FLIP_DEPTH,
        world=pose.world[_OTHER_SIDE_LANDMARK] * _FLIP_DEPTH,
        visibility=pose.visibility[_OTHER_SIDE_LANDMARK],
        presence=pose.presence[_OTHER_SIDE_LANDMARK],
    )


def mirrored_input(inputs: Array) -> Array:
    """Return the network's inputs (N, 266) for the mirrored people."""
    count, landmarks = len(inputs), len(_OTHER_SIDE_LANDMARK)
    points = inputs[:, : 6 * landmarks].reshape(count, 2, landmarks, 3)
    scores = inputs[:, 6 * landmarks : 8 * landmarks].reshape(count, 2, landmarks)
    return np.concatenate(
        [
            (points[:, :, _OTHER_SIDE_LANDMARK] * _FLIP_X).reshape(count, -1),
            scores[:, :, _OTHER_SIDE_LANDMARK].reshape(count, -1),
            inputs[:, 8 * landmarks :] * _FLIP_X[:2],
        ],
        axis=1,
    )


def mirrored_rotations(rotations: Array) -> Array:
    """Return the rotations (..., 22, 3, 3), relative to the parents, of the mirrored bodies."""
    return rotations[..., OTHER_SIDE_JOINT, :, :] * (_FLIP_X[:, None] * _FLIP_X)


def viewing_rotation(roi: Roi, camera: Camera) -> Array:
    """Return the rotation (3, 3) from a virtual camera that looks at a region's centre to `camera`.

    A person's appearance depends on the ray to them, not on the optical axis. It is the shortest
    rotation from the optical axis (0, 0, 1) to the ray.
    """
    ray = np.array([(roi.x - camera.cx) / camera.fx, (roi.y - camera.cy) / camera.fy, 1])
    x, y, z = ray / np.linalg.norm(ray)
    share = 1.0 / (1.0 + z)
    return np.array(
        [
            [1.0 - x * x * share, -x * y * share, x],
            [-x * y * share, 1.0 - y * y * share, y],
            [-x, -y, z],
        ],
        np.float32,
    )


def gram_schmidt(six: Array) -> Array:
    """Return rotation matrices (..., 3, 3) of the 6D representation (..., 6).

    Zhou et al., On the Continuity of Rotation Representations in Neural Networks, CVPR 2019.
    """
    first = six[..., :3] / np.linalg.norm(six[..., :3], axis=-1, keepdims=True)
    along = (first * six[..., 3:]).sum(axis=-1, keepdims=True)
    second = six[..., 3:] - along * first
    second /= np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-1).astype(np.float32)


def confidence(error: Array, tolerance: float = 0.2) -> Array:
    """Return the probability (N,) that a joint's position is off by less than `tolerance` metres.

    `error` (N,): its standard deviation per axis, metres; the distance is Maxwell distributed.
    """
    ratio = tolerance / np.maximum(error, 1e-6)
    erf = np.array([math.erf(value / math.sqrt(2)) for value in ratio])
    beyond = math.sqrt(2 / math.pi) * ratio * np.exp(-(ratio**2) / 2)
    return np.asarray(erf - beyond, np.float32)
