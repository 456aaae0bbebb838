# SPDX-License-Identifier: Apache-2.0
"""Frames of people as a serialised tf2_msgs/TFMessage, without a Python object for each joint.

`body_<id>` (REP-155) is a child of the image's frame. `body_<id>_<joint>` is a child of the frame
of its parent joint, so that tools for /tf show a skeleton and rotations are those of SMPL-X.
The frames are those of pear_ros.body.joint_frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rclpy.qos import QoSProfile

from pear_ros.body.joint_frames import Float64
from pear_ros.ros.conversion.cdr import CdrWriter, MessageTemplate, number_indices

TRANSFORMS_QOS = QoSProfile(depth=100)
"""QoS of /tf, that of tf2_ros."""


def frame_names(track_id: str, joint_names: Sequence[str]) -> list[str]:
    """Return the names of a person's frames; the first of `joint_names` is the root, body_<id>."""
    body = f"body_{track_id}"
    return [body, *(f"{body}_{name}" for name in joint_names[1:])]


class TransformMessages:
    """Serialise the frames of people with one body model; not thread-safe."""

    def __init__(self, joint_names: Sequence[str], parents: npt.NDArray[np.integer]) -> None:
        """Take the `joint_names` (J) of the body model and the index of each parent (J,)."""
        self._names = list(joint_names)
        self._parents = np.asarray(parents)
        self._key: tuple[str, tuple[str, ...], int] | None = None
        self._template: MessageTemplate
        self._stamps: npt.NDArray[np.intp]
        self._numbers: npt.NDArray[np.intp]

    def serialize(
        self, frame_id: str, stamp: tuple[int, int], ids: Sequence[str], frames: Float64
    ) -> bytes:
        """Return the TFMessage of `frames` (N, J, 7), one row for each of `ids` (N).

        `frames`: position in metres and quaternion x y z w of each joint in the frame of its
        parent, as JointFrames returns them, or J = 1 for the roots only. `frame_id` and `stamp`
        (seconds, nanoseconds): those of the image.
        """
        count = frames.shape[1]
        key = (frame_id, tuple(ids), count)
        if key != self._key:
            self._lay_out(frame_id, ids, count)
            self._key = key
        self._template.int32[self._stamps] = stamp
        self._template.float64[self._numbers] = frames.reshape(-1, 7)
        return self._template.tobytes()

    def _lay_out(self, frame_id: str, ids: Sequence[str], count: int) -> None:
        writer = CdrWriter()
        stamps: list[int] = []
        numbers: list[int] = []
        writer.write("I", len(ids) * count)
        for track_id in ids:
            names = frame_names(track_id, self._names[:count])
            for name, parent in zip(names, self._parents, strict=False):
                writer.align(4)
                stamps.append(writer.reserve(8))
                writer.string(names[parent] if parent >= 0 else frame_id)
                writer.string(name)
                writer.align(8)
                numbers.append(writer.reserve(56))
        self._template = MessageTemplate(writer)
        self._stamps = number_indices(stamps, 2, 4)
        self._numbers = number_indices(numbers, 7, 8)
