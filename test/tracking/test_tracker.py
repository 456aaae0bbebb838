# SPDX-License-Identifier: Apache-2.0
"""Tracker: ids, track states and regions, on synthetic people made of joints."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pear_ros.bags.snapshot import dumps
from pear_ros.body import load_open_body
from pear_ros.core.boxes import iou_matrix, move_boxes, same_person
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection, Region
from pear_ros.core.people import Estimate, Person, SmplxParams, TrackingState
from pear_ros.replay.state_classes import state_classes
from pear_ros.tracking import MAX_COASTING_TIME, Tracker, TrackingPlan

CAMERA = Camera.from_field_of_view(1280, 720, 70.0)
FRAME = 1 / 30
SEEN = (TrackingState.NEW, TrackingState.TRACKED)


@dataclass(frozen=True)
class Standing:
    """A standing person, as an estimator measures them."""

    x: float
    z: float = 5.0
    betas: float = 0.0
    """Value of all shape coefficients."""
    distance_factor: float = 1.0
    """Estimated distance over the true one."""

    def estimate(self) -> Estimate:
        joints = STANDING * np.float32(self.distance_factor) + np.array(self.root, np.float32)
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
        return (
            self.x * self.distance_factor,
            0.3 * self.distance_factor,
            self.z * self.distance_factor,
        )

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


def estimate(regions: Sequence[Region], people: Sequence[Standing]) -> list[Estimate | None]:
    """Estimate in each region the person with the largest IoU, who may be the wrong one."""
    estimates: list[Estimate | None] = []
    for region in regions:
        best = None
        if people:
            overlaps = iou_matrix(region.box[None], np.stack([one.box for one in people]))[0]
            if overlaps.max() > 0.3:
                best = people[int(overlaps.argmax())].estimate()
        estimates.append(best)
    return estimates


def no_estimates(plan: TrackingPlan) -> list[None]:
    """Estimates where no region shows a person."""
    return [None] * len(plan.regions)


def step(
    tracker: Tracker,
    people: Sequence[Standing],
    stamp: float,
    detected: Sequence[Standing] | None = None,
    max_humans: int = 8,
) -> dict[str, Person]:
    """Track one image of `people`, of whom the `detected` ones, or all, are detected."""
    detected = people if detected is None else detected
    plan = tracker.predict([Detection(one.box, 0.8) for one in detected], stamp, max_humans)
    assert len(plan.regions) <= max_humans
    assert len({region.id for region in plan.regions}) == len(plan.regions)
    persons = tracker.update(plan, estimate(plan.regions, people), CAMERA)
    assert len({person.id for person in persons}) == len(persons)
    return {person.id: person for person in persons}


def id_at(persons: dict[str, Person], one: Standing) -> str:
    """Return the id of the person who was measured in this place."""
    (name,) = (
        name
        for name, person in persons.items()
        if person.state in SEEN and np.linalg.norm(person.joints[0] - one.root) < 0.15
    )
    return name


def test_tracker_takes_a_track_from_new_to_lost() -> None:
    tracker = Tracker()
    one = Standing(0.0)
    assert step(tracker, [one], 0.0)["h1"].state is TrackingState.NEW
    for stamp in (0.5, 1.0, 1.5, 2.0):
        assert step(tracker, [one], stamp)["h1"].state is TrackingState.TRACKED
    missed = step(tracker, [], 2.1)["h1"]
    assert missed.state is TrackingState.PREDICTED
    assert missed.score < 0.5
    assert missed.joint_confidence.max() < 0.5
    later = step(tracker, [], 2.0 + MAX_COASTING_TIME)["h1"]
    assert later.state is TrackingState.PREDICTED
    assert later.score < 0.1
    assert step(tracker, [], 2.0 + MAX_COASTING_TIME + 0.01)["h1"].state is TrackingState.LOST
    assert step(tracker, [], 3.6) == {}
    assert tracker.count == 0
    assert list(step(tracker, [one], 3.7)) == ["h2"], "no id is used twice"


def test_plan_is_a_value_and_prediction_changes_no_track() -> None:
    tracker, reference = Tracker(), Tracker()
    for n in range(3):
        step(tracker, [Standing(0.0)], n * FRAME)
        step(reference, [Standing(0.0)], n * FRAME)
    tracker.predict([], 5.0, max_humans=0)
    plans = [one.predict([], 3 * FRAME) for one in (tracker, reference)]
    for one, plan in zip((tracker, reference), plans, strict=True):
        with pytest.raises(ValueError, match="longer"):
            one.update(plan, [*no_estimates(plan), None], CAMERA)
    (person,), (expected,) = (
        one.update(plan, estimate(plan.regions, [Standing(0.0)]), CAMERA)
        for one, plan in zip((tracker, reference), plans, strict=True)
    )
    assert person.state is expected.state is TrackingState.TRACKED
    np.testing.assert_array_equal(person.joints, expected.joints)
    states = [dumps(one.state(), state_classes()) for one in (tracker, reference)]
    assert states[0] == states[1]


def test_tracker_coasts_no_longer_than_the_track_was_measured() -> None:
    tracker = Tracker()
    step(tracker, [Standing(0.0)], 0.0)
    assert step(tracker, [], 0.1)["h1"].state is TrackingState.LOST
    for stamp in (1.0, 1.1, 1.2):
        step(tracker, [Standing(0.0)], stamp)
    assert step(tracker, [], 1.4)["h2"].state is TrackingState.PREDICTED
    assert step(tracker, [], 1.41)["h2"].state is TrackingState.LOST


def test_reset_drops_all_tracks_and_continues_the_ids() -> None:
    tracker = Tracker()
    first = {one.id for one in tracker.predict([Detection(Standing(0.0).box)], 5.0).regions}
    step(tracker, [Standing(0.0)], 5.0)
    tracker.reset()
    assert tracker.count == 0
    again = tracker.predict([Detection(Standing(0.0).box)], 0.0).regions
    assert first.isdisjoint(region.id for region in again), "region ids continue, too"
    assert list(step(tracker, [Standing(0.0)], 0.0)) == ["h2"]


@pytest.mark.parametrize("rate", [30, 10])
@pytest.mark.parametrize("detector", [True, False])
def test_tracker_keeps_ids_through_an_occlusion(rate: int, detector: bool) -> None:
    """One person walks behind another in the opposite direction, hidden for about a second."""
    tracker = Tracker()
    hidden = 0
    for n in range(4 * rate):
        time = n / rate
        near = Standing(-0.6 + 0.2 * time, 3.0)
        far = Standing(1.1 - 0.6 * time, 5.0)
        behind = abs(near.x / 3.0 - far.x / 5.0) < 0.1
        hidden += behind
        people = [near] if behind else [near, far]
        persons = step(tracker, people, time, None if detector or n % 3 == 0 else [])
        if n > rate:
            assert id_at(persons, near) == "h1"
            assert set(persons) == {"h1", "h2"}
            expected = persons["h2"].joints[0]
            np.testing.assert_allclose(expected, far.root, atol=0.35)
    assert persons["h2"].state is TrackingState.TRACKED
    assert rate <= hidden < 1.3 * rate


def test_tracker_keeps_ids_of_two_people_who_cross_in_sight() -> None:
    """Their boxes overlap and neither person is hidden."""
    tracker = Tracker()
    for n in range(90):
        time = n * FRAME
        right = Standing(-1.0 + 0.7 * time, 3.5)
        left = Standing(1.0 - 0.7 * time, 5.5)
        persons = step(tracker, [right, left], time)
        if abs(right.x / 3.5 - left.x / 5.5) > 0.06:
            assert (id_at(persons, right), id_at(persons, left)) == ("h1", "h2")


def test_tracker_reassigns_regions_that_swap_people() -> None:
    """The estimators of two people who walk side by side change over to the other person."""
    tracker = Tracker()
    for n in range(60):
        time = n * FRAME
        a, b = Standing(-0.8 + 0.6 * time, 4.0), Standing(-0.3 + 0.6 * time, 4.0)
        plan = tracker.predict([Detection(one.box) for one in (a, b)] if not n else [], time)
        shown = (a, b) if n < 25 else (b, a)
        persons = tracker.update(plan, [one.estimate() for one in shown], CAMERA)
        by_id = {person.id: person for person in persons}
        if n == 25:
            swapped = [region.id for region in plan.regions]
    assert (id_at(by_id, a), id_at(by_id, b)) == ("h1", "h2")
    assert [region.id for region in tracker.predict([], 2.0).regions] == swapped[::-1]


def test_association_by_shape_after_both_people_were_occluded() -> None:
    """Both are hidden at the same time and reappear close to each other."""
    names = {}
    for swapped in (False, True):
        tracker = Tracker()
        tall, small = Standing(-0.3, 5.0, betas=1.2), Standing(0.3, 5.0, betas=-1.2)
        for n in range(60):
            step(tracker, [tall, small], n * FRAME)
        for n in range(60, 90):
            step(tracker, [], n * FRAME)
        sign = -1.0 if swapped else 1.0
        tall, small = replace(tall, x=sign * tall.x), replace(small, x=sign * small.x)
        persons = step(tracker, [tall, small], 3.0)
        names[swapped] = id_at(persons, tall), id_at(persons, small)
    assert names == {False: ("h1", "h2"), True: ("h1", "h2")}


def test_tracker_drops_a_region_that_drifts_onto_another_person() -> None:
    tracker = Tracker()
    a, b = Standing(0.0, 4.0), Standing(0.9, 4.2)
    for n in range(30):
        step(tracker, [a, b], n * FRAME)
    plan = tracker.predict([], 1.0)
    estimates = [a.estimate() for _ in plan.regions]
    persons = {person.id: person for person in tracker.update(plan, estimates, CAMERA)}
    assert id_at(persons, a) == "h1"
    assert persons["h2"].state is TrackingState.PREDICTED
    assert len(tracker.predict([], 1.0 + FRAME).regions) == 1
    assert id_at(step(tracker, [a, b], 1.0 + FRAME), b) == "h2"


def test_tracker_keeps_two_people_whose_boxes_overlap() -> None:
    tracker = Tracker()
    a, b = Standing(0.0, 4.0), Standing(0.35, 4.4)
    assert same_person(a.box, b.box), "judged by their boxes"
    for n in range(10):
        persons = step(tracker, [a, b], n * FRAME)
    assert (id_at(persons, a), id_at(persons, b)) == ("h1", "h2")


def test_association_accepts_a_wrong_distance() -> None:
    """Bodies are estimated as smaller and nearer in some images."""
    tracker = Tracker()
    for n in range(30):
        one = Standing(0.5, 5.0, distance_factor=0.6 if n in (15, 16) else 1.0)
        assert list(step(tracker, [one], n * FRAME)) == ["h1"]


def test_kalman_filter_limits_an_outlier_along_the_line_of_sight() -> None:
    tracker = Tracker()
    for n in range(31):
        step(tracker, [Standing(0.5, 5.0, distance_factor=1.8 if n == 30 else 1.0)], n * FRAME)
    for n in range(31, 45):
        (person,) = step(tracker, [], n * FRAME).values()
    assert 4.8 < person.joints[0, 2] < 5.3


def test_plan_has_no_region_for_proposals_of_people_in_sight() -> None:
    tracker = Tracker()
    one = Standing(0.0, 4.0)
    for n in range(5):
        step(tracker, [one], n * FRAME)
    x0, y0, x1, y1 = one.box
    head = np.array([x0, y0, x1, (y0 + y1) / 2], np.float32)
    plan = tracker.predict([Detection(one.box), Detection(head)], 5 * FRAME)
    assert len(plan.regions) == 1


@pytest.mark.parametrize(("score", "people"), [(float("nan"), 1), (0.9, 2)])
def test_tracker_spawns_overlapping_people_only_from_scored_detections(
    score: float, people: int
) -> None:
    tracker = Tracker()
    upright = Standing(0.0, 4.0).estimate()
    points = upright.keypoints.copy()
    points[:, 1] = points[0, 1] + 0.3 * (points[:, 1] - points[0, 1])
    bent = replace(upright, keypoints=points)
    detections = [Detection(Standing(x).box, score) for x in (-1.0, 1.0)]
    plan = tracker.predict(detections, 0.0)
    assert len(plan.regions) == 2
    assert len(tracker.update(plan, [upright, bent], CAMERA)) == people


def test_association_gives_no_id_of_an_occluded_person_to_a_false_alarm() -> None:
    """A false alarm elsewhere, or of another shape, appears while a person is hidden."""
    for wrong in (Standing(2.8, 5.0), Standing(0.4, 3.0, betas=2.0)):
        tracker = Tracker()
        for n in range(45):
            step(tracker, [Standing(-0.5)], n * FRAME)
        for n in range(45, 50):
            step(tracker, [], n * FRAME)
        persons = step(tracker, [wrong], 50 * FRAME)
        assert id_at(persons, wrong) == "h2"
        assert id_at(step(tracker, [Standing(-0.5)], 51 * FRAME), Standing(-0.5)) == "h1"


def test_plan_has_regions_of_coasting_tracks_for_two_images_only() -> None:
    tracker = Tracker()
    for n in range(30):
        step(tracker, [Standing(-1.0 + n * FRAME)], n * FRAME)
    (first,) = tracker.predict([], 30 * FRAME).regions
    counts = []
    for n in range(30, 36):
        plan = tracker.predict([], n * FRAME)
        counts.append(len(plan.regions))
        tracker.update(plan, no_estimates(plan), CAMERA)
    assert counts == [1, 1, 0, 0, 0, 0]
    (box,) = tracker.coasting_boxes()
    there = Standing(-1.0 + 35 * FRAME)
    assert iou_matrix(box[None], there.box[None])[0, 0] > 0.8
    (again,) = tracker.predict([Detection(there.box)], 36 * FRAME).regions
    assert again.id != first.id, "the estimator's state of the old region is out of date"


def test_region_has_the_detection_score_for_one_image_only() -> None:
    tracker = Tracker()
    one, boxes = Standing(0.0), [Standing(0.0).box, Standing(0.05).box]
    plan = tracker.predict([Detection(boxes[0], 0.7)], 0.0)
    (region,) = plan.regions
    assert region.score == 0.7
    tracker.update(plan, [one.estimate()], CAMERA)
    plan = tracker.predict([Detection(boxes[1], 0.6)], FRAME)
    (detected,) = plan.regions
    assert (detected.id, detected.score) == (region.id, 0.6)
    np.testing.assert_array_equal(detected.box, boxes[1])
    tracker.update(plan, [one.estimate()], CAMERA)
    (predicted,) = tracker.predict([], 2 * FRAME).regions
    assert predicted.id == region.id
    assert np.isnan(predicted.score)
    (proposed,) = tracker.predict([Detection(boxes[1])], 2 * FRAME).regions
    assert np.isnan(proposed.score)
    iou = iou_matrix(proposed.box[None], one.box[None])[0, 0]
    assert iou > 0.95, "the prediction is more accurate than the proposal"


def test_plan_has_a_new_region_where_the_detection_is_elsewhere() -> None:
    tracker = Tracker()
    for n in range(10):
        step(tracker, [Standing(0.0)], n * FRAME)
    plan = tracker.predict([], 10 * FRAME)
    tracker.update(plan, no_estimates(plan), CAMERA)
    after = tracker.predict([Detection(Standing(0.5).box, 0.9)], 11 * FRAME)
    assert [region.id == plan.regions[0].id for region in after.regions] == [False]


def test_region_covers_body_parts_outside_the_image() -> None:
    tracker = Tracker()
    seen = Standing(3.4, 5.0).estimate()
    half = replace(seen, box=np.minimum(seen.box, np.float32(1279.0)))
    tracker.update(tracker.predict([Detection(half.box, 0.9)], 0.0), [half], CAMERA)
    (again,) = tracker.predict([], FRAME).regions
    assert again.box[2] > 1290.0 > half.box[2]
    assert (again.box[2:] >= seen.keypoints[:22].max(axis=0) - 1.0).all()


def test_region_is_kept_where_every_other_image_is_missed() -> None:
    tracker = Tracker()
    step(tracker, [Standing(0.0)], 0.0)
    step(tracker, [Standing(0.0)], FRAME)
    for n in range(2, 20):
        persons = step(tracker, [Standing(0.0)] if n % 2 else [], n * FRAME, detected=[])
        assert persons["h1"].state is (TrackingState.TRACKED if n % 2 else TrackingState.PREDICTED)


def test_association_prefers_a_track_in_sight_to_an_uncertain_one() -> None:
    """One track may be anywhere; a step of the other person is more likely."""
    tracker = Tracker()
    a, b = Standing(0.0), Standing(0.6)
    for n in range(60):
        step(tracker, [a, b], n * FRAME)
    for n in range(60, 90):
        step(tracker, [a], n * FRAME)
    aside = Standing(0.25)
    assert id_at(step(tracker, [aside], 3.0), aside) == "h1"


def test_tracker_prunes_tracks_beyond_max_humans() -> None:
    tracker = Tracker()
    three = [Standing(-2.0), Standing(0.0), Standing(2.0)]
    for n in range(30):
        assert sorted(step(tracker, three, n * FRAME, max_humans=2)) == ["h1", "h2"]
    for n in range(30, 33):  # The coasting track still has a region at first.
        persons = step(tracker, three[1:], n * FRAME, max_humans=2)
    assert id_at(persons, three[2]) == "h3", (
        "a person in sight has precedence over a coasting track"
    )
    assert persons["h1"].state is TrackingState.LOST
    persons = step(tracker, three[1:], 1.1, max_humans=1)
    assert persons["h3"].state is TrackingState.LOST
    assert tracker.count == 1


def test_tracker_accepts_equal_stamps() -> None:
    tracker = Tracker()
    for _ in range(3):
        persons = step(tracker, [Standing(0.0), Standing(1.0)], 7.0)
    assert sorted(persons) == ["h1", "h2"]
    assert np.isfinite(persons["h2"].joints).all()
    assert step(tracker, [Standing(0.0)], 7.0)["h2"].state is TrackingState.PREDICTED


def test_tracker_ignores_estimates_that_are_not_finite() -> None:
    tracker = Tracker()
    for n in range(5):
        step(tracker, [Standing(0.0)], n * FRAME)
    broken = Standing(float("nan")).estimate()
    (person,) = tracker.update(tracker.predict([], 5 * FRAME), [broken], CAMERA)
    assert person.state is TrackingState.PREDICTED
    assert np.isfinite(person.joints).all()


def test_tracker_translates_predicted_people_as_a_whole() -> None:
    tracker = Tracker()
    for n in range(60):
        last = Standing(-1.0 + n * FRAME, 5.0 - 0.5 * n * FRAME)
        step(tracker, [last], n * FRAME)
    for n in range(60, 75):
        (person,) = step(tracker, [], n * FRAME).values()
    seen = Standing(-1.0 + 74 * FRAME, 5.0 - 0.5 * 74 * FRAME)
    np.testing.assert_allclose(person.joints[0], seen.root, atol=0.15)
    np.testing.assert_allclose(person.joints - person.joints[0], STANDING, atol=1e-5)
    np.testing.assert_allclose(person.smplx.transl, person.joints[0], atol=1e-5)
    np.testing.assert_allclose(person.keypoints, CAMERA.project(person.joints), atol=1e-3)
    assert iou_matrix(person.box[None], seen.box[None])[0, 0] > 0.65
    assert person.box[3] - person.box[1] > 1.02 * (last.box[3] - last.box[1]), "nearer is larger"


@settings(max_examples=20)
@given(st.permutations(range(4)), st.permutations(range(4)))
def test_tracker_ids_do_not_depend_on_the_order_of_detections(
    earlier: list[int], last: list[int]
) -> None:
    tracker = Tracker()
    people = [Standing(x, 5.0, betas) for x, betas in PLACES]
    for n in range(5):
        order = earlier if n else range(4)
        step(tracker, people, n * FRAME, [people[k] for k in order])
    moved = [replace(one, x=one.x + 0.05) for one in people]
    plan = tracker.predict([Detection(moved[n].box, 0.9) for n in last], 5 * FRAME)
    persons = tracker.update(plan, estimate(plan.regions, moved), CAMERA)
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
def test_track_states_of_each_id_are_in_order(
    images: list[tuple[float, list[tuple[float, float]], bool]],
) -> None:
    """NEW first and once, LOST last and once, ids ascending, at most max_humans tracks."""
    tracker = Tracker()
    stamp, states_by_id = 0.0, dict[str, list[TrackingState]]()
    for elapsed, places, detected in images:
        stamp += elapsed
        people = [Standing(x, z) for x, z in places]
        persons = step(tracker, people, stamp, None if detected else [], max_humans=3)
        assert sum(person.state is not TrackingState.LOST for person in persons.values()) <= 3
        for name, person in persons.items():
            states_by_id.setdefault(name, []).append(person.state)
            assert np.isfinite(person.joints).all()
            assert 0.0 <= person.score <= 1.0
    assert list(states_by_id) == [f"h{n + 1}" for n in range(len(states_by_id))]
    for states in states_by_id.values():
        assert states[0] is TrackingState.NEW
        assert TrackingState.NEW not in states[1:]
        assert TrackingState.LOST not in states[:-1]
        for before, after in itertools.pairwise(states):
            assert after is not TrackingState.LOST or before is not TrackingState.LOST


def test_move_boxes_follows_the_root() -> None:
    one = Standing(0.5, 4.0)
    places = np.array([one.root])
    for other in (Standing(-0.5, 4.0), Standing(0.25, 2.0), Standing(1.0, 8.0)):
        (there,) = move_boxes(one.box[None], places, np.array([other.root]), CAMERA)
        assert iou_matrix(there[None], other.box[None])[0, 0] > 0.7
    behind = move_boxes(one.box[None], places, -places, CAMERA)
    np.testing.assert_array_equal(behind, one.box[None])


def test_tracker_ids_begin_with_the_prefix() -> None:
    assert list(step(Tracker("front_h"), [Standing(0.0)], 0.0)) == ["front_h1"]


@pytest.mark.filterwarnings("error")
def test_tracker_ignores_a_detection_without_area() -> None:
    tracker = Tracker()
    step(tracker, [Standing(0.0)], 0.0)
    empty = Detection(np.full(4, 300.0, np.float32), 0.9)
    plan = tracker.predict([empty], 0.1)
    persons = tracker.update(plan, estimate(plan.regions, [Standing(0.0)]), CAMERA)
    assert [person.id for person in persons] == ["h1"]


# --- people whose body cannot be read ---------------------------------------------------------


def unread(one: Standing) -> Estimate:
    """Return what an estimator knows of a person of whom only the detector's box is known."""
    zeros = np.zeros(55, np.float32)
    return replace(one.estimate(), joint_confidence=zeros, pose_observed=False)


