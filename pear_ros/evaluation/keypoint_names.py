# SPDX-License-Identifier: Apache-2.0
"""Names and orders of labelled keypoints, and the landmarks and joints that they are.

Orders: COCO's 17 keypoints (Lin et al., ECCV 2014) and the hands of COCO-WholeBody (Jin et al.,
ECCV 2020). Where COCO's keypoints are on a body: pear_ros.evaluation.coco_regressor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import SMPLX_JOINT_NAMES, Person
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
"""Those of COCO's keypoints that are joints of the trunk and the limbs."""

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


def hand_keypoints(person: Person) -> npt.NDArray[np.float64]:
    """Return the keypoints (42, 2) of both hands, pixels; NaN for the tips of fingers."""
    points = np.full((42, 2), np.nan)
    points[list(HAND_JOINTS)] = person.keypoints[list(HAND_JOINTS.values())]
    return points
