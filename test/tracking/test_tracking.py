# SPDX-License-Identifier: Apache-2.0
"""Who is who: ids, states and looks, on people made of joints."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pear_ros.body import load_open_body
from pear_ros.core.boxes import iou_matrix, move_boxes, same_person
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection, Estimate, Region
from pear_ros.core.people import Person, SmplxParams, TrackingState
from pear_ros.tracking import PATIENCE, Tracker
from pear_ros.tracking.kalman import Motion

CAMERA = Camera.from_field_of_view(1280, 720, 70.0)
FRAME = 1 / 30
SEEN = (TrackingState.NEW, TrackingState.TRACKED)


@dataclass(frozen=True)
class Somebody:
    """Somebody standing, as an estimator sees them."""

    x: float
    z: float = 5.0
    betas: float = 0.0
    """Of all coefficients."""
    reads: float = 1.0
    """Factor of the distance that is estimated."""

    def estimate(self) -> Estimate:
        joints = STANDING * np.float32(self.reads) + np.array(self.root, np.float32)
        keypoints = CAMERA.project(joints)
        low, high = keypoints.min(axis=0) - 15, keypoints.max(axis=0) + 15
        smplx = SmplxParams(
            np.zeros((55, 3), np.float32),
            np.full(10, self.betas, np.float32),
            np.zeros(52, np.float32),
            joints[0],
        )
        box = np.concatenate([low, high])
        return Estimate(0.9, box, smplx, joints, np.ones(55, np.float32), keypoints)

    @property
    def root(self) -> tuple[float, float, float]:
        return self.x * self.reads, 0.3 * self.reads, self.z * self.reads

    @property
    def box(self) -> np.ndarray:
        return self.estimate().box


def _standing() -> np.ndarray:
    pose = np.zeros((1, 55, 3), np.float32)
    pose[0, 0, 0] = np.pi
    pose[0, 16:18, 2] = -1.2, 1.2
    joints = load_open_body().joints(pose, *(np.zeros((1, n), np.float32) for n in (10, 52, 3)))[0]
    return joints - joints[0]


STANDING = _standing()
PLACES = ((-2.0, 1.0), (-0.7, 0.0), (0.7, -1.0), (2.0, 2.0))


def look(regions: Sequence[Region], people: Sequence[Somebody]) -> dict[str, Estimate]:
    """What an estimator finds in regions: whoever fits best, be it the one who is meant or not."""
    found = {}
    for region in regions:
        if people:
            overlaps = iou_matrix(region.box[None], np.stack([one.box for one in people]))[0]
            if overlaps.max() > 0.3:
                found[region.id] = people[int(overlaps.argmax())].estimate()
    return found


def step(
    tracker: Tracker,
    people: Sequence[Somebody],
    stamp: float,
    detected: Sequence[Somebody] | None = None,
    max_humans: int = 8,
) -> dict[str, Person]:
    """One image of people, of whom a detector tells (of all, unless said otherwise)."""
    told = people if detected is None else detected
    detections = [Detection(one.box, 0.8) for one in told]
    regions = tracker.regions(detections, stamp, max_humans)
    assert len(regions) <= max_humans
    assert len({region.id for region in regions}) == len(regions)
    persons = tracker.update(look(regions, people), CAMERA, stamp)
    assert len({person.id for person in persons}) == len(persons)
    return {person.id: person for person in persons}


def at(persons: dict[str, Person], somebody: Somebody) -> str:
    """The id of whoever was seen in this place."""
    (name,) = (
        name
        for name, person in persons.items()
        if person.state in SEEN and np.linalg.norm(person.joints[0] - somebody.root) < 0.15
    )
    return name


def test_life_of_an_id() -> None:
    tracker = Tracker()
    one = Somebody(0.0)
    assert step(tracker, [one], 0.0)["h1"].state is TrackingState.NEW
    for stamp in (0.5, 1.0, 1.5, 2.0):
        assert step(tracker, [one], stamp)["h1"].state is TrackingState.TRACKED
    missed = step(tracker, [], 2.1)["h1"]
    assert missed.state is TrackingState.PREDICTED
    assert missed.score < 0.5
    assert missed.joint_confidence.max() < 0.5
    later = step(tracker, [], 2.0 + PATIENCE)["h1"]
    assert later.state is TrackingState.PREDICTED
    assert later.score < 0.1
    assert step(tracker, [], 2.0 + PATIENCE + 0.01)["h1"].state is TrackingState.LOST
    assert step(tracker, [], 3.6) == {}
    assert tracker.count == 0
    assert list(step(tracker, [one], 3.7)) == ["h2"], "an id is never used again"


def test_somebody_seen_for_a_moment_is_not_expected_for_long() -> None:
    tracker = Tracker()
    step(tracker, [Somebody(0.0)], 0.0)
    assert step(tracker, [], 0.1)["h1"].state is TrackingState.LOST
    for stamp in (1.0, 1.1, 1.2):
        step(tracker, [Somebody(0.0)], stamp)
    assert step(tracker, [], 1.4)["h2"].state is TrackingState.PREDICTED
    assert step(tracker, [], 1.41)["h2"].state is TrackingState.LOST


def test_reset_forgets_everybody_but_not_the_ids() -> None:
    tracker = Tracker()
    first = {region.id for region in tracker.regions([Detection(Somebody(0.0).box)], 5.0)}
    step(tracker, [Somebody(0.0)], 5.0)
    tracker.reset()
    assert tracker.count == 0
    again = tracker.regions([Detection(Somebody(0.0).box)], 0.0)
    assert first.isdisjoint(region.id for region in again), "nor is what an estimator remembers"
    assert list(step(tracker, [Somebody(0.0)], 0.0)) == ["h2"]


@pytest.mark.parametrize("rate", [30, 10])
@pytest.mark.parametrize("detector", [True, False])
def test_who_is_hidden_while_passing_gets_the_old_id(rate: int, detector: bool) -> None:
    """One walks behind another who walks the other way, for about a second."""
    tracker = Tracker()
    hidden = 0
    for n in range(4 * rate):
        time = n / rate
        near = Somebody(-0.6 + 0.2 * time, 3.0)
        far = Somebody(1.1 - 0.6 * time, 5.0)
        behind = abs(near.x / 3.0 - far.x / 5.0) < 0.1
        hidden += behind
        people = [near] if behind else [near, far]
        persons = step(tracker, people, time, None if detector or n % 3 == 0 else [])
        if n > rate:
            assert at(persons, near) == "h1"
            assert set(persons) == {"h1", "h2"}
            expected = persons["h2"].joints[0]
            np.testing.assert_allclose(expected, far.root, atol=0.35)
    assert persons["h2"].state is TrackingState.TRACKED
    assert rate <= hidden < 1.3 * rate


def test_two_who_cross_in_sight_keep_their_ids() -> None:
    """Their boxes overlap, none is hidden: a narrow gap would be closed by a smaller margin."""
    tracker = Tracker()
    for n in range(90):
        time = n * FRAME
        right = Somebody(-1.0 + 0.7 * time, 3.5)
        left = Somebody(1.0 - 0.7 * time, 5.5)
        persons = step(tracker, [right, left], time)
        if abs(right.x / 3.5 - left.x / 5.5) > 0.06:
            assert (at(persons, right), at(persons, left)) == ("h1", "h2")


def test_looks_that_are_swapped_change_their_owners() -> None:
    """The landmarks of each go over to the other while people walk side by side."""
    tracker = Tracker()
    for n in range(60):
        time = n * FRAME
        a, b = Somebody(-0.8 + 0.6 * time, 4.0), Somebody(-0.3 + 0.6 * time, 4.0)
        regions = tracker.regions([Detection(one.box) for one in (a, b)] if not n else [], time)
        seen = (a, b) if n < 25 else (b, a)
        found = {r.id: one.estimate() for r, one in zip(regions, seen, strict=True)}
        persons = {person.id: person for person in tracker.update(found, CAMERA, time)}
        if n == 25:
            regions_then = [region.id for region in regions]
    assert (at(persons, a), at(persons, b)) == ("h1", "h2")
    assert [region.id for region in tracker.regions([], 2.0)] == regions_then[::-1]


def test_of_two_who_meet_in_the_dark_shape_tells_who_is_who() -> None:
    """Both are hidden at the same time, and come out again close to each other."""
    names = {}
    for swapped in (False, True):
        tracker = Tracker()
        tall, small = Somebody(-0.3, 5.0, betas=1.2), Somebody(0.3, 5.0, betas=-1.2)
        for n in range(60):
            step(tracker, [tall, small], n * FRAME)
        for n in range(60, 90):
            step(tracker, [], n * FRAME)
        sign = -1.0 if swapped else 1.0
        tall, small = replace(tall, x=sign * tall.x), replace(small, x=sign * small.x)
        persons = step(tracker, [tall, small], 3.0)
        names[swapped] = at(persons, tall), at(persons, small)
    assert names == {False: ("h1", "h2"), True: ("h1", "h2")}


def test_a_look_that_drifts_onto_somebody_else_is_given_up() -> None:
    tracker = Tracker()
    a, b = Somebody(0.0, 4.0), Somebody(0.9, 4.2)
    for n in range(30):
        step(tracker, [a, b], n * FRAME)
    regions = tracker.regions([], 1.0)
    found = {region.id: a.estimate() for region in regions}
    persons = {person.id: person for person in tracker.update(found, CAMERA, 1.0)}
    assert at(persons, a) == "h1"
    assert persons["h2"].state is TrackingState.PREDICTED
    assert len(tracker.regions([], 1.0 + FRAME)) == 1
    assert at(step(tracker, [a, b], 1.0 + FRAME), b) == "h2"


def test_people_close_to_each_other_both_live() -> None:
    tracker = Tracker()
    a, b = Somebody(0.0, 4.0), Somebody(0.35, 4.4)
    assert same_person(a.box, b.box), "by their boxes alone"
    for n in range(10):
        persons = step(tracker, [a, b], n * FRAME)
    assert (at(persons, a), at(persons, b)) == ("h1", "h2")


def test_a_wrong_distance_is_no_other_person() -> None:
    """Bodies are read as smaller and nearer at times."""
    tracker = Tracker()
    for n in range(30):
        read = Somebody(0.5, 5.0, reads=0.6 if n in (15, 16) else 1.0)
        assert list(step(tracker, [read], n * FRAME)) == ["h1"]


def test_one_wild_distance_does_not_carry_anybody_away() -> None:
    tracker = Tracker()
    for n in range(31):
        step(tracker, [Somebody(0.5, 5.0, reads=1.8 if n == 30 else 1.0)], n * FRAME)
    for n in range(31, 45):
        (person,) = step(tracker, [], n * FRAME).values()
    assert 4.8 < person.joints[0, 2] < 5.3


def test_proposals_of_people_in_sight_are_not_looked_at() -> None:
    tracker = Tracker()
    one = Somebody(0.0, 4.0)
    for n in range(5):
        step(tracker, [one], n * FRAME)
    x0, y0, x1, y1 = one.box
    head = np.array([x0, y0, x1, (y0 + y1) / 2], np.float32)
    assert len(tracker.regions([Detection(one.box), Detection(head)], 5 * FRAME)) == 1


@pytest.mark.parametrize(("score", "people"), [(float("nan"), 1), (0.9, 2)])
def test_two_readings_in_one_place_are_two_people_if_a_detector_says_so(
    score: float, people: int
) -> None:
    tracker = Tracker()
    upright = Somebody(0.0, 4.0).estimate()
    points = upright.keypoints.copy()
    points[:, 1] = points[0, 1] + 0.3 * (points[:, 1] - points[0, 1])
    bent = replace(upright, keypoints=points)
    detections = [Detection(Somebody(x).box, score) for x in (-1.0, 1.0)]
    first, second = tracker.regions(detections, 0.0)
    found = {first.id: upright, second.id: bent}
    assert len(tracker.update(found, CAMERA, 0.0)) == people


def test_false_alarms_do_not_steal_ids() -> None:
    """Somebody is hidden while somebody else is said to be elsewhere, or of another shape."""
    for wrong in (Somebody(2.8, 5.0), Somebody(0.4, 3.0, betas=2.0)):
        tracker = Tracker()
        for n in range(45):
            step(tracker, [Somebody(-0.5)], n * FRAME)
        for n in range(45, 50):
            step(tracker, [], n * FRAME)
        persons = step(tracker, [wrong], 50 * FRAME)
        assert at(persons, wrong) == "h2"
        assert at(step(tracker, [Somebody(-0.5)], 51 * FRAME), Somebody(-0.5)) == "h1"


def test_whoever_is_missing_is_looked_for_where_they_are_expected_and_then_no_more() -> None:
    tracker = Tracker()
    for n in range(30):
        step(tracker, [Somebody(-1.0 + n * FRAME)], n * FRAME)
    counts = []
    for n in range(30, 36):
        counts.append(len(tracker.regions([], n * FRAME)))
        tracker.update({}, CAMERA, n * FRAME)
    assert counts == [1, 1, 0, 0, 0, 0]
    (box,) = tracker.missing()
    there = Somebody(-1.0 + 35 * FRAME)
    assert iou_matrix(box[None], there.box[None])[0, 0] > 0.8
    (again,) = tracker.regions([Detection(there.box)], 36 * FRAME)
    assert again.id != "look1", "nothing is remembered of somebody who was not looked for"


def test_a_detectors_word_is_for_one_image() -> None:
    tracker = Tracker()
    one, boxes = Somebody(0.0), [Somebody(0.0).box, Somebody(0.05).box]
    (region,) = tracker.regions([Detection(boxes[0], 0.7)], 0.0)
    assert region.score == 0.7
    tracker.update({region.id: one.estimate()}, CAMERA, 0.0)
    (told,) = tracker.regions([Detection(boxes[1], 0.6)], FRAME)
    assert (told.id, told.score) == (region.id, 0.6)
    np.testing.assert_array_equal(told.box, boxes[1])
    tracker.update({region.id: one.estimate()}, CAMERA, FRAME)
    (silent,) = tracker.regions([], 2 * FRAME)
    assert silent.id == region.id
    assert np.isnan(silent.score)
    (proposed,) = tracker.regions([Detection(boxes[1])], 2 * FRAME)
    assert np.isnan(proposed.score)
    assert iou_matrix(proposed.box[None], one.box[None])[0, 0] > 0.95, (
        "who is followed is known better"
    )


def test_who_looks_elsewhere_than_the_detector_looks_anew() -> None:
    tracker = Tracker()
    for n in range(10):
        step(tracker, [Somebody(0.0)], n * FRAME)
    before = tracker.regions([], 10 * FRAME)[0].id
    tracker.update({}, CAMERA, 10 * FRAME)
    after = tracker.regions([Detection(Somebody(0.5).box, 0.9)], 11 * FRAME)
    assert [region.id == before for region in after] == [False]


def test_who_is_cut_by_the_edge_is_looked_for_as_a_whole() -> None:
    tracker = Tracker()
    seen = Somebody(3.4, 5.0).estimate()
    half = replace(seen, box=np.minimum(seen.box, np.float32(1279.0)))
    (region,) = tracker.regions([Detection(half.box, 0.9)], 0.0)
    tracker.update({region.id: half}, CAMERA, 0.0)
    (again,) = tracker.regions([], FRAME)
    assert again.box[2] > 1290.0 > half.box[2]
    assert (again.box[2:] >= seen.keypoints[:22].max(axis=0) - 1.0).all()


def test_who_is_seen_every_other_time_is_looked_at_on_and_on() -> None:
    tracker = Tracker()
    step(tracker, [Somebody(0.0)], 0.0)
    step(tracker, [Somebody(0.0)], FRAME)
    for n in range(2, 20):
        persons = step(tracker, [Somebody(0.0)] if n % 2 else [], n * FRAME, detected=[])
        assert persons["h1"].state is (TrackingState.TRACKED if n % 2 else TrackingState.PREDICTED)


def test_somebody_long_missing_does_not_take_the_place_of_somebody_in_sight() -> None:
    """The one may be anywhere; that the other has taken a step is more likely."""
    tracker = Tracker()
    a, b = Somebody(0.0), Somebody(0.6)
    for n in range(60):
        step(tracker, [a, b], n * FRAME)
    for n in range(60, 90):
        step(tracker, [a], n * FRAME)
    aside = Somebody(0.25)
    assert at(step(tracker, [aside], 3.0), aside) == "h1"


def test_no_more_people_than_asked_for() -> None:
    tracker = Tracker()
    three = [Somebody(-2.0), Somebody(0.0), Somebody(2.0)]
    for n in range(30):
        assert sorted(step(tracker, three, n * FRAME, max_humans=2)) == ["h1", "h2"]
    for n in range(30, 33):  # The one who left is looked for first.
        persons = step(tracker, three[1:], n * FRAME, max_humans=2)
    assert at(persons, three[2]) == "h3", "somebody in sight before somebody missing"
    assert persons["h1"].state is TrackingState.LOST
    persons = step(tracker, three[1:], 1.1, max_humans=1)
    assert persons["h3"].state is TrackingState.LOST
    assert tracker.count == 1


def test_equal_stamps() -> None:
    tracker = Tracker()
    for _ in range(3):
        persons = step(tracker, [Somebody(0.0), Somebody(1.0)], 7.0)
    assert sorted(persons) == ["h1", "h2"]
    assert np.isfinite(persons["h2"].joints).all()
    assert step(tracker, [Somebody(0.0)], 7.0)["h2"].state is TrackingState.PREDICTED


def test_what_is_not_finite_is_nobody() -> None:
    tracker = Tracker()
    for n in range(5):
        step(tracker, [Somebody(0.0)], n * FRAME)
    (region,) = tracker.regions([], 5 * FRAME)
    broken = Somebody(float("nan")).estimate()
    (person,) = tracker.update({region.id: broken}, CAMERA, 5 * FRAME)
    assert person.state is TrackingState.PREDICTED
    assert np.isfinite(person.joints).all()


def test_predicted_people_are_moved_as_a_whole() -> None:
    tracker = Tracker()
    for n in range(60):
        last = Somebody(-1.0 + n * FRAME, 5.0 - 0.5 * n * FRAME)
        step(tracker, [last], n * FRAME)
    for n in range(60, 75):
        (person,) = step(tracker, [], n * FRAME).values()
    seen = Somebody(-1.0 + 74 * FRAME, 5.0 - 0.5 * 74 * FRAME)
    np.testing.assert_allclose(person.joints[0], seen.root, atol=0.15)
    np.testing.assert_allclose(person.joints - person.joints[0], STANDING, atol=1e-5)
    np.testing.assert_allclose(person.smplx.transl, person.joints[0], atol=1e-5)
    np.testing.assert_allclose(person.keypoints, CAMERA.project(person.joints), atol=1e-3)
    assert iou_matrix(person.box[None], seen.box[None])[0, 0] > 0.65
    assert person.box[3] - person.box[1] > 1.02 * (last.box[3] - last.box[1]), "nearer is larger"


@settings(max_examples=20)
@given(st.permutations(range(4)), st.permutations(range(4)))
def test_order_does_not_matter(told: list[int], found: list[int]) -> None:
    """Neither that of detections nor that of what is found: ids are those of places."""
    tracker = Tracker()
    people = [Somebody(x, 5.0, betas) for x, betas in PLACES]
    for n in range(5):
        regions = tracker.regions([Detection(one.box, 0.9) for one in people], n * FRAME)
        tracker.update(look(regions, people), CAMERA, n * FRAME)
    moved = [replace(one, x=one.x + 0.05) for one in people]
    regions = tracker.regions([Detection(moved[n].box, 0.9) for n in told], 5 * FRAME)
    seen = look(regions, moved)
    shuffled = {regions[n].id: seen[regions[n].id] for n in found}
    persons = tracker.update(shuffled, CAMERA, 5 * FRAME)
    assert [person.id for person in persons] == ["h1", "h2", "h3", "h4"]
    for person, one in zip(persons, moved, strict=True):
        np.testing.assert_allclose(person.joints[0], one.root, atol=1e-5)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 0.5),
            st.lists(st.tuples(st.floats(-2.0, 2.0), st.floats(2.0, 8.0)), max_size=4),
            st.booleans(),
        ),
        max_size=12,
    ),
)
def test_whatever_happens_each_id_has_one_life(
    images: list[tuple[float, list[tuple[float, float]], bool]],
) -> None:
    """NEW first and once, LOST last and once, numbers ascending, nobody beyond those allowed."""
    tracker = Tracker()
    stamp, lives = 0.0, dict[str, list[TrackingState]]()
    for elapsed, places, detected in images:
        stamp += elapsed
        people = [Somebody(x, z) for x, z in places]
        persons = step(tracker, people, stamp, None if detected else [], max_humans=3)
        assert sum(person.state is not TrackingState.LOST for person in persons.values()) <= 3
        for name, person in persons.items():
            lives.setdefault(name, []).append(person.state)
            assert np.isfinite(person.joints).all()
            assert 0.0 <= person.score <= 1.0
    assert list(lives) == [f"h{n + 1}" for n in range(len(lives))]
    for states in lives.values():
        assert states[0] is TrackingState.NEW
        assert TrackingState.NEW not in states[1:]
        assert TrackingState.LOST not in states[:-1]
        for before, after in itertools.pairwise(states):
            assert after is not TrackingState.LOST or before is not TrackingState.LOST


def box(x: float, y: float = 0.0, size: float = 100.0) -> np.ndarray:
    return np.array([x, y, x + size, y + 2 * size], np.float32)


@pytest.mark.parametrize(
    ("other", "same"),
    [(box(10), True), (box(300), False), (box(0, 400), False), (box(30, 40, 40), True)],
)
def test_same_person(other: np.ndarray, same: bool) -> None:
    assert same_person(box(0), other) is same
    assert same_person(other, box(0)) is same


def test_a_box_moves_with_its_person() -> None:
    one = Somebody(0.5, 4.0)
    places = np.array([one.root])
    for other in (Somebody(-0.5, 4.0), Somebody(0.25, 2.0), Somebody(1.0, 8.0)):
        (there,) = move_boxes(one.box[None], places, np.array([other.root]), CAMERA)
        assert iou_matrix(there[None], other.box[None])[0, 0] > 0.7
    behind = move_boxes(one.box[None], places, -places, CAMERA)
    np.testing.assert_array_equal(behind, one.box[None])


def test_ids_begin_as_wanted() -> None:
    assert list(step(Tracker("front_h"), [Somebody(0.0)], 0.0)) == ["front_h1"]


@pytest.mark.filterwarnings("error")
def test_a_box_without_size_is_nobody() -> None:
    tracker = Tracker()
    step(tracker, [Somebody(0.0)], 0.0)
    nowhere = Detection(np.full(4, 300.0, np.float32), 0.9)
    regions = tracker.regions([nowhere], 0.1)
    found = tracker.update(look(regions, [Somebody(0.0)]), CAMERA, 0.1)
    assert [person.id for person in found] == ["h1"]


@given(st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_motion_in_two_steps_is_motion_in_one(first: float, then: float) -> None:
    roots = np.array([[0.5, 0.2, 4.0], [-2.0, 0.3, 6.0]])
    moving = Motion.begin(roots, 0.0).at(0.1).corrected([0, 1], roots + 0.1)
    once, twice = moving.at(0.1 + first + then), moving.at(0.1 + first).at(0.1 + first + then)
    for name in ("root", "velocity", "variance", "covariance", "velocity_variance"):
        np.testing.assert_allclose(getattr(twice, name), getattr(once, name), atol=1e-9)
    assert (once.variance >= moving.variance - 1e-12).all(), "nobody is known better for waiting"
    assert (once.variance * once.velocity_variance >= once.covariance**2).all()
