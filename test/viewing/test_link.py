# SPDX-License-Identifier: Apache-2.0
"""Addresses of the viewer's page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pear_ros.viewing.link import Display, Link, Paint, Theme, View

COORDINATES = st.floats(-1e3, 1e3).map(lambda value: round(value, 2))
POINTS = st.tuples(COORDINATES, COORDINATES, COORDINATES)


@given(
    st.floats(0.0, 1e5).map(lambda value: round(value, 3)) | st.none(),
    st.sampled_from(View),
    st.text(max_size=20),
    st.sampled_from(Paint) | st.none(),
    st.sampled_from(Display),
    st.sampled_from(Theme) | st.none(),
    st.tuples(POINTS, POINTS).filter(lambda both: both[0] != both[1]) | st.none(),
)
def test_link_is_read_as_it_was_written(
    seconds: float | None,
    view: View,
    person: str,
    paint: Paint | None,
    display: Display,
    theme: Theme | None,
    eye: tuple[tuple[float, float, float], tuple[float, float, float]] | None,
) -> None:
    link = Link(seconds, view, person, paint, display, theme, *(eye or (None, None)))
    assert Link.parsed(link.query()) == link


def test_usual_view_needs_no_query() -> None:
    assert Link().query() == ""
    assert Link.parsed("") == Link()


@pytest.mark.parametrize(
    "query",
    (
        "?t=nan",
        "?t=soon&view=inside",
        "?eye=1,2&at=3,4,5",
        "?eye=1,2,3",
        "?eye=1,1,1&at=1,1,1",
        "?=&&",
    ),
)
def test_what_makes_no_sense_is_ignored(query: str) -> None:
    assert Link.parsed(query) == Link()


def test_documented_link_is_read() -> None:
    link = Link.parsed("?t=3.2&view=top&person=h1&paint=confidence&theme=dark&show=both")
    expected = Link(3.2, View.TOP, "h1", Paint.CONFIDENCE, Display.BOTH, Theme.DARK)
    assert link == expected
