# SPDX-License-Identifier: Apache-2.0
"""Recall, false alarms, PCK, OKS and OKS-AP against known answers."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pear_ros.evaluation.detection_metrics import detection_figures
from pear_ros.evaluation.figures import Figures
from pear_ros.evaluation.keypoint_metrics import errors, is_right, keypoint_figures, pck
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS, COCO_SIGMAS
from pear_ros.evaluation.labels import LabelledPerson
from pear_ros.evaluation.matching import FoundPerson, match
from pear_ros.evaluation.oks import keypoint_similarity, oks_average_precision

Box = tuple[float, float, float, float]

COCOS_EVALUATION = [
    0.3740744102,
    0.2191476226,
    0.1325817282,
    0.0965697056,
    0.0417992975,
    0.0323673822,
    0.0274593962,
    0.0254109155,
    0.0,
    0.0,
]
"""Average precision of `random_set` at OKS .50 to .95, by pycocotools 2.0.11."""


def labelled(box: Box, keypoints: int = 17, **more: Any) -> LabelledPerson:
    sides = np.subtract(box[2:], box[:2])
    points = box[:2] + sides * np.linspace(0.1, 0.9, 17)[:, None]
    flags = np.where(np.arange(17) < keypoints, 2.0, 0.0)
    values: dict[str, Any] = {
        "box": np.array(box, float),
        "keypoints": np.column_stack([points, flags]) * (flags > 0)[:, None],
        "area": float(sides.prod()),
    }
    return LabelledPerson(**{**values, **more})


def found(person: LabelledPerson, move: float = 0.0, score: float = 0.9) -> FoundPerson:
    """The person as labelled, all keypoints `move` pixels to the right."""
    sides = person.box[2:] - person.box[:2]
    points = person.box[:2] + sides * np.linspace(0.1, 0.9, 17)[:, None]
    return FoundPerson(person.box.astype(np.float32), score, points + np.array([move, 0.0]))


def value(figures: Figures, table: str, name: str) -> float:
    (figure,) = (one for one in figures[table] if one.name == name)
    return figure.value


RECALL, WRONG = "People found, % (recall)", "Found without a label, % (1 - precision)"


def test_people_are_counted_by_size_and_keypoints() -> None:
    tall, small, tiny = (
        labelled((0, 0, 100, 250)),
        labelled((200, 0, 240, 80), keypoints=6),
        labelled((400, 0, 420, 40)),
    )
    stranger = labelled((600, 0, 700, 150))
    one = match(0, [tall, small, tiny], [found(tall), found(stranger)])
    two = match(1, [], [found(stranger)])
    figures = detection_figures([one, two, match(2, [], [])])
    assert value(figures, RECALL, "all of 60 px and more") == 50.0
    assert value(figures, RECALL, "60 to 100 px") == 0.0
    assert math.isnan(value(figures, RECALL, "100 to 200 px"))
    assert value(figures, RECALL, "above 200 px") == 100.0
    assert value(figures, RECALL, "5 to 8 keypoints labelled") == 0.0
    assert value(figures, RECALL, "13 to 17 keypoints labelled") == 100.0
    assert value(figures, WRONG, "all") == pytest.approx(200 / 3)
    assert value(figures, WRONG, "100 to 200 px") == 100.0
    assert value(figures, "Pictures without people", "with a false alarm, %") == 50.0


def test_small_people_and_crowds_are_neither_missed_nor_false() -> None:
    tiny = labelled((0, 0, 20, 40))
    crowd = labelled((100, 0, 400, 300), crowd=True)
    inside = labelled((150, 50, 200, 200))
    figures = detection_figures([match(0, [tiny, crowd], [found(tiny), found(inside)])])
    assert math.isnan(value(figures, RECALL, "all of 60 px and more"))
    assert value(figures, WRONG, "all") == 0.0


def test_each_found_person_matches_one_label() -> None:
    person = labelled((0, 0, 100, 200))
    result = match(0, [person], [found(person, score=0.2), found(person)])
    assert len(result.unmatched) == 1
    apart = dataclasses.replace(person, box=person.box + 80.0)
    assert match(0, [person], [found(apart)]).match.tolist() == [-1]


def test_pck_is_over_the_longer_side_of_the_box() -> None:
    person = labelled((0, 0, 100, 200), keypoints=9)
    off = errors(person, found(person, move=15.0))
    np.testing.assert_allclose(off[:9], 0.075)
    assert np.isnan(off[9:]).all()
    assert (pck(off, 0.05), pck(off, 0.1)) == (0.0, 1.0)
    head = dataclasses.replace(person, head=np.array([0.0, 0.0, 30.0, 40.0]))  # size 0.6 * 50
    figures = keypoint_figures([match(0, [head], [found(person, move=15.0)])])
    assert value(figures, "Keypoints of the found", "PCKh@0.5, %") == 100.0
    assert value(figures, "Keypoints of the found", "PCKh@0.1, %") == 0.0


@given(st.lists(st.floats(0.0, 2.0) | st.just(math.nan), max_size=17), st.floats(0, 1))
def test_pck_grows_with_its_threshold(distances: list[float], threshold: float) -> None:
    off = np.array(distances, float)
    shares = [pck(off, threshold * factor) for factor in (0.5, 1.0, 2.0)]
    if np.isnan(off).all():
        assert np.isnan(shares).all()
    else:
        assert 0.0 <= shares[0] <= shares[1] <= shares[2] <= 1.0


def test_a_fit_is_right_where_half_of_its_keypoints_are() -> None:
    off = np.full(17, np.nan)
    off[:10] = [0.05] * 5 + [0.2] * 5
    assert is_right(off)
    off[4] = 0.2
    assert not is_right(off)


def test_missed_people_have_no_right_fit() -> None:
    people = [labelled((0, 0, 100, 200)), labelled((300, 0, 400, 200))]
    figures = keypoint_figures([match(0, people, [found(people[0])])])
    name = "fit right, of people with 9 to 17 keypoints, %"
    assert value(figures, "All people", name) == 50.0


def test_unread_bodies_are_found_but_have_no_keypoints() -> None:
    person = labelled((0, 0, 100, 200))
    unread = dataclasses.replace(found(person, 150.0), observed=False)
    other = labelled((200, 0, 300, 200))
    figures = keypoint_figures([match(0, [person, other], [unread, found(other, 2.0)])])
    table = "Keypoints of the found"
    assert value(figures, table, "median distance, % of the box") == pytest.approx(1.0)
    assert value(figures, table, "body read, % of the found") == 50.0
    assert value(figures, "All people", "fit right, of people with 13 to 17 keypoints, %") == 50.0
    # At rest in the right place is not a right fit either.
    still = dataclasses.replace(found(person), observed=False)
    figures = keypoint_figures([match(0, [person], [still])])
    assert value(figures, "All people", "fit right, of people with 13 to 17 keypoints, %") == 0.0


def test_the_head_has_to_be_on_the_head() -> None:
    person = labelled((0, 0, 100, 200), head=np.array([0.0, 0.0, 40.0, 60.0]))
    for move, share in ((0.0, 100.0), (60.0, 0.0)):
        figures = keypoint_figures([match(0, [person], [found(person, move)])])
        assert value(figures, "All people", "found with the head on the head, %") == share


def test_oks_of_a_known_distance() -> None:
    person = labelled((0, 0, 100, 100), keypoints=1)
    one = found(person, move=10.0)
    expected = math.exp(-(10.0**2) / (2.0 * person.area * (2.0 * 0.026) ** 2))
    assert keypoint_similarity(one.keypoints, person.keypoints, person.area) == pytest.approx(
        expected
    )
    unknown = np.full((17, 2), np.nan)
    assert keypoint_similarity(unknown, person.keypoints, person.area) == 0.0
    assert math.isnan(keypoint_similarity(unknown, np.zeros((17, 3)), 1.0))


@given(st.floats(0.0, 1e4), st.floats(1.0, 1e6), st.integers(1, 17))
def test_oks_is_from_0_to_1(move: float, area: float, keypoints: int) -> None:
    person = labelled((0, 0, 100, 200), keypoints)
    near, far = (
        keypoint_similarity(found(person, m).keypoints, person.keypoints, area)
        for m in (move, 2.0 * move)
    )
    assert 0.0 <= far <= near <= 1.0


def test_average_precision_by_hand() -> None:
    """Two people; the best found one is right, the second a false alarm, the third right."""
    people = [labelled((0, 0, 100, 200)), labelled((300, 0, 400, 200))]
    seen = [
        found(people[0], score=0.9),
        found(labelled((600, 0, 700, 200)), score=0.8),
        found(people[1], score=0.7),
    ]
    average = oks_average_precision([(people, seen)])
    # Precision 1 up to recall 0.5 (51 of 101 points), 2/3 from there on.
    np.testing.assert_allclose(average.values, (51 + 50 * 2 / 3) / 101)
    assert average.people == 2
    assert math.isnan(oks_average_precision([([], seen)]).mean)


def random_set(rng: np.random.Generator) -> list[tuple[list[LabelledPerson], list[FoundPerson]]]:
    """Pictures with people who are found badly, twice, not at all, in crowds, without keypoints."""
    pictures = []
    for _ in range(30):
        people, seen = [], []
        for _ in range(rng.integers(0, 5)):
            x, y, w, h = rng.uniform([0, 0, 30, 60], [500, 300, 150, 300])
            kind = rng.random()
            person = labelled((x, y, x + w, y + h), 0 if kind < 0.15 else int(rng.integers(1, 18)))
            person = dataclasses.replace(person, crowd=bool(kind > 0.9))
            people.append(person)
            for _ in range(rng.integers(0, 3)):
                one = found(person, float(rng.normal(0, 0.08) * w), float(rng.random()))
                noise = rng.normal(0, 0.04 * h, (17, 2))
                seen.append(dataclasses.replace(one, keypoints=one.keypoints + noise))
        pictures.append((people, seen))
    return pictures


def test_average_precision_is_that_of_cocos_evaluation() -> None:
    """The values are those of pycocotools 2.0 on the same set; see the test below."""
    average = oks_average_precision(random_set(np.random.default_rng(17)))
    np.testing.assert_allclose(average.values, COCOS_EVALUATION, atol=1e-9)


def test_cocos_evaluation_itself(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="an oracle that is not installed")
    from pycocotools.cocoeval import COCOeval

    pictures = random_set(np.random.default_rng(17))
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(as_coco(pictures)))
    labels = coco.COCO(str(file))
    evaluation = COCOeval(labels, labels.loadRes(results(pictures)), "keypoints")
    np.testing.assert_allclose(evaluation.params.kpt_oks_sigmas, COCO_SIGMAS)
    evaluation.evaluate()
    evaluation.accumulate()
    average = oks_average_precision(pictures)
    theirs = evaluation.eval["precision"][:, :, 0, 0, 0].mean(axis=1)
    np.testing.assert_allclose(average.values, theirs, atol=1e-9)


def as_coco(pictures: list[tuple[list[LabelledPerson], list[FoundPerson]]]) -> dict[str, Any]:
    annotations = [
        {
            "image_id": n,
            "category_id": 1,
            "bbox": [*person.box[:2].tolist(), *(person.box[2:] - person.box[:2]).tolist()],
            "keypoints": person.keypoints.ravel().tolist(),
            "num_keypoints": int(person.labelled.sum()),
            "iscrowd": int(person.crowd),
            "area": person.area,
        }
        for n, (people, _) in enumerate(pictures)
        for person in people
    ]
    for number, one in enumerate(annotations, 1):
        one["id"] = number
    images = [{"id": n, "file_name": str(n)} for n in range(len(pictures))]
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO_KEYPOINTS)}]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def results(pictures: list[tuple[list[LabelledPerson], list[FoundPerson]]]) -> list[Any]:
    return [
        {
            "image_id": n,
            "category_id": 1,
            "keypoints": np.column_stack([one.keypoints, np.ones(17)]).ravel().tolist(),
            "score": one.score,
        }
        for n, (_, seen) in enumerate(pictures)
        for one in seen
    ]
