# SPDX-License-Identifier: Apache-2.0
"""Facial action units from the open body's expression coefficients."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.fitting import face_fitter
from pear_ros.hri.action_units import (
    COEFFICIENTS,
    EYES_CLOSED,
    JAW_DROP,
    NUM_UNITS,
    WINK,
    action_units,
    has_action_units,
)
from testing.open_people import open_body


def units(jaw: float = 0.0, **values: float) -> np.ndarray:
    names = open_body().expression_names
    expression = np.zeros(len(names), np.float32)
    for name, value in values.items():
        expression[names.index(name)] = value
    return action_units(names, expression, jaw)


def test_each_unit_follows_its_coefficients() -> None:
    for unit, coefficients in COEFFICIENTS.items():
        for name in coefficients:
            found = units(**{name: 0.75})
            assert found[unit] == 0.75
            assert np.nansum(found) == 0.75


def test_eyelids_tell_closed_eyes_from_a_wink() -> None:
    closed = units(eyeBlinkLeft=0.9, eyeBlinkRight=0.8)
    assert closed[EYES_CLOSED] == pytest.approx(0.8)
    assert closed[WINK] == pytest.approx(0.1)
    wink = units(eyeBlinkRight=1.0)
    assert (wink[EYES_CLOSED], wink[WINK]) == (0.0, 1.0)


def test_jaw_drops() -> None:
    assert [units(jaw)[JAW_DROP] for jaw in (-0.1, 0.0, 0.25, 2.0)] == [0.0, 0.0, 0.5, 1.0]


def test_all_other_units_are_unknown() -> None:
    known = {*COEFFICIENTS, EYES_CLOSED, WINK, JAW_DROP}
    found = units()
    assert len(found) == NUM_UNITS
    assert set(np.flatnonzero(np.isfinite(found)).tolist()) == known


def test_only_coefficients_that_landmarks_tell_are_used() -> None:
    used = {name for coefficients in COEFFICIENTS.values() for name in coefficients}
    assert used | {"eyeBlinkLeft", "eyeBlinkRight"} <= set(face_fitter._FITTED)


def test_body_without_names_has_no_action_units() -> None:
    assert has_action_units(open_body().expression_names)
    assert not has_action_units([])
    with pytest.raises(KeyError):
        action_units([], np.zeros(0, np.float32), 0.0)
