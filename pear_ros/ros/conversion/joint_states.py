# SPDX-License-Identifier: Apache-2.0
"""People's joints as a serialised sensor_msgs/MultiDOFJointState: all of them in one message.

Joints are named as frames on /tf are, and have the same numbers: `body_<id>` is the body in
header.frame_id, `body_<id>_<joint>` the joint in its parent's frame (pear_ros.body.joint_frames).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pear_ros.body.joint_frames import Float64
from pear_ros.ros.conversion.cdr import CdrWriter, Form, places
from pear_ros.ros.conversion.transforms import frame_names


class JointStateMessages:
    """Serialises the joints of people with one body; not to be shared between threads."""

    def __init__(self, joint_names: Sequence[str]) -> None:
        """`joint_names` as in pear_ros.core.estimator.Body."""
        self._names = list(joint_names)
        self._key: tuple[str, tuple[str, ...]] | None = None
        self._form: Form
        self._numbers: npt.NDArray[np.intp]

    def serialize(
        self, frame_id: str, stamp: tuple[int, int], ids: Sequence[str], frames: Float64
    ) -> bytes:
        """A MultiDOFJointState of `frames` (N, J, 7) as in pear_ros.body.joint_frames, of each of
        `ids` (N).

        `frame_id` and `stamp` (seconds, nanoseconds) are the image's. Velocities and forces, which
        nobody has measured, are left out.
        """
        key = (frame_id, tuple(ids))
        if key != self._key:
            self._lay_out(frame_id, ids)
            self._key = key
        self._form.int32[:2] = stamp
        self._form.float64[self._numbers] = frames.reshape(1, -1)
        return self._form.tobytes()

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
        self._form = Form(writer)
        self._numbers = places([start], 7 * len(names), 8)
