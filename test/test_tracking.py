# SPDX-License-Identifier: Apache-2.0
"""Ids, states and patience of the tracker, on boxes alone."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.boxes import same_person
from pear_ros.camera import Camera
from pear_ros.estimator import Detection, Estimate
from pear_ros.people import Person, SmplxParams, TrackingState
from pear_ros.tracking import PATIENCE, Tracker

CAMERA = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)


def box(x: float, y: float = 0.0, size: float = 100.0) -> np.ndarray:
    return np.array([x, y, x + size, y + 2 * size], np.float32)


def estimate(at: np.ndarray) -> Estimate:
    zeros = np.zeros((55, 3), np.float32)
    smplx = SmplxParams(
        zeros, np.zeros(10, np.float32), np.zeros(52, np.float32), np.ones(3, np.float32)
    )
    return Estimate(0.9, at, smplx, zeros, np.ones(55, np.float32), zeros[:, :2])


def step(
    tracker: Tracker, boxes: list[np.ndarray], stamp: float, max_humans: int = 8
) -> dict[str, Person]:
    """One image in which there are people exactly at `boxes`, all of them detected."""
    regions = tracker.regions([Detection(box) for box in boxes], stamp, max_humans)
    found = {r.id: estimate(b) for r in regions for b in boxes if same_person(b, r.box)}
    persons = tracker.update(found, CAMERA, stamp)
    return {person.id: person for person in persons}


def test_ids_stay_with_people_who_move() -> None:
    tracker = Tracker()
    for frame in range(20):
        people = step(tracker, [box(10.0 * frame), box(1000.0 - 10.0 * frame)], frame / 10)
    assert sorted(people) == ["h1", "h2"]
    assert people["h1"].box[0] == 190.0
    assert {p.state for p in people.values()} == {TrackingState.TRACKED}


def test_life_of_an_id() -> None:
    tracker = Tracker()
    assert step(tracker, [box(0)], 0.0)["h1"].state is TrackingState.NEW
    for stamp in (0.1, 0.3, 0.6):
        assert step(tracker, [box(0)], stamp)["h1"].state is TrackingState.TRACKED
    missed = step(tracker, [], 0.7)["h1"]
    assert missed.state is TrackingState.PREDICTED
    assert missed.score < 0.9
    assert missed.joint_confidence.max() < 1.0
    assert step(tracker, [], 0.6 + PATIENCE + 0.01)["h1"].state is TrackingState.LOST
    assert step(tracker, [], 1.2) == {}
    assert tracker.count == 0
    assert list(step(tracker, [box(0)], 1.3)) == ["h2"], "an id is never used again"


def test_somebody_missed_briefly_keeps_the_id() -> None:
    tracker = Tracker()
    step(tracker, [box(0)], 0.0)
    step(tracker, [box(0)], 0.2)
    step(tracker, [], 0.3)
    found_again = step(tracker, [box(20)], 0.4)
    assert found_again["h1"].state is TrackingState.TRACKED
    assert found_again["h1"].box[0] == 20.0


def test_somebody_seen_once_is_lost_at_once() -> None:
    tracker = Tracker()
    step(tracker, [box(0)], 0.0)
    assert step(tracker, [], 0.1)["h1"].state is TrackingState.LOST


def test_two_tracks_on_one_person_become_one() -> None:
    tracker = Tracker()
    step(tracker, [box(0), box(300)], 0.0)
    tracker.regions([], 0.1)
    persons = tracker.update({"h1": estimate(box(150)), "h2": estimate(box(155))}, CAMERA, 0.1)
    states = {person.id: person.state for person in persons}
    assert states == {"h1": TrackingState.TRACKED, "h2": TrackingState.LOST}


def test_no_more_people_than_asked_for() -> None:
    tracker = Tracker()
    assert len(step(tracker, [box(0), box(300), box(600)], 0.0, max_humans=2)) == 2


def test_reset_forgets_everybody_but_not_the_ids() -> None:
    tracker = Tracker()
    step(tracker, [box(0)], 5.0)
    tracker.reset()
    assert list(step(tracker, [box(0)], 0.0)) == ["h2"]


@pytest.mark.parametrize(
    ("other", "same"),
    [(box(10), True), (box(300), False), (box(0, 400), False), (box(30, 40, 40), True)],
)
def test_same_person(other: np.ndarray, same: bool) -> None:
    assert same_person(box(0), other) is same
    assert same_person(other, box(0)) is same
