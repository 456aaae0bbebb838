# SPDX-License-Identifier: Apache-2.0
"""Re-identification: ids of people who return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pear_ros.core.people import Image, Person, TrackingState
from pear_ros.reidentification.reidentification import DECISION_TIME, Reidentification
from testing.open_people import CAMERA
from testing.painted_people import GREEN, RED, Colour, picture, sampler, standing

Seen = tuple[Person, Mapping[str, Colour]]
SECONDS = 60.0
STEP = 0.25


class Scene:
    """Images in turn, with the tracks in them."""

    def __init__(self) -> None:
        self.reidentification = Reidentification(sampler(), SECONDS)
        self.stamp = 0.0
        self._before: dict[str, Person] = {}

    def show(self, seen: Sequence[Seen], image: Image | None = None) -> list[Person]:
        """The people of one image; tracks that are not in it are lost."""
        persons = [
            replace(
                person,
                state=TrackingState.TRACKED if person.id in self._before else TrackingState.NEW,
            )
            for person, _ in seen
        ]
        names = {person.id for person in persons}
        lost = [
            replace(person, state=TrackingState.LOST)
            for name, person in self._before.items()
            if name not in names
        ]
        self._before = {person.id: person for person in persons}
        result = self.reidentification(
            [*lost, *persons], picture(seen) if image is None else image, CAMERA, self.stamp
        )
        present = [one.id for one in result if one.state is not TrackingState.LOST]
        assert len(set(present)) == len(present), "two people with one id"
        self.stamp += STEP
        return [one for one in result if one.state is not TrackingState.LOST]

    def leave(self, seconds: float) -> None:
        """Nobody is there for some seconds."""
        self.show([])
        self.stamp += seconds - STEP
        self.show([])


def ids(persons: Sequence[Person]) -> list[str]:
    return [person.id for person in persons]


def scene_without(*seen: Seen, seconds: float = 10.0) -> Scene:
    """A scene after these people have left."""
    scene = Scene()
    for _ in range(4):
        scene.show(seen)
    scene.leave(seconds)
    return scene


def test_person_who_returns_has_the_same_id_at_once() -> None:
    scene = scene_without((standing("h1"), RED))
    for state in (TrackingState.NEW, TrackingState.TRACKED):
        (person,) = scene.show([(standing("h2", back=True), RED)])
        assert person.id == "h1" and person.state is state


def test_somebody_else_has_a_new_id() -> None:
    scene = scene_without((standing("h1"), RED))
    for _ in range(3):
        assert ids(scene.show([(standing("h2"), GREEN)])) == ["h2"]


def test_person_is_dropped_after_the_time() -> None:
    scene = scene_without((standing("h1"), RED), seconds=SECONDS + 1.0)
    assert not scene.reidentification._known, "kept longer than promised"
    assert ids(scene.show([(standing("h2"), RED)])) == ["h2"]


def test_person_may_leave_and_return_again() -> None:
    scene = scene_without((standing("h1"), RED))
    for track in ("h2", "h3"):
        for _ in range(3):
            assert ids(scene.show([(standing(track), RED)])) == ["h1"]
        scene.leave(5.0)


def test_somebody_like_a_person_who_is_present_is_new() -> None:
    left, right = (standing("h1", -0.8), RED), (standing("h2", 0.8), RED)
    scene = Scene()
    for _ in range(4):
        scene.show([left, right])
    for _ in range(3):
        scene.show([left])
    assert ids(scene.show([left, (standing("h3", 0.8), RED)])) == ["h1", "h3"]


def test_two_people_return_to_their_own_ids() -> None:
    scene = scene_without((standing("h1", -0.8), RED), (standing("h2", 0.8), GREEN))
    shown = scene.show([(standing("h3", -0.8), GREEN), (standing("h4", 0.8), RED)])
    assert ids(shown) == ["h2", "h1"]


def test_id_that_is_recognised_later_ends_the_one_of_the_track() -> None:
    scene = scene_without((standing("h1"), RED))
    outside = np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8)
    assert ids(scene.show([(standing("h2", x=3.2), RED)], outside)) == ["h2"]
    persons = scene.reidentification(
        [replace(standing("h2"), state=TrackingState.TRACKED)],
        picture([(standing(), RED)]),
        CAMERA,
        scene.stamp,
    )
    states = {person.id: person.state for person in persons}
    assert states == {"h1": TrackingState.NEW, "h2": TrackingState.LOST}


def test_id_does_not_change_after_the_time_of_decision() -> None:
    scene = scene_without((standing("h1"), RED))
    outside = np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8)
    scene.show([(standing("h2", x=3.2), RED)], outside)
    scene.stamp += DECISION_TIME
    assert ids(scene.show([(standing("h2"), RED)])) == ["h2"]


def test_reset_drops_everybody() -> None:
    scene = scene_without((standing("h1"), RED))
    scene.reidentification.reset()
    assert ids(scene.show([(standing("h2"), RED)])) == ["h2"]
