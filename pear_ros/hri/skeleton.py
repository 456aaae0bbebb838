# SPDX-License-Identifier: Apache-2.0
"""The 18 points of a body in the image that REP-155's tools know (hri_msgs/Skeleton2D).

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
"""In the order of hri_msgs/Skeleton2D."""

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

# Nose, left and right ear from midway between the eyeballs, in units of the eyeballs' distance, in
# the head's axes (x out of the face, y left, z up): read off the open body's mean head.
_ON_HEAD = np.array([[0.72, 0.0, -0.66], [-1.3, 1.3, -0.1], [-1.3, -1.3, -0.1]])
_OF_HEAD = [POINTS.index(name) for name in ("nose", "left_ear", "right_ear")]


class Picture(NamedTuple):
    """The image that people are in, as in pear_ros.core.camera.Camera."""

    width: int
    height: int
    fx: float
    fy: float


def skeletons(
    picture: Picture, poses: Array, joints: Array, keypoints: Array, confidence: Array
) -> Array:
    """(N, 18, 3) x and y over the image's size, 0 to 1 from its upper left corner; confidence.

    `poses` (N, J, 3), `joints` (N, 55, 3), `keypoints` (N, 55, 2) and `confidence` (N, 55) as in
    pear_ros.core.people.Person. What is not in the image is put on its border, what is not known
    into its corner, both with confidence 0: coordinates outside 0 to 1 are not allowed.
    """
    pixels = np.full((len(poses), len(POINTS), 2), np.nan)
    sure = np.zeros((len(poses), len(POINTS)))
    pixels[:, _OF_JOINTS] = keypoints[:, _FROM_JOINTS]
    sure[:, _OF_JOINTS] = confidence[:, _FROM_JOINTS]
    neck = POINTS.index("neck")
    pixels[:, neck] = keypoints[:, _SHOULDERS].mean(axis=1)
    sure[:, neck] = confidence[:, _SHOULDERS].min(axis=1)
    pixels[:, _OF_HEAD] = _on_head(picture, poses, joints, keypoints)
    sure[:, _OF_HEAD] = confidence[:, [*_EYES, _HEAD]].min(axis=1)[:, None]

    # Integer pixel coordinates are pixel centres, but 0 to 1 counts from edge to edge.
    places = (pixels + 0.5) / (picture.width, picture.height)
    inside = ((places >= 0.0) & (places <= 1.0)).all(axis=-1)  # False for NaN
    places = np.nan_to_num(np.clip(places, 0.0, 1.0))
    known = np.where(inside, np.clip(np.nan_to_num(sure), 0.0, 1.0), 0.0)
    points: Array = np.concatenate([places, known[..., None]], axis=-1).astype(np.float32)
    return points


def _on_head(
    picture: Picture, poses: Array, joints: Array, keypoints: Array
) -> npt.NDArray[np.float64]:
    """(N, 3, 2) pixels of the points _ON_HEAD.

    Seen from the eyes' own pixels on, so that the lens plays no part.
    """
    eyes = joints[:, _EYES].astype(np.float64)
    middle = eyes.mean(axis=1)
    size = np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=1)
    head = orientations(poses, in_camera=True)[:, _HEAD]
    points = middle[:, None] + size[:, None, None] * np.einsum("nab,pb->npa", head, _ON_HEAD)
    ahead = np.where(points[..., 2:] > 0.0, points[..., 2:], np.nan)
    moved = points[..., :2] / ahead - (middle[:, :2] / middle[:, 2:])[:, None]
    pixels: npt.NDArray[np.float64] = keypoints[:, _EYES].mean(axis=1)[:, None] + moved * (
        picture.fx,
        picture.fy,
    )
    return pixels
