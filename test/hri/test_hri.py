# SPDX-License-Identifier: Apache-2.0
"""REP-155's joint angles and skeleton points against forward kinematics of its URDF model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pear_ros.core.people import Person
from pear_ros.hri.joint_angles import ANGLES, complete, joint_angles, orientations
from pear_ros.hri.skeleton import POINTS, ImageGeometry, skeletons
from pear_ros.training.poses import KINDS, sample_rotations
from testing.open_people import CAMERA, JOINT, batch, open_body, person, pose_of, t_pose

PICTURE = ImageGeometry(CAMERA.width, CAMERA.height, CAMERA.fx, CAMERA.fy)

# The joints of human_description's URDF: child link, parent link, axis. None is turned where it is
# attached, so that links are parallel when all angles are zero.
LINKS = [
    ("waist", "body", (0, 1, 0)),
    ("r_head", "waist", (1, 0, 0)),
    ("y_head", "r_head", (0, 0, 1)),
    ("p_head", "y_head", (0, -1, 0)),
    *(
        link
        for side, sign in (("l", 1), ("r", -1))
        for link in (
            (f"{side}_y_shoulder", "waist", (0, 0, -sign)),
            (f"{side}_p_shoulder", f"{side}_y_shoulder", (sign, 0, 0)),
            (f"{side}_r_shoulder", f"{side}_p_shoulder", (0, 0, sign)),
            (f"{side}_elbow", f"{side}_r_shoulder", (0, -1, 0)),
            (f"{side}_y_hip", "body", (0, 0, -1)),
            (f"{side}_p_hip", f"{side}_y_hip", (sign, 0, 0)),
            (f"{side}_r_hip", f"{side}_p_hip", (0, -1, 0)),
            (f"{side}_knee", f"{side}_r_hip", (0, -1, 0)),
        )
    ),
]
LIMBS = [
    (f"{short}_{link}", f"{side}_{upper}", f"{side}_{lower}")
    for short, side in (("l", "left"), ("r", "right"))
    for link, upper, lower in (
        ("r_shoulder", "shoulder", "elbow"),
        ("elbow", "elbow", "wrist"),
        ("r_hip", "hip", "knee"),
        ("knee", "knee", "ankle"),
    )
]


def angles_of(one: Person) -> dict[str, float]:
    (angles,) = joint_angles(one.smplx.pose[None], one.joints[None])
    return dict(zip(ANGLES, angles.tolist(), strict=True))


def model_links(angles: dict[str, float]) -> dict[str, np.ndarray]:
    """Orientations (3, 3) of the model's links in its body."""
    links = {"body": np.eye(3)}
    for child, parent, axis in LINKS:
        turn = Rotation.from_rotvec(angles[child] * np.array(axis, float)).as_matrix()
        links[child] = links[parent] @ turn
    return links


def standing(seed: int, kind: str) -> Person:
    rng = np.random.default_rng(seed)
    pose = pose_of(sample_rotations(rng, kind))
    pose[0] = Rotation.random(random_state=seed).as_rotvec()
    return person(pose)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**31), kind=st.sampled_from(list(KINDS)))
def test_joint_angles_reproduce_directions_of_limbs_and_head(seed: int, kind: str) -> None:
    one = standing(seed, kind)
    links = model_links(angles_of(one))
    body = Rotation.from_rotvec(one.smplx.pose[0]).as_matrix()[:, [2, 0, 1]]
    for link, upper, lower in LIMBS:
        bone = body.T @ (one.joints[JOINT[lower]] - one.joints[JOINT[upper]])
        ours = bone / np.linalg.norm(bone)
        # Limbs are straight below 0.1 radians.
        tolerance = 1e-4 if link[2:] in ("r_shoulder", "r_hip") else 0.101
        np.testing.assert_allclose(-links[link][:, 2], ours, atol=tolerance, err_msg=link)
        if np.linalg.norm(np.cross(links[link][:, 2], links[_upper(link)][:, 2])) > 0.11:
            np.testing.assert_allclose(-links[link][:, 2], ours, atol=1e-4, err_msg=link)
    head = orientations(one.smplx.pose[None])[0, JOINT["head"]]
    np.testing.assert_allclose(links["p_head"], head, atol=1e-5)


def _upper(link: str) -> str:
    return {"elbow": f"{link[0]}_r_shoulder", "knee": f"{link[0]}_r_hip"}.get(link[2:], "body")


UP, FORWARD = np.pi / 2, np.pi / 2


