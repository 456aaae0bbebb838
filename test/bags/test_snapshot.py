# SPDX-License-Identifier: Apache-2.0
"""Snapshots: values are read back exactly, and nothing but allowed data is read."""

from __future__ import annotations

import enum
import hashlib
import io
import json
import math
import pickle
import struct
from collections import deque
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from pear_ros.bags.resumable import ResumableBag
from pear_ros.bags.snapshot import MAGIC, SnapshotError, dumps, loads
from pear_ros.bags.topic import BagError
from pear_ros.bags.unfinished import SNAPSHOT, UNFINISHED, ResumeError
from pear_ros.core.boxes import same_person
from pear_ros.core.people import DepthSource, Person, SmplxParams, TrackingState


@dataclass(frozen=True)
class Node:
    """A dataclass whose constructor must not run."""

    value: Any
    others: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.value, str) and self.value == "refused by the constructor":
            raise AssertionError("the constructor ran")


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2.5


CLASSES = (Node, Colour)
PERSON = (DepthSource, Person, SmplxParams, TrackingState)
ARRAYS = st_numpy.arrays(
    st.one_of(st_numpy.scalar_dtypes(), st_numpy.unicode_string_dtypes()),
    st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(Colour)),
    *(ARRAYS, ARRAYS.map(np.asfortranarray), ARRAYS.map(lambda array: array[()])),
)
HASHABLE = st.one_of(st.integers(), st.text(), st.sampled_from(Colour), st.tuples(st.integers()))
VALUES = st.recursive(
    LEAVES,
    lambda values: st.one_of(
        st.lists(values, max_size=4),
        st.lists(values, max_size=4).map(tuple),
        st.builds(deque, st.lists(values, max_size=4), st.sampled_from((None, 4, 200))),
        st.dictionaries(HASHABLE, values, max_size=4),
        st.sets(HASHABLE, max_size=4),
        st.builds(Node, values, values),
    ),
    max_leaves=12,
)


