# SPDX-License-Identifier: Apache-2.0
"""The URDF of a body: its links end where the person's joints are."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.body.joint_frames import root_frames
from pear_ros.hri.description import body_lengths, link_transforms, links, urdf
from pear_ros.hri.joint_angles import ANGLES, joint_angles
from testing.open_people import JOINT, person, t_pose

BENT = t_pose(
    left_shoulder=(0.2, -0.4, -0.9),
    left_elbow=(0.0, -1.2, 0.0),
    right_shoulder=(0.0, 0.3, 0.7),
    right_elbow=(0.0, 0.8, 0.0),
    left_hip=(-1.2, 0.1, 0.2),
    left_knee=(1.3, 0.0, 0.0),
    right_hip=(0.2, 0.0, -0.1),
)


def places(pose: np.ndarray) -> dict[str, np.ndarray]:
    """Places of the model's links in the optical frame, by the model's forward kinematics."""
    one = person(pose)
    (angles,) = joint_angles(one.smplx.pose[None], one.joints[None])
    root = root_frames(one.smplx.pose[None], one.joints[None])[0, 0]
    frames = {"body": (Rotation.from_quat(root[3:]), root[:3])}
    chain = links(body_lengths(one.joints))
    for link, row in zip(chain, link_transforms(chain, angles), strict=True):
        turn, place = frames[link.parent]
        frames[link.name] = (turn * Rotation.from_quat(row[3:]), place + turn.apply(row[:3]))
    return {name: place for name, (_, place) in frames.items()}


@pytest.mark.parametrize("pose", [t_pose(), BENT], ids=["T", "bent"])
def test_links_are_where_the_joints_are(pose: np.ndarray) -> None:
    model, joints = places(pose), person(pose).joints
    for side, short in (("left", "l"), ("right", "r")):
        for link, name, tolerance in (
            ("shoulder", "shoulder", 0.06),  # the model has no collar bones
            ("elbow", "elbow", 0.06),
            ("wrist", "wrist", 0.06),
            ("hip", "hip", 0.03),
            ("knee", "knee", 0.03),
            ("ankle", "ankle", 0.03),
        ):
            distance = np.linalg.norm(model[f"{short}_{link}"] - joints[JOINT[f"{side}_{name}"]])
            assert distance < tolerance, (side, name)


def test_urdf_is_one_tree_with_the_names_of_rep_155() -> None:
    robot = ElementTree.fromstring(urdf("h7", body_lengths(person(t_pose()).joints)))
    joints = robot.findall("joint")
    moving = {joint.get("name") for joint in joints if joint.get("type") == "revolute"}
    assert moving == {f"{name}_h7" for name in ANGLES}
    parent = {}
    for joint in joints:
        above, below = joint.find("parent"), joint.find("child")
        assert above is not None and below is not None
        parent[below.get("link")] = above.get("link")
    names = {link.get("name") for link in robot.findall("link")}
    assert names - parent.keys() == {"body_h7"}
    assert set(parent.values()) <= names
    assert {"waist_h7", "torso_h7", "head_h7", "l_wrist_h7", "r_ankle_h7"} <= names


def test_lengths_are_the_persons() -> None:
    joints = person(t_pose()).joints
    lengths, twice = body_lengths(joints), body_lengths(2 * joints)
    assert twice == pytest.approx(tuple(2 * value for value in lengths), rel=1e-5)
    assert 0.2 < lengths.forearm < 0.35 and 0.3 < lengths.thigh < 0.5 and 0.4 < lengths.trunk < 0.6
