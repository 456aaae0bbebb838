# SPDX-License-Identifier: Apache-2.0
"""The frames of a camera without a driver: camera_link and its optical frame (REP-103)."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped
from std_msgs.msg import Header

OPTICAL_FRAME = "camera_optical_frame"
"""Name of the optical frame: x right, y down, z forward (REP-103)."""
LINK_FRAME = "camera_link"
"""Name of the optical frame's parent: x forward, y left, z up (REP-103)."""


def optical_transform(stamp: Time) -> TransformStamped:
    """Return the transform from LINK_FRAME to OPTICAL_FRAME at `stamp`."""
    return TransformStamped(
        header=Header(stamp=stamp, frame_id=LINK_FRAME),
        child_frame_id=OPTICAL_FRAME,
        transform=Transform(rotation=Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)),
    )
