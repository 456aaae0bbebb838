# SPDX-License-Identifier: Apache-2.0
"""Which joint of a body, and which landmark, each labelled keypoint is: the only place for it.

Orders: COCO's 17 keypoints (Lin et al., ECCV 2014) and the hands of COCO-WholeBody (Jin et al.,
ECCV 2020). COCO's labels of nose, eyes and ears lie on the head's surface; SMPL-X has eyeballs for
joints, and nose and ears are placed on the head by them (pear_ros.hri.skeleton). Labels of hips are
more to the side than the joints of a body are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import SMPLX_JOINT_NAMES, Person
from pear_ros.hri.skeleton import HEAD_POINTS, head_points
from pear_ros.landmarks.topology import Pose

COCO_KEYPOINTS = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    *(
        f"{side}_{joint}"
        for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in ("left", "right")
    ),
)
"""Names of the 17 keypoints in COCO's order."""

COCO_SIGMAS = (
    np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89], float) / 1000.0
)
"""(17,) standard deviation of annotators over the root of a person's area, of COCO's evaluation."""

BODY_12 = COCO_KEYPOINTS[5:]
"""The 12 joints that labels, bodies and landmarks have in common."""

_EYES = {"left_eye": "left_eye_smplhf", "right_eye": "right_eye_smplhf"}
_JOINT_OF = {
    COCO_KEYPOINTS.index(name): SMPLX_JOINT_NAMES.index(_EYES.get(name, name))
    for name in COCO_KEYPOINTS
    if _EYES.get(name, name) in SMPLX_JOINT_NAMES
}
_ON_HEAD = [COCO_KEYPOINTS.index(name) for name in HEAD_POINTS]

COCO_OF_POSE = [Pose[name.upper()].value for name in COCO_KEYPOINTS]
"""For each of COCO's keypoints the index of BlazePose's landmark."""

# A hand in COCO-WholeBody: the wrist, then four points of thumb, index, middle, ring and little
# finger, of which the first three are joints of SMPL-X and the fourth is the tip.
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
HAND_JOINTS: dict[int, int] = {
    21 * hand + index: SMPLX_JOINT_NAMES.index(name)
    for hand, side in enumerate(("left", "right"))
    for index, name in [
        (0, f"{side}_wrist"),
        *(
            (1 + 4 * number + phalanx, f"{side}_{finger}{phalanx + 1}")
            for number, finger in enumerate(_FINGERS)
            for phalanx in range(3)
        ),
    ]
}
"""Index among the 42 keypoints of both hands: index of the joint; tips are no joints."""


def smplx_indices(names: Sequence[str]) -> list[int]:
    """Return the indices of SMPL-X joints by name."""
    return [SMPLX_JOINT_NAMES.index(name) for name in names]


def coco_joints(person: Person) -> npt.NDArray[np.float64]:
    """Return COCO's keypoints (17, 3) of a person's body, metres, in the optical frame."""
    points = np.full((17, 3), np.nan)
    points[list(_JOINT_OF)] = person.joints[list(_JOINT_OF.values())]
    points[_ON_HEAD] = head_points(person.smplx.pose[None], person.joints[None])[0]
    return points


def coco_confidence(person: Person) -> npt.NDArray[np.float64]:
    """Return the confidences (17,) of COCO's keypoints: those of their joints, or of the head."""
    confidence = np.full(17, float(person.joint_confidence[SMPLX_JOINT_NAMES.index("head")]))
    confidence[list(_JOINT_OF)] = person.joint_confidence[list(_JOINT_OF.values())]
    return confidence


def hand_keypoints(person: Person) -> npt.NDArray[np.float64]:
    """Return the keypoints (42, 2) of both hands, pixels; NaN for the tips of fingers."""
    points = np.full((42, 2), np.nan)
    points[list(HAND_JOINTS)] = person.keypoints[list(HAND_JOINTS.values())]
    return points
