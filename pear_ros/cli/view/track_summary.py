# SPDX-License-Identifier: Apache-2.0
"""What the viewer's plots show of a track."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Array
from pear_ros.hri.joint_angles import ANGLES, complete, joint_angles
from pear_ros.viewing.moment import TrackSummary


def track_summary(frames: npt.NDArray[np.int64], pose: Array, joints: Array) -> TrackSummary:
    """Return the summary of a person in T images.

    `frames`: (T,) indices of the images; `pose` (T, 55, 3) axis-angle; `joints` (T, 55, 3), metres.
    """
    known = complete(pose, joints)
    angles = np.full((len(frames), len(ANGLES)), np.nan, np.float32)
    angles[known] = joint_angles(pose[known], joints[known])
    return TrackSummary(frames, joints[:, 0].copy(), angles)
