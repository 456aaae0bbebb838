# SPDX-License-Identifier: Apache-2.0
"""Frames as JSON: one object a frame, UTF-8, for programs of any kind.

    format       "pear_ros/motion"
    version      1
    frame        number of the frame, rising by 1
    stamp        time of the motion by the clock of the images, seconds
    state        "tracking", "holding" or "resting"
    person       track id
    hands_seen   {"left": true, "right": false}; a hand that was not seen rests
    joints       {name of SMPL-X's joint: [[x, y, z], [w, x, y, z]]}: place, metres, and
                 orientation in the world, z up; the axes of a body at rest that faces x are x to
                 its left, y up, z out of the chest
    rotations    {name: [w, x, y, z]}: relative to the parent; the root's is its orientation

`joints` with pairs as tuples is what GMR's retarget() takes.
"""

from __future__ import annotations

import json

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.core.people import SMPLX_JOINT_NAMES
from pear_ros.hri.body_parts import SIDES
from pear_ros.streaming.motion_stream import MotionFrame

FORMAT, VERSION = "pear_ros/motion", 1
_WXYZ = [3, 0, 1, 2]
_PLACE_DIGITS, _ROTATION_DIGITS = 5, 6


def encode_json(frame: MotionFrame) -> list[bytes]:
    """Return the packet of a frame: one JSON object."""
    orientations, places = frame.world
    turns = Rotation.from_matrix(orientations).as_quat()[:, _WXYZ]
    pairs = zip(
        np.round(places, _PLACE_DIGITS).tolist(),
        np.round(turns, _ROTATION_DIGITS).tolist(),
        strict=True,
    )
    rotations = np.round(frame.motion.rotations[:, _WXYZ], _ROTATION_DIGITS).tolist()
    message = {
        "format": FORMAT,
        "version": VERSION,
        "frame": frame.index,
        "stamp": frame.stamp,
        "state": frame.state.value,
        "person": frame.person_id,
        "hands_seen": dict(zip(SIDES, frame.motion.hands_seen, strict=True)),
        "joints": dict(zip(SMPLX_JOINT_NAMES, map(list, pairs), strict=True)),
        "rotations": dict(zip(SMPLX_JOINT_NAMES, rotations, strict=True)),
    }
    return [json.dumps(message, separators=(",", ":")).encode()]
