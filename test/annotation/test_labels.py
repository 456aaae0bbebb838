# SPDX-License-Identifier: Apache-2.0
"""Annotations that a user already has: COCO-WholeBody, npz files, bags of results."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pear_ros.annotation.sample import AnnotatedPerson
from pear_ros.annotation.wholebody import BODY, LEFT_HAND, RIGHT_HAND
from pear_ros.body import BodyModel, load_open_body
from pear_ros.core.people import Image, People, Person, TrackingState
from testing.image_bags import START, raw, write_bag
from testing.results_bag import ResultsBag

Annotate = Callable[..., int]
Samples = Callable[[], list[AnnotatedPerson]]


def write_npz(path: Path, people: list[AnnotatedPerson], **changes: object) -> Path:
    """Write an npz file in AMASS's layout, with a camera."""
    camera = people[0].camera
    arrays: dict[str, object] = {
        "poses": np.array([one.smplx.pose.ravel() for one in people]),
        "trans": np.array([one.smplx.transl for one in people]),
        "betas": people[0].smplx.betas,
        "expression": np.array([one.smplx.expression for one in people]),
        "camera": [camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy],
        "frame": [one.provenance.frame for one in people],
        "body_model": people[0].body_model,
        **changes,
    }
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def rejected(tmp_path: Path) -> dict[str, int]:
    return json.loads((tmp_path / "shards" / "report.json").read_text())["rejected"]


def test_parameters_of_an_npz_file_are_kept(
    annotate: Annotate,
    samples: Samples,
    video: Path,
    found: list[AnnotatedPerson],
    tmp_path: Path,
) -> None:
    labels = write_npz(tmp_path / "p.npz", found)
    assert annotate(video, "--labels", labels) == 0
    again = samples()
    assert [one.provenance.frame for one in again] == [0, 2, 4]
    for one, before in zip(again, found, strict=True):
        np.testing.assert_array_equal(one.smplx.pose, before.smplx.pose)
        np.testing.assert_allclose(one.joints[0], before.joints[0], atol=0.05)
        assert one.provenance.modules["body"] == "p.npz: given"
        assert one.provenance.modules["points"] == "landmarks"
        assert one.mask is not None and one.measures["reprojection"] < 0.03


@pytest.mark.parametrize(("metres", "reason"), [(0.15, "reprojection"), (0.6, "unread")])
def test_parameters_that_do_not_fit_the_image_are_rejected(
    annotate: Annotate,
    video: Path,
    found: list[AnnotatedPerson],
    tmp_path: Path,
    metres: float,
    reason: str,
) -> None:
    beside = np.array([one.smplx.transl + np.float32([metres, 0, 0]) for one in found])
    not_finite = np.array([one.smplx.pose.ravel() for one in found])
    not_finite[0, 5] = np.nan
    labels = write_npz(tmp_path / "p.npz", found, trans=beside, poses=not_finite)
    assert annotate(video, "--labels", labels) == 0
    found_reasons = rejected(tmp_path)
    assert found_reasons.pop("not_finite") == 1 and found_reasons[reason] >= 1
    assert sum(found_reasons.values()) == 2


def test_bodies_that_are_not_at_hand_are_kept_without_silhouette(
    annotate: Annotate,
    samples: Samples,
    video: Path,
    found: list[AnnotatedPerson],
    tmp_path: Path,
) -> None:
    joints = np.array([one.joints for one in found])
    labels = write_npz(tmp_path / "p.npz", found, body_model="smplx_neutral", joints=joints)
    assert annotate(video, "--labels", labels) == 0
    again = samples()
    assert len(again) == 3 and {one.body_model for one in again} == {"smplx_neutral"}
    assert {one.body_sha256 for one in again} == {""}
    assert np.isnan([one.measures["mask"] for one in again]).all()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"camera": [640, 480, 500, 500, 320, 240]}, "its camera has 640 x 480 pixels"),
        ({"poses": np.zeros((3, 156))}, "not (T, 165)"),
        ({"frame": [0, 1]}, "frame has to be 3 numbers"),
    ],
)
def test_labels_that_cannot_be_used_are_named(
    annotate: Annotate,
    video: Path,
    found: list[AnnotatedPerson],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    text: str,
) -> None:
    labels = write_npz(tmp_path / "p.npz", found, **changes)
    assert annotate(video, "--labels", labels) == 1
    error = capsys.readouterr().err
    assert text in error and "p.npz" in error


