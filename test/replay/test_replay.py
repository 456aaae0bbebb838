# SPDX-License-Identifier: Apache-2.0
"""`pear replay`: every image of a bag, in order, once, whatever happens."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import StoragePlugin
from ruamel.yaml import YAML

from pear_ros.bags.bag import Bag
from pear_ros.bags.resumable import ResumableBag
from pear_ros.bags.topic import BagError
from pear_ros.cli import main
from pear_ros.core.camera import IntrinsicsSource
from pear_ros.core.configuration import STORAGES
from pear_ros.core.estimator import DeviceLostError
from pear_ros.core.parameters import Parameters
from pear_ros.export.bag import read_bag
from pear_ros.io.downloads import AssetError, demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.replay.in_threads import replay_in_threads
from pear_ros.replay.job import Job
from pear_ros.replay.topics import TopicSelection, select_topics
from testing.image_bags import (
    PERIOD,
    START,
    TYPES,
    Recorded,
    camera_info,
    detections,
    header,
    jpeg,
    raw,
    write_bag,
    write_mcap,
)
from testing.replaying import (
    IMAGE,
    INFO,
    PART,
    SQUARES,
    Replayed,
    Stopped,
    content,
    ids_of,
    recorded,
    replayed,
)
from testing.tiny_pipeline import TinyPipeline, picture


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return write_bag(tmp_path / "walk", recorded())


class Run(Replayed):
    """With the pipeline that was used."""

    def __init__(self, replay: Replayed, pipeline: TinyPipeline) -> None:
        super().__init__(replay.code, replay.folder)
        self.pipeline = pipeline


Replay = Callable[..., Run]


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    def run(
        *sources: Path, output: str = "out", pipeline: TinyPipeline | None = None, **how: Any
    ) -> Run:
        tiny = pipeline or TinyPipeline()
        here = partial(replay_in_threads, build=lambda _, count: [tiny] * count)
        return Run(replayed(list(sources), tmp_path / output, here, **how), tiny)

    return run


def test_every_image_in_order_at_its_stamp(replay: Replay, bag: Path) -> None:
    run = replay(bag)
    assert run.code == 0 and run.ids == ids_of(SQUARES)
    for k, (recorded_at, message) in enumerate(run.messages()):
        assert recorded_at == k * PERIOD + 3_000_000, "when the image was recorded"
        stamp = message.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == START + k * PERIOD
        assert message.header.frame_id == "camera"
    assert run.pipeline.stamps == pytest.approx([1e-9 * (START + k * PERIOD) for k in range(12)])
    assert {(c.fx, c.source) for c in run.pipeline.cameras} == {
        (90.0, IntrinsicsSource.CAMERA_INFO)
    }


def test_results_are_a_bag_with_definitions_and_the_body_latched(replay: Replay, bag: Path) -> None:
    folder = replay(bag, markers=True).folder
    assert set(content(folder)) == {f"humans_{n}.mcap" for n in range(3)} | {"metadata.yaml"}
    with AnyReader([folder]) as reader:
        topics = {c.topic: c for c in reader.connections}
        assert set(topics) == {"/humans", "/mesh_markers", "/body_model"}
        assert topics["/humans"].msgcount == topics["/mesh_markers"].msgcount == 12
        assert topics["/body_model"].ext.offered_qos_profiles[0].durability == (  # type: ignore
            QosDurability.TRANSIENT_LOCAL
        )
        assert all(c.msgdef.data for c in reader.connections)
    for n in range(3):
        with AnyReader([folder / f"humans_{n}.mcap"]) as reader:
            first, _, _ = next(reader.messages())
            assert first.topic == "/humans"
            assert "/body_model" in {c.topic for c in reader.connections if c.msgcount}
    assert len(read_bag(folder).stamps_ns) == 12


@pytest.mark.parametrize("storage", STORAGES)
def test_two_runs_give_the_same_bytes(replay: Replay, bag: Path, storage: str) -> None:
    first, second = (replay(bag, output=name, storage=storage).folder for name in "ab")
    assert content(first) == content(second)


def test_results_as_sqlite3(replay: Replay, bag: Path) -> None:
    run = replay(bag, storage="sqlite3", markers=True)
    assert set(content(run.folder)) == {f"humans_{n}.db3" for n in range(3)} | {"metadata.yaml"}
    as_mcap = replay(bag, output="mcap", markers=True)
    for topic in ("/humans", "/mesh_markers", "/body_model"):
        assert repr(run.messages(topic)) == repr(as_mcap.messages(topic))


@pytest.mark.parametrize("storage", STORAGES)
def test_humble_reads_the_metadata(replay: Replay, bag: Path, storage: str) -> None:
    """Its rosbag2 reads QoS as a string of YAML with numbers and ignores unknown fields."""
    folder = replay(bag, storage=storage).folder
    metadata = YAML(typ="safe").load((folder / "metadata.yaml").read_text())
    metadata = metadata["rosbag2_bagfile_information"]
    assert metadata["version"] == 8 and metadata["storage_identifier"] == storage
    assert metadata["compression_format"] == metadata["compression_mode"] == ""
    assert metadata["relative_file_paths"] == [file["path"] for file in metadata["files"]]
    for topic in metadata["topics_with_message_count"]:
        text = topic["topic_metadata"]["offered_qos_profiles"]
        assert isinstance(text, str)
        (qos,) = YAML(typ="safe").load(text)
        assert (qos["history"], qos["reliability"]) == (1, 1), "keep last, reliable"


def test_results_as_sqlite3_have_the_columns_that_humble_reads(replay: Replay, bag: Path) -> None:
    folder = replay(bag, storage="sqlite3").folder
    with closing(sqlite3.connect(folder / "humans_0.db3")) as database:
        columns = "name, type, serialization_format, offered_qos_profiles"
        topics = database.execute(f"SELECT {columns} FROM topics ORDER BY id").fetchall()
        query = "SELECT data, timestamp, topic_id FROM messages ORDER BY timestamp"
        assert database.execute(query).fetchall()
    assert ("/humans", "pear_msgs/msg/HumanArray", "cdr") in [topic[:3] for topic in topics]


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_compressed_images_of_both_storages(
    replay: Replay, tmp_path: Path, storage: StoragePlugin
) -> None:
    messages = [
        (f"{IMAGE}/compressed", k * PERIOD, jpeg(picture(k % 4), k * PERIOD)) for k in range(7)
    ]
    bag = write_bag(tmp_path / "jpeg", messages, storage)
    run = replay(bag)
    assert run.ids == ids_of([(k % 4,) for k in range(7)])
    assert {camera.source for camera in run.pipeline.cameras} == {IntrinsicsSource.FIELD_OF_VIEW}


# Which topics


def topics_of(tmp_path: Path, *messages: tuple[str, Any], **given: str) -> TopicSelection:
    shutil.rmtree(tmp_path / "topics", ignore_errors=True)
    times = [(topic, k, message) for k, (topic, message) in enumerate(messages)]
    return select_topics(Bag(write_bag(tmp_path / "topics", times)), TopicSelection(**given))


def test_the_image_topic_is_found(tmp_path: Path) -> None:
    image, info = raw(picture(0), 0), camera_info(64, 48, 90.0, 0)
    depth = raw(np.ones((48, 64), np.uint16), 0, "16UC1")
    small, packed = jpeg(picture(0), 0), jpeg(picture(0), 0)
    packed.format = "16UC1; png compressed "
    both = [("/a/image", image), ("/a/image/compressed", small), ("/a/camera_info", info)]
    assert topics_of(tmp_path, *both) == TopicSelection("/a/image", "/a/camera_info")
    beside = [("/d/depth", depth), ("/b/image", image), ("/a/camera_info", info)]
    assert topics_of(tmp_path, *beside) == TopicSelection("/b/image")
    alone = [("/a/image/compressed", small), ("/a/camera_info", info)]
    assert topics_of(tmp_path, *alone, image="/a/image") == TopicSelection(
        "/a/image/compressed", "/a/camera_info"
    )
    jpegs = [("/b/image/compressed", small), ("/d/depth/compressed", packed)]
    assert topics_of(tmp_path, *jpegs) == TopicSelection("/b/image/compressed")
    named = topics_of(tmp_path, *beside, depth="/d/depth", camera_info="/a/camera_info")
    assert named == TopicSelection("/b/image", "/a/camera_info", "/d/depth")


def test_several_or_no_image_topics(tmp_path: Path, replay: Replay, capsys: Any) -> None:
    image, info = raw(picture(0), 0), camera_info(64, 48, 90.0, 0)
    two = [("/a/image", image), ("/b/image", image), ("/b/image", image)]
    with pytest.raises(BagError, match=r"choose one with --image: /a/image \(1\), /b/image \(2\)"):
        topics_of(tmp_path, *two)
    assert topics_of(tmp_path, *two, image="/b/image").image == "/b/image"
    with pytest.raises(BagError, match="no image topic; there are /a/camera_info"):
        topics_of(tmp_path, ("/a/camera_info", info))
    with pytest.raises(BagError, match="no topic /c/image; of its type there are /a/image, /b/im"):
        topics_of(tmp_path, *two, image="/c/image")
    with pytest.raises(BagError, match="/a/image is of type sensor_msgs/msg/Image, not sensor_m"):
        topics_of(tmp_path, *two, image="/b/image", camera_info="/a/image")
    bag = write_bag(tmp_path / "two", [(t, k, m) for k, (t, m) in enumerate(two)])
    assert replay(bag).code == 1
    assert "choose one with --image" in capsys.readouterr().err


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_topics_without_messages_are_not_in_the_way(tmp_path: Path, storage: StoragePlugin) -> None:
    """A recorder of all topics lists those without a message, too."""
    messages = [("/a/image/compressed", 0, jpeg(picture(0), 0))]
    silent = ["/a/image", "/b/image"]
    bag = Bag(write_bag(tmp_path / "quiet", messages, storage, silent=silent))
    assert select_topics(bag, TopicSelection()).image == "/a/image/compressed"
    assert select_topics(bag, TopicSelection("/a/image")).image == "/a/image/compressed"


# What belongs to images


def test_detections_and_depth_meet_their_image(replay: Replay, tmp_path: Path) -> None:
    messages: list[Recorded] = []
    for k in range(8):
        stamp, late = k * PERIOD, k * PERIOD + 250_000_000
        metres = np.full((48, 64), 1.0 + k, np.float32)
        messages.append((IMAGE, stamp, raw(picture(k % 4), stamp)))
        if k != 5:
            messages.append(("/boxes", late, detections([(k, 0, k + 10, 20)], stamp)))
        messages.append(("/depth", late, raw(metres, stamp + 9_000_000, "32FC1")))
    bag = write_bag(tmp_path / "late", sorted(messages, key=lambda message: message[1]))
    run = replay(
        bag,
        image=IMAGE,
        depth="/depth",
        detections="/boxes",
        parameters=Parameters(detector="topic", detection_classes="", depth=True),
    )
    assert run.ids == ids_of([(k % 4,) for k in range(8)])
    found = [[d.box[0] for d in given or ()] for given in run.pipeline.detections]
    assert found == [[k] for k in range(5)] + [[]] + [[6], [7]]
    depths = [None if depth is None else depth[0, 0] for depth in run.pipeline.depths]
    assert depths == [1.0 + k for k in range(8)]


def test_parts_of_a_bag(replay: Replay, bag: Path) -> None:
    few = replay(bag, start=0.2, end=0.9, every=3, output="few")
    assert [time for time, _ in few.messages()] == [k * PERIOD + 3_000_000 for k in (2, 5, 8)]
    assert few.ids == ids_of([SQUARES[k] for k in (2, 5, 8)])
    nothing = replay(bag, start=100.0, output="nothing")
    assert nothing.code == 1


def test_inputs_are_copied_as_they_are(replay: Replay, bag: Path) -> None:
    folder = replay(bag, with_inputs=True).folder
    copied = list(Bag(folder).messages([IMAGE, INFO]))
    assert sorted(copied) == sorted(Bag(bag).messages())
    again = Bag(folder)
    assert select_topics(again, TopicSelection()) == TopicSelection(IMAGE, INFO)
    twice = replay(folder, with_inputs=True, output="twice")
    assert twice.code == 0 and twice.ids == ids_of(SQUARES), "old results are not in the way"


def test_what_was_latched_before_the_start_is_copied(
    replay: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    latched = [("/map", k * 1000, header(k)) for k in range(2)]
    bag = write_bag(tmp_path / "map", [*latched, *recorded()], latched=["/map", INFO])
    first = 5 * PERIOD
    for how in ({}, {"chunk": 0.2}):
        run = replay(bag, start=0.5, with_inputs=True, output=f"out{len(how)}", **how)
        assert [time for time, _ in run.messages("/map")] == [first, first]
        infos = [time for time, _ in run.messages(INFO)]
        assert infos == [k * PERIOD for k in range(5, 12)], "of an image each"
        assert len(run.messages()) == 7


def test_topics_without_a_usable_definition_are_not_copied(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = {"std_msgs/msg/Header": ("ros2msg", f"{'=' * 80}\nSRV: a/srv/B\nint64 a\n---\n")}
    missing = {"std_msgs/msg/Header": ("ros2msg", "a/Missing a\n")}
    for n, definitions in enumerate((service, missing)):
        messages = [("/odd", 0, header(0)), *recorded()]
        run = replay(
            write_mcap(tmp_path / f"{n}.mcap", messages, definitions=definitions),
            with_inputs=True,
            output=f"out{n}",
        )
        assert run.code == 0 and len(run.messages(IMAGE)) == 12
        assert "/odd is not copied: no definition" in capsys.readouterr().err


def test_stamps_that_jump_backwards_reset_all_tracks(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [
        (IMAGE, (turn * 4 + k) * PERIOD, raw(picture(k), k * PERIOD))
        for turn in range(3)
        for k in range(4)
    ]
    run = replay(write_bag(tmp_path / "loop", messages))
    assert run.pipeline.resets == 2
    assert run.ids == 3 * ids_of([(0,), (1,), (2,), (3,)])
    assert "track resets          2 (stamps jumped backwards)" in capsys.readouterr().out


# What is damaged


def test_bad_images_are_reported_and_counted(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = list(recorded())
    good = bytes(TYPES.serialize_cdr(messages[9][2], "sensor_msgs/msg/Image"))
    for n, bad in ((9, good[:100]), (11, b""), (13, good[:12] + b"\xff\xff\xff\x7f" + good[16:])):
        messages[n] = (IMAGE, messages[n][1], ("sensor_msgs/msg/Image", bad))
    messages[15] = (IMAGE, messages[15][1], raw(picture(0), 7 * PERIOD, "strange"))
    run = replay(write_bag(tmp_path / "bad", messages))
    assert run.code == 1
    assert run.ids == ids_of(SQUARES[:4] + SQUARES[8:])
    printed = capsys.readouterr()
    assert "refused               4: 3 corrupt message, 1 encoding strange" in printed.out
    assert "images                12" in printed.out and "with results          8" in printed.out
    assert printed.err.count("corrupt") == 1 and "encoding 'strange'" in printed.err


def test_an_image_that_fails_does_not_stop_the_others(
    replay: Replay, bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(TinyPipeline):
        def __call__(self, *arguments: Any, **more: Any) -> Any:
            self.fault = ZeroDivisionError("x") if len(self.stamps) in (3, 4) else None
            return super().__call__(*arguments, **more)

    run = replay(bag, pipeline=Failing())
    assert run.code == 1 and run.ids == ids_of(SQUARES[:3] + SQUARES[5:])
    assert "refused               2: 2 failure: ZeroDivisionError" in capsys.readouterr().out


def test_a_bag_that_was_cut_off(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 90, (500, 64, 3), np.uint8)
    messages = [
        (IMAGE, k * PERIOD, raw(np.vstack([picture(k % 4), noise]), k * PERIOD)) for k in range(60)
    ]
    whole = write_bag(tmp_path / "whole", messages) / "whole.mcap"
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    run = replay(cut)
    assert run.code == 0 and 20 <= len(run.ids) <= 40
    assert run.ids == ids_of([(k % 4,) for k in range(len(run.ids))])
    printed = capsys.readouterr()
    text = f"{cut} is cut off or damaged: it ends before its recording does"
    assert f"warning: {text}" in printed.err and f"damage                {text}" in printed.out


# Several bags


def test_bags_are_independent(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        write_bag(tmp_path / "many" / name, recorded())
    (tmp_path / "many" / "broken.mcap").write_bytes(b"\x89MCAP")
    many = replay(tmp_path / "many", output="all")
    assert many.code == 1 and "broken.mcap has no messages" in capsys.readouterr().err
    assert sorted(p.name for p in many.folder.iterdir()) == ["a", "b", "c"]
    alone = replay(tmp_path / "many" / "c", output="alone")
    assert content(many.folder / "c") == content(alone.folder)
    calls = len(many.pipeline.stamps)
    assert calls == 36
    assert replay(tmp_path / "many", output="all").pipeline.stamps == [], "complete already"


def test_bags_of_one_name(replay: Replay, tmp_path: Path, capsys: Any) -> None:
    for name in ("x/run", "y/run"):
        write_bag(tmp_path / name, recorded(SQUARES[:1]))
    assert replay(tmp_path / "x", tmp_path / "y").code == 1
    assert "bags of the same name" in capsys.readouterr().err


@pytest.mark.parametrize("overwrite", [False, True])
def test_recordings_are_never_replaced(
    replay: Replay, tmp_path: Path, overwrite: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_bag(tmp_path / "of" / "walk", recorded())
    metadata = bag / "metadata.yaml"
    metadata.write_text(
        metadata.read_text().replace("custom_data: null", "custom_data: {who: ann}")
    )
    assert "who: ann" in metadata.read_text()
    before = content(bag)
    for sources, output in (
        ((bag,), "of/walk"),
        ((bag, write_bag(tmp_path / "other", recorded())), "of"),
        ((bag / "walk.mcap",), "of/walk"),
    ):
        assert replay(*sources, output=output, overwrite=overwrite).code == 1
        assert "would take the place of" in capsys.readouterr().err
    for chunk in (None, 1.0):
        other = replay(tmp_path / "other", output="of/walk", overwrite=overwrite, chunk=chunk)
        assert other.code == 1
        assert "holds nothing that can be resumed" in capsys.readouterr().err
    assert content(bag) == before


@pytest.mark.parametrize("text", ["", "a: ["])
def test_damaged_metadata_of_results(
    replay: Replay, bag: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata = replay(bag).folder / "metadata.yaml"
    metadata.write_text(text)
    assert replay(bag).code == replay(bag, overwrite=True).code == 1
    assert "holds nothing that can be resumed" in capsys.readouterr().err


@pytest.mark.parametrize(("detail", "corners"), [("full", 12), ("low", 3)])
def test_markers_have_the_triangles_of_mesh_detail(
    replay: Replay, bag: Path, detail: str, corners: int
) -> None:
    run = replay(bag, markers=True, parameters=Parameters(mesh_detail=detail))
    points = {
        len(marker.points)
        for _, message in run.messages("/mesh_markers")
        for marker in message.markers
        if marker.action != marker.DELETE
    }
    assert points == {corners}


# Killed and resumed


def test_markers_are_removed_across_parts(replay: Replay, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "leaves", recorded([(0, 1)] * PART + [(1,)] * 2))
    markers = [
        message.markers for _, message in replay(bag, markers=True).messages("/mesh_markers")
    ]
    delete = 2
    deleted = [[m.ns for m in each if m.action == delete] for each in markers]
    assert [len(names) for names in deleted] == [0] * PART + [1, 0]


def test_other_options_are_not_mixed_in(
    replay: Replay, bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = content(replay(bag).folder)
    assert replay(bag, every=2).code == 1
    assert "every was '1' and is '2'" in capsys.readouterr().err
    assert replay(bag, parameters=Parameters(body_height=1.7)).code == 1
    assert "body_height was '0.0' and is '1.7'" in capsys.readouterr().err
    assert replay(bag, every=2, overwrite=True).code == 0
    assert replay(bag, overwrite=True).code == 0
    assert content(replay(bag).folder) == whole


def test_ctrl_c_prints_how_to_resume(
    replay: Replay, bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = content(replay(bag, output="whole").folder)
    assert replay(bag, pipeline=Stopped()).code == 130
    printed = capsys.readouterr().out
    assert "same command resumes" in printed
    rest = replay(bag)
    assert len(rest.pipeline.stamps) == 7
    assert "Resumed after 5 images" in capsys.readouterr().out
    assert content(rest.folder) == whole


class Lost(TinyPipeline):
    """Loses its GPU at the ninth image."""

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        if len(self.stamps) == 8:
            raise DeviceLostError("an illegal memory access: start it again")
        return super().__call__(*arguments, **more)


def test_loss_of_the_gpu_ends_the_replay_which_another_process_resumes(
    replay: Replay, bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = content(replay(bag, output="whole").folder)
    assert replay(bag, pipeline=Lost()).code == 1
    printed = capsys.readouterr().err
    assert "error: an illegal memory access: start it again. The same command resumes" in printed
    assert "Traceback" not in printed
    rest = replay(bag)
    assert rest.code == 0 and len(rest.pipeline.stamps) == 7
    assert content(rest.folder) == whole


def test_loss_of_the_gpu_after_resuming_is_no_fault_of_the_state(
    replay: Replay, bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(bag, pipeline=Stopped()).code == 130
    lost = TinyPipeline()
    lost.fault = DeviceLostError("lost")
    assert replay(bag, pipeline=lost).code == 1
    assert "error: lost. The same command resumes" in capsys.readouterr().err
    assert replay(bag).code == 0


def test_stopped_after_the_last_part_nothing_is_written_twice(
    replay: Replay, bag: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = [(INFO, k * PERIOD, camera_info(64, 48, 90.0, k * PERIOD)) for k in (12, 13)]
    longer = write_bag(bag.parent / "longer", [*recorded(), *late])
    whole = replay(longer, output="whole", with_inputs=True)
    assert len(whole.messages(INFO)) == 14

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ResumableBag, "complete", stop)
        assert replay(longer, with_inputs=True).code == 130
    rest = replay(longer, with_inputs=True)
    assert rest.pipeline.stamps == [] and content(rest.folder) == content(whole.folder)


class Slow(TinyPipeline):
    """Takes some time, so that a replay is killed in the middle."""

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        time.sleep(0.03)
        return super().__call__(*arguments, **more)


def test_killed_at_random_it_resumes_to_the_same_bytes(
    tmp_path: Path, replay: Replay, trials_forked: None
) -> None:
    """By SIGKILL, each time a little later."""
    squares = [tuple(np.flatnonzero(np.random.default_rng(k).random(4) < 0.5)) for k in range(40)]
    bag = write_bag(tmp_path / "walk", recorded(squares))
    whole = replay(bag, output="whole", with_inputs=True, markers=True).folder
    options = {"output": "killed", "with_inputs": True, "markers": True}
    kills, done = 0, set()
    while True:
        process = multiprocessing.get_context("fork").Process(
            target=lambda: sys.exit(replay(bag, pipeline=Slow(), **options).code)
        )
        process.start()
        process.join(random.Random(kills).uniform(0.2, 0.5) + 0.1 * kills)
        process.kill()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        done.add(len(list((tmp_path / "killed").glob("*.mcap"))))
    assert content(tmp_path / "killed") == content(whole)
    assert kills > 1 and len(done) > 1


@dataclass(frozen=True)
class Memory:
    """State of an estimator from outside of this package."""

    bright: tuple[int, ...]
    images: int


class WithMemory(TinyPipeline):
    """Keeps its state in a dataclass of this module, and in `more`."""

    more: Any = None
    calls_left = 10**9

    def __init__(self) -> None:
        super().__init__()
        self._images = 0

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise KeyboardInterrupt
        self._images += 1
        self.id_prefix = f"{self._images}_"
        return super().__call__(*arguments, **more)

    def state(self) -> object:
        return Memory(tuple(self._before), self._images), self.more

    def restore(self, state: Any) -> None:
        memory, self.more = state
        self._before, self._images = set(memory.bright), memory.images


def test_state_may_consist_of_an_estimators_own_dataclasses(
    tmp_path: Path, replay: Replay, bag: Path
) -> None:
    whole, stopped = WithMemory(), WithMemory()
    stopped.calls_left = 8
    assert replay(bag, pipeline=whole).code == 0
    assert replay(bag, output="stopped", pipeline=stopped).code == 130
    assert replay(bag, output="stopped", pipeline=WithMemory()).code == 0
    assert content(tmp_path / "stopped") == content(tmp_path / "out")


@pytest.mark.parametrize("at_start", [True, False])
def test_state_of_another_kind_is_refused_with_a_sentence(
    replay: Replay, bag: Path, capsys: pytest.CaptureFixture[str], at_start: bool
) -> None:
    class Late(WithMemory):
        def __call__(self, *arguments: Any, **more: Any) -> Any:
            self.more = Fraction(1, 2)
            return super().__call__(*arguments, **more)

    pipeline = WithMemory() if at_start else Late()
    pipeline.more = Fraction(1, 2) if at_start else None
    assert replay(bag, pipeline=pipeline).code == 1
    printed = capsys.readouterr().err
    assert "the state of the pipeline with tiny/1 cannot be saved" in printed
    assert "fractions.Fraction" in printed and "Traceback" not in printed


def test_the_real_pipeline_resumes_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole state of tracker, detector, estimator, smoother and scale is in the snapshot."""
    try:
        clip = FrameSource(str(demo_clip()))
    except AssetError as error:
        pytest.skip(str(error))
    messages: list[Recorded] = []
    for k, (seconds, image) in enumerate(clip):
        if k < 100:
            continue
        if k == 113:
            break
        stamp = round(seconds * 1e9)
        small = cv2.resize(image, (480, 270), interpolation=cv2.INTER_AREA)
        messages.append(("/cam/image_raw/compressed", stamp, jpeg(small, stamp)))
        if k < 104:
            metres = np.full((270, 480), 3.0, np.float32)
            messages.append(("/cam/depth", stamp, raw(metres, stamp, "32FC1")))
    bag = write_bag(tmp_path / "clip", messages)
    monkeypatch.setattr("pear_ros.cli.replay.Job", partial(Job, frames_per_part=5))
    command = [str(bag), "--estimator", "landmarks", "--depth", "/cam/depth", "--output"]
    assert main(["replay", *command, str(tmp_path / "whole"), "--batch", "2"]) == 0
    assert "--chunk SECONDS" in capsys.readouterr().err, "two at once, of one"
    assert read_bag(tmp_path / "whole").tracks

    from pear_ros.pipeline import Pipeline

    call, calls = Pipeline.__call__, []

    def stopping(self: Pipeline, *arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return call(self, *arguments, **more)

    monkeypatch.setattr(Pipeline, "__call__", stopping)
    codes = [main(["replay", *command, str(tmp_path / "stopped")]) for _ in range(2)]
    assert codes == [130, 0]
    assert content(tmp_path / "stopped") == content(tmp_path / "whole")


def test_terminal_escapes_in_a_topic_are_written_out(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "/cam\x1b]0;owned\x07/image_raw"
    bag = write_bag(tmp_path / "bag", [(name, 0, raw(picture(0), 0, "strange"))])
    assert replay(bag).code == 1
    printed = capsys.readouterr()
    assert "owned" in printed.out and "owned" in printed.err
    assert "\x1b" not in printed.out + printed.err and "\x07" not in printed.out + printed.err


@pytest.mark.parametrize("storage", STORAGES)
def test_full_disk_names_the_folder_and_the_replay_resumes(
    replay: Replay,
    bag: Path,
    storage: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pear_ros.bags.parts import PartWriter

    whole = content(replay(bag, output="whole", storage=storage).folder)
    open_writer, written = PartWriter.write, 0

    def full(self: Any, topic: str, time: int, data: bytes) -> None:
        nonlocal written
        written += 1
        if written == 9:
            kind = OSError(28, "No space left on device")
            error = kind if storage == "mcap" else sqlite3.OperationalError("disk is full")
            with self._errors_named():
                raise error
        open_writer(self, topic, time, data)

    with monkeypatch.context() as patch:
        patch.setattr(PartWriter, "write", full)
        run = replay(bag, storage=storage)
    assert run.code == 1
    said = capsys.readouterr().err
    assert str(run.folder) in said and ("No space left" in said or "disk is full" in said)
    assert content(replay(bag, storage=storage).folder) == whole


def test_impossible_times_do_not_become_endless_chunks(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [*recorded(), (IMAGE, 10**17, raw(picture(0), 0))]
    assert replay(write_bag(tmp_path / "far", messages), chunk=1.0).code == 1
    assert "go over 1157 days; if some are wrong" in capsys.readouterr().err


# The command line


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--start 3 --end 2", "--end 2 is not after --start"),
        ("--end 0", "--end 0 is not after --start"),
        ("--start inf", "--start: must be 0 or more, not inf"),
        ("--chunk nan", "--chunk: must be 1 or more, not nan"),
    ],
)
def test_times_that_make_no_sense(
    bag: Path, options: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.suppress(SystemExit):
        assert main(["replay", str(bag), "--output", "out", *options.split()]) == 1
    assert expected in capsys.readouterr().err


def test_options_become_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def note(options: Any) -> int:
        from pear_ros.cli.replay_options import replay_parameters

        seen["parameters"] = replay_parameters(options)
        return 0

    monkeypatch.setattr("pear_ros.cli.replay.replay", note)
    main(["replay", "in", "--output", "out"])
    assert seen["parameters"] == Parameters(), "the node's defaults"
    options = "--detections /d --depth /z --no-smoothing --body-height 1.8 --fov 70 --max-humans 3"
    options += " --mesh-detail low"
    main(["replay", "in", "--output", "out", *options.split()])
    assert seen["parameters"] == Parameters(
        detector="topic",
        depth=True,
        smoothing=False,
        body_height=1.8,
        field_of_view=70.0,
        max_humans=3,
        mesh_detail="low",
    )


@pytest.mark.parametrize("wrong", ["--every 0", "--fov 180", "--start -1", "--sync-tolerance 2"])
def test_values_out_of_range(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["replay", "in", "--output", "out", *wrong.split()])
    assert "must be" in capsys.readouterr().err
