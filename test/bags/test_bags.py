# SPDX-License-Identifier: Apache-2.0
"""Bags: reading of all storages and of damaged files, matching of images, resumable writing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from pear_ros.bags.bag import Bag, find_bags, name_of
from pear_ros.bags.matching import PATIENCE, Frame, matched, stamp_of
from pear_ros.bags.parts import NewTopic
from pear_ros.bags.prefetch import prefetched
from pear_ros.bags.resumable import ResumableBag
from pear_ros.bags.time_range import TimeRange
from pear_ros.bags.topic import BagError, Message
from pear_ros.bags.unfinished import ResumeError, clear
from pear_ros.core.configuration import STORAGES
from testing.image_bags import PERIOD, START, TYPES, camera_info, header, raw, write_bag, write_mcap

ALWAYS = TimeRange(-(2**62), 2**62)

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


# Images and what belongs to them


def message(topic: str, time: float, stamp: float | None = None) -> Message:
    """A message recorded at `time`, with the stamp `stamp`, seconds."""
    seconds, nanoseconds = divmod(round((time if stamp is None else stamp) * 1e9), 10**9)
    data = b"\0\1\0\0" + struct.pack("<iI", seconds, nanoseconds)
    return Message(topic, round(time * 1e9), data)


def frames(messages: list[Message], **options: Any) -> list[Frame]:
    near = {kind: kind for kind in ("depth", "boxes") if any(m.topic == kind for m in messages)}
    steady = {"info": "info"} if any(m.topic == "info" for m in messages) else {}
    events = matched(messages, "image", near, steady, ALWAYS, **options)
    return [event for event in events if isinstance(event, Frame)]


def stamps(frame: Frame) -> dict[str, float]:
    return {kind: (stamp_of(m.data) or 0) * 1e-9 for kind, m in frame.companions.items()}


def test_matching_passes_messages_and_yields_frames_at_once() -> None:
    messages = [message("image", 0.1), message("other", 0.2), message("image", 0.3)]
    events = list(matched(messages, "image", {}, {}, ALWAYS))
    assert [type(event) for event in events] == [Message, Frame, Message, Message, Frame]
    assert [event for event in events if isinstance(event, Message)] == messages


def test_matching_finds_companions_before_and_after_the_image() -> None:
    late = [message("image", 0.0), message("image", 0.1), message("depth", 0.3, 0.0)]
    late += [message("depth", 0.35, 0.1), message("boxes", 0.4, 0.1), message("image", 0.5)]
    found = frames(late)
    assert [stamps(frame) for frame in found] == [{"depth": 0.0}, {"depth": 0.1, "boxes": 0.1}, {}]
    assert [frame.number for frame in found] == [0, 1, 2]


def test_matching_takes_the_nearest_stamp() -> None:
    near = [message("depth", 0.985), message("image", 1.0), message("depth", 1.01)]
    near += [message("depth", 1.04), message("image", 1.07)]
    found = frames(near, tolerance=20_000_000)
    assert [stamps(frame) for frame in found] == [{"depth": pytest.approx(1.01)}, {}]


def test_matching_does_not_wait_indefinitely() -> None:
    """Late messages are not waited for: waiting images would fill the memory."""
    patience = PATIENCE * 1e-9
    messages = [message("image", 0.0), message("image", patience + 0.1), message("depth", 5.0, 0.0)]
    events = list(matched(messages, "image", {"depth": "depth"}, {}, ALWAYS))
    assert [type(event) for event in events] == [Message, Message, Frame, Message, Frame]
    assert not frames(messages)[0].companions


def test_matching_uses_calibration_before_its_first_message() -> None:
    messages = [message("image", 0.0), message("info", 0.2), message("image", 0.3)]
    messages += [message("info", 0.4), message("image", 0.5), message("image", 9.0)]
    found = [stamps(frame)["info"] for frame in frames(messages)]
    assert found == pytest.approx([0.2, 0.2, 0.4, 0.4])


def test_matching_takes_every_third_image() -> None:
    messages = [message("image", k / 10) for k in range(8)]
    found = frames(messages, every=3)
    assert [(f.number, f.image.time) for f in found] == [(0, 0), (1, 300000000), (2, 600000000)]


def test_matching_separates_repeated_stamps() -> None:
    messages = [
        message(topic, 2.0 * turn + k / 10 + wait, k / 10)
        for turn in range(2)
        for k in range(5)
        for topic, wait in (("image", 0.0), ("depth", 0.03))
    ]
    found = frames(messages)
    assert [stamps(frame) for frame in found] == 2 * [
        {"depth": pytest.approx(k / 10)} for k in range(5)
    ]
    assert [frame.companions["depth"].time - frame.image.time for frame in found] == 10 * [30000000]


def test_matching_handles_messages_without_a_stamp() -> None:
    short = Message("image", 5, b"\0\1\0\0")
    (frame, _) = frames([short, message("depth", 0.1), message("image", 0.1)])
    assert frame.stamp is None and not frame.companions
    big_endian = b"\0\0\0\0" + struct.pack(">iI", 2, 3)
    assert stamp_of(big_endian) == 2_000_000_003


# Work ahead


def test_prefetched_keeps_the_order_and_stops() -> None:
    done: list[int] = []

    def work(item: int) -> int:
        done.append(item)
        return item * item

    results = prefetched(range(1000), work, 3)
    assert [next(results) for _ in range(4)] == [0, 1, 4, 9]
    results.close()
    assert len(done) <= 10
    assert list(prefetched(range(5), work, 1)) == [0, 1, 4, 9, 16]


def test_prefetched_raises_after_earlier_results() -> None:
    results = prefetched([4, 2, 0, 1], lambda item: 8 // item, 9)
    assert [next(results), next(results)] == [2, 4]
    with pytest.raises(ZeroDivisionError):
        next(results)


# Resumable bags


class Killed(BaseException):
    pass


TOPICS = [NewTopic("/stamps", "std_msgs/msg/Header", TYPES)]


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def count_to(bag: ResumableBag, end: int) -> None:
    """Write numbers, two to a part; the last one is the state."""
    start = bag.resume() or 0
    for k in range(start, end):
        data = bytes(TYPES.serialize_cdr(header(k), "std_msgs/msg/Header"))
        bag.write(("/stamps", START + k, data), TOPICS)
        if k % 2:
            bag.end_part(k + 1)
    bag.end_part(end)
    bag.complete("numbers")


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.fixture
def counted(tmp_path: Path, storage: str) -> dict[str, bytes]:
    count_to(ResumableBag(tmp_path / "whole", "n", {"to": "5"}, storage), 5)
    return content(tmp_path / "whole")


@pytest.mark.parametrize("before", [False, True])
def test_resumable_bag_resumes_after_a_kill_at_any_step(
    tmp_path: Path,
    counted: dict[str, bytes],
    storage: str,
    before: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The writer is killed before or after each call that changes the file system."""
    replace, rmtree = os.replace, shutil.rmtree
    left = 0

    def killing(function: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any, **options: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0 and before:
                raise Killed
            function(*arguments, **options)
            if left == 0:
                raise Killed

        return call

    for deadly in range(1, 31):
        left = deadly

        folder = tmp_path / str(deadly)
        monkeypatch.setattr(os, "replace", killing(replace))
        monkeypatch.setattr(shutil, "rmtree", killing(rmtree))
        try:
            count_to(ResumableBag(folder, "n", {"to": "5"}, storage), 5)
            ended = True
        except Killed:
            ended = False
        monkeypatch.setattr(os, "replace", replace)
        monkeypatch.setattr(shutil, "rmtree", rmtree)
        bag = ResumableBag(folder, "n", {"to": "5"}, storage)
        if not bag.is_complete():
            count_to(bag, 5)
        assert content(folder) == counted
        if ended:
            assert deadly > 8
            return
    pytest.fail("there are more steps than expected")


def test_resumable_bag_is_a_bag_when_complete(
    tmp_path: Path, counted: dict[str, bytes], storage: str
) -> None:
    suffix = {"mcap": "mcap", "sqlite3": "db3"}[storage]
    assert set(counted) == {"metadata.yaml", *(f"n_{n}.{suffix}" for n in range(3))}
    with AnyReader([tmp_path / "whole"]) as reader:
        times = [time for _, time, _ in reader.messages()]
        assert times == [START + k for k in range(5)]
        assert (reader.start_time, reader.end_time, reader.message_count) == (START, START + 5, 5)
    for n in range(3):
        assert list(Bag(tmp_path / "whole" / f"n_{n}.{suffix}").messages())


def test_resumable_bag_refuses_another_fingerprint(
    tmp_path: Path, counted: dict[str, bytes], storage: str
) -> None:
    folder = tmp_path / "whole"
    with pytest.raises(ResumeError, match="to was '5' and is '8'"):
        ResumableBag(folder, "n", {"to": "8"}).is_complete()
    begun = ResumableBag(tmp_path / "begun", "n", {"to": "9"})
    begun.resume()
    begun.write(("/stamps", START, b"\0\1\0\0"), TOPICS)
    begun.end_part(1)
    begun.abandon()
    with pytest.raises(ResumeError, match="begun with other options: to was '9' and is '8'"):
        ResumableBag(tmp_path / "begun", "n", {"to": "8"}).resume()
    other = ResumableBag(tmp_path / "begun", "n", {"to": "5"}, storage)
    clear(tmp_path / "begun")
    count_to(other, 5)
    assert content(tmp_path / "begun") == counted


def test_resumable_bag_leaves_other_folders_unchanged(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    clear(tmp_path)
    bag = ResumableBag(tmp_path, "n", {})
    with pytest.raises(ResumeError, match="not empty"):
        bag.resume()
    assert (tmp_path / "thesis.tex").exists()
    recorded = write_bag(tmp_path / "recorded", [("/image", 0, raw(np.zeros((2, 2, 3)), 0))])
    clear(recorded)
    assert Bag(recorded).topics, "a bag of another program"


def test_resumable_bag_has_one_writer_at_a_time(tmp_path: Path) -> None:
    first, second = (ResumableBag(tmp_path / "bag", "n", {"to": "5"}) for _ in range(2))
    first.resume()
    for attempt in (second.resume, lambda: clear(tmp_path / "bag")):
        with pytest.raises(ResumeError, match="written by another process"):
            attempt()
    first.abandon()
    count_to(second, 5)
