# SPDX-License-Identifier: Apache-2.0
"""The open body's file: complete, sound, symmetric, small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import KDTree

from pear_ros.body import load_open_body
from pear_ros.body.model_files import EARLIER_OPEN_BODIES, OPEN_BODY_FILE
from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES
from pear_ros.landmarks.topology import Face

FIRST_JOINTS = Path(__file__).parents[1] / "data" / "open_body_1_joints.npz"
"""Rest joints (55, 3) of anny-smplx/1 and their movement (55, 3, 62) by shape and expression."""
MIRROR = np.array([-1.0, 1.0, 1.0])
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
LAYOUT: dict[str, tuple[str, tuple[int | None, ...]]] = {
    "v_template": ("float32", (None, 3)),
    "faces": ("uint16", (None, 3)),
    "shapedirs": ("float32", (None, 3, 10)),
    "exprdirs": ("float32", (None, 3, 52)),
    "exprdirs_vertices": ("uint16", (None,)),
    "weights": ("float32", (None, None)),
    "weights_joints": ("uint8", (None, None)),
    "joint_regressor_rows": ("uint8", (None,)),
    "joint_regressor_cols": ("uint16", (None,)),
    "joint_regressor_data": ("float32", (None,)),
    "parents": ("int8", (NUM_JOINTS,)),
    "left_hand_mean": ("float32", (15, 3)),
    "right_hand_mean": ("float32", (15, 3)),
    "face_landmark_faces": ("uint16", (468,)),
    "face_landmark_barycentric": ("float32", (468, 3)),
    "surface_points": ("uint16", (20,)),
}
TEXTS = ("shape_names", "expression_names", "surface_point_names", "license_note", "name")


@pytest.fixture(scope="module")
def body() -> dict[str, Any]:
    with np.load(OPEN_BODY_FILE, allow_pickle=False) as data:
        return dict(data)


@pytest.fixture(scope="module")
def joints(body: dict[str, Any]) -> dict[str, Any]:
    """Rest place of each joint."""
    places = np.zeros((NUM_JOINTS, 3))
    weighted = body["v_template"][body["joint_regressor_cols"]].T * body["joint_regressor_data"]
    np.add.at(places, body["joint_regressor_rows"], weighted.T)
    return dict(zip(SMPLX_JOINT_NAMES, places, strict=True))


def on_surface(body: dict[str, Any], vertices: Any) -> Any:
    """(468, 3) the face's landmarks on a body with these vertices."""
    corners = vertices[body["faces"][body["face_landmark_faces"]]]
    return (corners * body["face_landmark_barycentric"][..., np.newaxis]).sum(axis=1)


def with_expression(body: dict[str, Any], *names: str) -> Any:
    vertices = body["v_template"].copy()
    for name in names:
        direction = body["exprdirs"][:, :, body["expression_names"].tolist().index(name)]
        vertices[body["exprdirs_vertices"]] += direction
    return vertices


def opposite(names: Any) -> list[int]:
    """Index of each name's counterpart on the other side of the body."""
    swap = {"left": "right", "right": "left"}
    sides = [name.split("_", 1) for name in names]
    return [list(names).index("_".join([swap.get(first, first), *rest])) for first, *rest in sides]


def test_file_is_small() -> None:
    assert OPEN_BODY_FILE.stat().st_size <= 1_600_000


def test_layout(body: dict[str, Any]) -> None:
    assert set(body) == {*LAYOUT, *TEXTS, "format_version"}
    for key, (dtype, shape) in LAYOUT.items():
        assert body[key].dtype == dtype, key
        assert len(body[key].shape) == len(shape), key
        assert all(b in (None, a) for a, b in zip(body[key].shape, shape, strict=True)), key
        assert np.isfinite(body[key]).all(), key
    vertices = len(body["v_template"])
    assert len(body["shapedirs"]) == len(body["weights"]) == len(body["weights_joints"]) == vertices
    assert body["format_version"] == 1
    assert body["name"] == "anny-smplx/2"


def test_texts_name_shapes_expressions_and_licence(body: dict[str, Any]) -> None:
    axes = ["height", "weight", "gender", "muscle", "proportions", "age"]
    assert body["shape_names"].tolist()[:6] == axes
    assert len(set(body["shape_names"])) == 10
    assert len(set(body["expression_names"])) == 52
    assert {"jawOpen", "eyeBlinkLeft", "mouthSmileRight"} <= set(body["expression_names"])
    assert "CC0" in str(body["license_note"])
    assert "Apache-2.0" in str(body["license_note"])