def detect(
    tracker: Tracker, one: Standing, stamp: float, score: float, *, read: bool = False
) -> list[Person]:
    """Track an image in which one person is detected, whose body is `read` or not."""
    plan = tracker.predict([Detection(one.box, score)], stamp)
    estimates = [
        None
        if np.isnan(region.score)
        else one.estimate()
        if read
        else replace(unread(one), score=score)
        for region in plan.regions
    ]
    return tracker.update(plan, estimates, CAMERA)


def test_everybody_in_the_first_image_is_published() -> None:
    (person,) = detect(Tracker(), Standing(0.0), 0.0, 0.35)
    assert (person.id, person.state) == ("h1", TrackingState.DETECTED)


@pytest.mark.parametrize(("score", "time"), [(0.4, 0.25), (0.6, 0.5)])
def test_uncertain_person_who_is_not_detected_again_is_lost_soon(score: float, time: float) -> None:
    tracker = Tracker()
    detect(tracker, Standing(0.0), 0.0, score)
    for stamp, state in ((time, TrackingState.PREDICTED), (time + 0.01, TrackingState.LOST)):
        plan = tracker.predict([], stamp)
        (person,) = tracker.update(plan, no_estimates(plan), CAMERA)
        assert person.state is state


def test_uncertain_person_who_is_detected_again_is_predicted_as_others() -> None:
    tracker = Tracker()
    for stamp in (0.0, 0.1):
        detect(tracker, Standing(0.0), stamp, 0.4)
    plan = tracker.predict([], 0.6)
    (person,) = tracker.update(plan, no_estimates(plan), CAMERA)
    assert person.state is TrackingState.PREDICTED


