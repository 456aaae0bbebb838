# SPDX-License-Identifier: Apache-2.0
"""The skinned mesh that browsers pose is the body of the parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("viser", reason="needs the extra view")

from pear_ros.body.submesh import SubMesh
from pear_ros.core.people import Person
from pear_ros.viewing.bodies import Bodies
from pear_ros.viewing.skin import Skin
from testing.open_people import open_body, person, t_pose
from testing.smplx_file import complete_smplx_file

BENT = {"left_elbow": (0.0, -1.2, 0.0), "right_knee": (1.0, 0.0, 0.0), "neck": (0.2, 0.3, 0.0)}


@pytest.fixture(scope="module")
def skin() -> Skin:
    return Skin(open_body())


def posed(skin: Skin, one: Person) -> np.ndarray:
    """Linear blend skinning, as three.js has it."""
    surface, bones = skin.surface(one), skin.bones(one)
    assert bones is not None
    turns = Rotation.from_quat(np.roll(bones.wxyz, -1, axis=1)).as_matrix()
    local = surface.vertices[:, None] - surface.joints  # (U, 55, 3)
    moved = np.einsum("jab,ujb->uja", turns, local) + bones.positions
    return np.einsum("uj,uja->ua", skin.weights, moved)


def parameters(one: Person) -> tuple[np.ndarray, ...]:
    """Arguments of BodyModel.vertices, without their first axis."""
    values = one.smplx
    return values.pose, values.betas, values.expression, values.transl


def test_mesh_is_that_of_the_body(skin: Skin) -> None:
    one = person(t_pose(**BENT), (0.3, 0.1, 3.0))
    body = open_body()
    mesh = SubMesh.of(body.faces_of("medium"), body.vertex_count)
    full = body.vertices(*(part[None] for part in parameters(one)))[0]
    distances = np.linalg.norm(posed(skin, one) - mesh.take(full), axis=1)
    # Four joints a vertex, of up to eight.
    assert distances.max() < 0.01
    assert np.median(distances) < 1e-4


def test_scale_is_about_the_camera_as_in_messages(skin: Skin) -> None:
    one = person(t_pose(**BENT), (0.3, 0.1, 3.0))
    larger = replace(one, scale=1.2, joints=1.2 * one.joints)
    np.testing.assert_allclose(posed(skin, larger), 1.2 * posed(skin, one), atol=1e-5)


def test_four_joints_move_a_vertex_at_most(skin: Skin) -> None:
    assert ((skin.weights > 0).sum(axis=1) <= 4).all()
    np.testing.assert_allclose(skin.weights.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("field", ("pose", "joints"))
def test_what_is_not_known_has_no_bones(skin: Skin, field: str) -> None:
    one = person(t_pose())
    if field == "pose":
        pose = one.smplx.pose.copy()
        pose[3] = np.nan
        one = replace(one, smplx=replace(one.smplx, pose=pose))
    else:
        one = replace(one, joints=np.full((55, 3), np.nan, np.float32))
    assert skin.bones(one) is None


@pytest.fixture
def smplx_file(tmp_path: Path) -> Path:
    """A file in SMPL-X's layout with the open body's first vertices alone, to be small."""
    body, count = open_body(), 300
    joints = len(body.parents)
    arrays = {
        "v_template": body.v_template[:count],
        "f": body.faces[(body.faces < count).all(axis=1)].astype(np.uint32),
        "shapedirs": np.zeros((count, 3, 400), np.float32),
        "posedirs": np.zeros((count, 3, 9 * (joints - 1)), np.float32),
        "J_regressor": np.full((joints, count), 1.0 / count),
        "weights": body.weights.toarray()[:count],
        "kintree_table": np.stack([np.append(2**32 - 1, body.parents[1:]), np.arange(joints)]),
    }
    return complete_smplx_file(arrays, tmp_path)


def test_file_of_smplx_gives_its_mesh(smplx_file: Path) -> None:
    bodies = Bodies([smplx_file])
    skin = bodies.skin("smplx-neutral")
    assert skin is not None
    assert bodies.skin("SMPLX_NEUTRAL") is not None
    assert bodies.skin("smplx-neutral-2020") is None
    one = person(t_pose(**BENT))
    assert len(skin.surface(one).vertices) == len(posed(skin, one)) <= 300


def test_bodies_have_the_open_one_and_say_what_they_lack() -> None:
    bodies = Bodies()
    assert bodies.skin(open_body().name) is not None
    assert bodies.skin("anny-smplx/1") is not None
    assert bodies.skin("smplx-neutral-2020") is None
    assert "smplx-neutral-2020" in bodies.lack("smplx-neutral-2020")
    assert "--smplx" in bodies.lack("smplx-neutral-2020")
    assert "do not name" in bodies.lack("")
