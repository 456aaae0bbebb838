# SPDX-License-Identifier: Apache-2.0
"""Bytes of every protocol, parsed back as its text says, by parsers of their own."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.core.people import SMPLX_JOINT_NAMES
from pear_ros.streaming.body_pose import motion_of
from pear_ros.streaming.dex3 import hand_joints
from pear_ros.streaming.g1_wrists import WristAngles, wrist_angles
from pear_ros.streaming.json_frames import encode_json
from pear_ros.streaming.motion_stream import MotionFrame, StreamState
from pear_ros.streaming.sonic import SonicEncoder
from testing.open_people import JOINT, batch, open_body, t_pose
from testing.streamed_people import observed

BENDS = {
    "left_elbow": (0.1, -1.2, 0.2),
    "right_knee": (0.8, 0.0, 0.0),
    "left_wrist": (0.1, 0.4, -0.3),
    "left_index1": (0.0, 0.0, -0.7),
    "left_index2": (0.0, 0.0, -0.6),
    "right_thumb3": (0.3, 0.0, 0.0),
}
POSE = t_pose(**BENDS)


def frame(index: int = 0, **changes: Any) -> MotionFrame:
    """Return a frame of a person who faces the camera, which looks along x."""
    motion = motion_of(observed(POSE), None)
    values = {"state": StreamState.TRACKING, "person_id": "h1", "motion": motion} | changes
    return MotionFrame(index=index, stamp=1.5 + index / 50, **values)


def sonic_arrays(packet: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Parse a packet as the tutorial of SONIC describes it."""
    assert packet[:4] == b"pose"
    text = packet[4:1284].rstrip(b"\0")
    header = json.loads(text)
    assert set(header) == {"v", "endian", "count", "fields"} and header["endian"] == "le"
    sizes = {"f32": "<f4", "f64": "<f8", "i32": "<i4", "i64": "<i8", "bool": "?", "u8": "u1"}
    place, arrays = 1284, {}
    for field in header["fields"]:
        kind, count = np.dtype(sizes[field["dtype"]]), int(np.prod(field["shape"]))
        values = np.frombuffer(packet, kind, count, place)
        arrays[field["name"]] = values.reshape(field["shape"])
        place += values.nbytes
    assert place == len(packet)
    return header, arrays


def test_sonic_sends_the_latest_frames() -> None:
    encode = SonicEncoder(3, 4, 10.0, 50.0)
    packets = [encode(frame(index)) for index in range(6)]
    assert [len(one) for one in packets] == [0, 0, 0, 1, 1, 1]
    header, arrays = sonic_arrays(packets[5][0])
    assert (header["v"], header["count"]) == (3, 4)
    assert arrays["frame_index"].tolist() == [2, 3, 4, 5]
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes == {
        "smpl_joints": (4, 24, 3),
        "smpl_pose": (4, 21, 3),
        "body_quat": (4, 4),
        "frame_index": (4,),
        "joint_pos": (4, 29),
        "joint_vel": (4, 29),
        "left_hand_joints": (7,),
        "right_hand_joints": (7,),
        "left_hand_seen": (1,),
        "right_hand_seen": (1,),
    }
    assert arrays["frame_index"].dtype == np.int64
    assert arrays["left_hand_seen"].tolist() == [True]


def test_sonic_begins_a_new_window_after_a_gap() -> None:
    encode = SonicEncoder(3, 2, 10.0, 50.0)
    assert [len(encode(frame(index))) for index in (0, 1, 7, 8)] == [0, 1, 0, 1]


def test_sonic_version_2_has_no_robot_joints() -> None:
    header, arrays = sonic_arrays(SonicEncoder(2, 1, 10.0, 50.0)(frame())[0])
    assert header["v"] == 2
    assert not {"joint_pos", "joint_vel"} & set(arrays)


def test_sonic_has_the_pose_in_smpls_terms() -> None:
    _, arrays = sonic_arrays(SonicEncoder(3, 1, 10.0, 50.0)(frame())[0])
    np.testing.assert_allclose(arrays["smpl_pose"][0], POSE[1:22], atol=1e-6)
    # The person faces the camera, which looks along x: turned by half a turn about z.
    np.testing.assert_allclose(np.abs(arrays["body_quat"][0]), (0, 0, 0, 1), atol=1e-6)
    # An independent computation: the mean body in the same pose, root and fingers at rest.
    pose = POSE.copy()
    pose[0] = pose[25:] = 0.0
    joints = open_body().joints(*batch(pose, (0.0, 0.0, 0.0)))[0]
    chosen = joints[[*range(22), 39, 54]] - joints[0]
    np.testing.assert_allclose(arrays["smpl_joints"][0], chosen[:, [2, 0, 1]], atol=1e-5)


