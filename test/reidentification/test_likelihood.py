# SPDX-License-Identifier: Apache-2.0
"""Likelihood ratio of appearances."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pear_ros.reidentification.appearance import Appearance
from pear_ros.reidentification.body_parts import PARTS
from pear_ros.reidentification.likelihood import MIN_PARTS, log_likelihood_ratio

GREY = (40.0, 4.0, 4.0)
RED = (45.0, 60.0, 40.0)
BLUE = (30.0, 10.0, -45.0)


def appearance(shirt: tuple[float, float, float], parts: int = len(PARTS)) -> Appearance:
    """A person in trousers like all others, of whom the first `parts` are seen."""
    colours = np.tile(np.array(GREY), (len(PARTS), 1))
    colours[[PARTS.index(part) for part in ("chest", "upper_arms")]] = shirt
    colours[parts:] = np.nan
    return Appearance(colours, (np.arange(len(PARTS)) < parts).astype(np.intp))


def test_rare_colours_that_agree_say_more_than_common_ones() -> None:
    rare = log_likelihood_ratio(appearance(RED), appearance(RED))
    common = log_likelihood_ratio(appearance(GREY), appearance(GREY))
    assert rare > common + 3.0 > 3.0


def test_other_colours_are_of_other_people() -> None:
    assert log_likelihood_ratio(appearance(RED), appearance(BLUE)) < -5.0
    assert log_likelihood_ratio(appearance(RED), appearance(GREY)) < 0.0


def test_light_changes_less_than_one_part_does() -> None:
    red = appearance(RED)
    darker = replace(red, colours=red.colours - (15.0, 0.0, 0.0))
    one_part = red.colours.copy()
    one_part[PARTS.index("thighs"), 0] += 35.0
    assert log_likelihood_ratio(red, darker) > log_likelihood_ratio(
        red, replace(red, colours=one_part)
    )


def test_few_parts_decide_nothing() -> None:
    assert log_likelihood_ratio(appearance(RED), appearance(RED, MIN_PARTS - 1)) == -math.inf
    assert math.isfinite(log_likelihood_ratio(appearance(RED), appearance(RED, MIN_PARTS)))


def test_heights_count_where_both_are_known() -> None:
    def tall(metres: float) -> Appearance:
        return replace(appearance(RED), log_height=math.log(metres), log_height_std=0.03)

    unknown = log_likelihood_ratio(appearance(RED), tall(1.8))
    assert unknown == log_likelihood_ratio(appearance(RED), appearance(RED))
    assert log_likelihood_ratio(tall(1.8), tall(1.8)) > unknown
    assert log_likelihood_ratio(tall(1.5), tall(1.9)) < unknown - 5.0


@given(arrays(float, (2, len(PARTS), 3), elements=st.floats(-120.0, 120.0)))
def test_ratio_is_finite_and_symmetric(colours: np.ndarray) -> None:
    one, other = (Appearance(c, np.ones(len(PARTS), np.intp)) for c in colours)
    ratio = log_likelihood_ratio(one, other)
    assert math.isfinite(ratio)
    assert ratio == pytest.approx(log_likelihood_ratio(other, one), rel=1e-9, abs=1e-6)
