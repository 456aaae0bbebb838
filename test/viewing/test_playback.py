# SPDX-License-Identifier: Apache-2.0
"""Playback: which image is shown at which time."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.viewing.playback import Playback

SECONDS = np.array([0.0, 0.1, 0.2, 0.5, 1.0])


def test_paused_playback_stays() -> None:
    playback = Playback(SECONDS)
    assert [playback.index(now) for now in (0.0, 50.0)] == [0, 0]
    assert playback.wait(0.0) is None


def test_image_is_the_last_one_until_the_time() -> None:
    playback = Playback(SECONDS)
    playback.play(100.0)
    assert [playback.index(100.0 + t) for t in (0.0, 0.05, 0.1, 0.45, 0.5, 0.99)] == [
        0,
        0,
        1,
        2,
        3,
        3,
    ]


def test_waits_until_the_next_image() -> None:
    playback = Playback(SECONDS)
    playback.play(0.0)
    assert playback.wait(0.25) == pytest.approx(0.25)
    playback.set_speed(0.5, 0.25)
    assert playback.wait(0.25) == pytest.approx(0.5)


def test_begins_again_at_the_end_or_stops() -> None:
    playback = Playback(SECONDS)
    playback.play(0.0)
    assert playback.position(1.2) == 1.0  # the last image is shown as long as others
    assert playback.position(1.5) == pytest.approx(0.25)
    playback.loop = False
    assert playback.position(9.0) == 1.0
    assert not playback.playing
    assert playback.index(9.0) == 4
    playback.play(10.0)  # at the end: from the beginning
    assert playback.index(10.0) == 0


def test_speed_changes_without_a_jump() -> None:
    playback = Playback(SECONDS)
    playback.play(0.0)
    playback.set_speed(2.0, 0.3)
    assert playback.position(0.3) == pytest.approx(0.3)
    assert playback.position(0.4) == pytest.approx(0.5)


def test_steps_pause_and_stay_inside() -> None:
    playback = Playback(SECONDS)
    playback.play(0.0)
    playback.step(1, 0.1)
    assert (playback.playing, playback.index(5.0)) == (False, 2)
    playback.step(100, 5.0)
    assert playback.index(5.0) == 4
    playback.step(-100, 5.0)
    assert playback.index(5.0) == 0


def test_seek_goes_on_playing_from_there() -> None:
    playback = Playback(SECONDS)
    playback.play(0.0)
    playback.seek(0.5, 10.0)
    assert playback.position(10.1) == pytest.approx(0.6)
    playback.seek(99.0, 11.0)
    playback.pause(11.0)
    assert playback.index(11.0) == 4


@pytest.mark.parametrize("seconds", (np.empty(0), np.zeros(1)))
def test_recording_without_length_can_be_played(seconds: np.ndarray) -> None:
    playback = Playback(seconds)
    playback.play(0.0)
    assert playback.index(3.0) == 0
    playback.step(1, 3.0)
    assert playback.position(4.0) == 0.0


def test_grows_while_a_bag_is_read() -> None:
    playback = Playback(np.empty(0))
    playback.extend(SECONDS)
    playback.seek(0.5)
    assert playback.index(0.0) == 3