def test_sonic_wrists_are_where_the_controller_reads_them() -> None:
    _, arrays = sonic_arrays(SonicEncoder(3, 1, 10.0, 50.0)(frame())[0])
    positions = arrays["joint_pos"][0]
    assert not positions[:23].any() and not arrays["joint_vel"].any()
    left, right = wrist_angles(frame().motion.rotations)
    np.testing.assert_allclose(positions[23:].reshape(3, 2), np.stack([left, right], 1), atol=1e-6)


def rotations_of(**bends: tuple[float, float, float]) -> np.ndarray:
    pose = t_pose(**bends).astype(np.float64)
    return Rotation.from_rotvec(pose).as_quat()


def test_a_bent_elbow_leaves_the_wrist_alone_and_a_twisted_forearm_turns_it() -> None:
    bent = wrist_angles(rotations_of(left_elbow=(0, -1.3, 0), right_elbow=(0, 1.3, 0)))
    np.testing.assert_allclose(bent, 0.0, atol=1e-9)
    twisted = wrist_angles(rotations_of(left_elbow=(0.6, 0, 0), right_elbow=(0.6, 0, 0)))
    np.testing.assert_allclose(twisted[:, 0], (0.6, -0.6), atol=1e-9)
    pitched = wrist_angles(rotations_of(left_wrist=(0, 0.5, 0), right_wrist=(0, 0.5, 0)))
    np.testing.assert_allclose(pitched, [(0, 0.5, 0), (0, -0.5, 0)], atol=1e-9)
    yawed = wrist_angles(rotations_of(left_wrist=(0, 0, 0.4), right_wrist=(0, 0, 0.4)))
    np.testing.assert_allclose(yawed, [(0, 0, 0.4), (0, 0, 0.4)], atol=1e-9)


def test_wrists_never_jump_nor_leave_the_robots_range() -> None:
    wrists = WristAngles(0.2)
    rng = np.random.default_rng(0)
    rows = np.array([wrists(Rotation.random(55, rng).as_quat())[23:] for _ in range(200)])
    assert np.abs(np.diff(rows, axis=0)).max() == pytest.approx(0.2)
    assert np.abs(rows).max() <= 1.97


def test_fingers_close_the_robots_hand() -> None:
    opened = hand_joints(rotations_of())
    np.testing.assert_allclose(opened, 0.0, atol=1e-9)
    bends = {f"{side}_index{n}": (0, 0, 2.0) for side in ("left", "right") for n in (1, 2, 3)}
    left, right = hand_joints(rotations_of(**bends, left_thumb2=(0, 0.5, 0)))
    np.testing.assert_allclose(left, (0, 0.5, 0, 0, 0, -1.57, -1.75), atol=1e-9)
    np.testing.assert_allclose(right, (0, 0, 0, 0, 0, 1.57, 1.75), atol=1e-9)


def test_json_has_places_and_orientations_in_the_world() -> None:
    motion = replace(frame().motion, hands_seen=(True, False))
    (packet,) = encode_json(frame(7, motion=motion, state=StreamState.HOLDING))
    message = json.loads(packet)
    assert (message["format"], message["version"]) == ("pear_ros/motion", 1)
    assert (message["frame"], message["state"], message["person"]) == (7, "holding", "h1")
    assert message["stamp"] == pytest.approx(1.64)
    assert message["hands_seen"] == {"left": True, "right": False}
    assert tuple(message["joints"]) == tuple(message["rotations"]) == SMPLX_JOINT_NAMES
    place, (w, x, y, z) = message["joints"]["pelvis"]
    turn = Rotation.from_quat([x, y, z, w])
    np.testing.assert_allclose(turn.apply((0, 0, 1)), (-1, 0, 0), atol=1e-5)  # facing the camera
    np.testing.assert_allclose(turn.apply((0, 1, 0)), (0, 0, 1), atol=1e-5)
    assert place[0] == pytest.approx(4.0, abs=0.2) and 0.7 < place[2] < 1.1
    w, x, y, z = message["rotations"]["left_elbow"]
    np.testing.assert_allclose(
        Rotation.from_quat([x, y, z, w]).as_rotvec(), BENDS["left_elbow"], atol=1e-5
    )


def osc_text(data: bytes, place: int) -> tuple[str, int]:
    end = data.index(b"\0", place)
    return data[place:end].decode(), end + 4 - (end - 0) % 4 if end % 4 else end + 4


