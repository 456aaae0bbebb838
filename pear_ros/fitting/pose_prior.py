# SPDX-License-Identifier: Apache-2.0
"""What a body probably does, given its landmarks: the learned start of the fit.

A small multilayer perceptron, trained on renders of the open body (tools/train_pose_prior.py), maps
the 33 body landmarks to joint rotations, shape and the error to expect at each joint.
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
    """For each name its index with left and right swapped."""
    swap = {"left": "right", "right": "left"}
    return [names.index("_".join(swap.get(p, p) for p in name.split("_"))) for name in names]


OTHER_SIDE_JOINT = _other_side(SMPLX_JOINT_NAMES[:NUM_BODY_JOINTS])
_OTHER_SIDE_LANDMARK = _other_side([landmark.name.lower() for landmark in Pose])
_FLIP = np.array([-1.0, 1.0, 1.0], np.float32)
_NEAR_FAR = np.array([1.0, 1.0, -1.0], np.float32)

PRIOR_FILE = Path(__file__).with_name("pose_prior.npz")


@dataclass(frozen=True)
class ProbableBody:
    """The learned guess."""

    rotations: Array
    """(22, 3, 3) relative to the parent; the first turns body axes into the optical frame."""
    betas: Array
    """(num_betas,)"""
    joint_error: Array
    """(22,) expected error (standard deviation per axis) of each joint relative to the pelvis."""


class PosePrior:
    """The trained network and the landmark calibration that comes with it."""

    def __init__(self, path: Path = PRIOR_FILE) -> None:
        with np.load(path) as data:
            self._mean = data["input_mean"].astype(np.float32)
            self._scale = data["input_scale"].astype(np.float32)
            layers = int(data["layers"])
            self._layers = [
                (data[f"weight{i}"].astype(np.float32), data[f"bias{i}"].astype(np.float32))
                for i in range(layers)
            ]
            self.rotation_error: Array = data["rotation_error"].astype(np.float32)
            """(22,) typical error of each joint's rotation, radians per axis."""
            self.landmark_joint: npt.NDArray[np.intp] = data["landmark_joint"].astype(np.intp)
            """(33,) the joint that each landmark moves with."""
            self.landmark_offset: Array = data["landmark_offset"].astype(np.float32)
            """(33, 3) from that joint, along its axes, to where the landmark is seen on average."""
            self.landmark_error: Array = data["landmark_error"].astype(np.float32)
            """(33,) typical distance between the two, as a fraction of the region's side."""

    def __call__(
        self, pose: PoseLandmarks, camera: Camera, *, in_mirror: bool = False
    ) -> ProbableBody:
        """The probable body of a person with these landmarks, seen by this camera.

        `in_mirror`: guessed from the landmarks as in a mirror, and turned back: a second opinion.
        """
        value = prior_input(pose, camera)
        if in_mirror:
            value = mirrored_input(value[None])[0]
        value = (value - self._mean) / self._scale
        for number, (weight, bias) in enumerate(self._layers):
            value = value @ weight + bias
            if number + 1 < len(self._layers):
                value = np.maximum(value, 0.0)
        rotations = gram_schmidt(value[: 6 * NUM_BODY_JOINTS].reshape(NUM_BODY_JOINTS, 6))
        error = np.exp(value[6 * NUM_BODY_JOINTS : 7 * NUM_BODY_JOINTS])
        if in_mirror:
            rotations, error = mirrored_rotations(rotations), error[OTHER_SIDE_JOINT]
        rotations[0] = viewing_rotation(pose.roi, camera) @ rotations[0]
        return ProbableBody(rotations, value[7 * NUM_BODY_JOINTS :], error)


def prior_input(pose: PoseLandmarks, camera: Camera) -> Array:
    """(266,) the network's input: landmarks relative to their region, in 3D, and their visibility.

    Last comes the ray that the region is seen along: people mostly stand upright, and cameras are
    mostly held level.
    """
    roi = pose.roi
    centre = np.array([roi.x, roi.y, 0.0], np.float32)
    image = (pose.image - centre) / roi.size
    ray = [(roi.x - camera.cx) / camera.fx, (roi.y - camera.cy) / camera.fy]
    return np.concatenate(
        [image.ravel(), pose.world.ravel(), pose.visibility, pose.presence, ray]
    ).astype(np.float32)


def front_for_back(pose: PoseLandmarks) -> PoseLandmarks:
    """The other reading of the same picture: left and right, near and far change places."""
    return replace(
        pose,
        image=pose.image[_OTHER_SIDE_LANDMARK] * _NEAR_FAR,
        world=pose.world[_OTHER_SIDE_LANDMARK] * _NEAR_FAR,
        visibility=pose.visibility[_OTHER_SIDE_LANDMARK],
        presence=pose.presence[_OTHER_SIDE_LANDMARK],
    )


def mirrored_input(inputs: Array) -> Array:
    """(N, 266) the network's inputs of the same people seen in a mirror."""
    count, landmarks = len(inputs), len(_OTHER_SIDE_LANDMARK)
    points = inputs[:, : 6 * landmarks].reshape(count, 2, landmarks, 3)
    scores = inputs[:, 6 * landmarks : 8 * landmarks].reshape(count, 2, landmarks)
    return np.concatenate(
        [
            (points[:, :, _OTHER_SIDE_LANDMARK] * _FLIP).reshape(count, -1),
            scores[:, :, _OTHER_SIDE_LANDMARK].reshape(count, -1),
            inputs[:, 8 * landmarks :] * _FLIP[:2],
        ],
        axis=1,
    )


def mirrored_rotations(rotations: Array) -> Array:
    """(..., 22, 3, 3) the local rotations of the same bodies seen in a mirror."""
    return rotations[..., OTHER_SIDE_JOINT, :, :] * (_FLIP[:, None] * _FLIP)


def viewing_rotation(roi: Roi, camera: Camera) -> Array:
    """(3, 3) rotation from a camera that looks straight at a region to the real one.

    What a person looks like depends on the ray they are seen along, not on the optical axis.
    """
    ray = np.array([(roi.x - camera.cx) / camera.fx, (roi.y - camera.cy) / camera.fy, 1])
    x, y, z = ray / np.linalg.norm(ray)
    # The shortest rotation from the optical axis to the ray.
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
    """Rotation matrices (..., 3, 3) whose first two columns are nearest to `six` (..., 6).

    Zhou et al., On the Continuity of Rotation Representations in Neural Networks, CVPR 2019.
    """
    first = six[..., :3] / np.linalg.norm(six[..., :3], axis=-1, keepdims=True)
    along = (first * six[..., 3:]).sum(axis=-1, keepdims=True)
    second = six[..., 3:] - along * first
    second /= np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-1).astype(np.float32)


def confidence(error: Array, tolerance: float = 0.2) -> Array:
    """Probability that a joint lies within `tolerance` metres, for an error (sigma per axis)."""
    ratio = tolerance / np.maximum(error, 1e-6)
    # Maxwell distribution of a distance in 3D.
    erf = np.array([math.erf(value / math.sqrt(2)) for value in ratio])
    beyond = math.sqrt(2 / math.pi) * ratio * np.exp(-(ratio**2) / 2)
    return np.asarray(erf - beyond, np.float32)
