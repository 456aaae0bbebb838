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


def shown(*persons: Person, seconds: float = 0.0) -> dict[str, bool]:
    """Whether meshes are visible in a browser after these people were shown one after another.

    `seconds` pass after each of them.
    """

    def show(viewer: viser.ClientHandle) -> SimpleNamespace:
        skin = Skin(open_body())
        mesh = PersonMesh(viewer.scene, "/m", skin)
        for one in persons:
            bones = skin.bones(one)
            assert bones
            mesh.show(one, bones, (1, 2, 3), None)
            time.sleep(seconds)
            mesh.tidy()
        viewer.scene.add_frame("/end")
        return SimpleNamespace(close=lambda: None)

    with closing(ViewServer(show, port=0)) as server, ViewerClient(server.url) as client:
        client.wait(lambda: "/end" in client.nodes)
        nodes = list(client.nodes.items())
        assert {tuple(one["color"]) for _, one in nodes if "color" in one} == {(1, 2, 3)}
        found = {n: one["visible"] for n, one in nodes if one["type"] == "SkinnedMeshMessage"}
        for name in (name for name, visible in found.items() if visible):
            pelvis = client.bones[name, 0]["position"]
            np.testing.assert_allclose(pelvis, persons[-1].joints[0], atol=1e-5)
        return found


def test_person_who_moves_keeps_the_mesh() -> None:
    assert shown(SMALL, MOVED) == {"/m0": True}


def test_next_surface_is_seen_when_the_browser_has_made_it() -> None:
    assert shown(SMALL, LARGE) == {"/m0": True, "/m1": False}
    assert shown(SMALL, LARGE, seconds=0.6) == {"/m0": False, "/m1": True}


def test_no_mesh_is_removed_and_two_are_enough() -> None:
    assert shown(SMALL, LARGE, MOVED, LARGE, seconds=0.6) == {"/m0": False, "/m1": True}


def test_poses_are_repeated_for_slow_browsers() -> None:
    def show(viewer: viser.ClientHandle) -> SimpleNamespace:
        skin = Skin(open_body())
        mesh = PersonMesh(viewer.scene, "/m", skin)
        bones = skin.bones(SMALL)
        assert bones
        mesh.show(SMALL, bones, (1, 2, 3), None)
        viewer.scene.add_frame("/shown")
        time.sleep(0.5)
        mesh.tidy()
        viewer.scene.add_frame("/end")
        return SimpleNamespace(close=lambda: None)

    with closing(ViewServer(show, port=0)) as server, ViewerClient(server.url) as client:
        client.wait(lambda: "/shown" in client.nodes)
        client.bones.clear()
        client.wait(lambda: "/end" in client.nodes)
        assert len(client.bones) == 55