@pytest.mark.parametrize(
    ("bends", "expected"),
    [
        ({}, {"l_p_shoulder": UP, "r_p_shoulder": UP, "waist": 0.0, "y_head": 0.0}),
        ({"head": (0.3, 0.0, 0.0)}, {"p_head": -0.3, "y_head": 0.0, "r_head": 0.0}),
        ({"neck": (0.0, 0.4, 0.0)}, {"y_head": 0.4, "p_head": 0.0, "waist": 0.0}),
        ({"head": (0.0, 0.0, 0.2)}, {"r_head": 0.2}),
        ({"spine1": (0.5, 0.0, 0.0)}, {"waist": 0.5, "l_p_shoulder": UP, "p_head": 0.0}),
        ({"spine2": (0.0, 0.5, 0.0)}, {"waist": 0.0, "l_y_shoulder": -0.5, "r_y_shoulder": 0.5}),
        ({"left_shoulder": (0.0, 0.0, -1.4)}, {"l_p_shoulder": UP - 1.4, "r_p_shoulder": UP}),
        ({"right_shoulder": (0.0, 0.0, 1.4)}, {"r_p_shoulder": UP - 1.4, "l_p_shoulder": UP}),
        ({"left_shoulder": (0.0, -1.2, 0.0)}, {"l_y_shoulder": 1.2, "l_p_shoulder": UP}),
        ({"right_shoulder": (0.0, 1.2, 0.0)}, {"r_y_shoulder": 1.2, "r_p_shoulder": UP}),
        ({"left_elbow": (0.0, -1.0, 0.0)}, {"l_elbow": 1.0, "l_r_shoulder": 0.0}),
        ({"right_elbow": (0.0, 1.0, 0.0)}, {"r_elbow": 1.0, "r_r_shoulder": 0.0}),
        ({"left_elbow": (0.0, 0.0, 1.0)}, {"l_elbow": 1.0, "l_r_shoulder": FORWARD}),
        ({"left_hip": (-1.5, 0.0, 0.0)}, {"l_r_hip": 1.5, "r_r_hip": 0.0, "l_knee": 0.0}),
        ({"right_knee": (1.0, 0.0, 0.0)}, {"r_knee": -1.0, "r_r_hip": 0.0, "l_knee": 0.0}),
        ({"right_hip": (0.0, 0.0, -0.5)}, {"r_p_hip": 0.5, "l_p_hip": 0.0}),
        ({"left_hip": (0.0, 0.0, 0.5)}, {"l_p_hip": 0.5, "r_p_hip": 0.0}),
    ],
)
def test_joint_angles_have_the_models_signs(
    bends: dict[str, tuple[float, float, float]], expected: dict[str, float]
) -> None:
    """Within 0.12 radians, as arms and legs of the mean body are not quite straight."""
    angles = angles_of(person(t_pose(**bends)))
    found = {name: angles[name] for name in expected}
    assert found == pytest.approx(expected, abs=0.12)


def test_bent_elbow_determines_the_twist_of_the_arm() -> None:
    """The same forearm, be it by the elbow's own axis or by a twist above it."""
    twisted = person(t_pose(left_shoulder=(0.6, 0.0, 0.0), left_elbow=(0.0, -1.0, 0.0)))
    turn = Rotation.from_rotvec([0.6, 0.0, 0.0])
    aside = turn * Rotation.from_rotvec([0.0, -1.0, 0.0]) * turn.inv()
    bent = person(t_pose(left_elbow=tuple(aside.as_rotvec())))
    assert angles_of(twisted)["l_r_shoulder"] == pytest.approx(
        angles_of(bent)["l_r_shoulder"], abs=0.1
    )


def test_angles_of_hanging_arms_are_within_the_models_limits() -> None:
    """Of two ways to say the same, the one that the model can show."""
    for inwards in (-0.1, 0.0, 0.1):
        down = 1.5 + inwards
        angles = angles_of(
            person(t_pose(left_shoulder=(0, 0.2, -down), right_shoulder=(0, -0.2, down)))
        )
        for side in ("l", "r"):
            assert -1.7 <= angles[f"{side}_r_shoulder"] <= 1.5
            assert -0.4 <= angles[f"{side}_p_shoulder"] <= 3.3
            assert -1.1 <= angles[f"{side}_y_shoulder"] <= 1.9


