# SPDX-License-Identifier: Apache-2.0
"""Meshes of people whose surface changes."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("viser", reason="needs the extra view")

import viser

from pear_ros.core.people import Person
from pear_ros.viewing.person_mesh import PersonMesh
from pear_ros.viewing.server import ViewServer
from pear_ros.viewing.skin import Skin
from testing.open_people import open_body, person, t_pose
from testing.viewer_client import ViewerClient

SMALL = person(t_pose())
LARGE = replace(SMALL, scale=1.2)
MOVED = person(t_pose(), (1.0, 0.0, 4.0))


def shown(*persons: Person, tidied: bool = False) -> list[str]:
    """Names of the meshes that a browser has after these people were shown one after another."""

    def show(viewer: viser.ClientHandle) -> SimpleNamespace:
        skin = Skin(open_body())
        mesh = PersonMesh(viewer.scene, "/m", skin)
        for one in persons:
            bones = skin.bones(one)
            assert bones
            mesh.show(one, bones, (1, 2, 3), None)
        if tidied:
            time.sleep(0.6)
            mesh.tidy()
        viewer.scene.add_frame("/end")
        return SimpleNamespace(close=lambda: None)

    with closing(ViewServer(show, port=0)) as server, ViewerClient(server.url) as client:
        client.wait(lambda: "/end" in client.nodes)
        pelvis = persons[-1].joints[0]
        for name in meshes(client):
            np.testing.assert_allclose(client.bones[name, 0]["position"], pelvis, atol=1e-5)
        return meshes(client)


def meshes(client: ViewerClient) -> list[str]:
    nodes = list(client.nodes.items())
    return [name for name, node in nodes if node["type"] == "SkinnedMeshMessage"]


def test_person_who_moves_keeps_the_mesh() -> None:
    assert shown(SMALL, MOVED) == ["/m0"]


def test_mesh_stays_until_the_browser_has_drawn_the_next() -> None:
    assert shown(SMALL, LARGE) == ["/m0", "/m1"]


def test_no_more_than_two_meshes_are_kept() -> None:
    assert shown(SMALL, LARGE, SMALL) == ["/m1", "/m2"]


def test_mesh_is_removed_when_the_next_has_been_drawn() -> None:
    assert shown(SMALL, LARGE, tidied=True) == ["/m1"]
