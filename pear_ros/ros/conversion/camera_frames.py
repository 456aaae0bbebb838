# SPDX-License-Identifier: Apache-2.0
"""The frames of a camera without a driver: camera_link and its optical frame (REP-103)."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped
from std_msgs.msg import Header

OPTICAL_FRAME = "camera_optical_frame"
"""x right, y down, z forward."""
LINK_FRAME = "camera_link"
"""x forward, y left, z up; parent of the optical frame."""


def optical_transform(stamp: Time) -> TransformStamped:
    """Return the transform from LINK_FRAME to OPTICAL_FRAME at `stamp`."""
    return TransformStamped(
        header=Header(stamp=stamp, frame_id=LINK_FRAME),
        child_frame_id=OPTICAL_FRAME,
        transform=Transform(rotation=Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)),
    )
