# SPDX-License-Identifier: Apache-2.0
"""COCO's keypoints of a body: labels name points on the skin, which are no joints of SMPL-X.

Labelled hips and shoulders are higher than the joints; nose, eyes and ears lie on the face. As
SMPL's regressors of COCO's keypoints (Loper et al., SIGGRAPH Asia 2015; Bogo et al., ECCV 2016) do,
each keypoint is placed on the body, here by an offset from one joint along its axes, in proportion
to the body's size. The offsets are those of BlazePose's landmarks of the same name
(pear_ros.fitting.landmark_places). They come from renders and, for faces, shoulders and hips, from
photographs, not from labels. Any body in SMPL-X's layout has keypoints by them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from pear_ros.body import load_open_body
from pear_ros.body.kinematics import JointTree, rotation_matrices
from pear_ros.core.people import Estimate
from pear_ros.evaluation.keypoint_names import COCO_OF_POSE
from pear_ros.fitting.landmark_places import landmark_points
from pear_ros.fitting.pose_prior import PosePrior
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS, Skeleton

ABOUT = (
    "COCO's keypoints of a body: the places on it of BlazePose's landmarks of the same names, in "
    "proportion to its size; from renders and photographs, not from labels"
)
"""What a report says of the keypoints."""


class _Regressor:
    """Places COCO's keypoints on bodies."""

    def __init__(self) -> None:
        points = landmark_points(PosePrior())
        skeleton = Skeleton(load_open_body())
        self._joint = points.joint[COCO_OF_POSE]  # (17,)
        self._offset = points.offset[COCO_OF_POSE]  # (17, 3)
        self._parents = skeleton.parents[1:]
        self._tree = JointTree(skeleton.parents)
        self._size = float(np.linalg.norm(skeleton.bones[1:], axis=1).sum())

    def __call__(self, person: Estimate) -> npt.NDArray[np.float64]:
        """Return the keypoints (17, 3), metres, in the optical frame."""
        position = person.joints[:NUM_BODY_JOINTS].astype(np.float64)
        bones = position[1:] - position[self._parents]
        scale = float(np.linalg.norm(bones, axis=1).sum()) / self._size
        orientation = self._tree.orientations(
            rotation_matrices(person.smplx.pose[:NUM_BODY_JOINTS])
        )
        turned = orientation[self._joint] @ self._offset[..., None]
        keypoints: npt.NDArray[np.float64] = position[self._joint] + scale * turned[..., 0]
        return keypoints


def coco_joints(person: Estimate) -> npt.NDArray[np.float64]:
    """Return COCO's keypoints (17, 3) of a person's body, metres, in the optical frame."""
    return _regressor()(person)


@cache
def _regressor() -> _Regressor:
    return _Regressor()
