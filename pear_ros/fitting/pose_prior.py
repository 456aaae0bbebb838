# SPDX-License-Identifier: Apache-2.0
"""Pose prior: a residual network from body landmarks to the start of the fit and its precision.

It maps the 33 body landmarks to joint rotations and shape, and to the expected errors of each
joint's position and rotation (heteroscedastic regression, Kendall and Gal, NeurIPS 2017). Trained
on poses of the open body and on the errors that landmarks have on renders of it
(tools/train_pose_prior.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.mirroring import FLIP_X, OTHER_SIDE_JOINT, mirrored_rotations, other_side
from pear_ros.core.people import Array
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import PoseLandmarks

_OTHER_SIDE_JOINT = OTHER_SIDE_JOINT[:NUM_BODY_JOINTS]
_OTHER_SIDE_LANDMARK = other_side([landmark.name.lower() for landmark in Pose])
_FLIP_VIEW = np.array([-1.0, 1.0, -1.0, 1.0, 1.0], np.float32)
_FLIP_DEPTH = np.array([1.0, 1.0, -1.0], np.float32)

INPUT_LIMIT = 6.0
"""Inputs are limited to so many standard deviations."""
LOG_JOINT_ERROR = (-6.0, 1.0)
"""Range of the predicted log of a joint's position error, metres."""
LOG_ROTATION_ERROR = (-5.0, 1.5)
"""Range of the predicted log of a joint's rotation error, radians."""
_SPLIT = (6 * NUM_BODY_JOINTS, 7 * NUM_BODY_JOINTS, 8 * NUM_BODY_JOINTS)
"""Where rotations, both log errors and betas part in the network's output."""

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
    rotation_error: Array
    """(22,) standard deviation of each joint's rotation, radians per axis."""


class PosePrior:
    """The trained network and the calibration of the landmarks that comes with it."""

    def __init__(self, path: Path = PRIOR_FILE) -> None:
        """Load the weights."""
        with np.load(path) as data:
            self._mean = data["input_mean"].astype(np.float32)
            self._scale = data["input_scale"].astype(np.float32)
            self._first, self._last = _linear(data, "first"), _linear(data, "last")
            self._blocks = [
                (_linear(data, f"block{number}_in"), _linear(data, f"block{number}_out"))
                for number in range(int(data["blocks"]))
            ]
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
        six, log_joint, log_rotation, betas = np.split(self._network(value), _SPLIT)
        rotations = gram_schmidt(six.reshape(NUM_BODY_JOINTS, 6))
        joint_error = np.exp(np.clip(log_joint, *LOG_JOINT_ERROR))
        rotation_error = np.exp(np.clip(log_rotation, *LOG_ROTATION_ERROR))
        if mirrored:
            rotations = mirrored_rotations(rotations)
            joint_error = joint_error[_OTHER_SIDE_JOINT]
            rotation_error = rotation_error[_OTHER_SIDE_JOINT]
        rotations[0] = upright_rotation(pose.roi, camera) @ rotations[0]
        return Proposal(rotations, betas, joint_error, rotation_error)

    def _network(self, inputs: Array) -> Array:
        """Return the network's output (8 * 22 + num_betas,) for an input (269,)."""
        x = np.clip((inputs - self._mean) / self._scale, -INPUT_LIMIT, INPUT_LIMIT)
        x = np.maximum(_apply(self._first, x), 0.0)
        for into, out_of in self._blocks:
            x = np.maximum(x + _apply(out_of, np.maximum(_apply(into, x), 0.0)), 0.0)
        return _apply(self._last, x)


def _linear(data: Mapping[str, npt.NDArray[np.generic]], name: str) -> tuple[Array, Array]:
    """Return weight (inputs, outputs) and bias (outputs,) of a layer, in single precision."""
    return data[f"{name}_weight"].astype(np.float32), data[f"{name}_bias"].astype(np.float32)


def _apply(layer: tuple[Array, Array], x: Array) -> Array:
    """Return the output of a linear layer."""
    weight, bias = layer
    return x @ weight + bias


def prior_input(pose: PoseLandmarks, camera: Camera) -> Array:
    """Return the network's input (269,): landmarks in the image and in 3D, scores, the view.

    Coordinates are along the region's axes, in which people are upright, those in the image
    relative to the region's centre and over its side. The view is how the region is turned (sine
    and cosine), the ray to it along its axes, and its side over the focal length: because people
    mostly stand upright, cameras are mostly level, and near ones show more perspective.
    """
    roi, along = pose.roi, _roi_axes(pose.roi)
    centre = np.array([roi.x, roi.y, 0.0], np.float32)
    image = (pose.image - centre) / roi.size @ along
    ray = np.array([(roi.x - camera.cx) / camera.fx, (roi.y - camera.cy) / camera.fy, 0.0]) @ along
    view = [np.sin(roi.angle), np.cos(roi.angle), ray[0], ray[1], roi.size / camera.fx]
    world: Array = pose.world @ along
    return np.concatenate(
        [image.ravel(), world.ravel(), pose.visibility, pose.presence, view]
    ).astype(np.float32)


def upright_rotation(roi: Roi, camera: Camera) -> Array:
    """Return the rotation (3, 3) to `camera` from a virtual one that sees a region upright.

    The virtual camera looks at the region's centre and is turned as the region is.
    """
    return viewing_rotation(roi, camera) @ _roi_axes(roi)


def _roi_axes(roi: Roi) -> Array:
    """Return the rotation (3, 3) about the optical axis from a region's axes to the image's."""
    axes = np.eye(3, dtype=np.float32)
    axes[:2, :2] = roi.rotation()
    return axes


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
    """Return the network's inputs (N, 269) for the mirrored people."""
    count, landmarks = len(inputs), len(_OTHER_SIDE_LANDMARK)
    points = inputs[:, : 6 * landmarks].reshape(count, 2, landmarks, 3)
    scores = inputs[:, 6 * landmarks : 8 * landmarks].reshape(count, 2, landmarks)
    return np.concatenate(
        [
            (points[:, :, _OTHER_SIDE_LANDMARK] * FLIP_X).reshape(count, -1),
            scores[:, :, _OTHER_SIDE_LANDMARK].reshape(count, -1),
            inputs[:, 8 * landmarks :] * _FLIP_VIEW,
        ],
        axis=1,
    )


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