def test_complete_needs_finite_poses_and_limbs_of_some_length() -> None:
    one = person(t_pose())
    poses = np.stack([one.smplx.pose] * 3)
    joints = np.stack([one.joints] * 3)
    poses[1, 5] = np.nan
    joints[2, JOINT["left_elbow"]] = joints[2, JOINT["left_shoulder"]]
    assert complete(poses, joints).tolist() == [True, False, False]
    assert joint_angles(poses[:0], joints[:0]).shape == (0, 20)


def skeleton_of(one: Person, **changes: np.ndarray) -> dict[str, np.ndarray]:
    parts = {
        "poses": one.smplx.pose,
        "joints": one.joints,
        "keypoints": one.keypoints,
        "confidence": one.joint_confidence,
        **changes,
    }
    (points,) = skeletons(PICTURE, **{name: part[None] for name, part in parts.items()})
    assert (points >= 0).all() and (points <= 1).all()
    return dict(zip(POINTS, points, strict=True))


def pixels(point: np.ndarray) -> np.ndarray:
    return point[:2] * (CAMERA.width, CAMERA.height) - 0.5


def test_skeleton_points_are_the_keypoints() -> None:
    one = person(t_pose(), (0.2, -0.1, 4.0))
    skeleton = skeleton_of(one)
    for name in ("left_wrist", "right_knee", "left_shoulder", "right_ankle"):
        np.testing.assert_allclose(pixels(skeleton[name]), one.keypoints[JOINT[name]], atol=1e-3)
        assert skeleton[name][2] == 0.5
    eye = one.keypoints[JOINT["left_eye_smplhf"]]
    np.testing.assert_allclose(pixels(skeleton["left_eye"]), eye, atol=1e-3)
    assert skeleton["left_ear"][0] > skeleton["left_eye"][0] > skeleton["nose"][0]
    assert skeleton["nose"][0] > skeleton["right_eye"][0] > skeleton["right_ear"][0]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), kind=st.sampled_from(list(KINDS)))
def test_nose_and_ears_are_on_the_head(seed: int, kind: str) -> None:
    """Near those of the mesh: within 40 % of the distance of the eyes."""
    one = standing(seed, kind)
    skeleton = skeleton_of(one)
    body = open_body()
    ahead, aside = body.v_template[:, 2].copy(), body.v_template[:, 0].copy()
    below_eyes = body.v_template[:, 1] < one_head_height()
    ahead[below_eyes] = aside[below_eyes] = 0.0
    mesh = body.vertices(*batch(one.smplx.pose, (0.0, 0.0, 4.0)))[0]
    marks = {"nose": ahead.argmax(), "left_ear": aside.argmax(), "right_ear": aside.argmin()}
    eyes = one.joints[[JOINT["left_eye_smplhf"], JOINT["right_eye_smplhf"]]]
    size = CAMERA.fx * np.linalg.norm(eyes[0] - eyes[1]) / eyes[:, 2].mean()
    for name, vertex in marks.items():
        mark = CAMERA.project(mesh[vertex])
        if 0 < mark[0] < CAMERA.width and 0 < mark[1] < CAMERA.height:
            assert np.linalg.norm(pixels(skeleton[name]) - mark) < 0.4 * size, name


def one_head_height() -> float:
    """Of the head's joint in the template, metres."""
    pose = np.zeros((55, 3), np.float32)
    return float(open_body().joints(*batch(pose, (0.0, 0.0, 0.0)))[0, JOINT["head"], 1])


def test_skeleton_points_outside_the_image_have_no_confidence() -> None:
    one = person(t_pose(), (0.0, 0.0, 1.0))  # so near that arms and legs are outside
    skeleton = skeleton_of(one)
    assert skeleton["left_wrist"][2] == skeleton["right_ankle"][2] == 0.0
    assert skeleton["left_wrist"][0] == skeleton["right_ankle"][1] == 1.0
    assert skeleton["left_hip"][2] == 0.5


def test_unknown_skeleton_points_have_no_confidence() -> None:
    one = person(t_pose())
    keypoints = one.keypoints.copy()
    keypoints[JOINT["left_knee"]] = np.nan
    confidence = one.joint_confidence.copy()
    confidence[JOINT["left_shoulder"]] = 0.25
    confidence[JOINT["right_hip"]] = np.nan
    skeleton = skeleton_of(one, keypoints=keypoints, confidence=confidence)
    assert skeleton["left_knee"].tolist() == [0.0, 0.0, 0.0]
    assert skeleton["neck"][2] == 0.25
    assert skeleton["right_hip"][2] == 0.0
