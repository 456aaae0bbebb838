# SPDX-License-Identifier: Apache-2.0
"""`pear demo`: lockstep playback to a real node over DDS, the bag, images, the table."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosbags.highlevel import AnyReader

from pear_ros.body import load_open_body
from pear_ros.cli.demo.command import _clear, spinning
from pear_ros.cli.demo.lockstep import (
    BODY_MODEL,
    HUMANS,
    OVERLAY,
    TOPICS,
    Answers,
    LockstepPlayer,
    NoResultsError,
    optical_transform,
)
from pear_ros.cli.demo.pictures import draw_bag
from pear_ros.cli.demo.recorder import Recorder
from pear_ros.cli.demo.table import demo_table
from pear_ros.io.video import FrameSource
from pear_ros.ros.node.node import PearNode
from testing.open_people import OpenPipeline
from testing.tiny_pipeline import TinyPipeline, picture

WIDTH, HEIGHT = 320, 240
FRAMES = [
    (stamp, picture(*squares, width=WIDTH, height=HEIGHT))
    for stamp, squares in ((0.0, (0,)), (0.1, (0, 2)), (0.2, ()), (0.5, (2,)))
]


class Stage:
    """A node with a fake pipeline, a recorder and a player in one process."""

    def __init__(self, bag: Path, pipeline: TinyPipeline) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        values = {"image_transport": "compressed", "publish_vertices": True}
        parameters = [Parameter(name, value=value) for name, value in values.items()]
        self._node = PearNode(
            lambda _: pipeline, context=self._context, parameter_overrides=parameters
        )
        self._client = Node("client", context=self._context)
        self._recorder = Recorder(self._client, bag, TOPICS)
        self.player = LockstepPlayer(self._client, self._recorder)
        self._threads = contextlib.ExitStack()
        self._threads.enter_context(spinning(self._node))
        self._threads.enter_context(spinning(self._client))
        self._node.autostart()
        assert self.player.wait_until_ready(lambda: True, 30.0)

    def close(self) -> None:
        self._threads.close()
        self._recorder.close()
        self._node.destroy_node()
        self._client.destroy_node()
        rclpy.shutdown(context=self._context)


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[Callable[[TinyPipeline], Stage]]:
    stages: list[Stage] = []

    def make(pipeline: TinyPipeline) -> Stage:
        stages.append(Stage(tmp_path / "bag", pipeline))
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Answers, Path]:
    """The results of FRAMES through the node, and the bag."""
    bag = tmp_path_factory.mktemp("demo") / "bag"
    stage = Stage(bag, OpenPipeline())
    try:
        return stage.player.play(FRAMES), bag
    finally:
        stage.close()


def test_lockstep_player_gets_ids_for_every_frame(recorded: tuple[Answers, Path]) -> None:
    answers, _ = recorded
    assert (answers.sent, answers.answered) == (4, 4)
    assert answers.ids == [["h1"], ["h1", "h3"], [], ["h3"]]
    for latencies in answers.latencies.values():
        assert len(latencies) == 4
        assert min(latencies) > 0.0


def test_recorded_bag_has_all_topics_at_the_clips_rate(recorded: tuple[Answers, Path]) -> None:
    _, bag = recorded
    with AnyReader([bag]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
        assert counts.pop("/body_model") >= 1
        counts.pop("/diagnostics")  # comes by the clock
        assert counts == {
            "/image/compressed": 4,
            "/camera_info": 4,
            "/humans": 4,
            "/mesh_markers": 4,
            "/overlay/compressed": 4,
            "/tf_static": 1,
        }
        for connection in reader.connections:
            if connection.topic == "/diagnostics":
                continue
            stamps = [stamp - reader.start_time for _, stamp, _ in reader.messages([connection])]
            expected = [0, 100_000_000, 200_000_000, 500_000_000]
            if len(stamps) == 4:
                np.testing.assert_allclose(stamps, expected, atol=1000)
            else:
                assert set(stamps) == {0}, "what is latched is there from the start"


def test_recorded_messages_are_those_of_the_node(recorded: tuple[Answers, Path]) -> None:
    _, bag = recorded
    with AnyReader([bag]) as reader:
        for connection, stamp, data in reader.messages():
            message: Any = reader.deserialize(data, connection.msgtype)
            if connection.topic in ("/humans", "/overlay/compressed", "/camera_info"):
                header = message.header
                assert header.stamp.sec * 1_000_000_000 + header.stamp.nanosec == stamp
                assert header.frame_id == "camera_optical_frame"
            if connection.topic == "/humans":
                assert message.body_model == load_open_body().name
            if connection.topic == "/body_model":
                np.testing.assert_array_equal(message.faces, load_open_body().faces.ravel())


def test_draw_bag_writes_video_and_contact_sheet(
    recorded: tuple[Answers, Path], tmp_path: Path
) -> None:
    _, bag = recorded
    video, sheet = draw_bag(bag, tmp_path, HUMANS.name, BODY_MODEL.name, OVERLAY.recorded_name)
    stamps, pictures = zip(*FrameSource(str(video)), strict=True)
    np.testing.assert_allclose(stamps, [0.0, 0.1, 0.2, 0.5], atol=1e-3)
    # Only people have colours in the side view, which is beside the image.
    coloured = [(np.ptp(image[:, WIDTH:].astype(int), axis=2) > 40).sum() for image in pictures]
    assert coloured[2] == 0
    assert min(coloured[0], coloured[1], coloured[3]) > 100
    drawn = cv2.imread(str(sheet))
    assert drawn is not None and drawn.shape[1] == 3 * 640 + 8


def test_lockstep_player_stops_without_results(
    make_stage: Callable[[TinyPipeline], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = TinyPipeline()
    pipeline.fault = RuntimeError("broken")
    monkeypatch.setattr("pear_ros.cli.demo.lockstep._FRAME_SECONDS", 0.1)
    stage = make_stage(pipeline)
    with pytest.raises(NoResultsError, match="3 frames in a row, the last of them frame 3"):
        stage.player.play(FRAMES)


def test_optical_frame_z_is_the_links_x() -> None:
    rotation = optical_transform(rclpy.time.Time().to_msg()).transform.rotation
    x, y, z, w = rotation.x, rotation.y, rotation.z, rotation.w
    forward = (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y))
    right = (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
    assert forward == (1, 0, 0)
    assert right == (0, -1, 0), "REP-103: y of a link points to the left"


def test_table_counts_frames_people_and_time() -> None:
    latencies = {"/humans": [0.1, 0.2, 0.3], "/overlay": [0.3, 0.3, 0.4]}
    table = demo_table(
        4, [["h1"], ["h1", "h2"], []], latencies, {"failed": 0.0, "estimate [ms]": 12.34}
    )
    lines = {line[:22].strip(): line[22:] for line in table.splitlines()}
    assert lines["frames sent"].startswith("4 ")
    assert lines["frames with results"] == "3"
    assert lines["frames dropped"] == "1"
    assert lines["people"].startswith("2 ids, 1.00 people per frame, 2 at most")
    assert lines["pace"].startswith("3.0 frames/s")
    assert lines["/humans"].split() == ["200", "290"]
    assert "failed" not in lines
    assert lines["estimate"].split() == ["12.3"]


def test_table_of_a_demo_without_results() -> None:
    assert "frames dropped        2" in demo_table(2, [], {"/humans": []}, {})


def test_demo_clears_links_and_not_what_they_lead_to(tmp_path: Path) -> None:
    others, folder = tmp_path / "others", tmp_path / "demo"
    others.mkdir()
    folder.mkdir()
    (others / "file").write_text("of others")
    for name in ("bag", "node.log", "demo.mp4", "table.txt"):
        (folder / name).symlink_to(others if name == "bag" else others / "file")
    _clear(folder)
    assert not list(folder.iterdir())
    assert (others / "file").read_text() == "of others"
