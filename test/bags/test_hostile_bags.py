# SPDX-License-Identifier: Apache-2.0
"""Bags that would take all memory, or run for ever: they end with a sentence, or are read past it.

Each is opened, read and deserialised in a process of 1.2 GB of address space.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from rosbags.rosbag2 import StoragePlugin

from pear_ros.bags.bag import Bag, find_bags
from pear_ros.bags.topic import BagError
from testing.bounded import BoundedProcesses
from testing.image_bags import START, TYPES, header, write_bag
from testing.mcap_records import channel, chunk, indexed, mcap, message, record, schema

STAMP = bytes(TYPES.serialize_cdr(header(0), "std_msgs/msg/Header"))
KIND = "std_msgs/msg/Header"
TIME = "=" * 80 + "\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
TOPIC = schema(1, KIND, "builtin_interfaces/Time stamp\nstring frame_id\n" + TIME) + channel(
    1, 1, "/good"
)
GOOD = message(1, START, STAMP)

IMPORTS = """
import sys
from pathlib import Path
from pear_ros.bags.bag import Bag, find_bags
from pear_ros.bags.definitions import types_of
from pear_ros.bags.topic import BagError
"""
READ = (
    IMPORTS
    + """
try:
    bag = Bag(find_bags(Path(sys.argv[1]))[0])
except BagError as error:
    print("refused", error)
    sys.exit()
for topic in bag.topics.values():
    assert isinstance(topic.name, str) and isinstance(topic.type, str)
    types_of(topic)
counts = {}
for message in bag.messages():
    try:
        bag.deserialize(message)
    except MemoryError:
        raise
    except Exception:
        name = "corrupt"
    else:
        name = message.topic
    counts[name] = counts.get(name, 0) + 1
