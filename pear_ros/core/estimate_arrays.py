# SPDX-License-Identifier: Apache-2.0
"""The arrays that people consist of, for messages, files and exports, which are made of them.

Imports nothing, so that `pear run --help` and `pear export --help` can list them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class ArrayField(NamedTuple):
    """A field of pear_ros.core.people.Estimate that is one number or one array of numbers."""

    shape: tuple[int, ...]
    """Shape of one person's value; () for a number."""
    meaning: str
    """What the numbers are, and their unit."""

    def described(self, rows: str) -> str:
        """Return shape and meaning of the field where the first axis is `rows` of people."""
        axes = ", ".join([rows, *map(str, self.shape)])
        return f"({axes}{'' if self.shape else ','}) {self.meaning}"


ESTIMATE_ARRAYS: Mapping[str, ArrayField] = {
    "score": ArrayField((), "confidence that this is a person, 0 to 1"),
    "joints": ArrayField((55, 3), "SMPL-X joints in the camera's optical frame, metres"),
    "joint_confidence": ArrayField((55,), "0 to 1; near 0: not seen; NaN: not estimated"),
    "keypoints": ArrayField((55, 2), "the joints in the image, pixels"),
    "depth_error": ArrayField((), "standard deviation of the distance, metres; NaN: unknown"),
    "foot_contact": ArrayField(
        (4,), "probability of contact: left heel, toes, right heel, toes; NaN: unknown"
    ),
}
"""Fields that Estimate, pear_msgs/Human, the file of `pear run` and exports have under the same
name, in float32."""

ARRAYS_SINCE_0_2 = frozenset({"depth_error", "foot_contact"})
"""Those that bags and files of version 0.1 lack, where they are unknown."""

POSE_FIELDS: Mapping[str, slice] = {
    "global_orient": slice(0, 1),
    "body_pose": slice(1, 22),
    "jaw_pose": slice(22, 23),
    "leye_pose": slice(23, 24),
    "reye_pose": slice(24, 25),
    "left_hand_pose": slice(25, 40),
    "right_hand_pose": slice(40, 55),
}
"""Fields of pear_msgs/SmplxParams that together are SmplxParams.pose, with the joints of each."""