@pytest.mark.parametrize(("score", "read"), [(0.6, False), (0.36, True)])
def test_high_score_or_a_body_that_is_read_needs_no_second_detection(
    score: float, read: bool
) -> None:
    tracker = Tracker()
    step(tracker, [], 0.0)
    (person,) = detect(tracker, Standing(0.0), 0.1, score, read=read)
    assert person.state is (TrackingState.NEW if read else TrackingState.DETECTED)


def test_track_goes_on_with_the_same_id_when_the_body_is_read() -> None:
    tracker, one = Tracker(), Standing(0.0, betas=2.0)
    detect(tracker, replace(one, betas=0.0), 0.0, 0.6)
    states = [
        detect(tracker, one, 0.1, 0.6, read=True),
        detect(tracker, one, 0.2, 0.6),
        detect(tracker, one, 0.3, 0.6, read=True),
    ]
    assert [[(p.id, p.state.name) for p in persons] for persons in states] == [
        [("h1", "TRACKED")],
        [("h1", "DETECTED")],
        [("h1", "TRACKED")],
    ]
    assert np.allclose(tracker.state()["_tracks"][0].betas, 2.0), "only of read bodies"


def test_track_of_detections_alone_survives_images_that_are_not_searched() -> None:
    tracker, one = Tracker(), Standing(0.0)
    for stamp in (0.0, 0.4, 0.8):
        (person,) = detect(tracker, one, stamp, 0.6)
        assert (person.id, person.state) == ("h1", TrackingState.DETECTED)
        plan = tracker.predict([], stamp + 0.2)
        (person,) = tracker.update(plan, no_estimates(plan), CAMERA)
        assert person.state is TrackingState.PREDICTED
    plan = tracker.predict([], 3.0)
    (person,) = tracker.update(plan, no_estimates(plan), CAMERA)
    assert person.state is TrackingState.LOST


