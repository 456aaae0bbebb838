# SPDX-License-Identifier: Apache-2.0
"""Shape and size of people of whom some images, or all, tell nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pear_ros.core.people import Person, TrackingState
from pear_ros.export.glb import save_glb
from pear_ros.export.npz import save_npz
from pear_ros.export.skinned import animation, is_animatable
from pear_ros.export.tracks import ResultsError
from testing.motion_tracks import walking_recording

TIMES = np.arange(5) / 30


def unread(person: Person, value: float) -> Person:
    """The person, detected only: shape, size and place are `value`."""
    return replace(
        person,
        state=TrackingState.DETECTED,
        smplx=replace(person.smplx, betas=np.full_like(person.smplx.betas, value)),
        scale=value,
        joints=np.full_like(person.joints, value),
    )


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_images_without_a_measurement_do_not_count(value: float, tmp_path: Path) -> None:
    recording = walking_recording(TIMES, change=lambda n, p: p if n < 2 else unread(p, value))
    (track,) = recording.tracks
    (expected,) = walking_recording(TIMES[:2]).tracks
    np.testing.assert_array_equal(track.typical_betas, expected.typical_betas)
    assert track.typical_scale == expected.typical_scale
    with np.load(save_npz(recording, tmp_path)[0]) as arrays:
        np.testing.assert_array_equal(arrays["betas"], expected.typical_betas)


def test_person_is_hidden_where_the_place_is_unknown() -> None:
    recording = walking_recording(TIMES, change=lambda n, p: p if n < 2 else unread(p, np.nan))
    moves = animation(recording.tracks[0], recording)
    assert len(moves.seconds) == len(moves.pelvis) == len(moves.rotations) == 2
    assert np.isfinite(moves.pelvis).all() and np.isfinite(moves.scale)
    assert moves.visible.tolist() == [True, False]


def test_person_who_was_never_measured(tmp_path: Path) -> None:
    pytest.importorskip("pygltflib")
    at_rest = walking_recording(TIMES, change=lambda n, p: unread(p, 0.5))
    assert at_rest.tracks[0].typical_scale == 0.5
    assert save_glb(at_rest, tmp_path)[0].exists()
    unknown = walking_recording(TIMES, change=lambda n, p: unread(p, np.nan))
    assert not is_animatable(unknown.tracks[0])
    assert np.isnan(unknown.tracks[0].typical_betas).all()
    with pytest.raises(ResultsError, match="of all people is unknown"):
        save_glb(unknown, tmp_path)
