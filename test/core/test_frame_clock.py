# SPDX-License-Identifier: Apache-2.0
"""The time of images: stamps where they make sense, else arrivals."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pear_ros.bags.snapshot import dumps, loads
from pear_ros.core.frame_clock import FORWARDS, SEVERAL_CLOCKS, STILL, FrameClock, Tick

PERIOD = 33_333_333
EPOCH = 1_700_000_000_000_000_000


def ticks(stamps: Iterable[int], arrivals: Iterable[int] | None = None) -> list[Tick]:
    clock, given = FrameClock(), list(stamps)
    times = [7 + n * PERIOD for n in range(len(given))] if arrivals is None else arrivals
    return [clock(*pair) for pair in zip(given, times, strict=True)]


def assert_goes_on_by_arrival(found: list[Tick], first: int) -> None:
    assert not any(tick.reset for tick in found[first:])
    for before, after in pairwise(found[first:]):
        assert after.time - before.time == pytest.approx(1e-9 * PERIOD, abs=1e-6)


def test_stamps_that_make_sense_are_the_time_to_the_bit() -> None:
    for begin in (0, 5, EPOCH):
        stamps = [begin + n * PERIOD + n % 3 for n in range(100)]
        assert ticks(stamps) == [Tick(1e-9 * stamp, False, "") for stamp in stamps]


@pytest.mark.parametrize("rate", [0.05, 20.0])
def test_a_bag_may_be_played_slowly_or_fast(rate: float) -> None:
    stamps = [EPOCH + n * PERIOD for n in range(50)]
    found = ticks(stamps, [int(n * PERIOD / rate) for n in range(50)])
    assert [tick.time for tick in found] == [1e-9 * stamp for stamp in stamps]


@pytest.mark.parametrize("step", [0, 1_000, 20_000])
@pytest.mark.parametrize("begin", [0, EPOCH])
def test_stamps_that_stand_still_give_way_to_arrivals(begin: int, step: int) -> None:
    found = ticks(begin + n * step for n in range(40))
    assert {tick.fault for tick in found[6:]} == {STILL}
    assert_goes_on_by_arrival(found, 6)


def test_stamps_of_zero_give_way_at_once() -> None:
    found = ticks([0] * 40)
    assert {tick.fault for tick in found[1:]} == {STILL}
    assert_goes_on_by_arrival(found, 0)


def test_where_neither_moves_time_goes_on() -> None:
    found = ticks([0] * 10, [0] * 10)
    assert all(after.time - before.time > 0.03 for before, after in pairwise(found))


def test_a_duplicate_and_a_swap_are_a_moment_later() -> None:
    order = [0, 1, 1, 2, 4, 3, 5, 6, 6, 7, 9, 8, 10]
    found = ticks(EPOCH + n * PERIOD for n in order)
    assert {(tick.reset, tick.fault) for tick in found} == {(False, "")}
    assert all(0.0005 < after.time - before.time < 0.1 for before, after in pairwise(found))
    assert found[-1].time == 1e-9 * (EPOCH + 10 * PERIOD)


def test_a_loop_resets_all_tracks() -> None:
    found = ticks(EPOCH + n % 20 * PERIOD for n in range(60))
    assert [n for n, tick in enumerate(found) if tick.reset] == [20, 40]
    assert found[20].time == 1e-9 * EPOCH


def test_a_clock_that_is_set_ends_no_track() -> None:
    found = ticks((EPOCH if n > 20 else 0) + n * PERIOD for n in range(60))
    assert [tick.fault for tick in found] == [FORWARDS if n == 21 else "" for n in range(60)]
    assert_goes_on_by_arrival(found, 0)


def test_a_pause_of_the_camera_is_one() -> None:
    times = [n * PERIOD + (60_000_000_000 if n > 20 else 0) for n in range(40)]
    found = ticks([EPOCH + time for time in times], times)
    assert {(tick.reset, tick.fault) for tick in found} == {(False, "")}
    assert found[21].time - found[20].time > 60.0


@pytest.mark.parametrize("apart", [0.3, 5.0, 3600.0, -5.0, 1.7e9])
@pytest.mark.parametrize("order", [(0, 1), (0, 0, 1), (0, 1, 1, 0, 1)])
def test_two_clocks_on_one_topic(apart: float, order: tuple[int, ...]) -> None:
    ahead = [order[n % len(order)] * round(apart * 1e9) for n in range(80)]
    found = ticks(EPOCH + n * PERIOD + more for n, more in enumerate(ahead))
    assert sum(tick.reset for tick in found) <= 1
    if abs(apart) > 1.0:
        assert {tick.fault for tick in found[10:]} == {SEVERAL_CLOCKS}
        assert_goes_on_by_arrival(found, 10)


def test_stamps_are_the_time_again_once_they_make_sense() -> None:
    found = ticks([0] * 20 + [EPOCH + n * PERIOD for n in range(60)])
    assert found[30].fault == STILL and found[50].fault == ""
    assert_goes_on_by_arrival(found, 0)


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**31) * 10**9, 2**31 * 10**9) | st.sampled_from([0, 1, PERIOD]),
            st.integers(0, 2**63) | st.sampled_from([0, 1, PERIOD]),
        ),
        max_size=40,
    ),
    st.integers(0, 40),
)
def test_time_ascends_unless_tracks_are_reset(pairs: list[tuple[int, int]], killed: int) -> None:
    clock, found = FrameClock(), []
    for number, pair in enumerate(pairs):
        if number == killed:
            clock = loads(dumps(clock, [FrameClock]), [FrameClock])
        found.append(clock(*pair))
    for before, after in pairwise(found):
        assert after.reset or after.time >= before.time