def osc_messages(packet: bytes) -> list[tuple[Any, ...]]:
    """Parse a bundle by the specification of OSC 1.0."""
    assert packet[:8] == b"#bundle\0" and struct.unpack_from(">Q", packet, 8) == (1,)
    place, messages = 16, []
    while place < len(packet):
        (size,) = struct.unpack_from(">i", packet, place)
        content = packet[place + 4 : place + 4 + size]
        address, inner = osc_text(content, 0)
        tags, inner = osc_text(content, inner)
        values: list[Any] = [address]
        for tag in tags[1:]:
            if tag == "s":
                text, inner = osc_text(content, inner)
                values.append(text)
            else:
                values += struct.unpack_from({"f": ">f", "i": ">i"}[tag], content, inner)
                inner += 4
        assert inner == len(content)
        messages.append(tuple(values))
        place += 4 + size
    return messages


FINGERS = ("Thumb", "Index", "Middle", "Ring", "Little")
UNITY_BONES = {
    *("Hips", "Spine", "Chest", "UpperChest", "Neck", "Head", "Jaw"),
    *(
        side + bone
        for side in ("Left", "Right")
        for bone in (
            *("UpperLeg", "LowerLeg", "Foot", "Toes", "Shoulder", "UpperArm", "LowerArm", "Hand"),
            "Eye",
            *(f"{f}{p}" for f in FINGERS for p in ("Proximal", "Intermediate", "Distal")),
        )
    ),
}
"""Names of UnityEngine.HumanBodyBones."""


def vmc(one: MotionFrame) -> tuple[dict[str, np.ndarray], list[tuple[Any, ...]]]:
    pytest.importorskip("pythonosc", reason="needs python-osc")
    from pear_ros.streaming.vmc import VmcEncoder

    packets = VmcEncoder()(one)
    assert max(map(len, packets)) <= 1472  # a UDP packet in an Ethernet frame
    messages = [message for packet in packets for message in osc_messages(packet)]
    bones = {one[1]: np.array(one[2:]) for one in messages if one[0] == "/VMC/Ext/Bone/Pos"}
    return bones, [one for one in messages if one[0] != "/VMC/Ext/Bone/Pos"]


def test_vmc_has_all_bones_of_unity_and_the_state() -> None:
    motion = replace(frame().motion, hands_seen=(True, False))
    bones, others = vmc(frame(motion=motion, state=StreamState.HOLDING))
    assert set(bones) == UNITY_BONES
    assert others == [
        ("/VMC/Ext/T", 0.0),
        ("/VMC/Ext/OK", 1, 3, 0, 0),
        ("/VMC/Ext/Root/Pos", "root", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        ("/VMC/Thru/pear_ros/hand_seen", "left", 1),
        ("/VMC/Thru/pear_ros/hand_seen", "right", 0),
    ]
    assert ("/VMC/Ext/OK", 1, 3, 0, 1) in vmc(frame())[1]


def test_vmc_poses_an_avatar_in_unitys_left_handed_frame() -> None:
    bones, _ = vmc(frame())
    # Unity by hand: places of the hierarchy from local places and rotations. Mirrored matrices of
    # the left-handed frame follow the same formulas.
    hips = bones["Hips"]
    places, turns = {"Hips": hips[:3]}, {"Hips": Rotation.from_quat(hips[3:])}
    chain = ["Hips", "Spine", "Chest", "UpperChest", "LeftShoulder", "LeftUpperArm"]
    chain += ["LeftLowerArm", "LeftHand"]
    for above, name in pairwise(chain):
        places[name] = places[above] + turns[above].apply(bones[name][:3])
        turns[name] = turns[above] * Rotation.from_quat(bones[name][3:])
    _, world = frame().world
    for name, joint in (("LeftLowerArm", "left_elbow"), ("LeftHand", "left_wrist")):
        x, y, z = world[JOINT[joint]]
        np.testing.assert_allclose(places[name], (-y, z, x), atol=1e-4)
    # The person faces -x of the world, which is -z of Unity.
    np.testing.assert_allclose(turns["Hips"].apply((0, 0, 1)), (0, 0, -1), atol=1e-5)


def test_vmc_of_a_t_pose_is_without_rotations() -> None:
    motion = motion_of(observed(), None)
    bones, _ = vmc(frame(motion=motion))
    for name, row in bones.items():
        if name != "Hips":
            np.testing.assert_allclose(np.abs(row[3:]), (0, 0, 0, 1), atol=1e-6)
    assert bones["LeftUpperLeg"][0] < 0 < bones["RightUpperLeg"][0]