def assert_same(found: Any, expected: Any) -> None:
    """Types, bits, shapes, memory order and lengths are equal throughout."""
    assert type(found) is type(expected)
    if isinstance(expected, (np.ndarray, np.generic)):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes()
        if isinstance(expected, np.ndarray):
            assert found.flags.writeable
            if expected.flags.c_contiguous or expected.flags.f_contiguous:
                assert found.strides == expected.strides or not expected.size
    elif isinstance(expected, float):
        assert struct.pack("d", found) == struct.pack("d", expected)
    elif is_dataclass(expected):
        for field in fields(expected):
            assert_same(getattr(found, field.name), getattr(expected, field.name))
    elif isinstance(expected, dict):
        assert_same(list(found.items()), list(expected.items()))
    elif isinstance(expected, (list, tuple, deque)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
        assert getattr(found, "maxlen", None) == getattr(expected, "maxlen", None)
    else:
        assert found == expected


@settings(deadline=None)
@given(VALUES)
def test_snapshot_returns_the_same_value(value: Any) -> None:
    content = dumps(value, CLASSES)
    found = loads(content, CLASSES)
    assert_same(found, value)
    assert dumps(found, CLASSES) == content


@pytest.mark.parametrize(
    "value", [math.nan, -math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1 + 0.2, 2.0**-1074, 1e308]
)
def test_snapshot_keeps_every_bit_of_a_float(value: float) -> None:
    assert struct.pack("d", loads(dumps(value))) == struct.pack("d", value)


def test_snapshot_keeps_people() -> None:
    smplx = SmplxParams(*(np.random.default_rng(k).normal(size=(3, k)) for k in range(4)))
    box = np.arange(8.0)[::2]
    person = Person(0.5, box, smplx, box, box, box, id="h1", state=TrackingState.LOST)
    again = loads(dumps({"a": [person, (1, None, {"x"}, np.float64(0.1))]}, PERSON), PERSON)["a"]
    assert again[0].state is TrackingState.LOST
    np.testing.assert_array_equal(again[0].smplx.betas, smplx.betas)
    np.testing.assert_array_equal(again[0].box, box)
    assert again[0].joints is again[0].box, "one array stays one"
    assert again[1] == (1, None, {"x"}, 0.1)


def test_snapshot_does_not_run_constructors() -> None:
    node = Node(1)
    object.__setattr__(node, "value", "refused by the constructor")
    assert loads(dumps(node, CLASSES), CLASSES).value == "refused by the constructor"


@pytest.mark.parametrize(
    "value",
    [same_person, Path("x"), np.load, BagError("x"), b"x", 1j, np.array([None]), Node(1), Colour],
)
def test_snapshot_refuses_other_values(value: Any) -> None:
    with pytest.raises(SnapshotError, match="cannot hold"):
        dumps({"x": [value]})


@pytest.mark.parametrize("value", [Node(1), Colour.RED, [Node(Colour.BLUE)]])
def test_snapshot_names_only_allowed_classes(value: Any) -> None:
    with pytest.raises(SnapshotError, match=r"another version \(it names '.*test_snapshot\."):
        loads(dumps(value, CLASSES), PERSON)


def forged(tree: Any, arrays: bytes = b"") -> bytes:
    """A snapshot with a valid hash and arbitrary content."""
    text = json.dumps(tree).encode()
    content = struct.pack("<Q", len(text)) + text + (arrays or npz())
    return MAGIC + hashlib.sha256(content).digest() + content


def npz(*arrays: Any, save: Any = np.savez) -> bytes:
    file = io.BytesIO()
    save(file, *arrays)
    return file.getvalue()


NAME = f"{__name__}.Node"


@pytest.mark.parametrize(
    "content",
    [
        forged({"array": 0}),
        forged({"array": 0}, npz(np.array([{}], object))),
        forged({"array": 0}, pickle.dumps(1)),
        forged({"array": 0}, npz(np.zeros(1000), save=np.savez_compressed)),
        forged({"call": "os.system"}),
        forged({"enum": NAME, "value": 1}),
        forged({"dataclass": NAME, "fields": {"value": 1}}),
        forged({"dataclass": NAME, "fields": {"value": 1, "others": 2, "more": 3}}),
        forged({"dataclass": "os.system", "fields": {}}),
        forged({"dataclass": f"{__name__}.Colour", "fields": {}}),
        forged({}),
        forged({"float": "x"}),
    ],
)
def test_snapshot_with_forged_content_is_refused(content: bytes) -> None:
    with pytest.raises(SnapshotError, match="of another version"):
        loads(content, CLASSES)


def test_snapshot_that_was_damaged_is_refused() -> None:
    good = dumps([1, 2, 3])
    for bad in (b"", good[:-1], good[:80] + b"x" + good[81:], pickle.dumps(3), good[1:]):
        with pytest.raises(SnapshotError, match="damaged"):
            loads(bad)


def old_kind(state: Any) -> bytes:
    """A snapshot as earlier versions wrote it: a pickle behind its hash."""
    content = pickle.dumps(state, 4)
    return hashlib.sha256(content).digest() + content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "damaged"),
        (b"x" * 100, "damaged"),
        (old_kind({"state": 1}), "damaged"),
        (dumps(1)[:-1], "damaged"),
        (dumps(1), "something else"),
    ],
)
def test_resumable_bag_refuses_a_snapshot_it_cannot_read(
    tmp_path: Path, content: bytes, says: str
) -> None:
    bag = tmp_path / "bag"
    (bag / UNFINISHED).mkdir(parents=True)
    (bag / UNFINISHED / SNAPSHOT).write_bytes(content)
    for _ in range(2):  # the lock is released
        with pytest.raises(ResumeError) as raised:
            ResumableBag(bag, "n", {"to": "5"}).resume()
        text = str(raised.value)
        assert str(bag) in text and says in text and "--overwrite" in text and "\n" not in text