def test_detection_far_from_the_read_body_stays_with_its_track() -> None:
    tracker, one = Tracker(), Standing(0.0)
    for stamp in (0.0, 0.1, 0.2):
        detect(tracker, one, stamp, 0.6, read=True)
    moved = replace(one, x=0.3)
    plan = tracker.predict([Detection(one.box, 0.6)], 0.3)
    (person,) = tracker.update(plan, [unread(moved)], CAMERA)
    assert (person.id, person.state) == ("h1", TrackingState.DETECTED)
    (person,) = detect(tracker, one, 0.4, 0.6, read=True)
    assert person.id == "h1"


@pytest.mark.parametrize(
    ("distance", "ids"), [(2.0, {"h1", "h2"}), (1.0, {"h1", "h2", "h3"})], ids=["alone", "beside"]
)
def test_person_who_accelerates_is_nobody_new_where_no_other_is_near(
    distance: float, ids: set[str]
) -> None:
    tracker, one, other = Tracker(), Standing(-0.3), Standing(-0.3 + distance)
    for frame in range(10):
        step(tracker, [one, other], frame * FRAME)
    for frame in range(10, 12):
        step(tracker, [other], frame * FRAME)
    persons = step(tracker, [replace(one, x=0.35), other], 12 * FRAME)
    assert set(persons) == ids


