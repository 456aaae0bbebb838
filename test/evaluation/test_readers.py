# SPDX-License-Identifier: Apache-2.0
"""Labels of COCO and YOLO are read as they are meant; what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pear_ros.evaluation.labels import LabelError
from pear_ros.evaluation.readers import read_labels

KEYPOINTS = [value for n in range(17) for value in (10.0 + n, 20.0 + n, 2 if n < 9 else 0)]


def picture(path: Path, width: int = 200, height: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def coco(tmp_path: Path, *annotations: dict[str, Any], **more: Any) -> Path:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    images = [{"id": 1, "file_name": "train/a.png"}, {"id": 2, "file_name": "b.png"}]
    file = tmp_path / "labels.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, **more}))
    return file


def annotation(**more: Any) -> dict[str, Any]:
    return {"id": 7, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], **more}


def test_coco_has_boxes_keypoints_and_crowds(tmp_path: Path) -> None:
    file = coco(
        tmp_path,
        annotation(keypoints=KEYPOINTS, area=900.0, head_box=[12, 20, 8, 10]),
        annotation(iscrowd=1),
    )
    labels = read_labels(file)
    (person, crowd), nobody = (one.people for one in labels.pictures)
    np.testing.assert_array_equal(person.box, [10, 20, 40, 60])
    assert person.labelled.sum() == 9 and person.area == 900.0 and not person.crowd
    np.testing.assert_array_equal(person.keypoints[3], [13, 23, 2])
    np.testing.assert_array_equal(person.head, [12, 20, 20, 30])
    assert crowd.crowd and not crowd.labelled.any() and crowd.area == 1200.0
    assert not nobody and labels.has_keypoints


def test_parts_of_coco_wholebody_are_read_where_valid(tmp_path: Path) -> None:
    hand = [value for n in range(21) for value in (float(n), 5.0, 1)]
    file = coco(
        tmp_path,
        annotation(
            lefthand_kpts=hand,
            righthand_kpts=hand,
            righthand_valid=False,
            foot_kpts=[1.0, 2.0, 2] * 6,
            face_kpts=[1.0, 2.0, 2] * 68,
        ),
    )
    person = read_labels(file).pictures[0].people[0]
    np.testing.assert_array_equal(person.hands[:21, 0], np.arange(21))
    assert not person.hands[21:, 2].any()
    assert person.feet[:, 2].all() and person.face[:, 2].all()


def test_other_categories_are_left_out_and_counted(tmp_path: Path) -> None:
    categories = [{"id": 3, "name": "dog"}, {"id": 5, "name": "person"}]
    file = coco(
        tmp_path, annotation(category_id=3), annotation(category_id=5), categories=categories
    )
    labels = read_labels(file)
    assert len(labels.pictures[0].people) == 1
    assert labels.ignored == ["1 labels of other things than people were left out."]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"keypoints": [1.0, 2.0, 2]}, "'keypoints' has to be 51 numbers, not 3"),
        ({"bbox": [1, 2, 3]}, "annotation 7: 'bbox' has to be four numbers"),
        ({"bbox": [1, 2, -3, 4]}, "cannot be -3, 4"),
        ({"image_id": 9}, "1 image ids of annotations are not among its images, for example 9"),
    ],
)
def test_what_is_wrong_with_an_annotation_is_named(
    tmp_path: Path, more: dict[str, Any], text: str
) -> None:
    with pytest.raises(LabelError, match=text):
        read_labels(coco(tmp_path, annotation(**more)))


def test_files_that_are_not_labels(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="does not exist"):
        read_labels(tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(LabelError, match="is not JSON"):
        read_labels(broken)
    broken.write_text("[]")
    with pytest.raises(LabelError, match="has to hold a JSON object"):
        read_labels(broken)
    broken.write_text("{}")
    with pytest.raises(LabelError, match="annotations and images missing"):
        read_labels(broken)
    with pytest.raises(LabelError, match="no category 'person', only: dog"):
        read_labels(coco(tmp_path, categories=[{"id": 1, "name": "dog"}]))


def test_missing_pictures_are_named(tmp_path: Path) -> None:
    file = coco(tmp_path, annotation())
    (tmp_path / "b.png").unlink()
    with pytest.raises(LabelError, match=r"1 of 2 pictures .* b\.png; .*--images"):
        read_labels(file)


def test_yolo_has_boxes_of_class_0_beside_the_pictures(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "train" / "a.jpg")
    picture(tmp_path / "images" / "train" / "b.jpg")
    labels = tmp_path / "labels" / "train"
    labels.mkdir(parents=True)
    keypoints = " ".join(["0.5 0.25 2"] * 17)
    (labels / "a.txt").write_text(f"0 .5 .5 .2 .4\n16 .1 .1 .1 .1\n\n0 .5 .5 .2 .4 {keypoints}\n")
    for source in (labels, tmp_path):
        one, other = read_labels(source).pictures
        np.testing.assert_allclose(one.people[0].box, [80, 30, 120, 70])
        np.testing.assert_allclose(one.people[1].keypoints[4], [100, 25, 2])
        assert len(one.people) == 2 and not other.people


def test_wrong_yolo_files_are_named(tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    with pytest.raises(LabelError, match="no pictures in"):
        read_labels(tmp_path)
    picture(tmp_path / "images" / "a.jpg")
    (labels / "other.txt").write_text("0 .5 .5 .2 .4")
    with pytest.raises(LabelError, match="none of the 1 "):
        read_labels(tmp_path)
    (labels / "a.txt").write_text("0 .5 .5 .2 .4 .3 .3 .3 .3")
    with pytest.raises(LabelError, match="line 1 has 9 columns"):
        read_labels(tmp_path)
    (labels / "a.txt").write_text("person .5 .5 .2 .4")
    with pytest.raises(LabelError, match="line 1 has to be numbers"):
        read_labels(tmp_path)