def test_indices_are_in_range(body: dict[str, Any]) -> None:
    vertices = len(body["v_template"])
    for key in ("faces", "exprdirs_vertices", "joint_regressor_cols", "surface_points"):
        assert body[key].max() < vertices, key
    assert body["face_landmark_faces"].max() < len(body["faces"])
    assert body["weights_joints"].max() < NUM_JOINTS
    assert (np.diff(body["exprdirs_vertices"].astype(int)) > 0).all()


def test_surface_is_closed_and_faces_outwards(body: dict[str, Any]) -> None:
    faces = body["faces"].astype(int)
    edges = np.concatenate([faces[:, [k, (k + 1) % 3]] for k in range(3)])
    forth, back = (np.unique(order, axis=0) for order in (edges, edges[:, ::-1]))
    assert len(forth) == len(edges)  # each edge runs once each way
    np.testing.assert_array_equal(forth, back)
    a, b, c = body["v_template"][faces].astype(float).transpose(1, 0, 2)
    litres = 1000.0 * np.einsum("ij,ij->", np.cross(a, b), c) / 6.0
    assert 50.0 < litres < 75.0


def test_trunk_has_no_folds_in_any_shape(body: dict[str, Any]) -> None:
    faces = body["faces"].astype(int)
    trunk = ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar")
    trunk += ("left_hip", "right_hip")
    own = np.isin(body["weights_joints"], [SMPLX_JOINT_NAMES.index(name) for name in trunk])
    inside = (body["weights"] * own).sum(axis=1) > 0.9
    edges = np.concatenate([faces[:, [k, (k + 1) % 3]] for k in range(3)])
    order = np.lexsort((edges.max(axis=1), edges.min(axis=1)))  # both triangles of an edge
    sides = (order % len(faces)).reshape(-1, 2)[inside[edges[order[::2]]].all(axis=1)]
    assert len(sides) > 3000
    for coefficients in np.vstack([2.0 * np.eye(10), -2.0 * np.eye(10)]):
        vertices = body["v_template"] + body["shapedirs"] @ coefficients
        a, b, c = vertices[faces].transpose(1, 0, 2)
        normals = np.cross(b - a, c - a)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        cosine = (normals[sides[:, 0]] * normals[sides[:, 1]]).sum(axis=1)
        assert np.degrees(np.arccos(cosine.min())) < 60.0


def test_joints_are_those_of_the_first_open_body() -> None:
    with np.load(FIRST_JOINTS) as data:
        template, directions = data["template"], data["directions"]
        assert EARLIER_OPEN_BODIES["anny-smplx/1"] == str(data["sha256"])
    body = load_open_body()
    rng = np.random.default_rng(0)
    betas = rng.uniform(-3.0, 3.0, (500, body.num_betas)).astype(np.float32)
    expression = rng.uniform(0.0, 1.0, (500, body.num_expression)).astype(np.float32)
    coefficients = np.hstack([betas, expression])
    first = template + np.einsum("jcd,bd->bjc", directions, coefficients)
    apart = np.linalg.norm(body.rest_joints(betas, expression) - first, axis=2)
    assert apart.max() < 1e-4


def test_weights_sum_to_one(body: dict[str, Any]) -> None:
    assert body["weights"].min() >= 0.0
    np.testing.assert_allclose(body["weights"].sum(axis=1), 1.0, atol=1e-6)
    assert set(body["weights_joints"][body["weights"] > 0.1]) == set(range(NUM_JOINTS))


def test_joint_regressor_rows_sum_to_one(body: dict[str, Any]) -> None:
    sums = np.bincount(body["joint_regressor_rows"], body["joint_regressor_data"], NUM_JOINTS)
    np.testing.assert_allclose(sums, 1.0, atol=1e-6)
    assert body["joint_regressor_data"].min() > 0.0


def test_skeleton_is_smplx(body: dict[str, Any]) -> None:
    parents = body["parents"].tolist()
    assert parents[:25] == [
        *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15)
    ]
    for wrist, first in ((20, 25), (21, 40)):
        expected = [wrist if k % 3 == 0 else first + k - 1 for k in range(15)]
        assert parents[first : first + 15] == expected


