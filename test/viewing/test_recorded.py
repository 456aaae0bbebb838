# SPDX-License-Identifier: Apache-2.0
"""What browsers get of a recording, by a client without a screen."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("viser", reason="needs the extra view")

from pear_ros.core.people import Person, TrackingState
from pear_ros.rendering.colours import id_colour
from pear_ros.viewing.colouring import confidence_colours, run_colour
from pear_ros.viewing.gate import is_local
from pear_ros.viewing.moment import LEVEL_CAMERA
from pear_ros.viewing.serving import serve_recordings
from testing.open_people import person, t_pose
from testing.shown_people import ShownPeople
from testing.viewer_client import ViewerClient

Images = Sequence[Sequence[Person]]

IMAGES = [
    [person(t_pose(), (0.1 * step, 0.0, 4.0))]
    + ([person(t_pose(), (-1.0, 0.0, 5.0), "h2")] if step >= 2 else [])
    for step in range(5)
]


@contextmanager
def served(*runs: ShownPeople) -> Iterator[str]:
    server = serve_recordings(runs, port=0)
    try:
        yield server.url
    finally:
        server.close()


@contextmanager
def shown(
    images: Sequence[Sequence[Person]] = IMAGES, query: str = "", **options: object
) -> Iterator[ViewerClient]:
    with served(ShownPeople(images, **options)) as url, ViewerClient(url, query) as client:  # type: ignore[arg-type]
        client.element("Speed")
        yield client


def meshes(client: ViewerClient) -> list[str]:
    """Names of visible meshes."""
    return [
        name
        for name, node in list(client.nodes.items())
        if node["type"] == "SkinnedMeshMessage" and node["visible"]
    ]


def test_people_are_meshes_with_bones_where_they_were_published() -> None:
    with shown(query="?t=0.4") as client:
        client.wait(lambda: len(meshes(client)) == 2)
        name = next(name for name in meshes(client) if "h1" in name)
        client.wait(lambda: len([b for b in client.bones if b[0] == name]) == 55)
        places = [client.bones[name, joint]["position"] for joint in range(55)]
        np.testing.assert_allclose(places, IMAGES[4][0].joints, atol=1e-6)
        client.wait(lambda: "wxyz" in client.nodes["/a/c"])
        turn = np.roll(client.nodes["/a/c"]["wxyz"], -1)
        np.testing.assert_allclose(
            Rotation.from_quat(turn).as_matrix(), LEVEL_CAMERA.rotation, atol=1e-6
        )
        colour = [round(255 * channel) for channel in id_colour("h1")]
        assert list(client.nodes[name]["color"]) == colour


def test_absent_people_are_hidden() -> None:
    with shown(query="?t=0.1") as client:
        client.wait(lambda: len(meshes(client)) == 1)
        client.choose("Time [s]", 0.3)
        client.wait(lambda: len(meshes(client)) == 2)
        client.choose("Time [s]", 0.0)
        client.wait(lambda: len(meshes(client)) == 1)


def test_lost_people_are_not_shown() -> None:
    lost = [person(t_pose(), track_id="h9", state=TrackingState.LOST), IMAGES[0][0]]
    with shown([lost]) as client:
        client.wait(lambda: len(meshes(client)) == 1)
        assert "h9" not in "".join(client.nodes)


def test_nodes_of_those_who_left_are_taken_for_others() -> None:
    crowd = [person(t_pose(), (0.0, 0.0, 4.0), f"h{n}") for n in range(30)]
    with shown([[one] for one in crowd], query="?t=0") as client:
        client.wait(lambda: meshes(client))
        for index, one in enumerate(crowd):
            client.choose("Time [s]", 0.1 * index)
            client.wait(
                lambda one=one: (
                    [
                        node["text"]
                        for node in list(client.nodes.values())
                        if node["type"] == "LabelMessage" and node["visible"]
                    ]
                    == [one.id]
                )
            )
            assert len(meshes(client)) == 1
        made = [n for n in client.nodes.values() if n["type"] == "SkinnedMeshMessage"]
        assert len(made) <= 10


def test_address_keeps_time_and_view() -> None:
    with shown(query="?t=0.2") as client:
        client.choose("View", "from above")
        client.choose("Colour", "confidence")
        client.wait(lambda: "view=top" in client.page["query"])
        client.wait(lambda: "paint=confidence" in client.page["query"])
        assert "t=0.200" in client.page["query"]


def test_confidence_is_a_colour() -> None:
    with shown(query="?paint=confidence") as client:
        client.wait(lambda: meshes(client))
        expected = confidence_colours(np.array([0.5]))[0].tolist()
        name = meshes(client)[0]
        client.wait(lambda: list(client.nodes[name]["color"]) == expected)


def test_confidence_has_a_legend_while_it_is_shown() -> None:
    with shown() as client:

        def legend() -> bool:
            html = [n for n in list(client.gui.values()) if "unknown" in str(n.get("content"))]
            return bool(html) and html[0]["visible"]

        assert not legend()
        client.choose("Colour", "confidence")
        client.wait(legend)


def test_meshes_are_seen_through_where_joints_are_shown_too() -> None:
    with shown() as client:
        name = client.wait(lambda: meshes(client))[0]
        assert client.nodes[name]["opacity"] is None
        client.choose("Draw", "mesh and joints")
        client.wait(lambda: client.nodes[name]["opacity"] == 0.5)


@pytest.mark.parametrize(
    ("body", "reason"),
    (
        ("smplx-neutral-2020", "no mesh of the body smplx-neutral-2020"),
        ("", "do not name their body"),
    ),
)
def test_body_without_mesh_is_joints_with_a_reason(body: str, reason: str) -> None:
    with shown(body=body) as client:
        client.wait(lambda: any(n["type"] == "PointCloudMessage" for n in client.nodes.values()))
        client.wait(lambda: reason in client.texts())
        assert not meshes(client)


def test_images_without_people_lack_no_body() -> None:
    with shown([[]], body="", notes=["noted"]) as client:
        client.wait(lambda: "noted" in client.texts())
        client.wait(lambda: "t=0.000" in client.page["query"])  # After what is lacking was said.
        assert "body" not in client.texts()


def test_unknown_joints_are_left_out() -> None:
    joints = IMAGES[0][0].joints.copy()
    joints[20] = np.nan
    one = replace(IMAGES[0][0], joints=joints)
    with shown([[one]], query="?show=joints") as client:

        def points() -> np.ndarray | None:
            return next(
                (n["points"] for n in client.nodes.values() if n["type"] == "PointCloudMessage"),
                None,
            )

        client.wait(lambda: points() is not None)
        assert len(points().reshape(-1, 3)) == 54  # type: ignore[union-attr]
        assert not meshes(client)


def test_texts_of_files_are_no_markup() -> None:
    bad = [[person(t_pose(), track_id="<img src=x onerror=alert(1)>")]]
    with shown(bad, notes=["<script>alert(2)</script>"]) as client:
        client.wait(lambda: "alert(2)" in client.texts() and "alert(1)" in client.texts())
        assert "<img" not in client.texts()
        assert "<script" not in client.texts()


def test_every_viewer_has_an_own_time() -> None:
    with (
        served(ShownPeople(IMAGES)) as url,
        ViewerClient(url, "?t=0.0") as one,
        ViewerClient(url, "?t=0.4") as other,
    ):
        other.wait(lambda: len(meshes(other)) == 2)
        one.wait(lambda: len(meshes(one)) == 1)
        one.choose("Time [s]", 0.2)
        one.wait(lambda: len(meshes(one)) == 2)
        assert other.element("Time [s]")["value"] == 0.4


def test_two_runs_are_side_by_side() -> None:
    runs = ShownPeople(IMAGES, name="before"), ShownPeople(IMAGES[:1], name="after")
    with served(*runs) as url, ViewerClient(url) as client:
        client.wait(lambda: len(meshes(client)) == 2)
        assert client.nodes["/a/title"]["text"] == "before"
        client.wait(lambda: client.nodes["/b"]["position"][1] == -3.0)
        client.wait(lambda: "position" in client.nodes["/a/title"])
        person_place = LEVEL_CAMERA.apply(IMAGES[0][0].joints.astype(np.float64))
        title = np.array(client.nodes["/a/title"]["position"])
        assert title[2] > person_place[:, 2].max()
        assert np.abs(title[:2] - person_place[0, :2]).max() < 0.5
        for name, colour in zip(
            sorted(meshes(client)), (run_colour(0), run_colour(1)), strict=True
        ):
            assert tuple(client.nodes[name]["color"]) == colour
        client.choose("Colour", "person")
        client.wait(lambda: len({tuple(client.nodes[n]["color"]) for n in meshes(client)}) == 1)
        client.choose("Apart [m]", 0.0)
        client.wait(lambda: client.nodes["/b"]["position"][1] == 0.0)


@pytest.mark.parametrize("images", ((IMAGES, []), ([], IMAGES)))
def test_run_without_images_is_beside_the_other(images: tuple[Images, Images]) -> None:
    runs = [ShownPeople(of, name=f"run {n}") for n, of in enumerate(images)]
    with served(*runs) as url, ViewerClient(url, "?t=0.4") as client:
        client.wait(lambda: len(meshes(client)) == 2)


@pytest.mark.parametrize(
    ("narrow", "kind"), ((True, "GuiPanelMessage"), (False, "GuiTabGroupMessage"))
)
def test_tabs_are_a_panel_that_is_folded_on_phones(narrow: bool, kind: str) -> None:
    with served(ShownPeople(IMAGES)) as url, ViewerClient(url, narrow=narrow) as client:
        tabs = client.wait(
            lambda: [one for one in list(client.gui.values()) if "_tab_labels" in one]
        )
        assert [one["type"] for one in tabs] == [kind]
        client.wait(lambda: tuple(tabs[0]["_tab_labels"]) == ("View", "Picture", "Save", "Plot"))


def test_nothing_leaves_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connected(self: socket.socket, address: Any) -> None:
        asked.append(address[0])
        connect(self, address)

    def looked_up(host: Any, *rest: Any, **options: Any) -> Any:
        asked.append(host)
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", connected)
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with shown(query="?t=0.0") as client:
        client.wait(lambda: meshes(client))
        client.choose("Play", True)
        client.wait(lambda: len(meshes(client)) == 2)
    assert asked, "nothing was noted"
    assert [host for host in asked if not is_local(str(host))] == []


def test_colour_by_run_needs_several_runs() -> None:
    with shown(query="?paint=run") as client:
        assert client.element("Colour")["value"] == "person"


def test_play_shows_later_images() -> None:
    with shown(query="?t=0.0") as client:
        client.choose("Loop", False)
        client.choose("Play", True)
        client.wait(lambda: client.element("Time [s]")["value"] == 0.4)
        client.wait(lambda: len(meshes(client)) == 2)


def test_people_cost_few_bytes_an_image() -> None:
    many = [[person(t_pose(), (0.01 * n, 0.0, 4.0))] for n in range(15)]
    with shown(many, query="?t=0") as client:
        client.wait(lambda: "t=0.000" in client.page["query"])
        client.choose("Trails", False)
        client.choose("Camera's picture", False)
        client.wait(lambda: meshes(client))
        client.choose("Loop", False)
        before = sum(client.received)
        client.choose("Play", True)
        client.wait(lambda: client.element("Time [s]")["value"] == 1.4)
        assert sum(client.received) - before < 15 * 8000


def test_viewer_that_leaves_leaves_nothing_behind() -> None:
    server = serve_recordings([ShownPeople(IMAGES)], port=0)
    try:
        before = {thread.name for thread in threading.enumerate()}
        for _ in range(3):
            with ViewerClient(server.url) as client:
                client.wait(lambda: meshes(client))
        client.wait(lambda: server.viewers == 0)
        client.wait(
            lambda: (
                not [
                    thread
                    for thread in threading.enumerate()
                    if thread.name.startswith("viewer") and thread.name not in before
                ]
            )
        )
        assert not server._viser.get_clients()
    finally:
        server.close()


def test_colours_follow_the_system_unless_the_address_says_otherwise() -> None:
    with served(ShownPeople(IMAGES)) as url:
        for query, dark, expected in (("", True, "dark"), ("?theme=light", True, "light")):
            with ViewerClient(url, query, dark=dark) as client:
                client.wait(lambda: "/floor" in client.nodes)
                cell = int(np.mean(client.nodes["/floor"]["cell_color"]))
                assert (cell < 128) == (expected == "dark")


def test_recording_without_images_says_so() -> None:
    with shown([], notes=["The bag has no results."]) as client:
        client.wait(lambda: "no results" in client.texts())
