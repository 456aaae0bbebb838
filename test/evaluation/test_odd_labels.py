# SPDX-License-Identifier: Apache-2.0
"""Labels of wrong types, sizes and numbers: each becomes one sentence that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pear_ros.cli import main
from pear_ros.evaluation.calibrations import read_calibration
from pear_ros.evaluation.clips import read_clip
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS
from pear_ros.evaluation.labels import LabelError
from pear_ros.evaluation.readers import read_coco, read_yolo
from pear_ros.evaluation.reading import read_picture
from pear_ros.evaluation.triangulated_clips import read_points
from testing.forged_pictures import png_of


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "images" / "a.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), np.zeros((100, 100, 3), np.uint8))
    return path


PERSON = {"image_id": 1, "bbox": [0, 0, 50, 50], "keypoints": [1] * 51}
COCO: dict[str, Any] = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [PERSON]}


@pytest.mark.parametrize(
    "content",
    [
        {**COCO, "annotations": None},
        {**COCO, "annotations": [1]},
        {**COCO, "images": [3]},
        {**COCO, "images": None},
        {**COCO, "images": [{"id": 1, "file_name": 3}]},
        {**COCO, "images": [{"id": [1], "file_name": "a.png"}]},
        {**COCO, "annotations": [{**PERSON, "image_id": [1]}]},
        {**COCO, "annotations": [{**PERSON, "area": "large"}]},
        {**COCO, "annotations": [{**PERSON, "area": float("nan")}]},
        {**COCO, "annotations": [{**PERSON, "keypoints": ["x"] * 51}]},
        {**COCO, "annotations": [{**PERSON, "keypoints": 5}]},
        {**COCO, "categories": [{"name": "person"}]},
        {**COCO, "categories": [1]},
        [COCO],
    ],
)
def test_odd_files_of_coco_are_refused(tmp_path: Path, picture: Path, content: Any) -> None:
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(COCO))
    assert len(read_coco(file, picture.parent).pictures[0].people) == 1
    file.write_text(json.dumps(content))
    with pytest.raises(LabelError, match=r"labels\.json"):
        read_coco(file, picture.parent)


def test_json_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text("[" * 100_000)
    with pytest.raises(LabelError, match=r"labels\.json"):
        read_coco(tmp_path / "labels.json")


@pytest.mark.parametrize(
    "content", [b"0 nan nan nan nan", b"0 inf 0 0 0", b"0 .5 .5 -.1 .1", b"\xff\xfe0"]
)
def test_odd_files_of_yolo_are_refused(tmp_path: Path, picture: Path, content: bytes) -> None:
    text = tmp_path / "labels" / "a.txt"
    text.parent.mkdir()
    text.write_bytes(b"0 .5 .5 .1 .1")
    assert len(read_yolo(tmp_path).pictures[0].people) == 1
    text.write_bytes(content)
    with pytest.raises(LabelError, match=r"a\.txt"):
        read_yolo(tmp_path)


CLIP: dict[str, Any] = {
    "K": np.diag([100.0, 100.0, 1.0])[None],
    "R": np.eye(3)[None],
    "t": np.zeros((1, 3)),
    "size": np.array([[64, 48]]),
    "videos": np.array(["a.mp4"]),
    "frames": np.arange(2),
    "frame_rate": 30.0,
    "names": np.array(COCO_KEYPOINTS),
    "joints": np.zeros((2, 1, 17, 3)),
}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "a.mp4").touch()
    np.savez_compressed(tmp_path / "clip.npz", **CLIP)
    return tmp_path / "clip.npz"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frame_rate", np.nan),
        ("frame_rate", 0.0),
        ("frame_rate", "fast"),
        ("frames", np.array([0.5, 1.5])),
        ("frames", np.array([-5, 0])),
        ("frames", np.array(["a", "b"])),
        ("names", np.array("nose")),
        ("joints", np.full((2, 1, 17, 3), "x")),
        ("K", np.full((1, 3, 3), np.nan)),
        ("K", np.zeros((1, 3, 3))),
        ("K", np.array(3.0)),
        ("size", np.array([[0, 48]])),
        ("size", np.array([[np.nan, 48.0]])),
        ("distortion", np.ones((1, 3))),
        ("distortion", np.ones((0, 5))),
        ("orientation", np.zeros((3, 3))),
        ("vertices", np.zeros(3)),
    ],
)
def test_odd_arrays_of_a_clip_are_refused(clip: Path, name: str, value: Any) -> None:
    assert read_clip(clip).frame_rate == 30.0
    np.savez(clip, **{**CLIP, name: value})
    with pytest.raises(LabelError, match=r"clip\.npz"):
        read_clip(clip)


def test_damaged_archives_are_refused(clip: Path) -> None:
    whole = clip.read_bytes()
    for place in range(0, len(whole), 97):
        content = bytearray(whole)
        content[place] ^= 0xFF
        clip.write_bytes(content)
        for read in (read_clip, lambda path: read_points(path, 1)):
            try:
                read(clip)
            except LabelError as error:
                assert "clip.npz" in str(error)


CALIBRATION = """
[cam_{number}]
size = [64, 48]
matrix = [[10, 0, 1], [0, 10, 1], [0, 0, 1]]
distortions = [0, 0, 0, 0]
rotation = [0, 0, 0]
translation = [0, 0, 0]
"""


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("[[10, 0, 1], [0, 10, 1], [0, 0, 1]]", "5"),
        ("[[10, 0, 1]", "[[1e999, 0, 1]"),
        ("[[10, 0, 1]", "[[0, 0, 1]"),
        ("[64, 48]", "[1e999, 48]"),
        ("[64, 48]", "[0, 48]"),
        ("rotation = [0, 0, 0]", "rotation = [0, 0]"),
    ],
)
def test_odd_calibrations_are_refused(tmp_path: Path, good: str, bad: str) -> None:
    file = tmp_path / "cameras.toml"
    text = CALIBRATION.format(number=0) + CALIBRATION.format(number=1)
    file.write_text(text)
    assert len(read_calibration(file)) == 2
    file.write_text(text.replace(good, bad))
    with pytest.raises(LabelError, match=r"cameras\.toml"):
        read_calibration(file)


def test_a_picture_that_opencv_refuses_is_named(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_of(100_000, 100_000))
    with pytest.raises(LabelError, match=r"huge\.png cannot be decoded .*; remove it"):
        read_picture(path)


def test_names_in_labels_cannot_write_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "labels.json"
    file.write_text(json.dumps({**COCO, "images": [{"id": 1, "file_name": "\x1b[31mred.png"}]}))
    assert main(["evaluate", str(file), "--output", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "red.png" in said and "\x1b" not in said