def test_t_pose(body: dict[str, Any], joints: dict[str, Any]) -> None:
    np.testing.assert_allclose(joints["pelvis"], 0.0, atol=2e-3)
    arm = joints["left_wrist"] - joints["left_shoulder"]
    assert arm[0] > 0.99 * np.linalg.norm(arm)
    leg = joints["left_ankle"] - joints["left_hip"]
    assert leg[1] < -0.98 * np.linalg.norm(leg)
    assert joints["left_foot"][2] > joints["left_ankle"][2] + 0.05
    assert joints["left_index1"][2] > joints["left_pinky1"][2]  # palm down


def test_mean_body_is_an_average_adult(body: dict[str, Any]) -> None:
    assert 1.62 < np.ptp(body["v_template"][:, 1]) < 1.74


def test_shape_axes(body: dict[str, Any]) -> None:
    def height(axis: str, deviations: float) -> float:
        direction = body["shapedirs"][:, :, body["shape_names"].tolist().index(axis)]
        return float(np.ptp((body["v_template"] + deviations * direction)[:, 1]))

    assert 1.45 < height("height", -2.0) < 1.6
    assert 1.75 < height("height", 2.0) < 1.9
    assert height("gender", 2.0) < height("gender", -2.0) - 0.05  # women are shorter


def test_body_is_symmetric(body: dict[str, Any], joints: dict[str, Any]) -> None:
    vertices = body["v_template"]
    distance, _ = KDTree(vertices).query(vertices * MIRROR)
    assert distance.max() < 1e-4
    places = np.array(list(joints.values()))
    np.testing.assert_allclose(places[opposite(SMPLX_JOINT_NAMES)] * MIRROR, places, atol=2e-4)
    np.testing.assert_array_equal(body["right_hand_mean"], body["left_hand_mean"] * (1, -1, -1))


def test_surface_points(body: dict[str, Any]) -> None:
    names = body["surface_point_names"].tolist()
    parts = ("ear", "heel", "bigtoe", "smalltoe", "eye", *(f"{finger}_tip" for finger in FINGERS))
    assert set(names) == {f"{side}_{part}" for side in ("left", "right") for part in parts}
    places = body["v_template"][body["surface_points"]]
    np.testing.assert_allclose(places[opposite(names)] * MIRROR, places, atol=1e-4)
    at = dict(zip(names, places, strict=True))
    assert all(at[name][0] > 0.0 for name in names if name.startswith("left"))
    assert at["left_bigtoe"][2] > at["left_heel"][2] + 0.15
    assert at["left_smalltoe"][0] > at["left_bigtoe"][0] + 0.03
    assert at["left_heel"][1] < body["v_template"][:, 1].min() + 0.05
    assert at["left_eye"][2] > at["left_ear"][2] + 0.05
    assert at["left_middle_tip"][0] == pytest.approx(body["v_template"][:, 0].max(), abs=2e-3)


def test_face_landmarks_lie_on_the_face(body: dict[str, Any]) -> None:
    assert body["face_landmark_barycentric"].min() >= 0.0
    np.testing.assert_allclose(body["face_landmark_barycentric"].sum(axis=1), 1.0, atol=1e-6)
    points = on_surface(body, body["v_template"])
    assert points[:, 2].argmax() in (1, 4)  # the tip of the nose
    assert abs(points[[Face.FOREHEAD, Face.NOSE_TIP, Face.CHIN], 0]).max() < 3e-3
    assert points[Face.LEFT_EYE_OUTER, 0] > points[Face.LEFT_EYE_INNER, 0] > 0.0
    distance, _ = KDTree(points).query(points * MIRROR)
    assert distance.mean() < 3e-3
    assert distance.max() < 1e-2


def test_face_landmarks_move_with_jaw_and_lids(body: dict[str, Any]) -> None:
    def gaps(*expressions: str) -> tuple[float, float]:
        points = on_surface(body, with_expression(body, *expressions))
        mouth = points[Face.UPPER_LIP_INNER] - points[Face.LOWER_LIP_INNER]
        lids = points[Face.LEFT_EYE_UPPER_LID] - points[Face.LEFT_EYE_LOWER_LID]
        return float(np.linalg.norm(mouth)), float(np.linalg.norm(lids))

    mouth_closed, eye_open = gaps()
    assert mouth_closed < 0.006
    assert gaps("jawOpen")[0] > mouth_closed + 0.02
    assert gaps("eyeBlinkLeft")[1] < 0.5 * eye_open
    assert gaps("eyeBlinkRight")[1] == pytest.approx(eye_open)