@pytest.mark.parametrize(("score", "ids"), [(float("nan"), ["h1"]), (0.6, ["h1", "h2"])])
def test_proposal_beside_a_person_who_is_missed_is_nobody_new(score: float, ids: list[str]) -> None:
    """A limb is estimated as a body of its own: too small to be that person."""
    tracker, one = Tracker(), Standing(0.0)
    for n in range(30):
        step(tracker, [one], n * FRAME)
    limb, beside = Standing(0.8, 12.0, betas=2.0), Standing(2.0)
    plan = tracker.predict([Detection(beside.box, score)], 1.0)
    estimates = [limb.estimate() if region in plan.new_regions else None for region in plan.regions]
    assert [person.id for person in tracker.update(plan, estimates, CAMERA)] == ids


@pytest.mark.parametrize(("size", "found"), [(0.5, True), (0.3, False)])
def test_limb_is_not_taken_for_a_person_who_is_missed(size: float, found: bool) -> None:
    tracker, one = Tracker(), Standing(0.0)
    for n in range(30):
        step(tracker, [one], n * FRAME)
    step(tracker, [], 30 * FRAME)
    plan = tracker.predict([], 31 * FRAME)
    low, high = one.box[:2], one.box[2:]
    limb = replace(one.estimate(), box=np.concatenate([low, low + size * (high - low)]))
    (person,) = tracker.update(plan, [limb for _ in plan.regions], CAMERA)
    assert person.id == "h1"
    assert person.state is (TrackingState.TRACKED if found else TrackingState.PREDICTED)


@pytest.mark.parametrize(
    ("edges", "whole"), [((0.1, 0.0, 0.9, 0.5), True), ((0.1, 0.1, 1.0, 0.95), False)]
)
def test_region_stays_whole_where_a_part_of_the_person_is_detected(
    edges: tuple[float, ...], whole: bool
) -> None:
    tracker, one = Tracker(), Standing(0.0)
    for n in range(10):
        step(tracker, [one], n * FRAME)
    low, high = one.box[:2], one.box[2:]
    corners = [low + np.array(edges[n : n + 2]) * (high - low) for n in (0, 2)]
    part = np.concatenate(corners).astype(np.float32)
    (region,) = tracker.predict([Detection(part, 0.7)], 10 * FRAME).regions
    assert region.score == 0.7
    assert iou_matrix(region.box[None], (one.box if whole else part)[None])[0, 0] > 0.95
