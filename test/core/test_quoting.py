# SPDX-License-Identifier: Apache-2.0
"""Texts of others in sentences, and counts by causes that contain them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pear_ros.core.bounded_counts import OTHERS, count
from pear_ros.core.quoting import plain, quoted, quoted_list


@given(st.text())
def test_quoted_texts_are_short_and_printable(text: str) -> None:
    shown = quoted(text)
    assert shown.isascii() and shown.isprintable() and len(shown) <= 500
    assert plain(text).isprintable() and len(plain(text * 100)) <= 303
    assert quoted_list([text] * 3).count(shown) == 3


def test_long_lists_are_cut_off() -> None:
    assert quoted_list(map(str, range(10))).endswith("'7', 2 more")


def test_counts_are_of_few_causes() -> None:
    counts: dict[str, int] = {}
    names = {count(counts, f"cause {n}") for n in range(1000)}
    assert len(counts) == len(names) == 41
    assert counts[OTHERS] == 960 and sum(counts.values()) == 1000
    assert count(counts, "cause 3") == "cause 3" and counts["cause 3"] == 2
