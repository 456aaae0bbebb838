# SPDX-License-Identifier: Apache-2.0
"""Estimate, Person and the table of their plain fields."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import numpy as np

from pear_ros.core.estimate_arrays import ESTIMATE_ARRAYS, ArrayField
from pear_ros.core.people import Estimate, Person, TrackingState

HUMAN = Path(__file__).parents[2] / "pear_msgs" / "msg" / "Human.msg"


def test_person_has_all_fields_of_its_estimate() -> None:
    estimate = Estimate(*(object() for _ in fields(Estimate)))  # type: ignore[arg-type]
    person = Person.of(estimate, id="h1", state=TrackingState.NEW)
    assert (person.id, person.state, person.scale) == ("h1", TrackingState.NEW, 1.0)
    for field in fields(Estimate):
        assert getattr(person, field.name) is getattr(estimate, field.name)
    again = Person.of(person, id="h2", state=TrackingState.LOST)
    assert again.id == "h2" and again.joints is estimate.joints


def test_estimate_arrays_are_fields_of_estimate_and_message() -> None:
    declared = {
        name: int(count or 1)
        for count, name in re.findall(r"^float32(?:\[(\d+)\])? (\w+)", HUMAN.read_text(), re.M)
    }
    assert {*ESTIMATE_ARRAYS} <= {field.name for field in fields(Estimate)}
    assert {name: np.prod(one.shape, dtype=int) for name, one in ESTIMATE_ARRAYS.items()} == {
        name: declared[name] for name in ESTIMATE_ARRAYS
    }


def test_array_fields_describe_themselves_for_tables_of_people() -> None:
    assert ArrayField((), "a number").described("P") == "(P,) a number"
    assert ArrayField((55, 3), "metres").described("T") == "(T, 55, 3) metres"
