# SPDX-License-Identifier: Apache-2.0
"""The 18 points of REP-155's 2D skeleton in the image (hri_msgs/Skeleton2D).

Nose, eyes and ears are not all SMPL-X joints: nose and ears are placed on the head by its eyes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import SMPLX_JOINT_NAMES, Array
from pear_ros.hri.joint_angles import orientations

POINTS = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist"),
    *("left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle"),
    *("left_hip", "left_knee", "left_ankle", "left_eye", "right_eye", "left_ear", "right_ear"),
)
"""Names of the points, in the order of hri_msgs/Skeleton2D."""

_EYES = [23, 24]
_SHOULDERS = [16, 17]
_HEAD = 15
_JOINTS = {
    "left_eye": _EYES[0],
    "right_eye": _EYES[1],
    **{name: index for index, name in enumerate(SMPLX_JOINT_NAMES) if name in POINTS},
}
_OF_JOINTS = [POINTS.index(name) for name in _JOINTS]
_FROM_JOINTS = list(_JOINTS.values())

# Nose, left and right ear relative to the middle of the eyeballs, over the eyeballs' distance, in
# the head's axes (x out of the face, y left, z up), as on the open body's mean head.
_ON_HEAD = np.array([[0.72, 0.0, -0.66], [-1.3, 1.3, -0.1], [-1.3, -1.3, -0.1]])
HEAD_POINTS = ("nose", "left_ear", "right_ear")
"""Names of the points that are placed on the head by its eyes."""
_OF_HEAD = [POINTS.index(name) for name in HEAD_POINTS]


class ImageGeometry(NamedTuple):
    """Size and focal lengths of the image, pixels."""

    width: int
    height: int
    fx: float
    fy: float


def skeletons(
    image: ImageGeometry, poses: Array, joints: Array, keypoints: Array, confidence: Array
) -> Array:
    """Return the points (N, 18, 3): x and y over the image's size, from its upper left; confidence.

    `poses` (N, J, 3) axis-angle, `joints` (N, 55, 3) metres in the optical frame, `keypoints`
    (N, 55, 2) pixels and `confidence` (N, 55) of the joints. hri_msgs allows coordinates from 0 to
    1 alone: points outside the image are clipped to its border, unknown ones are in its corner,
    both with confidence 0.
    """
    pixels = np.full((len(poses), len(POINTS), 2), np.nan)
    sure = np.zeros((len(poses), len(POINTS)))
    pixels[:, _OF_JOINTS] = keypoints[:, _FROM_JOINTS]
    sure[:, _OF_JOINTS] = confidence[:, _FROM_JOINTS]
    neck = POINTS.index("neck")
    pixels[:, neck] = keypoints[:, _SHOULDERS].mean(axis=1)
    sure[:, neck] = confidence[:, _SHOULDERS].min(axis=1)
    pixels[:, _OF_HEAD] = _on_head(image, poses, joints, keypoints)
    sure[:, _OF_HEAD] = confidence[:, [*_EYES, _HEAD]].min(axis=1)[:, None]

    # Whole pixel coordinates are pixel centres, but 0 to 1 counts from edge to edge.
    places = (pixels + 0.5) / (image.width, image.height)
    inside = ((places >= 0.0) & (places <= 1.0)).all(axis=-1)  # False for NaN
    places = np.nan_to_num(np.clip(places, 0.0, 1.0))
    known = np.where(inside, np.clip(np.nan_to_num(sure), 0.0, 1.0), 0.0)
    points: Array = np.concatenate([places, known[..., None]], axis=-1).astype(np.float32)
    return points


def head_points(poses: Array, joints: Array) -> npt.NDArray[np.float64]:
    """Return HEAD_POINTS (N, 3, 3), metres, in the optical frame.

    `poses` (N, J, 3) axis-angle and `joints` (N, 55, 3), metres, of N people in that frame.
    """
    eyes = joints[:, _EYES].astype(np.float64)
    size = np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=1)
    head = orientations(poses, in_camera=True)[:, _HEAD]
    offsets = np.einsum("nab,pb->npa", head, _ON_HEAD)
    points: npt.NDArray[np.float64] = eyes.mean(axis=1)[:, None] + size[:, None, None] * offsets
    return points


def _on_head(
    image: ImageGeometry, poses: Array, joints: Array, keypoints: Array
) -> npt.NDArray[np.float64]:
    """Return the pixels (N, 3, 2) of HEAD_POINTS.

    Computed as offsets from the eyes' keypoints, so that lens distortion hardly matters.
    """
    middle = joints[:, _EYES].astype(np.float64).mean(axis=1)
    points = head_points(poses, joints)
    ahead = np.where(points[..., 2:] > 0.0, points[..., 2:], np.nan)
    moved = points[..., :2] / ahead - (middle[:, :2] / middle[:, 2:])[:, None]
    pixels: npt.NDArray[np.float64] = keypoints[:, _EYES].mean(axis=1)[:, None] + moved * (
        image.fx,
        image.fy,
    )
    return pixels
