# SPDX-License-Identifier: Apache-2.0
"""Odd inputs in bags: they are counted in the table, and in the exit code if nobody is found."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from pear_ros.bags.bag import Bag
from pear_ros.bags.matching import Frame, matched
from pear_ros.bags.snapshot import MAGIC
from pear_ros.bags.time_range import TimeRange
from pear_ros.bags.topic import BagError, Message
from pear_ros.bags.unfinished import SNAPSHOT, UNFINISHED
from pear_ros.core.camera import IntrinsicsSource
from pear_ros.core.parameters import Parameters
from pear_ros.replay.in_threads import replay_in_threads
from pear_ros.replay.statistics import ReplayStatistics
from pear_ros.replay.topics import TopicSelection, select_topics
from testing.image_bags import PERIOD, Recorded, detections, header, raw, write_bag
from testing.replaying import IMAGE, INFO, SQUARES, Stopped, content, ids_of, recorded, replayed
from testing.tiny_pipeline import TinyPipeline, picture

BOXES = "/boxes"
Play = Callable[..., tuple[int, TinyPipeline, list[list[str]]]]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Replay messages by the tiny pipeline: exit code, pipeline, ids."""

    def run(messages: list[Recorded], **how: Any) -> tuple[int, TinyPipeline, list[list[str]]]:
        pipeline = TinyPipeline()
        here = partial(replay_in_threads, build=lambda _, count: [pipeline] * count)
        found = replayed([write_bag(tmp_path / "bag", messages)], tmp_path / "out", here, **how)
        return found.code, pipeline, found.ids

    return run


def changed(messages: list[Recorded], topic: str, change: Callable[[Any], Any]) -> list[Recorded]:
    return [(t, at, change(message) if t == topic else message) for t, at, message in messages]


