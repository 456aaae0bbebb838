# SPDX-License-Identifier: Apache-2.0
"""Fuzzed states of an unfinished replay are read, or refused as documented."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import struct
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="replay needs ROS 2")

from pear_ros.bags.resumable import ResumableBag
from pear_ros.bags.snapshot import MAGIC, SnapshotError, dumps, loads
from pear_ros.bags.unfinished import SNAPSHOT, UNFINISHED, ResumeError
from pear_ros.replay.in_threads import replay_in_threads
from pear_ros.replay.statistics import ReplayStatistics
from testing.fuzzed import FUZZED, refused_with
from testing.image_bags import write_bag
from testing.mutations import mutated
from testing.replaying import Stopped, replayed
from testing.replaying import recorded as recorded_images
from testing.tiny_pipeline import TinyPipeline


def forged_states(content: bytes) -> st.SearchStrategy[bytes]:
    """Snapshots of a replay in which one value is another: `content` is that of a genuine one."""
    end = 8 + struct.unpack_from("<Q", content)[0]
    whole = json.loads(content[8:end])
    paths = list(_paths(whole))

    def forged(case: tuple[tuple[Any, ...], Any]) -> bytes:
        path, value = case
        copy = json.loads(content[8:end])
        place = copy
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        text = json.dumps(copy).encode()
        return signed(struct.pack("<Q", len(text)) + text + content[end:])

    return st.tuples(st.sampled_from(paths), JSON).map(forged)


def _paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in a tree of JSON."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from _paths(value, (*path, key))


def run_with(pipeline: TinyPipeline) -> Any:
    return partial(replay_in_threads, build=lambda _, count: [pipeline] * count)


@cache
def stopped_replay() -> tuple[dict[str, bytes], bytes]:
    """The files of a bag that is replayed, and of its unfinished results, by relative path."""
    with tempfile.TemporaryDirectory() as folder:
        source = write_bag(Path(folder, "bag"), recorded_images())
        with contextlib.suppress(KeyboardInterrupt):
            replayed([source], Path(folder, "out"), run_with(Stopped()))
        files = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in Path(folder).rglob("*")
            if path.is_file()
        }
    return files, files[f"out/{UNFINISHED}/{SNAPSHOT}"][len(MAGIC) + 32 :]


@FUZZED
@given(st.deferred(lambda: forged_states(stopped_replay()[1])))
def test_resumed_replay(snapshot: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in stopped_replay()[0].items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(snapshot if path.name == SNAPSHOT else content)
        run = run_with(TinyPipeline())
        assert replayed([Path(folder, "bag")], Path(folder, "out"), run).code in (0, 1)


def signed(content: bytes) -> bytes:
    """A snapshot with this content and a hash that fits: what was forged, not damaged."""
    return MAGIC + hashlib.sha256(content).digest() + content


STATE = {"a": [1, 2.5, None], "b": (np.arange(3), "text"), "c": {1, 2}, "n": math.nan}
CONTENT = dumps(STATE)[len(MAGIC) + 32 :]
TAGS = (
    *("float", "array", "scalar", "tuple", "set", "deque", "dict", "enum", "dataclass"),
    *("maxlen", "fields", "value", "x"),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda values: st.one_of(
        st.lists(values, max_size=3),
        st.dictionaries(
            st.sampled_from(TAGS),
            values,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


def tree(value: Any) -> bytes:
    text = json.dumps(value).encode()
    end = 8 + struct.unpack_from("<Q", CONTENT)[0]
    return struct.pack("<Q", len(text)) + text + CONTENT[end:]


@FUZZED
@given(st.one_of(mutated(CONTENT), JSON.map(tree)))
def test_snapshot(content: bytes) -> None:
    with refused_with(SnapshotError):
        loads(signed(content))
    with tempfile.TemporaryDirectory() as folder, refused_with(ResumeError):
        work = Path(folder, UNFINISHED)
        work.mkdir()
        (work / SNAPSHOT).write_bytes(signed(content))
        bag = ResumableBag(Path(folder), "humans", {})
        try:
            bag.resume()
        finally:
            bag.abandon()


FIELDS = tuple(vars(ReplayStatistics()))


@FUZZED
@given(st.one_of(JSON, st.dictionaries(st.sampled_from(FIELDS), JSON)))
def test_summary_of_a_replay(value: Any) -> None:
    statistics = ReplayStatistics.loads(json.dumps(value))
    if statistics is not None:
        assert isinstance((statistics + ReplayStatistics()).dumps(), str)
        assert isinstance(statistics.useless, str)


def test_a_good_snapshot_is_read() -> None:
    """The property starts from it, or it would test little."""
    assert loads(signed(CONTENT)).keys() == STATE.keys()
