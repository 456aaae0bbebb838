# SPDX-License-Identifier: Apache-2.0
"""`pear export` of bags of any kind: what it finds, reads in spite of damage, and refuses."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores

from pear_ros.bags import pear_messages
from pear_ros.cli import main
from pear_ros.export.bag import read_bag
from pear_ros.export.tracks import ResultsError
from testing.exported_people import BODY, IMAGES, START, STEP, Images, people, person, write
from testing.results_bag import ResultsBag


def test_bag_topics_are_found_by_type(
    tmp_path: Path, images: Images, refusal: Callable[..., str], export: Callable[..., Path]
) -> None:
    path = tmp_path / "bag"
    with ResultsBag(path) as bag:
        bag.add_body(BODY, "/left/body_model")
        bag.add_images(images[:1], "/left/humans")
        bag.add_images(images, "/right/humans")
    said = refusal(path)
    assert "/left/humans, /right/humans; choose one with --topic" in said
    assert "/right/humans" in refusal(path, "npz", "--topic", "/humans")
    with np.load(export(path, "npz", "--topic", "/right/humans") / "h1.npz") as found:
        assert len(found["poses"]) == IMAGES


def test_bag_without_definitions_is_read_with_those_of_pear_msgs(
    tmp_path: Path, images: Images
) -> None:
    path = write(tmp_path / "bag", images, storage=StoragePlugin.SQLITE3)
    (database,) = path.glob("*.db3")
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM message_definitions")
        connection.execute("UPDATE topics SET type_description_hash = ''")
    recording = read_bag(path)
    assert [track.id for track in recording.tracks] == ["h1", "h2"]


def test_definitions_are_found_in_the_share_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "lib" / "python3" / "site-packages"
    for name in ("pear_msgs/msg", "pear_ros/bags"):
        (packages / name).mkdir(parents=True)
    (packages / "pear_msgs" / "__init__.py").touch()
    monkeypatch.setattr(pear_messages, "__file__", str(packages / "pear_ros/bags/x.py"))
    monkeypatch.delitem(sys.modules, "pear_msgs", raising=False)
    monkeypatch.setattr(sys, "path", [str(packages)])
    assert pear_messages.pear_typestore(Stores.ROS2_HUMBLE) is None
    share = tmp_path / "share" / "pear_msgs"
    shutil.copytree(Path(__file__).parents[2] / "pear_msgs" / "msg", share / "msg")
    typestore = pear_messages.pear_typestore(Stores.ROS2_HUMBLE)
    assert typestore is not None and "pear_msgs/msg/HumanArray" in typestore.fielddefs


def test_export_errors_give_the_reason(
    tmp_path: Path, bag: Path, images: Images, refusal: Callable[..., str]
) -> None:
    assert "does not exist" in refusal(tmp_path / "absent")
    assert "it has: h1, h2" in refusal(bag, "npz", "--person", "h9")
    assert "no metadata.yaml" in refusal(tmp_path)
    with ResultsBag(tmp_path / "cameras") as moved:
        moved.add_images(images[:1], frame_id="left")
        moved.add_images(images[1:], frame_id="right")
    assert "several cameras, left, right" in refusal(tmp_path / "cameras")
    odd = [(START, people(replace(person("h1", 0), id="../h1")))]
    assert "../h1" in refusal(write(tmp_path / "odd", odd))
    with ResultsBag(tmp_path / "nothing") as empty:
        empty.add_body(BODY)
    assert "no topic of type pear_msgs/msg/HumanArray" in refusal(tmp_path / "nothing")


def test_corrupt_message_is_left_out(
    tmp_path: Path, images: Images, export: Callable[..., Path], capsys: Any
) -> None:
    path = write(tmp_path / "bag", images, storage=StoragePlugin.SQLITE3)
    with closing(sqlite3.connect(path / "bag.db3")) as database:
        database.execute(
            "UPDATE messages SET data = substr(data, 1, 100) WHERE id = (SELECT max(id) FROM "
            "messages)"
        )
        database.commit()
    export(path, "csv")
    said = capsys.readouterr()
    assert "1 messages on /humans are corrupt, and left out" in said.err
    assert f"in {IMAGES - 1} images" in said.out


def test_links_in_the_folder_are_replaced(
    tmp_path: Path, bag: Path, export: Callable[..., Path]
) -> None:
    precious = tmp_path / "precious"
    for file_format, name in (("npz", "h1.npz"), ("csv", "joints.csv"), ("glb", "people.glb")):
        precious.write_text("precious")
        folder = tmp_path / file_format
        folder.mkdir()
        (folder / name).symlink_to(precious)
        assert main(["export", str(bag), "--format", file_format, "--output", str(folder)]) == 0
        assert precious.read_text() == "precious" and not (folder / name).is_symlink()
        assert not list(folder.glob(".*")), "no draft is left"


def test_damaged_bag_is_exported_as_far_as_readable(
    tmp_path: Path,
    images: Images,
    export: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write(tmp_path / "bag", images, storage=StoragePlugin.SQLITE3)
    (path / "metadata.yaml").write_text("a: b: c\n'")
    assert len(list(export(path, "npz").iterdir())) == 2
    assert f"warning: {path}/metadata.yaml is damaged" in capsys.readouterr().err
    file = path / "bag.db3"
    file.write_bytes(file.read_bytes()[: int(0.97 * file.stat().st_size)])
    with np.load(export(file, "npz") / "h1.npz") as found:
        count = len(found["poses"])
        assert 2 < count < IMAGES
        assert found["stamps_ns"].tolist() == [START + k * STEP for k in range(count)]
    assert f"warning: {file} is cut off or damaged" in capsys.readouterr().err


@pytest.mark.parametrize("storage", list(StoragePlugin))
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_unreadable_bag_is_named(
    tmp_path: Path,
    images: Images,
    storage: StoragePlugin,
    share: float,
    refusal: Callable[..., str],
) -> None:
    path = write(tmp_path / "bag", images, storage=storage)
    (file,) = (file for file in path.iterdir() if file.suffix != ".yaml")
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert f"{path} has no messages; {file} is cut off or damaged" in refusal(path)


def test_other_topics_are_ignored(tmp_path: Path, images: Images) -> None:
    """They may be of services, or of older messages with equal names."""
    path = write(tmp_path / "bag", images, storage=StoragePlugin.SQLITE3)
    with closing(sqlite3.connect(path / "bag.db3")) as database:
        for kind, text in (
            ("a/srv/B_Event", f"{'=' * 80}\nSRV: a/srv/B\nint64 a\n---\nint64 sum\n"),
            ("old/msg/A", f"pear_msgs/Human human\n{'=' * 80}\nMSG: pear_msgs/Human\nint8 a\n"),
        ):
            database.execute(
                "INSERT INTO message_definitions (topic_type, encoding,"
                " encoded_message_definition, type_description_hash) VALUES (?, 'ros2msg', ?, '')",
                (kind, text),
            )
            database.execute(
                "INSERT INTO topics (name, type, serialization_format, offered_qos_profiles,"
                " type_description_hash) VALUES (?, ?, 'cdr', '', '')",
                (f"/{kind}", kind),
            )
        database.commit()
    recording = read_bag(path)
    assert [track.id for track in recording.tracks] == ["h1", "h2"] and not recording.damage


def test_folder_with_several_bags_is_refused(
    tmp_path: Path, images: Images, refusal: Callable[..., str]
) -> None:
    for name in "ab":
        write(tmp_path / name, images)
    assert "holds several bags; name one" in refusal(tmp_path)


def test_messages_of_another_version_are_refused(
    tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    path = write(tmp_path / "bag", images, storage=StoragePlugin.SQLITE3)
    (database,) = path.glob("*.db3")
    with sqlite3.connect(database) as connection:
        connection.execute(
            "UPDATE message_definitions SET encoded_message_definition = "
            "replace(encoded_message_definition, 'float32 scale', 'float32 size')"
        )
        connection.execute("UPDATE topics SET type_description_hash = ''")
    assert "another version of pear_msgs, which had no scale" in refusal(database)


def test_read_bag_needs_no_ros(bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("rclpy", "pear_msgs"):
        monkeypatch.setitem(sys.modules, module, None)
    assert len(read_bag(bag).tracks) == 2
    with pytest.raises(ResultsError, match="does not exist"):
        read_bag(bag / "absent")
