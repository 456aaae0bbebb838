# SPDX-License-Identifier: Apache-2.0
"""Joints of all people as one serialised sensor_msgs/MultiDOFJointState.

Names and transforms are those of the frames on /tf: `body_<id>` is the body in header.frame_id,
`body_<id>_<joint>` a joint in the frame of its parent (pear_ros.body.joint_frames).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pear_ros.body.joint_frames import Float64
from pear_ros.ros.conversion.cdr import CdrWriter, MessageTemplate, number_indices
from pear_ros.ros.conversion.transforms import frame_names


class JointStateMessages:
    """Serialise the joints of people with one body model; not thread-safe."""

    def __init__(self, joint_names: Sequence[str]) -> None:
        """Take the `joint_names` of the body model, the root first."""
        self._names = list(joint_names)
        self._key: tuple[str, tuple[str, ...]] | None = None
        self._template: MessageTemplate
        self._numbers: npt.NDArray[np.intp]

    def serialize(
        self, frame_id: str, stamp: tuple[int, int], ids: Sequence[str], frames: Float64
    ) -> bytes:
        """Return the MultiDOFJointState of `frames` (N, J, 7), one row for each of `ids` (N).

        `frames`: position in metres and quaternion x y z w of each joint in the frame of its
        parent, as JointFrames returns them. `frame_id` and `stamp` (seconds, nanoseconds): those of
        the image. Twists and wrenches are not measured and stay empty.
        """
        key = (frame_id, tuple(ids))
        if key != self._key:
            self._lay_out(frame_id, ids)
            self._key = key
        self._template.int32[:2] = stamp
        self._template.float64[self._numbers] = frames.reshape(1, -1)
        return self._template.tobytes()

    def _lay_out(self, frame_id: str, ids: Sequence[str]) -> None:
        names = [name for track_id in ids for name in frame_names(track_id, self._names)]
        writer = CdrWriter()
        writer.reserve(8)  # stamp
        writer.string(frame_id)
        writer.write("I", len(names))
        for name in names:
            writer.string(name)
        writer.write("I", len(names))
        if names:
            writer.align(8)
        start = writer.reserve(56 * len(names))
        writer.write("I", 0, 0)  # twist, wrench
        self._template = MessageTemplate(writer)
        self._numbers = number_indices([start], 7 * len(names), 8)
