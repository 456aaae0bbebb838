# SPDX-License-Identifier: Apache-2.0
"""People's frames as a serialised tf2_msgs/TFMessage, without one Python object per joint.

`body_<id>` is REP-155's, a child of the image's frame; `body_<id>_<joint>` are children of their
joint's parent, since a tree of bones is what tools for /tf show, and a joint's rotation is then
what SMPL-X calls it. The frames are those of pear_ros.body.joint_frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rclpy.qos import QoSProfile

from pear_ros.body.joint_frames import Float64
from pear_ros.ros.conversion.cdr import CdrWriter, Form, places

TRANSFORMS_QOS = QoSProfile(depth=100)
"""As tf2_ros has it."""


def frame_names(track_id: str, joint_names: Sequence[str]) -> list[str]:
    """Names of a person's frames; of `joint_names` the first is the root, the body itself."""
    body = f"body_{track_id}"
    return [body, *(f"{body}_{name}" for name in joint_names[1:])]


class TransformMessages:
    """Serialises frames of people with one body; not to be shared between threads."""

    def __init__(self, joint_names: Sequence[str], parents: npt.NDArray[np.integer]) -> None:
        """`joint_names` and `parents` as in pear_ros.core.estimator.Body."""
        self._names = list(joint_names)
        self._parents = np.asarray(parents)
        self._key: tuple[str, tuple[str, ...], int] | None = None
        self._form: Form
        self._stamps: npt.NDArray[np.intp]
        self._numbers: npt.NDArray[np.intp]

    def serialize(
        self, frame_id: str, stamp: tuple[int, int], ids: Sequence[str], frames: Float64
    ) -> bytes:
        """A TFMessage of `frames` (N, J, 7) as in pear_ros.body.joint_frames, of each of `ids` (N).

        J is 1 for roots alone, else the number of joints. `frame_id` and `stamp` (seconds,
        nanoseconds) are the image's.
        """
        count = frames.shape[1]
        key = (frame_id, tuple(ids), count)
        if key != self._key:
            self._lay_out(frame_id, ids, count)
            self._key = key
        self._form.int32[self._stamps] = stamp
        self._form.float64[self._numbers] = frames.reshape(-1, 7)
        return self._form.tobytes()

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
        self._form = Form(writer)
        self._stamps = places(stamps, 2, 4)
        self._numbers = places(numbers, 7, 8)
