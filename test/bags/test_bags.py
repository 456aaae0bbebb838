# SPDX-License-Identifier: Apache-2.0
"""Bags of all storages are read, and damaged ones as far as they can be."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from pear_ros.bags.bag import Bag, find_bags, name_of
from pear_ros.bags.topic import BagError, Message
from testing.image_bags import PERIOD, START, TYPES, camera_info, header, raw, write_bag, write_mcap

MCAP, SQLITE = StoragePlugin.MCAP, StoragePlugin.SQLITE3
NOISE = np.random.default_rng(3).integers(0, 256, (15, 200, 300, 3), np.uint8)
"""Images that cannot be compressed."""
IMAGES = 15
INFO, IMAGE = "/cam/camera_info", "/cam/image_raw"
KINDS = [
    (MCAP, CompressionMode.NONE),
    (MCAP, CompressionMode.STORAGE),
    (MCAP, CompressionMode.FILE),
    (MCAP, CompressionMode.MESSAGE),
    (SQLITE, CompressionMode.NONE),
    (SQLITE, CompressionMode.FILE),
    (SQLITE, CompressionMode.MESSAGE),
]


def recorded(first: int = 0, count: int = IMAGES) -> Iterator[tuple[str, int, Any]]:
    for k in range(first, first + count):
        time = k * PERIOD
        yield INFO, time, camera_info(300, 200, 250.0, time)
        yield IMAGE, time + 1000, raw(NOISE[k], time)


EXPECTED = [
    Message(topic, START + time, bytes(TYPES.serialize_cdr(message, message.__msgtype__)))
    for topic, time, message in recorded()
]


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Any, Any], Path]:
    folder = tmp_path_factory.mktemp("bags")
    return {
        kind: write_bag(folder / f"{kind[0].name}_{kind[1].name}", recorded(), *kind)
        for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_bag_is_read_from_every_storage_and_compression(bags: dict[Any, Path], kind: Any) -> None:
    bag = Bag(bags[kind])
    assert list(bag.messages()) == EXPECTED
    assert bag.damage == []
    assert {t.name: (t.type, t.count) for t in bag.topics.values()} == {
        INFO: ("sensor_msgs/msg/CameraInfo", IMAGES),
        IMAGE: ("sensor_msgs/msg/Image", IMAGES),
    }
    assert (bag.start, bag.end) == (EXPECTED[0].time, EXPECTED[-1].time)
    only = list(bag.messages([IMAGE], START + PERIOD, START + 3 * PERIOD))
    assert only == [EXPECTED[3], EXPECTED[5]]
    assert bag.deserialize(EXPECTED[1]).encoding == "bgr8"


@pytest.mark.parametrize("kind", KINDS)
def test_single_file_is_a_bag(bags: dict[Any, Path], kind: Any) -> None:
    (file,) = (f for f in bags[kind].iterdir() if f.name != "metadata.yaml")
    assert find_bags(file) == [file]
    bag = Bag(file)
    assert list(bag.messages()) == EXPECTED and bag.damage == []


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A bag of twelve files whose numerical order is not alphabetical, without metadata.yaml."""
    bag = tmp_path / "run"
    bag.mkdir()
    for n in range(12):
        part = write_bag(tmp_path / "part", recorded(n, 1))
        (part / "part.mcap").rename(bag / f"run_{n}.mcap")
        shutil.rmtree(part)
    return bag


def test_files_of_a_killed_recorder_are_one_bag(split: Path) -> None:
    assert find_bags(split.parent) == [split]
    bag = Bag(split)
    assert list(bag.messages()) == EXPECTED[:24]
    assert len(bag.damage) == 1 and "has no metadata.yaml" in bag.damage[0]


def test_metadata_lists_the_files_of_a_split_bag(split: Path) -> None:
    """Foxy's metadata: paths include the folder, and files have no message counts."""
    names = "".join(f"  - run/run_{n}.mcap\n" for n in (3, 2, 99))
    (split / "metadata.yaml").write_text(
        f"rosbag2_bagfile_information:\n  version: 3\n  relative_file_paths:\n{names}"
    )
    bag = Bag(split)
    assert list(bag.messages()) == EXPECTED[6:8] + EXPECTED[4:6]
    assert bag.damage == [f"{split / 'run_99.mcap'} is missing"]
    (split / "metadata.yaml").write_text("rosbag2_bagfile_information: {versi")
    bag = Bag(split)
    assert list(bag.messages()) == EXPECTED[:24]
    assert "metadata.yaml is damaged" in bag.damage[0]


