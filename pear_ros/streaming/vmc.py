# SPDX-License-Identifier: Apache-2.0
"""Packets of the VMC protocol (OSC over UDP), by which avatars in VRM are animated.

Frame: Unity's, left-handed, y up; an avatar that faces z has x to its right. Bones are Unity's
HumanBodyBones with rotations relative to the parent, identity in the T-pose (VRM 0.x, and
normalized bones of VRM 1.0).
"""

from __future__ import annotations

import struct
from functools import cache

import numpy as np

from pear_ros.core import quaternions
from pear_ros.core.heading import UPRIGHT_INVERSE
from pear_ros.core.people import SMPLX_JOINT_NAMES
from pear_ros.streaming.body_pose import BodyPose, Float64
from pear_ros.streaming.motion_stream import MotionFrame, StreamState

_BODY_BONES = {
    "pelvis": "Hips",
    "spine1": "Spine",
    "spine2": "Chest",
    "spine3": "UpperChest",
    "neck": "Neck",
    "head": "Head",
    "jaw": "Jaw",
}
_SIDE_BONES = {
    "hip": "UpperLeg",
    "knee": "LowerLeg",
    "ankle": "Foot",
    "foot": "Toes",
    "collar": "Shoulder",
    "shoulder": "UpperArm",
    "elbow": "LowerArm",
    "wrist": "Hand",
    "eye_smplhf": "Eye",
}
_FINGERS = {
    "index": "Index",
    "middle": "Middle",
    "pinky": "Little",
    "ring": "Ring",
    "thumb": "Thumb",
}
_PHALANGES = {"1": "Proximal", "2": "Intermediate", "3": "Distal"}
_BUNDLED = 14
"""Messages in a packet, which then fits into one Ethernet frame."""
_ROW_BYTES = 7 * 4
_BUNDLE_HEADER = 16
"""Bytes of "#bundle" and of the time tag."""
_MIRROR_PLACE = np.array([-1.0, 1.0, 1.0])
_MIRROR_ROTATION = np.array([1.0, -1.0, -1.0, 1.0])


def bone_name(joint: str) -> str:
    """Return the name in HumanBodyBones of a joint of SMPL-X."""
    if joint in _BODY_BONES:
        return _BODY_BONES[joint]
    side, part = joint.split("_", 1)
    if part in _SIDE_BONES:
        return side.capitalize() + _SIDE_BONES[part]
    return side.capitalize() + _FINGERS[part[:-1]] + _PHALANGES[part[-1]]


def unity_rows(motion: BodyPose) -> Float64:
    """Return place, metres, and quaternion x y z w (55, 7) of each bone in Unity's frame.

    Relative to the parent; the hips' are in the world.
    """
    rows = np.empty((len(motion.rotations), 7))
    rows[:, :3] = motion.bones
    rows[0, :3] = motion.root[[1, 2, 0]]
    rows[:, 3:] = motion.rotations
    rows[0, 3:] = quaternions.product(UPRIGHT_INVERSE, motion.rotations[0])
    rows[:, :3] *= _MIRROR_PLACE
    rows[:, 3:] *= _MIRROR_ROTATION
    return rows


class VmcEncoder:
    """Packets from frames. What stays the same of them is made once: OSC is slow to build."""

    def __init__(self) -> None:
        """Build the packets."""
        names = [bone_name(joint) for joint in SMPLX_JOINT_NAMES]
        groups = [names[n : n + _BUNDLED] for n in range(0, len(names), _BUNDLED)]
        self._bundles = [_osc_bundle([_bone(name) for name in group]) for group in groups]
        self._begin: float | None = None

    def __call__(self, frame: MotionFrame) -> list[bytes]:
        """Return the packets of a frame: state, time and root, then the bones."""
        if self._begin is None:
            self._begin = frame.stamp
        rows = unity_rows(frame.motion).astype(">f4")
        packets = [_status(frame, frame.stamp - self._begin)]
        first = 0
        for template, ends in self._bundles:
            packet = bytearray(template)
            for end, row in zip(ends, rows[first:], strict=False):
                packet[end - _ROW_BYTES : end] = row.tobytes()
            first += len(ends)
            packets.append(bytes(packet))
        return packets


def _bone(name: str) -> tuple[str | float, ...]:
    return ("/VMC/Ext/Bone/Pos", name, *[0.0] * 7)


def _status(frame: MotionFrame, seconds: float) -> bytes:
    is_tracking = frame.state is StreamState.TRACKING
    template, ends = _status_template(is_tracking, *frame.motion.hands_seen)
    packet = bytearray(template)
    struct.pack_into(">f", packet, ends[0] - 4, seconds)
    return bytes(packet)


@cache
def _status_template(is_tracking: bool, left: bool, right: bool) -> tuple[bytes, list[int]]:
    return _osc_bundle(
        [
            ("/VMC/Ext/T", 0.0),
            ("/VMC/Ext/OK", 1, 3, 0, int(is_tracking)),
            ("/VMC/Ext/Root/Pos", "root", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
            ("/VMC/Thru/pear_ros/hand_seen", "left", int(left)),
            ("/VMC/Thru/pear_ros/hand_seen", "right", int(right)),
        ]
    )


def _osc_bundle(messages: list[tuple[str | int | float, ...]]) -> tuple[bytes, list[int]]:
    """Return a bundle, and where each of its messages ends: its last numbers are before that."""
    from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
    from pythonosc.osc_message_builder import OscMessageBuilder

    bundle = OscBundleBuilder(IMMEDIATELY)
    for address, *arguments in messages:
        message = OscMessageBuilder(str(address))
        for argument in arguments:
            message.add_arg(argument)
        bundle.add_content(message.build())
    packet = bundle.build().dgram
    ends = [_BUNDLE_HEADER]
    for _ in messages:
        ends.append(ends[-1] + 4 + int.from_bytes(packet[ends[-1] : ends[-1] + 4], "big"))
    return packet, ends[1:]
