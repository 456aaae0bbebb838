# SPDX-License-Identifier: Apache-2.0
"""Poses of bones reach a browser as viser's own setters, which are too slow, send them."""

from __future__ import annotations

from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("viser", reason="needs the extra view")

import viser
from scipy.spatial.transform import Rotation

from pear_ros.viewing.bone_poses import BonePoses
from pear_ros.viewing.server import ViewServer
from pear_ros.viewing.skin import Bones
from testing.viewer_client import ViewerClient

COUNT = 5
UPRIGHT = Bones(np.tile([1.0, 0.0, 0.0, 0.0], (COUNT, 1)), np.zeros((COUNT, 3)))
POSED = Bones(
    Rotation.random(COUNT, random_state=1).as_quat()[:, [3, 0, 1, 2]],
    np.random.default_rng(2).normal(size=(COUNT, 3)),
)
BROKEN = (
    f"viser {viser.__version__} does not take poses of bones as pear_ros/viewing/bone_poses.py "
    "sends them. Adapt it to viser's MeshSkinnedBoneHandle and raise the bound of viser in "
    "setup.py, or keep the older viser."
)


def test_poses_arrive_as_those_of_visers_setters() -> None:
    raised: list[Exception] = []

    def show(viewer: viser.ClientHandle) -> SimpleNamespace:
        mesh = added(viewer.scene, "/setters")
        for bone, wxyz, position in zip(mesh.bones, POSED.wxyz, POSED.positions, strict=True):
            bone.wxyz, bone.position = wxyz, position
        added(viewer.scene, "/ours")
        try:
            BonePoses(viewer.scene, "/ours", UPRIGHT).send(POSED)
        except Exception as error:
            raised.append(error)
        viewer.scene.add_frame("/end")
        return SimpleNamespace(close=lambda: None)

    with closing(ViewServer(show, port=0)) as server, ViewerClient(server.url) as client:
        client.wait(lambda: "/end" in client.nodes)
        expected = [client.bones.get(("/setters", bone)) for bone in range(COUNT)]
        found = [client.bones.get(("/ours", bone)) for bone in range(COUNT)]
    assert all(bone and set(bone) == {"wxyz", "position"} for bone in expected), "of viser"
    assert not raised, f"{BROKEN} ({raised[0]!r})"
    assert found == expected, BROKEN


def added(scene: viser.SceneApi, name: str) -> viser.MeshSkinnedHandle:
    """Add a triangle with bones at the origin."""
    return scene.add_mesh_skinned(
        name,
        np.eye(3),
        np.array([[0, 1, 2]]),
        bone_wxyzs=UPRIGHT.wxyz,
        bone_positions=UPRIGHT.positions,
        skin_weights=np.full((3, COUNT), 1.0 / COUNT),
    )