print(counts, bag.damage)
"""
)


def zeros(size: int) -> bytes:
    """Return a Zstandard frame of so many zeros: a block of 128 KiB takes four bytes."""
    blocks = size >> 17
    block = (1 << 17 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    last = (1 << 17 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\0" + bytes([(17 - 10) << 3]) + block * (blocks - 1) + last


LZ4 = lz4.frame.compress(bytes(1 << 26))


def defined(text: str, encoding: str = "ros2msg") -> bytes:
    """Return records of a topic /odd with this definition and one message."""
    return schema(2, "a/msg/A", text, encoding) + channel(2, 2, "/odd") + message(2, START, STAMP)


def idl(inside: str = "", field: str = "long x;") -> str:
    return f"module a {{ module msg {{ {inside} struct A {{ {field} }}; }}; }};"


BORDER = "=" * 80 + "\n"
DOUBLED = "".join(f"a/B{n}[2] x\n{BORDER}MSG: a/B{n}\n" for n in range(40)) + "int32 y\n"
SQUARES = "".join(f"const long X{n + 1} = X{n} * X{n};" for n in range(40))
DEFINITIONS = {
    "long array": defined("string[1000000000] x\n"),
    "product of arrays": defined(
        f"a/B[3000] x\n{BORDER}MSG: a/B\na/C[3000] x\n{BORDER}MSG: a/C\nstring x\n"
    ),
    "doubled": defined(DOUBLED),
    "itself": defined("a/A x\n"),
    "each other": defined(f"a/B x\n{BORDER}MSG: a/B\na/A[] x\n"),
    "nothing for ever": defined(f"a/B[] x\n{BORDER}MSG: a/B\nuint8[0] x\n"),
    "parentheses": defined(idl(f"const long X = {'(' * 30}1{')' * 30};"), "ros2idl"),
    "sequences": defined(idl(field=f"{'sequence<' * 30}long{'>' * 30} x;"), "ros2idl"),
    "shift": defined(idl("const long X = 9 << 99999999999;"), "ros2idl"),
    "power": defined(
        idl(
            "const long X0 = 9;" + "".join(f"const long X{n + 1} = X{n} * X{n};" for n in range(40))
        ),
        "ros2idl",
    ),
    "alias": defined(idl("typedef string s__9[1000000000];", "s__9 x;"), "ros2idl"),
    "long text": defined("int32 x\n" * 1_000_000),
    "deep": defined(idl(f"const long X = {'(' * 9999}1{')' * 9999};"), "ros2idl"),
}
CHUNKS = {
    "declares 16 GiB": chunk(zeros(1 << 20), "zstd", 1 << 34),
    "is 4 GiB": chunk(zeros(1 << 32), "zstd", 1 << 32),
    "is more than it declares": chunk(zeros(1 << 32), "zstd", 1000),
    "declares 4 GiB, lz4": chunk(LZ4, "lz4", 1 << 32),
    "is more than it declares, lz4": chunk(LZ4, "lz4", 1000),
    "has an unknown compression": chunk(b"abc", "snappy", 1000),
    "has a long record": chunk(record(5, b"", length=2**63), "", 9),
}


@pytest.fixture(scope="module")
def run() -> Iterator[BoundedProcesses]:
    processes = BoundedProcesses(IMPORTS)
    yield processes
    processes.close()


@pytest.mark.parametrize("odd", DEFINITIONS.values(), ids=DEFINITIONS)
def test_odd_definition_does_not_affect_others(
    run: BoundedProcesses, tmp_path: Path, odd: bytes
) -> None:
    (tmp_path / "odd.mcap").write_bytes(mcap(TOPIC, odd, GOOD))
    assert "'/good': 1" in run(READ, str(tmp_path / "odd.mcap"))


@pytest.mark.parametrize("bad", CHUNKS.values(), ids=CHUNKS)
def test_chunk_that_is_too_large_or_damaged_is_left_out(
    run: BoundedProcesses, tmp_path: Path, bad: bytes
) -> None:
    for number, content in enumerate((mcap(TOPIC, bad, GOOD), indexed([good_chunk(), bad]))):
        path = tmp_path / f"{number}.mcap"
        path.write_bytes(content)
        found = run(READ, str(path))
        assert "'/good': 1" in found and "left out is 1 of the chunks" in found


def good_chunk(records: bytes = TOPIC + GOOD) -> bytes:
    return chunk(zstandard.compress(records), "zstd", len(records), START, START)


def test_index_that_names_one_chunk_many_times_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "one.mcap").write_bytes(indexed([good_chunk()]))
    content = (tmp_path / "one.mcap").read_bytes()
    at = content.rindex(struct.pack("<BQ", 8, 64))
    entry = content[at : at + 9 + 64]
    many = content[:at] + entry * 100_000 + content[at + len(entry) :]
    (tmp_path / "one.mcap").write_bytes(many)
    assert len(list(Bag(tmp_path / "one.mcap").messages())) == 1


def test_message_of_16_gib(run: BoundedProcesses, tmp_path: Path) -> None:
    bomb = message(1, START + 1, zeros(1 << 34))
    (tmp_path / "bomb.mcap").write_bytes(mcap(TOPIC, GOOD, bomb, GOOD))
    found = run(READ, str(tmp_path / "bomb.mcap"))
    assert "'/good': 2" in found and "'corrupt': 1" in found


def test_record_that_declares_more_than_the_file_holds(
    run: BoundedProcesses, tmp_path: Path
) -> None:
    long = record(5, struct.pack("<HIQQ", 1, 0, 0, 0), length=3 << 30)
    (tmp_path / "long.mcap").write_bytes(mcap(TOPIC, GOOD, long))
    found = run(READ, str(tmp_path / "long.mcap"))
    assert "'/good': 1" in found and "ends before its recording does" in found


def test_compressed_file_that_becomes_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pear_ros.bags.compression._FREE_BYTES", 1 << 20)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    content = mcap(TOPIC, GOOD)[:-37]
    path = tmp_path / "large.mcap.zstd"
    path.write_bytes(zstandard.compress(content) + zeros(1 << 30))
    bag = Bag(path)
    assert len(list(bag.messages())) == 1 and "more than 200 times as large" in bag.damage[0]
    assert list(tmp_path.iterdir()) == [path]


def test_impossible_recording_times_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "late.mcap").write_bytes(mcap(TOPIC, GOOD, message(1, 2**64 - 1, STAMP)))
    bag = Bag(tmp_path / "late.mcap")
    for _ in range(2):
        assert len(list(bag.messages())) == 1
    assert bag.end == START and len(bag.damage) == 1 and "impossible" in bag.damage[0]


def test_overlapping_chunks_are_in_the_order_of_time(tmp_path: Path) -> None:
    chunks = []
    for first in range(3):
        times = range(first, 30, 3)
        records = TOPIC + b"".join(message(1, START + time, STAMP) for time in times)
        chunks.append(chunk(records, "", len(records), START + first, START + 30))
    (tmp_path / "over.mcap").write_bytes(indexed(chunks))
    bag = Bag(tmp_path / "over.mcap")
    assert [one.time - START for one in bag.messages()] == list(range(30))
    assert [one.time - START for one in bag.messages(["/good"], START + 5, START + 7)] == [5, 6, 7]


# Databases


def database(change: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        messages = [("/good", n, header(n)) for n in range(3)]
        bag = write_bag(folder / "bag", messages, StoragePlugin.SQLITE3)
        with closing(sqlite3.connect(bag / "bag.db3")) as connection:
            connection.executescript(change)
            connection.commit()
        return bag / "bag.db3"

    return make


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"
REFUSED = {
    "view of topics": f"DROP TABLE topics; CREATE VIEW topics AS {ENDLESS} x AS id, 'a' AS name, "
    "'std_msgs/msg/Header' AS type, 'cdr' AS serialization_format FROM c",
    "view of messages": f"DROP TABLE messages; CREATE VIEW messages AS {ENDLESS} x AS id, 1 AS "
    "topic_id, 1 AS timestamp, zeroblob(900) AS data FROM c",
    "computed data": "CREATE TABLE n(id INTEGER PRIMARY KEY, topic_id, timestamp, data AS "
    "(zeroblob(100000000))); INSERT INTO n SELECT id, topic_id, timestamp FROM messages; DROP "
    "TABLE messages; ALTER TABLE n RENAME TO messages",
    "no messages": "DROP TABLE messages",
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_database_without_plain_tables_is_refused(
    run: BoundedProcesses, tmp_path: Path, change: str
) -> None:
    found = run(READ, str(database(change)(tmp_path)))
    assert found.startswith("refused") and "has no messages" in found


KEPT = {
    "endless view beside it": f"CREATE VIEW other AS {ENDLESS} x FROM c",
    "endless definitions": f"DROP TABLE message_definitions; CREATE VIEW message_definitions AS "
    f"{ENDLESS} x AS id, 'a' AS topic_type, 'a' AS encoding FROM c",
    "name as BLOB": "INSERT INTO topics SELECT 9, x'00ff', type, serialization_format, "
    "offered_qos_profiles, type_description_hash FROM topics",
    "type as number": "INSERT INTO topics SELECT 9, name, 7, serialization_format, "
    "offered_qos_profiles, type_description_hash FROM topics",
    "odd rows": "INSERT INTO messages(topic_id, timestamp, data) VALUES (1, 'x', x'00'), "
    "(1, 5, 7), (1, -5, x'00'), ('x', 5, x'00')",
    "no index by time": "DROP INDEX timestamp_idx",
}


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT)
def test_odd_content_of_a_database_is_left_out(
    run: BoundedProcesses, tmp_path: Path, change: str
) -> None:
    found = run(READ, str(database(change)(tmp_path)))
    assert "'/good': 3" in found


def test_query_that_does_not_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pear_ros.bags import sqlite_file

    path = database("DROP INDEX timestamp_idx")(tmp_path)
    with closing(sqlite_file._Database(path, complete=True)) as opened:
        with pytest.raises(sqlite_file.apsw.InterruptError):
            list(opened.rows(f"{ENDLESS} x FROM c WHERE x < 0"))
        with pytest.raises(sqlite_file.apsw.ReadOnlyError):
            list(opened.rows("DELETE FROM messages"))


def test_large_database_without_an_index_writes_no_temporary_file(
    run: BoundedProcesses, tmp_path: Path
) -> None:
    path = database(
        "DROP INDEX timestamp_idx; WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c "
        "WHERE x < 300) INSERT INTO messages(topic_id, timestamp, data) SELECT 1, 1000 - x, "
        "randomblob(2000000) FROM c"
    )(tmp_path)
    code = "import os; os.environ['TMPDIR'] = '/nowhere'\n" + READ
    assert "303" in run(code, str(path), megabytes=700).replace("'corrupt': 300", "303")


# Folders


@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "large", "nested", "not a list"])
def test_metadata_that_is_no_small_file_is_not_read(
    run: BoundedProcesses, tmp_path: Path, kind: str
) -> None:
    bag = write_bag(tmp_path / "bag", [("/good", 0, header(0))])
    metadata = bag / "metadata.yaml"
    metadata.unlink()
    if kind == "device":
        metadata.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(metadata)
    elif kind == "folder":
        metadata.mkdir()
    elif kind == "large":
        metadata.write_text("a: b\n" * 1_000_000)
    elif kind == "nested":
        metadata.write_text("[" * 100_000)
    else:
        metadata.write_text("rosbag2_bagfile_information:\n  relative_file_paths: 5\n")
    found = run(READ, str(bag))
    assert "'/good': 1" in found and "metadata.yaml is damaged" in found
    assert "MemoryError" not in found


def test_links_between_folders_are_followed_once(tmp_path: Path) -> None:
    write_bag(tmp_path / "a" / "bag", [("/good", 0, header(0))])
    for name in ("b", "c", "d"):
        (tmp_path / "a" / name).symlink_to(tmp_path / "a")
    assert find_bags(tmp_path) == [tmp_path / "a" / "bag"]


def test_bag_of_ros_1_names_the_converter(tmp_path: Path) -> None:
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    for path in (tmp_path, tmp_path / "old.bag"):
        with pytest.raises(BagError, match=r"ROS 1 .*rosbags-convert --src .*old\.bag --dst"):
            find_bags(path)


# Good data kept


@pytest.mark.parametrize("encoding", ["ros1", "protobuf"])
def test_other_encodings_are_named(tmp_path: Path, encoding: str) -> None:
    other = channel(2, 1, "/other", encoding) + message(2, START, b"x")
    (tmp_path / "none.mcap").write_bytes(mcap(TOPIC, other))
    with pytest.raises(BagError, match=rf"encoded as {encoding}\. Record .* or convert"):
        Bag(tmp_path / "none.mcap")
    (tmp_path / "both.mcap").write_bytes(mcap(TOPIC, GOOD, other))
    bag = Bag(tmp_path / "both.mcap")
    assert len(list(bag.messages())) == 1
    assert bag.damage == [
        f"{tmp_path}/both.mcap: left out is 1 of the topics encoded as {encoding}"
    ]


@pytest.mark.parametrize("stray_first", [True, False])
def test_topic_has_the_type_of_most_of_its_messages(tmp_path: Path, stray_first: bool) -> None:
    other = schema(2, "std_msgs/msg/String", "string data\n") + channel(2, 2, "/good")
    stray = message(2, START - 5 if stray_first else START + 5, b"\0\1\0\0\1\0\0\0\0")
    several = [message(1, START + n, STAMP) for n in range(3)]
    records = [stray, *several] if stray_first else [*several, stray]
    (tmp_path / "stray.mcap").write_bytes(mcap(TOPIC, other, *records))
    bag = Bag(tmp_path / "stray.mcap")
    assert bag.topics["/good"].type == KIND and bag.topics["/good"].count == 3
    assert len([bag.deserialize(one) for one in bag.messages(["/good"])]) == 3
    assert "on /good 1 messages are of type std_msgs/msg/String, and left out" in bag.damage[0]


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("repeat", [True, False])
@pytest.mark.parametrize("index", ["ALL", "CHUNK", "MESSAGE", "NONE"])
def test_every_index_that_mcap_writes(
    tmp_path: Path, index: str, repeat: bool, statistics: bool
) -> None:
    from mcap.writer import IndexType, Writer

    with (tmp_path / "some.mcap").open("wb") as file:
        writer = Writer(
            file,
            chunk_size=300,
            index_types=IndexType[index],
            repeat_channels=repeat,
            repeat_schemas=repeat,
            use_statistics=statistics,
            use_summary_offsets=repeat,
        )
        writer.start("ros2")
        text = f"builtin_interfaces/Time stamp\nstring frame_id\n{TIME}"
        number = writer.register_schema(KIND, "ros2msg", text.encode())
        topic = writer.register_channel("/good", "cdr", number)
        for time in range(20):
            writer.add_message(topic, START + time, STAMP, START + time)
        writer.finish()
    bag = Bag(tmp_path / "some.mcap")
    assert bag.damage == [] and bag.topics["/good"].count == 20
    assert [one.time - START for one in bag.messages()] == list(range(20))
    assert [one.time - START for one in bag.messages(None, START + 5, START + 6)] == [5, 6]
    assert (bag.start, bag.end) == (START, START + 19)
