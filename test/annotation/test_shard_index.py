# SPDX-License-Identifier: Apache-2.0
"""Samples of shards by number, those of damaged shards included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pear_ros.annotation.encoding import SampleError
from pear_ros.annotation.shard_index import ShardIndex
from pear_ros.annotation.shards import ShardsError, read_shards


def test_samples_by_number_are_those_in_order(made: Path) -> None:
    expected = [*read_shards(made)]
    index = ShardIndex(made)
    assert len(index) == len(expected) > 1
    for number in reversed(range(len(index))):
        found = index[number]
        assert found.key == expected[number].key
        assert np.array_equal(found.crop, expected[number].crop)
        assert np.array_equal(found.smplx.pose, expected[number].smplx.pose)
    assert ShardIndex(made).digest == index.digest


def test_what_is_before_the_damage_is_read(made: Path, tmp_path: Path) -> None:
    whole = ShardIndex(made)
    source = min(made.glob("*.tar"))
    cut = tmp_path / source.name
    content = source.read_bytes()
    cut.write_bytes(content[: len(content) // 2 + 100])
    index = ShardIndex(tmp_path)
    assert index.damaged and cut.name in index.damaged[0]
    assert 0 < len(index) < len(whole) and index.digest != whole.digest
    index[0]
    with pytest.raises(SampleError, match=cut.name):
        index[len(index) - 1]


def test_no_shards_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.tar"):
        with pytest.raises(ShardsError, match="holds no samples"):
            ShardIndex(path)
    (tmp_path / "bad.tar").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(ShardsError, match=r"bad\.tar is damaged"):
        ShardIndex(tmp_path)
