# SPDX-License-Identifier: Apache-2.0
"""Packets of SONIC's ZMQ protocol, versions 2 and 3 (NVlabs/GR00T-WholeBodyControl).

A packet is the topic `pose`, a JSON header padded with zeros to 1280 bytes, and little-endian
arrays in the header's order. It has the latest N frames, the look-ahead of the controller: N = 10,
or 4 for its low latency. Controllers ignore fields that they do not know.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from pear_ros.body import load_open_body
from pear_ros.core import quaternions
from pear_ros.core.heading import UPRIGHT, UPRIGHT_INVERSE
from pear_ros.core.people import NUM_JOINTS, Array
from pear_ros.hri.body_parts import FINGERS, JOINT
from pear_ros.streaming.body_pose import (
    BodyPose,
    Float64,
    joint_tree,
    orientations_and_places,
)
from pear_ros.streaming.dex3 import hand_joints
from pear_ros.streaming.g1_wrists import WristAngles
from pear_ros.streaming.motion_stream import MotionFrame

TOPIC = b"pose"
HEADER_BYTES = 1280
VERSIONS = (2, 3)
_JOINTS = [*range(22), JOINT["left_thumb3"], JOINT["right_thumb3"]]
"""SMPL's 24 joints as the controller's own teleoperation computes them."""
_DTYPES = {"f": "f32", "i": "i64", "b": "bool"}
_WXYZ = [3, 0, 1, 2]


class SonicEncoder:
    """Packets from frames."""

    def __init__(self, version: int, frame_count: int, max_joint_rate: float, rate: float) -> None:
        """Send `frame_count` frames a packet in protocol `version`, `rate` frames a second.

        `max_joint_rate`: of the robot's wrists, radians a second.
        """
        self._version = version
        self._longest_step = max_joint_rate / rate
        self._wrists = WristAngles(self._longest_step)
        self._frames: deque[dict[str, Any]] = deque(maxlen=frame_count)
        self._next = 0
        """Index of the next frame; after a gap, the window begins anew."""

    def __call__(self, frame: MotionFrame) -> list[bytes]:
        """Return the packet of a frame and those before it; none until there are enough frames."""
        if frame.index != self._next:
            self._frames.clear()
            self._wrists = WristAngles(self._longest_step)
        self._next = frame.index + 1
        self._frames.append(self._arrays(frame))
        if len(self._frames) < (self._frames.maxlen or 0):
            return []
        arrays = {name: np.stack([one[name] for one in self._frames]) for name in self._frames[0]}
        return [packet(self._version, arrays | _hands(frame.motion), len(self._frames))]

    def _arrays(self, frame: MotionFrame) -> dict[str, Any]:
        rotations = frame.motion.rotations
        arrays: dict[str, Any] = {
            "smpl_joints": smpl_joints(frame.motion),
            "smpl_pose": quaternions.to_vectors(rotations[1:22]).astype(np.float32),
            "body_quat": body_quaternion(rotations[0]).astype(np.float32),
            "frame_index": np.int64(frame.index),
        }
        if self._version == 3:
            arrays["joint_pos"] = self._wrists(rotations).astype(np.float32)
            arrays["joint_vel"] = np.zeros(29, np.float32)
        return arrays


def packet(version: int, arrays: dict[str, Any], frame_count: int) -> bytes:
    """Return the packet of named arrays."""
    fields = [
        {"name": name, "dtype": _DTYPES[array.dtype.kind], "shape": list(array.shape)}
        for name, array in arrays.items()
    ]
    header = {"v": version, "endian": "le", "count": frame_count, "fields": fields}
    text = json.dumps(header, separators=(",", ":")).encode()
    little = (array.astype(array.dtype.newbyteorder("<")) for array in arrays.values())
    return b"".join([TOPIC, text.ljust(HEADER_BYTES, b"\0"), *(one.tobytes() for one in little)])


def body_quaternion(rotation: Float64) -> Float64:
    """Return w x y z (4,) of the pelvis with x forward, y left, z up at rest.

    `rotation` (4,): x y z w from the body's axes at rest to the world.
    """
    return quaternions.product(rotation, UPRIGHT_INVERSE)[_WXYZ]


def smpl_joints(motion: BodyPose) -> Array:
    """Return SMPL's joints (24, 3), float32, metres: x forward, y left, z up from the pelvis.

    They are those of one body for all people, the open body's mean, with fingers at rest, as the
    controller's own teleoperation uses one body.
    """
    rotations = motion.rotations.copy()
    rotations[0] = UPRIGHT
    for fingers in FINGERS:
        rotations[fingers] = (0.0, 0.0, 0.0, 1.0)
    same_body = replace(motion, root=np.zeros(3), rotations=rotations, bones=_mean_bones())
    _, places = orientations_and_places(same_body)
    joints: Array = places[_JOINTS].astype(np.float32)
    return joints


@cache
def _mean_bones() -> Float64:
    """Return the bones (55, 3) of the open body's mean shape, metres."""
    body = load_open_body()
    betas = np.zeros((1, body.num_betas), np.float32)
    expression = np.zeros((1, body.num_expression), np.float32)
    bones: Float64 = joint_tree().bones(body.rest_joints(betas, expression)[0].astype(np.float64))
    bones[0] = 0.0
    return bones.reshape(NUM_JOINTS, 3)


def _hands(motion: BodyPose) -> dict[str, Any]:
    left, right = hand_joints(motion.rotations)
    return {
        "left_hand_joints": left.astype(np.float32),
        "right_hand_joints": right.astype(np.float32),
        "left_hand_seen": np.array([motion.hands_seen[0]]),
        "right_hand_seen": np.array([motion.hands_seen[1]]),
    }
