# SPDX-License-Identifier: Apache-2.0
"""Where viewers look from, by a client without a screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import numpy as np
import pytest

pytest.importorskip("viser", reason="needs the extra view")

from pear_ros.core.people import Person
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.viewing.link import Link
from pear_ros.viewing.moment import LEVEL_CAMERA
from pear_ros.viewing.serving import serve_recordings
from testing.open_people import person, t_pose
from testing.shown_people import ShownPeople
from testing.viewer_client import ViewerClient

FAR_LEFT = person(t_pose(), (-9.0, 0.0, 5.0), "h2")
IMAGES = [
    [],
    [person(t_pose(), (0.0, 0.0, 4.0))],
    [person(t_pose(), (1.0, 0.0, 4.0))],
    [person(t_pose(), (1.0, 0.0, 4.0)), FAR_LEFT],
]
ELSEWHERE = np.array([7.0, 8.0, 9.0]), np.array([1.0, 0.0, 1.0])


@contextmanager
def shown(
    query: str,
    images: Sequence[Sequence[Person]] = IMAGES,
    poses: Sequence[RigidTransform] = (),
) -> Iterator[ViewerClient]:
    run = ShownPeople(images, poses=poses)
    with (
        closing(serve_recordings([run], port=0)) as server,
        ViewerClient(server.url, query) as client,
    ):
        client.element("Speed")
        client.wait(lambda: "look_at" in client.eye or "view=camera" in query)
        yield client


def names(client: ViewerClient) -> set[str]:
    """Ids that stand over people."""
    nodes = list(client.nodes.values())
    return {n["text"] for n in nodes if n["type"] == "LabelMessage" and n["visible"]}


def go(client: ViewerClient, seconds: float, *present: str) -> dict[str, tuple[float, ...]]:
    """Go to a time with these people; return where the eye was put until then."""
    client.choose("Time [s]", seconds)
    client.wait(lambda: names(client) == set(present))
    return dict(client.eye)


def test_first_people_come_into_view() -> None:
    with shown("?t=0") as client:
        before = dict(client.eye)
        assert go(client, 0.1, "h1") != before


def test_people_who_come_out_of_sight_come_into_view() -> None:
    with shown("?t=0.1") as client:
        before = go(client, 0.2, "h1")
        assert go(client, 0.3, "h1", "h2") != before


def test_people_come_into_view_again_after_the_camera_jumped() -> None:
    poses = [RigidTransform(LEVEL_CAMERA.rotation, np.array([0.0, 0.0, z])) for z in (1.0, 4.0)]
    images = [[person(t_pose(), (0.0, 0.0, 4.0))]] * 2
    with shown("?t=0", images, poses) as client:
        before = dict(client.eye)
        client.choose("Time [s]", 0.1)
        client.wait(lambda: client.eye != before)


def test_eye_stays_where_the_viewer_moved_it() -> None:
    with shown("?t=0") as client:
        before = dict(client.eye)
        client.look(*ELSEWHERE)
        assert go(client, 0.1, "h1") == before
        assert go(client, 0.3, "h1", "h2") == before


def test_eye_stays_while_people_move() -> None:
    with shown("?t=0.1") as client:
        before = dict(client.eye)
        client.choose("Time [s]", 0.2)
        client.wait(lambda: "t=0.200" in client.page["query"])
        assert client.eye == before


def test_who_is_followed_stays_while_the_scene_moves() -> None:
    with shown("?t=0.1&view=follow") as client:
        before = dict(client.eye)
        for index in (1, 2):
            pelvis = LEVEL_CAMERA.apply(IMAGES[index][0].joints[0].astype(np.float64))
            client.choose("Time [s]", 0.1 * index)
            for node in ("/a", "/floor", "/axes"):
                client.wait(
                    lambda node=node, pelvis=pelvis: np.allclose(
                        client.nodes[node].get("position", 0.0), -pelvis, atol=1e-6
                    )
                )
        assert client.eye == before
        client.choose("View", "orbit")
        client.wait(lambda: np.allclose(client.nodes["/a"]["position"], 0.0))


@pytest.mark.parametrize("view", ("", "view=top", "view=follow&person=h1"))
def test_address_keeps_the_eye(view: str) -> None:
    with shown(f"?t=0.2&{view}") as client:
        client.wait(lambda: "eye=" in client.page["query"])
        put = client.page["query"]
        np.testing.assert_allclose(Link.parsed(put).eye, client.eye["position"], atol=0.01)
        client.look(*ELSEWHERE)
        client.wait(lambda: "eye=7.00,8.00,9.00&at=1.00,0.00,1.00" in client.page["query"])
        query = client.page["query"]
    with shown(query) as client:
        np.testing.assert_allclose(client.eye["position"], ELSEWHERE[0])
        np.testing.assert_allclose(client.eye["look_at"], ELSEWHERE[1])
        before = go(client, 0.2, "h1")
        assert go(client, 0.3, "h1", "h2") == before


def test_address_keeps_no_eye_without_people() -> None:
    with shown("?t=0") as client:
        client.wait(lambda: "t=0.000" in client.page["query"])
        assert "eye" not in client.page["query"]