def test_find_bags_lists_bags_in_folders(tmp_path: Path) -> None:
    for name in ("a", "deep/b", "out/c", ".hidden/d"):
        write_bag(tmp_path / name, recorded(0, 1))
    for name in ("x.mcap", "y_2.db3"):
        (tmp_path / name).touch()
    found = find_bags(tmp_path, leave_out=tmp_path / "out")
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "x.mcap",
        "y_2.db3",
        "a",
        "deep/b",
    ]
    assert find_bags(tmp_path / ".hidden") == [tmp_path / ".hidden" / "d"], "it was named"
    names = ("x.mcap", "run_2024.05.01.db3.zstd", "a")
    assert [name_of(tmp_path / name) for name in names] == ["x", "run_2024.05.01", "a"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(BagError, match="none in it"):
        find_bags(tmp_path / "empty")
    with pytest.raises(BagError, match="does not exist"):
        find_bags(tmp_path / "nowhere")
    (tmp_path / "picture.png").touch()
    with pytest.raises(BagError, match="name does not end in"):
        find_bags(tmp_path / "picture.png")


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_file_is_read_up_to_its_end(
    bags: dict[Any, Path], kind: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (file,) = (f for f in bags[kind].iterdir() if f.name != "metadata.yaml")
    content = file.read_bytes()
    cut = tmp_path_factory.mktemp("cut") / file.name

    @given(st.integers(0, len(content) - 1))
    @settings(max_examples=15, database=None)
    def check(length: int) -> None:
        cut.write_bytes(content[:length])
        try:
            bag = Bag(cut)
        except BagError as error:
            assert "has no messages" in str(error)
            return
        found = list(bag.messages())
        assert found == EXPECTED[: len(found)]
        # SQLite's last page may be cut where nothing is on it.
        assert found == EXPECTED or (len(bag.damage) == 1 and str(cut) in bag.damage[0])

    check()


def test_truncated_page_yields_no_message_padded_with_zeros(
    bags: dict[Any, Path], tmp_path: Path
) -> None:
    """SQLite fills the rest of a page with zeros; an image of 180 kB has 44 of 4 kB."""
    (file,) = bags[SQLITE, CompressionMode.NONE].glob("*.db3")
    content, cut = file.read_bytes(), tmp_path / "cut.db3"
    for page in range(310, 370):
        cut.write_bytes(content[: 4096 * page + 900])
        found = list(Bag(cut).messages())
        assert found and found == EXPECTED[: len(found)]


@pytest.mark.parametrize("share", [0.6, 0.8, 0.95])
@pytest.mark.parametrize("kind", KINDS)
def test_truncated_file_loses_at_most_one_chunk(
    bags: dict[Any, Path], kind: Any, share: float, tmp_path: Path
) -> None:
    """The writer's chunks have one megabyte, six images."""
    (file,) = (f for f in bags[kind].iterdir() if f.name != "metadata.yaml")
    content = file.read_bytes()
    cut = tmp_path / file.name
    cut.write_bytes(content[: int(share * len(content))])
    found = list(Bag(cut).messages())
    assert len(found) >= 2 * (int(share * IMAGES) - 7)


@pytest.mark.parametrize("kind", KINDS)
def test_overwritten_bytes_do_not_raise(
    bags: dict[Any, Path], kind: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (file,) = (f for f in bags[kind].iterdir() if f.name != "metadata.yaml")
    content = file.read_bytes()
    spoilt = tmp_path_factory.mktemp("spoilt") / file.name

    @given(st.integers(0, len(content) - 200), st.binary(min_size=1, max_size=200))
    @settings(max_examples=15, database=None)
    def check(place: int, data: bytes) -> None:
        spoilt.write_bytes(content[:place] + data + content[place + len(data) :])
        try:
            bag = Bag(spoilt)
        except BagError as error:
            assert "has no messages" in str(error)
            return
        assert {message.topic for message in bag.messages()} <= set(bag.topics)

    check()


def test_damaged_file_does_not_affect_later_files(split: Path) -> None:
    file = split / "run_4.mcap"
    file.write_bytes(file.read_bytes()[:900])
    bag = Bag(split)
    found = list(bag.messages())
    assert found[:8] == EXPECTED[:8] and found[-14:] == EXPECTED[10:24]
    assert sum("run_4" in text for text in bag.damage) == 1


def test_damage_is_reported_once(bags: dict[Any, Path], tmp_path: Path) -> None:
    content = (bags[KINDS[0]] / "MCAP_NONE.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(content[:-500])
    bag = Bag(tmp_path / "cut.mcap")
    for _ in range(2):
        assert list(bag.messages()) == EXPECTED
    assert bag.damage == [
        f"{tmp_path}/cut.mcap is cut off or damaged: it ends before its recording does"
    ]


def test_mcap_without_chunks_may_be_unordered(tmp_path: Path) -> None:
    """rosbag2 writes them with the preset "fastwrite", in the order of reception."""
    messages = list(recorded())
    messages[6:8] = messages[7], messages[6]
    bag = Bag(write_mcap(tmp_path / "fast.mcap", messages, chunked=False))
    assert list(bag.messages()) == [*EXPECTED[:6], EXPECTED[7], EXPECTED[6], *EXPECTED[8:]]
    assert list(bag.messages([IMAGE], start=EXPECTED[8].time)) == EXPECTED[9::2]
    assert bag.damage == []


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_unknown_definition_does_not_affect_others(tmp_path: Path, storage: StoragePlugin) -> None:
    """rosbag2 writes an empty one, or "unknown", for a type that it does not find."""
    messages = [("/odd", 0, header(0)), *recorded()]
    if storage is MCAP:
        unknown = {"std_msgs/msg/Header": ("unknown", "")}
        path = write_mcap(tmp_path / "odd.mcap", messages, definitions=unknown)
    else:
        path = write_bag(tmp_path / "odd", messages, storage, latched=["/odd", INFO, IMAGE])
        with closing(sqlite3.connect(path / "odd.db3")) as database:
            database.execute(
                "UPDATE message_definitions SET encoding = '', encoded_message_definition = ''"
                " WHERE topic_type = 'std_msgs/msg/Header'"
            )
            database.commit()
    bag = Bag(path)
    assert list(bag.messages([INFO, IMAGE])) == EXPECTED and bag.damage == []
    for topic in bag.topics.values():
        assert bool(topic.definition.data) == (topic.name != "/odd")
        assert [one.durability for one in topic.qos] == [QosDurability.TRANSIENT_LOCAL]
    assert bag.deserialize(EXPECTED[1]).encoding == "bgr8"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a killed recorder: most messages are only in the write-ahead log."""
    bag = write_bag(tmp_path_factory.mktemp("ahead") / "bag", recorded(), SQLITE)
    with closing(sqlite3.connect(bag / "bag.db3")) as database:
        rows = database.execute("SELECT * FROM messages ORDER BY id").fetchall()
        database.execute("DELETE FROM messages WHERE id > 4")
        database.commit()
        database.executescript("VACUUM; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0")
        for row in rows[4:]:
            database.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", row)
            database.commit()
        without = shutil.ignore_patterns("*-shm")
        return Path(shutil.copytree(bag, bag.parent / "killed", ignore=without))


def test_write_ahead_log_is_read(killed: Path) -> None:
    files = {file: file.read_bytes() for file in killed.iterdir()}
    for _ in range(2):
        assert list(Bag(killed).messages()) == EXPECTED
    assert {file: file.read_bytes() for file in killed.iterdir()} == files


def test_write_ahead_log_is_read_up_to_its_damage(
    killed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = (killed / "bag.db3-wal").read_bytes()

    @given(st.integers(0, len(content) - 200), st.binary(min_size=1, max_size=200), st.booleans())
    @settings(max_examples=30, database=None)
    def check(place: int, data: bytes, cut: bool) -> None:
        spoilt = tmp_path_factory.mktemp("spoilt") / "bag"
        shutil.copytree(killed, spoilt)
        rest = b"" if cut else data + content[place + len(data) :]
        (spoilt / "bag.db3-wal").write_bytes(content[:place] + rest)
        found = list(Bag(spoilt).messages())
        assert found == EXPECTED[: len(found)]
        assert len(found) >= 4 + int(place / len(content) * 26) - 1

    check()


def test_undefined_type_raises(tmp_path: Path) -> None:
    """Humble's bags in sqlite3 have no definitions."""
    data = bytes(TYPES.serialize_cdr(header(0), "std_msgs/msg/Header"))
    kind = "vision_msgs/msg/Detection2DArray"
    path = write_bag(tmp_path / "bag", [("/boxes", 0, (kind, data))], SQLITE)
    database = sqlite3.connect(path / "bag.db3")
    database.execute("DELETE FROM message_definitions")
    database.commit()
    database.close()
    bag = Bag(path)
    (message,) = bag.messages()
    with pytest.raises(BagError, match="no definition of vision_msgs/msg/Detection2DArray"):
        bag.deserialize(message)


def test_fingerprint_depends_on_the_content(bags: dict[Any, Path], tmp_path: Path) -> None:
    copy = tmp_path / "MCAP_NONE"
    shutil.copytree(bags[KINDS[0]], copy)
    assert Bag(copy).fingerprint() == Bag(bags[KINDS[0]]).fingerprint()
    with (copy / "MCAP_NONE.mcap").open("r+b") as file:
        file.seek(5000)
        file.write(b"other")
    assert Bag(copy).fingerprint() != Bag(bags[KINDS[0]]).fingerprint()
