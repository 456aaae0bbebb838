# SPDX-License-Identifier: Apache-2.0
"""Planted disagreements between modules are rejected, and counted with their reason."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pear_ros.annotation.checks import CHECKS, Verdict, compare_before, compare_mask, compare_points
from pear_ros.annotation.part_confidence import JOINTS_OF_PART
from pear_ros.annotation.sample import AnnotatedPerson
from pear_ros.annotation.wholebody import FACE, HANDS, LEFT_HAND, LEFT_WRIST, no_points

Annotate = Callable[..., int]
Samples = Callable[[], list[AnnotatedPerson]]


def rejected_parts(tmp_path: Path) -> dict[str, int]:
    return json.loads((tmp_path / "shards" / "report.json").read_text())["parts_rejected"]


@pytest.mark.parametrize(
    ("module", "part", "check", "points"),
    [
        (
            "left_hand=testing.planted_modules:shifted_left_hand",
            "left_hand",
            "left_hand_wrist",
            LEFT_HAND,
        ),
        ("face=testing.planted_modules:shifted_face", "face", "face_head", FACE),
    ],
)
def test_a_shifted_part_is_rejected_and_the_body_is_kept(
    annotate: Annotate,
    samples: Samples,
    picture: Path,
    hands_picture: Path,
    tmp_path: Path,
    module: str,
    part: str,
    check: str,
    points: slice,
) -> None:
    shown = picture if part == "face" else hands_picture
    annotate(shown)
    (right,) = samples()
    assert right.confidence[part] > 0.2
    assert check not in rejected_parts(tmp_path)
    assert annotate(shown, "--module", module, "--overwrite") == 0
    (one,) = samples()
    assert one.confidence[part] == 0.0
    assert (one.joint_confidence[JOINTS_OF_PART[part]] == 0.0).all()
    assert np.isnan(one.points[points, :2]).all() and not one.points[points, 2].any()
    assert rejected_parts(tmp_path)[check] == 1
    assert one.provenance.modules[part] == module.rpartition(":")[2].replace("left_hand", "hand")
    assert one.confidence["body"] == pytest.approx(right.confidence["body"], abs=0.05)
    assert CHECKS[check].reason in (tmp_path / "shards" / "report.md").read_text()


def test_a_wrong_mask_is_rejected(
    annotate: Annotate, samples: Samples, picture: Path, tmp_path: Path
) -> None:
    assert annotate(picture, "--module", "mask=testing.planted_modules:wrong_mask") == 0
    (one,) = samples()
    assert one.confidence["mask"] == 0.0 and one.confidence["body"] > 0.5
    assert one.measures["mask"] > CHECKS["mask"].rejected
    assert rejected_parts(tmp_path) == {"mask": 1}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("face=no_such_package:make", "the module for face cannot be loaded"),
        ("knee=testing.planted_modules:shifted_face", "there is no part knee"),
        ("face=testing.planted_modules:without_name", "is no module for face"),
    ],
)
def test_a_module_that_cannot_be_used_is_refused(
    annotate: Annotate,
    picture: Path,
    capsys: pytest.CaptureFixture[str],
    given: str,
    text: str,
) -> None:
    assert annotate(picture, "--module", given) == 1
    assert text in capsys.readouterr().err


def test_confidence_falls_between_the_limits_of_a_check() -> None:
    check = CHECKS["reprojection"]
    middle = (check.doubtful + check.rejected) / 2.0
    weights = [check.weight(v) for v in (math.nan, 0.0, check.doubtful, middle, 1.0)]
    assert weights == pytest.approx([1.0, 1.0, 1.0, 0.5, 0.0])
    verdict = Verdict({"reprojection": middle, "jump": math.nan, "mask": 0.9})
    assert verdict.rejected("body") == [] and verdict.rejected("mask") == ["mask"]
    assert verdict.doubted() == ["reprojection"]
    assert verdict.worst == pytest.approx(0.9 / CHECKS["mask"].rejected)


def test_a_hand_is_compared_with_the_wrist_by_its_size() -> None:
    points = no_points()
    points[LEFT_WRIST] = [100.0, 100.0, 1.0]
    points[LEFT_HAND] = np.column_stack(
        [np.linspace(110, 150, 21), np.full(21, 100.0), np.ones(21)]
    )
    measures = compare_points(points)
    assert measures["left_hand_wrist"] == pytest.approx(10.0 / 40.0)
    assert math.isnan(measures["right_hand_wrist"]) and math.isnan(measures["face_head"])
    assert set(HANDS) == {"left_hand", "right_hand"}


def test_a_jump_is_the_median_speed_relative_to_the_pelvis() -> None:
    before = np.zeros((55, 3), np.float32)
    moved = before + np.float32(5.0)
    assert compare_before(moved, before, 0.1)["jump"] == pytest.approx(0.0)
    moved[1:] += [1.0, 0.0, 0.0]
    assert compare_before(moved, before, 0.1)["jump"] == pytest.approx(10.0)
    assert math.isnan(compare_before(moved, before, 0.0)["jump"])


def test_a_mask_is_compared_by_intersection_over_union() -> None:
    silhouette = np.zeros((256, 256), bool)
    silhouette[:100] = True
    mask = np.zeros((256, 256), np.float32)
    mask[50:100] = 0.9
    assert compare_mask(mask, silhouette)["mask"] == pytest.approx(0.5)
    assert math.isnan(compare_mask(None, silhouette)["mask"])
