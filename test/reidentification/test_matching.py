# SPDX-License-Identifier: Apache-2.0
"""Matching: only sure pairs, nobody twice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pear_ros.reidentification.matching import MIN_MARGIN, MIN_RATIO, sure_matches

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 5))
RATIOS = st.floats(-30.0, 30.0) | st.just(-np.inf)


def ratios_of(*rows: tuple[float, ...]) -> npt.NDArray[np.float64]:
    return np.array(rows, float)


@given(st.data())
def test_matches_are_possible_sure_and_unique(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    ratios = data.draw(arrays(float, shape, elements=RATIOS))
    possible = data.draw(arrays(bool, shape))
    matches = sure_matches(ratios, possible)
    assert len(set(matches.values())) == len(matches)
    for track, person in matches.items():
        assert possible[track, person]
        assert ratios[track, person] >= MIN_RATIO
        rivals = [*np.delete(ratios[track], person), *np.delete(ratios[:, person], track)]
        assert all(ratios[track, person] >= rival + MIN_MARGIN for rival in rivals)


@given(st.data())
def test_order_of_people_does_not_matter(data: st.DataObject) -> None:
    shape = data.draw(SHAPES)
    ratios = data.draw(arrays(float, shape, elements=RATIOS))
    possible = data.draw(arrays(bool, shape))
    rows = data.draw(st.permutations(range(shape[0])))
    columns = data.draw(st.permutations(range(shape[1])))
    index = np.ix_(rows, columns)
    shuffled = sure_matches(ratios[index], possible[index])
    assert {rows[n]: columns[m] for n, m in shuffled.items()} == sure_matches(ratios, possible)


def test_sure_match_is_found() -> None:
    ratios = ratios_of((9.0, 1.0), (0.0, -5.0))
    assert sure_matches(ratios, np.ones((2, 2), bool)) == {0: 0}


def test_person_who_resembles_somebody_present_is_matched_with_none() -> None:
    ratios, possible = ratios_of((9.0, 8.0)), np.array([[True, False]])
    assert sure_matches(ratios, possible) == {}
    assert sure_matches(ratios[:, :1], possible[:, :1]) == {0: 0}


def test_two_new_tracks_alike_are_matched_with_none() -> None:
    assert sure_matches(ratios_of((9.0,), (8.0,)), np.ones((2, 1), bool)) == {}
