# SPDX-License-Identifier: Apache-2.0
"""Robust estimation of the log scale from beams."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.scale.beam_model import LogScalePrior, estimate_log_scale

NEUTRAL = LogScalePrior(0.0, 0.12)


def beams(*groups: tuple[int, float], spread: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Log ratios and sigma: groups of `count` beams around each value."""
    rng = np.random.default_rng(0)
    ratios = np.concatenate([rng.normal(value, spread, count) for count, value in groups])
    return rng.permutation(ratios), np.full(len(ratios), spread)


def test_log_scale_of_one_group_even_far_from_the_prior() -> None:
    assert estimate_log_scale(*beams((200, 0.1)), NEUTRAL) == pytest.approx(0.1, abs=0.005)
    assert estimate_log_scale(*beams((200, -0.5)), NEUTRAL) == pytest.approx(-0.5, abs=0.005)


def test_log_scale_is_none_for_few_or_scattered_beams() -> None:
    assert estimate_log_scale(*beams((20, 0.1)), NEUTRAL) is None
    assert estimate_log_scale(np.empty(0), np.empty(0), NEUTRAL) is None
    scattered = np.linspace(-0.9, 0.9, 300)
    assert estimate_log_scale(scattered, np.full(300, 0.02), NEUTRAL) is None


def test_log_scale_is_none_for_too_few_hits() -> None:
    ratios, spreads = beams((40, 0.1))
    in_front = np.linspace(-0.9, -0.2, 160)
    assert estimate_log_scale(ratios, spreads, NEUTRAL) is not None
    both = np.concatenate([ratios, in_front])
    assert estimate_log_scale(both, np.full(200, 0.02), NEUTRAL) is None


def test_log_scale_prefers_an_occluder_in_front_to_a_hole() -> None:
    ratios, spreads = beams((120, -0.15), (100, 0.15))
    assert estimate_log_scale(ratios, spreads, NEUTRAL) == pytest.approx(0.15, abs=0.005)


def test_log_scale_prior_decides_between_equal_groups() -> None:
    ratios, spreads = beams((130, -0.3), (88, 0.3))
    assert estimate_log_scale(ratios, spreads, LogScalePrior(0.3, 0.05)) == pytest.approx(
        0.3, abs=0.005
    )
    assert estimate_log_scale(ratios, spreads, LogScalePrior(-0.3, 0.05)) != pytest.approx(
        0.3, abs=0.1
    )


def test_log_scale_ignores_outliers() -> None:
    ratios, spreads = beams((200, 0.1), (60, -0.1), (40, 0.2), (20, 0.7))
    assert estimate_log_scale(ratios, spreads, NEUTRAL) == pytest.approx(0.1, abs=0.01)