def test_a_placeholder_is_counted(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    k = np.array([1.0, 0, 32, 0, 1, 24, 0, 0, 1])
    messages = changed([*recorded()], INFO, lambda info: dataclasses.replace(info, k=k))
    code, pipeline, ids = play(messages)
    assert code == 0 and ids == ids_of(SQUARES)
    assert {camera.source for camera in pipeline.cameras} == {IntrinsicsSource.FIELD_OF_VIEW}
    printed = capsys.readouterr()
    assert "12: 12 no intrinsics" in printed.out
    assert printed.err.count("K is a placeholder") == 1


def test_an_odd_lens_keeps_k(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    def odd(info: Any) -> Any:
        d = np.array([0.1, 0.01, 0, 0, 0.001, 0, 0, 0])
        return dataclasses.replace(info, d=d)

    code, pipeline, _ = play(changed([*recorded()], INFO, odd))
    assert code == 0
    assert {camera.fx for camera in pipeline.cameras} == {90.0}
    assert "odd inputs            12: 12 camera_info: distortion resized" in capsys.readouterr().out


@pytest.mark.parametrize("step", [0, 1000])
def test_stamps_that_stand_still_give_way_to_recording_times(
    play: Play, step: int, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [(IMAGE, k * PERIOD, raw(picture(*SQUARES[k % 12]), k * step)) for k in range(40)]
    code, pipeline, ids = play(messages)
    assert code == 0 and len(ids) == 40 and pipeline.resets == 0
    steps = [after - before for before, after in pairwise(pipeline.stamps)]
    assert steps[6:] == pytest.approx([1e-9 * PERIOD] * 33, abs=1e-6)
    printed = capsys.readouterr()
    assert "image: stamps stand still" in printed.out and "track resets          0" in printed.out
    assert printed.err.count("stand still") == 1


def test_two_clocks_do_not_reset_tracks(play: Play) -> None:
    ahead = 3_600_000_000_000
    messages = [(IMAGE, k * PERIOD, raw(picture(0), k * PERIOD + k % 2 * ahead)) for k in range(40)]
    code, pipeline, _ = play(messages)
    assert code == 0 and pipeline.resets <= 1


def boxes_of(class_id: str | None, score: float, box: list[float]) -> list[Recorded]:
    from testing.image_bags import TYPES

    def hypothesis() -> list[Any]:
        kinds = TYPES.types
        covariance = kinds["geometry_msgs/msg/PoseWithCovariance"](
            kinds["geometry_msgs/msg/Pose"](
                kinds["geometry_msgs/msg/Point"](0.0, 0.0, 0.0),
                kinds["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
            ),
            np.zeros(36),
        )
        what = kinds["vision_msgs/msg/ObjectHypothesis"](class_id, score)
        return [kinds["vision_msgs/msg/ObjectHypothesisWithPose"](what, covariance)]

    messages: list[Recorded] = []
    for k in range(12):
        found = detections([box], k * PERIOD)
        if class_id is not None:
            (one,) = found.detections
            found.detections[0] = dataclasses.replace(one, results=hypothesis())
        messages += [
            (IMAGE, k * PERIOD, raw(picture(), k * PERIOD)),
            (BOXES, k * PERIOD, found),
        ]
    return messages


@pytest.mark.parametrize(
    ("class_id", "score", "cause"),
    [
        ("0", 0.9, "detections: none of a person"),
        (None, 0.0, "detections: none of a person"),
        ("person", 0.0, "detections: none of a person"),
        ("Person", 0.9, ""),
    ],
)
def test_nobody_for_the_detections_fault_is_a_failure(
    play: Play,
    class_id: str | None,
    score: float,
    cause: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    messages = boxes_of(class_id, score, [1.0, 2.0, 30.0, 40.0])
    code, _, ids = play(messages, detections=BOXES, parameters=Parameters(detector="topic"))
    assert ids == [[]] * 12
    printed = capsys.readouterr()
    if cause:
        assert code == 1 and f": 8 {cause}" in printed.out
        assert printed.err.count("No detection on /boxes is of a person") == 1
        assert f"nobody was found ({cause})" in printed.err
    else:
        assert code == 0 and "nobody" not in printed.err


def test_missing_detections_are_a_failure(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    messages = boxes_of("person", 0.9, [1.0, 2.0, 30.0, 40.0])
    late = changed(messages, BOXES, lambda found: dataclasses.replace(found, header=header(10**12)))
    code, _, _ = play(late, detections=BOXES, parameters=Parameters(detector="topic"))
    assert code == 1 and "nobody was found (no detections)" in capsys.readouterr().err


def test_boxes_of_another_size_are_counted(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    messages = boxes_of("person", 0.9, [100.0, 2.0, 130.0, 40.0])
    code, _, _ = play(messages, detections=BOXES, parameters=Parameters(detector="topic"))
    printed = capsys.readouterr()
    assert code == 1 and "detections: outside the image" in printed.out
    assert "let the detector scale its boxes" in printed.err


def test_a_killed_replay_with_odd_stamps_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    messages = [(IMAGE, k * PERIOD, raw(picture(*SQUARES[k]), 0)) for k in range(12)]
    bag = write_bag(tmp_path / "bag", messages)

    def run(folder: str, pipeline: TinyPipeline) -> int:
        here = partial(replay_in_threads, build=lambda _, count: [pipeline] * count)
        return replayed([bag], tmp_path / folder, here).code

    assert run("whole", TinyPipeline()) == 0
    assert run("killed", Stopped()) == 130
    assert run("killed", TinyPipeline()) == 0
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_images_of_opencv_beside_depth_are_found(tmp_path: Path) -> None:
    depth = np.zeros((48, 64), np.uint16)
    messages = [
        ("/cam/image_raw", 0, raw(picture(0), 0, "8UC3")),
        ("/cam/depth", 0, raw(depth, 0, "16UC1")),
        ("/cam/other", 0, raw(picture(0), 0, "64FC1")),
    ]
    bag = Bag(write_bag(tmp_path / "bag", messages))
    found = select_topics(bag, TopicSelection(depth="/cam/depth"))
    assert (found.image, found.depth) == ("/cam/image_raw", "/cam/depth")
    bag = Bag(write_bag(tmp_path / "other", messages[1:]))
    with pytest.raises(BagError, match="/cam/other in encoding '64FC1'"):
        select_topics(bag, TopicSelection(depth="/cam/depth"))


def test_only_the_detections_fault_is_a_failure() -> None:
    empty = ReplayStatistics(images=10, with_results=10)
    assert empty.useless == ""
    assert dataclasses.replace(empty, odd={"image: dark 16 bits": 10}).useless == ""
    assert dataclasses.replace(empty, incomplete={"no detections": 3}).useless == ""
    assert dataclasses.replace(empty, incomplete={"no detections": 6}).useless != ""
    assert dataclasses.replace(empty, people=1, incomplete={"no detections": 6}).useless == ""


def test_an_overlay_of_people_in_the_bag_is_no_camera(tmp_path: Path) -> None:
    people = write_bag(tmp_path / "bag", [("/cam/image_raw", 0, raw(picture(0), 0))])
    bag = Bag(people)
    topics = {
        **bag.topics,
        "/overlay/compressed": dataclasses.replace(
            bag.topics["/cam/image_raw"], name="/overlay/compressed"
        ),
        "/humans": dataclasses.replace(
            bag.topics["/cam/image_raw"], name="/humans", type="pear_msgs/msg/HumanArray"
        ),
    }
    bag.topics = topics
    assert select_topics(bag, TopicSelection()).image == "/cam/image_raw"


def test_stamps_of_zero_are_matched_by_recording_time() -> None:
    def message(topic: str, time: int) -> Message:
        return Message(topic, time, b"\0\1\0\0" + bytes(8))

    messages = [message("/image", at) for at in range(0, 2_000, 100)]
    messages += [message("/boxes", at + 40) for at in range(0, 2_000, 100)]
    ordered = sorted(messages, key=lambda one: one.time)
    frames = [
        one
        for one in matched(ordered, "/image", {"boxes": "/boxes"}, {}, TimeRange(0, 10**9))
        if isinstance(one, Frame)
    ]
    apart = [abs(one.companions["boxes"].time - one.image.time) for one in frames]
    assert len(apart) == 20 and max(apart) <= 60


@pytest.mark.parametrize(
    "text",
    [
        '{"images": "3"}',
        '{"images": null}',
        '{"ids": [1]}',
        '{"ids": "h1"}',
        '{"refused": {"corrupt": "1"}}',
        '{"odd": []}',
        '{"other": 1}',
        "[" * 100_000,
        "3",
    ],
)
def test_summary_of_others_is_none(text: str) -> None:
    assert ReplayStatistics.loads(text) is None


@pytest.mark.parametrize(
    ("found", "forged"),
    [
        ('"images":5,', '"images":"5",'),
        ('"ids":[', '"ids":[1,'),
        ('"stamp":1700000000400000000', '"stamp":"x"'),
        ('"arrival":1700000000403000000', '"arrival":null'),
        ('"pipeline":[1]', '"pipeline":7'),
        ('"state":{', '"state":[],"x":{'),
    ],
)
def test_state_that_others_changed_ends_with_a_sentence(
    tmp_path: Path, found: str, forged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_bag(tmp_path / "bag", recorded())

    def replay(pipeline: TinyPipeline) -> int:
        here = partial(replay_in_threads, build=lambda _, count: [pipeline] * count)
        return replayed([source], tmp_path / "out", here).code

    assert replay(Stopped()) == 130
    snapshot = tmp_path / "out" / UNFINISHED / SNAPSHOT
    content = snapshot.read_bytes()[len(MAGIC) + 32 :]
    end = 8 + int.from_bytes(content[:8], "little")
    tree = content[8:end].decode()
    assert found in tree
    text = tree.replace(found, forged, 1).encode()
    content = len(text).to_bytes(8, "little") + text + content[end:]
    snapshot.write_bytes(MAGIC + hashlib.sha256(content).digest() + content)
    assert replay(TinyPipeline()) == 1
    (line,) = (one for one in capsys.readouterr().err.splitlines() if "error" in one)
    assert "--overwrite" in line