def test_a_bag_of_results_belongs_to_images_by_stamp(
    annotate: Annotate,
    samples: Samples,
    images: list[Image],
    found: list[AnnotatedPerson],
    tmp_path: Path,
) -> None:
    bag = write_bag(
        tmp_path / "images",
        [("/cam/image_raw", n, raw(images[n], n * 100_000_000)) for n in range(4)],
    )
    with ResultsBag(tmp_path / "results") as results:
        results.add_images(
            [
                (START + 200_000_000, _people(found[1], TrackingState.TRACKED)),
                (START + 300_000_000, _people(found[1], TrackingState.PREDICTED)),
            ]
        )
    assert annotate(bag, "--labels", tmp_path / "results") == 0
    (one,) = samples()
    assert one.provenance.stamp_ns == START + 200_000_000 and one.provenance.track == "h1"
    np.testing.assert_array_equal(one.smplx.pose, found[1].smplx.pose)
    assert rejected(tmp_path) == {"unmeasured": 1}


def _people(one: AnnotatedPerson, state: TrackingState) -> People:
    person = Person(
        score=0.9,
        box=one.box,
        smplx=one.smplx,
        joints=one.joints,
        joint_confidence=one.joint_confidence,
        keypoints=one.keypoints,
        id="h1",
        state=state,
    )
    return People(one.camera, "test/1", one.body_model, (person,))


def _coco(one: AnnotatedPerson, picture: str, shift: float = 0.0) -> dict[str, object]:
    """An annotation file of COCO-WholeBody, with the points of a sample."""
    points = np.nan_to_num(one.points)
    points[:, 2] = np.where(points[:, 2] > 0.3, 2, 0)
    points[5:17, 0] += shift
    x0, y0, x1, y1 = one.box.tolist()
    annotation = {
        "id": 1,
        "image_id": 7,
        "category_id": 1,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "keypoints": points[BODY].ravel().tolist(),
        "lefthand_kpts": points[LEFT_HAND].ravel().tolist(),
        "lefthand_valid": True,
        "righthand_kpts": points[RIGHT_HAND].ravel().tolist(),
        "righthand_valid": True,
    }
    crowd = {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 90, 90], "iscrowd": 1}
    pictures = [{"id": 7, "file_name": picture}]
    return {"images": pictures, "annotations": [annotation, crowd]}


@pytest.mark.parametrize("shift", [0.0, 60.0])
def test_points_of_coco_wholebody_are_what_the_fit_is_compared_with(
    annotate: Annotate,
    samples: Samples,
    images: list[Image],
    found: list[AnnotatedPerson],
    tmp_path: Path,
    shift: float,
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "one.png"), images[0])
    file = tmp_path / "people.json"
    content = _coco(found[0], "one.png", shift)
    file.write_text(json.dumps(content))
    assert annotate(file, "--images", folder) == 0
    if shift:
        assert rejected(tmp_path) == {"reprojection": 1}
        return
    (one,) = samples()
    known = found[0].points[BODY, 2] > 0.3
    np.testing.assert_allclose(
        one.points[BODY][known, :2], found[0].points[BODY][known, :2], atol=1e-3
    )
    assert set(one.points[BODY, 2].tolist()) <= {0.0, 1.0}
    assert one.provenance.modules["points"] == one.provenance.modules["detector"] == "people"
    assert one.provenance.modules["body"] == "blazepose_full"


def test_labels_need_one_input(
    annotate: Annotate,
    video: Path,
    picture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert annotate(video, picture, "--labels", tmp_path / "p.npz") == 1
    assert "--labels belong to one video, bag or folder" in capsys.readouterr().err
    assert annotate(video, "--labels", tmp_path / "p.txt") == 1
    assert "p.txt is no annotation" in capsys.readouterr().err


def test_smplx_is_loaded_for_its_parameters(
    annotate: Annotate,
    samples: Samples,
    video: Path,
    found: list[AnnotatedPerson],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = replace(load_open_body(), name="smplx_neutral", sha256="ab" * 32)
    asked: list[tuple[Path, int, int]] = []

    def load(*arguments: Any) -> BodyModel:
        asked.append(arguments)
        return loaded

    monkeypatch.setattr("pear_ros.annotation.bodies.load_smplx", load)
    labels = write_npz(tmp_path / "p.npz", found, body_model="smplx")
    file = tmp_path / "SMPLX_NEUTRAL.npz"
    assert annotate(video, "--labels", labels, "--smplx", file, "--every", 4) == 0
    one, _ = samples()
    assert one.measures["mask"] == pytest.approx(found[0].measures["mask"], abs=0.05)
    assert one.body_sha256 == loaded.sha256
    smplx = found[0].smplx
    assert asked == [(file, len(smplx.betas), len(smplx.expression))]
