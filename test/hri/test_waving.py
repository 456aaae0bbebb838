# SPDX-License-Identifier: Apache-2.0
"""Waving of stick figures, and what is none."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.core.people import Array
from pear_ros.hri.body_parts import LEVEL_CAMERA_UP
from pear_ros.hri.waving import Waving
from testing.waving_people import (
    LEFT,
    RATE,
    RIGHT,
    Motion,
    beats,
    conducts_low,
    dangles,
    figure,
    glimpses,
    jumps,
    raises_arm,
    swings_below,
    walks,
    waves,
    waves_aside,
    waves_slower,
    waves_straight,
)

Frames = list[tuple[float, Array, Array]]
"""Stamp in seconds, joints (55, 3), confidence (55,) of each image."""


def sequence(
    motion: Motion,
    seconds: float = 3.0,
    turn: tuple[float, float, float] = (0, 0, 0),
    metres: float = 1.0,
    confidence: float = 0.8,
) -> Frames:
    turned = Rotation.from_rotvec(turn)
    given = np.full(55, confidence, np.float32)
    times = np.arange(round(seconds * RATE)) / RATE
    return [(100.0 + t, figure(motion, float(t), turned, metres), given) for t in times]


def starts(frames: Frames, up: np.ndarray = LEVEL_CAMERA_UP) -> int:
    """How often the person starts to wave."""
    waving = Waving()
    seen = [False, *(waving.update(*frame, up) for frame in frames)]
    return sum(now and not before for before, now in pairwise(seen))


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(sequence(waves(joints=RIGHT)), id="right"),
        pytest.param(sequence(waves(joints=LEFT, hertz=2.5), confidence=math.nan), id="NaN"),
        pytest.param(sequence(waves_straight), id="whole arm"),
        pytest.param(sequence(waves(), turn=(0.0, 1.3, 0.0)), id="turned aside"),
        pytest.param(sequence(waves(), turn=(0.0, math.pi, 0.0)), id="from behind"),
        pytest.param(sequence(waves(), turn=(0.3, 0.0, 0.5)), id="leaning"),
        pytest.param(sequence(waves_aside), id="aside"),
        pytest.param(sequence(waves_slower, seconds=9.0), id="slower"),
        pytest.param(sequence(waves(), metres=0.25), id="small"),
    ],
)
def test_waving_starts_once(frames: Frames) -> None:
    assert starts(frames) == 1


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(sequence(lambda t: {}), id="idle"),
        pytest.param(sequence(walks), id="walking"),
        pytest.param(sequence(raises_arm), id="raised arm"),
        pytest.param(sequence(jumps, seconds=4.0), id="jumping jacks"),
        pytest.param(sequence(swings_below), id="hanging arm"),
        pytest.param(sequence(conducts_low), id="low hand"),
        pytest.param(sequence(dangles), id="dangling hand"),
        pytest.param(sequence(beats), id="beating"),
        pytest.param(sequence(waves(swing=0.1)), id="trembling"),
        pytest.param(sequence(waves(hertz=0.3, swing=1.0), seconds=6.0), id="slow"),
        pytest.param(sequence(waves(), seconds=0.6), id="once"),
        pytest.param(sequence(waves(), confidence=0.1), id="not seen"),
        pytest.param(sequence(waves(), turn=(0.0, 0.0, 1.5)), id="lying"),
        pytest.param(sequence(glimpses, seconds=6.0), id="glimpses"),
    ],
)
def test_other_movements_are_no_waving(frames: Frames) -> None:
    assert starts(frames) == 0


def test_waving_before_a_tilted_camera_needs_the_vertical() -> None:
    frames = sequence(waves(), turn=(0.0, 0.0, 1.5))
    assert starts(frames) == 0
    assert starts(frames, Rotation.from_rotvec((0.0, 0.0, 1.5)).apply(LEVEL_CAMERA_UP)) == 1


def test_each_track_and_each_jump_back_begins_anew() -> None:
    waving = Waving()
    frames = sequence(waves(), seconds=2.0)
    assert [waving.update(*frame) for frame in frames][-1]
    assert not Waving().update(*frames[-1])
    jumped = sequence(lambda t: {}, seconds=2.0)
    assert not [waving.update(*frame) for frame in jumped][-1]
