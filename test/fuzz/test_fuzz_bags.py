# SPDX-License-Identifier: Apache-2.0
"""Fuzzed bags are read, or refused as documented."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import lz4.frame
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin

from pear_ros.bags.bag import METADATA, Bag, find_bags
from pear_ros.bags.definitions import types_of
from pear_ros.bags.parts import custom_data
from pear_ros.bags.topic import BagError
from testing.fuzzed import FUZZED, PICTURE, file_of, refused_with
from testing.image_bags import START, TYPES, camera_info, header, raw, write_bag
from testing.mcap_records import channel, chunk, indexed, mcap, message, schema
from testing.mutations import for_want_of_memory, mutated

KIND = "std_msgs/msg/Header"
BORDER = "=" * 80 + "\n"
DEFINITION = (
    f"builtin_interfaces/Time stamp\nstring frame_id\n{BORDER}"
    "MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
)
IDL = "module a { module msg { const long N = 2; struct A { sequence<long, N> x; }; }; };"
RECORDS = (
    schema(1, KIND, DEFINITION)
    + channel(1, 1, "/good")
    + schema(2, "a/msg/A", IDL, "ros2idl")
    + channel(2, 2, "/idl")
    + b"".join(message(1, START + n, bytes(TYPES.serialize_cdr(header(n), KIND))) for n in range(3))
)


@cache
def mcap_files() -> tuple[bytes, ...]:
    size = len(RECORDS)
    chunks = [
        chunk(data, name, size, START, START + 3)
        for name, data in (
            ("zstd", zstandard.compress(RECORDS)),
            ("lz4", lz4.frame.compress(RECORDS)),
            ("", RECORDS),
        )
    ]
    return (mcap(RECORDS), mcap(*chunks), *(indexed([one]) for one in chunks))


@cache
def recorded(storage: StoragePlugin) -> dict[str, bytes]:
    """The files of a bag of rosbag2, by name."""
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder, "bag")
        messages = [
            ("/info", 0, camera_info(24, 16, 20.0, 0)),
            *(("/image", n, raw(PICTURE[:4, :4], n)) for n in range(3)),
        ]
        write_bag(bag, messages, storage)
        return {path.name: path.read_bytes() for path in bag.iterdir()}


def read_bag(path: Path) -> None:
    """Open a bag and read all of it, with a limit of memory."""
    with refused_with(BagError):
        for found in find_bags(path):
            bag = Bag(found)
            for topic in bag.topics.values():
                types_of(topic)
            for count, one in enumerate(bag.messages()):
                assert count < 100_000
                try:
                    bag.deserialize(one)
                except Exception as error:  # It may raise anything but this.
                    assert not for_want_of_memory(error), "it takes too much memory"
            bag.last_before(next(iter(bag.topics)), bag.end)
            bag.fingerprint()


@FUZZED
@given(st.deferred(lambda: mutated(*mcap_files())))
def test_mcap(content: bytes) -> None:
    with file_of(content, "odd.mcap") as path:
        read_bag(path)


@FUZZED
@given(st.deferred(lambda: mutated(RECORDS)))
def test_records_in_a_chunk(records: bytes) -> None:
    compressed = zstandard.compress(records)
    for size in (len(records), len(RECORDS)):
        whole = indexed([chunk(compressed, "zstd", size, START, START + 3)])
        with file_of(whole, "odd.mcap") as path:
            read_bag(path)


@st.composite
def definitions(draw: Any) -> bytes:
    """Definitions of messages with a few faults, and messages of these types."""
    encoding, text, kind = draw(
        st.sampled_from((("ros2msg", DEFINITION, KIND), ("ros2idl", IDL, "a/msg/A")))
    )
    words = text.split(" ")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(words) - 1))
        odd = ("uint8[1000000000]", "string", "N", "[", "]", "{", "};", "\n", "<=3", "1e9", "a/A[]")
        words[at : at + draw(st.integers(0, 2))] = [draw(st.sampled_from((*odd, *words)))]
    data = draw(st.binary(max_size=40))
    return mcap(
        schema(1, kind, " ".join(words), encoding),
        channel(1, 1, "/odd"),
        message(1, START, b"\0\1\0\0" + data),
    )


@FUZZED
@given(definitions())
def test_definition_of_messages(content: bytes) -> None:
    with file_of(content, "odd.mcap") as path:
        read_bag(path)


@FUZZED
@given(st.deferred(lambda: mutated(recorded(StoragePlugin.SQLITE3)["bag.db3"])))
def test_database(content: bytes) -> None:
    with file_of(content, "odd.db3") as path:
        read_bag(path)


@FUZZED
@given(st.deferred(lambda: mutated(recorded(StoragePlugin.MCAP)[METADATA])))
def test_metadata(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in recorded(StoragePlugin.MCAP).items():
            Path(folder, name).write_bytes(content if name == METADATA else data)
        read_bag(Path(folder))
        custom_data(Path(folder))


def test_good_files_are_read() -> None:
    """The properties start from them, or they would test little."""
    for one in mcap_files():
        with file_of(one, "good.mcap") as path:
            assert len(list(Bag(path).messages())) % 3 == 0
