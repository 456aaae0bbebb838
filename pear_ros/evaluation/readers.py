# SPDX-License-Identifier: Apache-2.0
"""Readers of labelled pictures: COCO's JSON, with or without keypoints, and YOLO's text files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pear_ros.evaluation.labels import (
    HAND_POINTS,
    Doubles,
    LabelError,
    LabelledPerson,
    LabelledPicture,
    LabelledPictures,
    no_keypoints,
)
from pear_ros.evaluation.reading import damage_of, read_json, read_picture
from pear_ros.io.pictures import PICTURE_SUFFIXES

PERSON = "person"
"""Name of the category of people in COCO's files."""
YOLO_PERSON = 0
"""Class of people in YOLO's files that follow COCO's order."""

_BOX_COLUMNS = 5
_NAMED = 3
"""Missing files that an error names."""


def read_labels(source: Path, pictures: Path | None = None) -> LabelledPictures:
    """Return the labelled pictures of `source`: a COCO JSON file, or a folder of YOLO labels.

    `pictures`: the folder that names of picture files are relative to; None: for COCO the folder of
    the file, for YOLO the folder `images` beside the folder `labels`. Raises LabelError.
    """
    if source.is_dir():
        return read_yolo(source, pictures)
    if not source.exists():
        raise LabelError(f"{source} does not exist; give COCO's JSON or a folder of YOLO labels")
    if source.suffix == ".json":
        return read_coco(source, pictures)
    raise LabelError(
        f"{source} is neither COCO's JSON (.json) nor a folder of YOLO labels; "
        "clips are .npz, calibrations .qca.txt, .toml"
    )


def read_coco(file: Path, pictures: Path | None = None) -> LabelledPictures:
    """Return the people of a file in COCO's format, with COCO-WholeBody's fields where present.

    Format: https://cocodataset.org/#format-data and https://github.com/jin-s13/COCO-WholeBody.
    Beside these, `head_box` ([x, y, width, height]) of an annotation is read, for PCKh. Raises
    LabelError.
    """
    data = read_json(file)
    if missing := {"images", "annotations"} - set(data):
        raise LabelError(
            f"{file} is not in COCO's format: {' and '.join(sorted(missing))} missing at its top"
        )
    with damage_of(file):
        return _coco(data, file, pictures or file.parent)


def _coco(data: Mapping[str, Any], file: Path, folder: Path) -> LabelledPictures:
    people: dict[Any, list[LabelledPerson]] = {}
    category = _person_category(data, file)
    left_out = 0
    for annotation in data["annotations"]:
        if annotation.get("category_id", category) != category:
            left_out += 1
            continue
        where = f"{file}: annotation {annotation.get('id')}"
        people.setdefault(annotation.get("image_id"), []).append(_coco_person(annotation, where))
    images = [image for image in data["images"] if "file_name" in image and "id" in image]
    if unnamed := len(data["images"]) - len(images):
        raise LabelError(f"{file}: {unnamed} of its images have no 'file_name' or no 'id'")
    if strangers := set(people) - {image["id"] for image in images}:
        raise LabelError(
            f"{file}: {len(strangers)} image ids of annotations are not among its images, "
            f"for example {min(map(str, strangers))}"
        )
    ignored = [f"{left_out} labels of other things than people were left out."] if left_out else []
    return _existing(
        file.stem,
        [
            LabelledPicture(_picture_file(folder, image), people.get(image["id"], []))
            for image in images
        ],
        f"{file}: give the folder with its pictures by --images",
        ignored,
    )


def read_yolo(folder: Path, pictures: Path | None = None) -> LabelledPictures:
    """Return the people of class 0 in a folder of YOLO's text files, one file for each picture.

    Lines are `class x y width height`, centre and size over the picture's size, where present
    followed by 17 keypoints `x y v` (https://docs.ultralytics.com/datasets). `folder`: the folder
    of the files, or one with the folders `labels` and `images`; a picture without a file has nobody
    in it. Raises LabelError.
    """
    labels = folder / "labels" if (folder / "labels").is_dir() else folder
    found = pictures or _beside(labels)
    files = sorted(path for path in found.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    texts = {path.relative_to(labels).with_suffix(""): path for path in labels.rglob("*.txt")}
    if not files:
        raise LabelError(f"there are no pictures in {found}; give their folder by --images")
    names = {path.relative_to(found).with_suffix("") for path in files}
    if not names & set(texts):
        raise LabelError(
            f"none of the {len(texts)} .txt files in {labels} belongs to a picture in {found}; "
            "names have to be the same but for the suffix"
        )
    labelled = []
    for path in files:
        text = texts.get(path.relative_to(found).with_suffix(""))
        labelled.append(LabelledPicture(path, _yolo_people(text, path) if text else []))
    return LabelledPictures(folder.resolve().name, labelled)


def _person_category(data: Mapping[str, Any], file: Path) -> Any:
    categories = data.get("categories")
    if not categories:
        return 1
    for category in categories:
        if category.get("name") == PERSON:
            return category["id"]
    names = ", ".join(str(category.get("name")) for category in categories[:8])
    raise LabelError(f"{file} has no category {PERSON!r}, only: {names}")


def _coco_person(annotation: Mapping[str, Any], where: str) -> LabelledPerson:
    box = _coco_box(annotation.get("bbox"), where)
    hands = [_keypoints(annotation, name, HAND_POINTS, where) for name in ("lefthand", "righthand")]
    head = annotation.get("head_box")
    sides = box[2:] - box[:2]
    area = float(annotation.get("area") or sides[0] * sides[1])
    if not math.isfinite(area):
        raise LabelError(f"{where}: 'area' has to be a finite number, not {area}")
    return LabelledPerson(
        box=box,
        keypoints=_keypoints(annotation, "", 17, where),
        hands=np.concatenate(hands),
        feet=_keypoints(annotation, "foot", 6, where),
        face=_keypoints(annotation, "face", 68, where),
        head=None if head is None else _coco_box(head, where),
        crowd=bool(annotation.get("iscrowd", 0)),
        area=area,
    )


def _coco_box(values: Any, where: str) -> Doubles:
    try:
        x, y, width, height = map(float, values)
    except (TypeError, ValueError) as error:
        raise LabelError(f"{where}: 'bbox' has to be four numbers, not {values}") from error
    if not all(map(math.isfinite, (x, y, width, height))) or min(width, height) < 0.0:
        raise LabelError(f"{where}: width and height of a box cannot be {width:g}, {height:g}")
    return np.array([x, y, x + width, y + height])


def _keypoints(annotation: Mapping[str, Any], part: str, count: int, where: str) -> Doubles:
    """Return (count, 3) of a part of the body, "" for COCO's 17 keypoints."""
    key = f"{part}_kpts" if part else "keypoints"
    values = annotation.get(key)
    if not values or (part and not annotation.get(f"{part}_valid", True)):
        return no_keypoints(count)
    if len(values) != 3 * count:
        raise LabelError(f"{where}: '{key}' has to be {3 * count} numbers, not {len(values)}")
    return _clean(np.array(values, float).reshape(count, 3))


def _clean(keypoints: Doubles) -> Doubles:
    keypoints[~np.isfinite(keypoints).all(axis=1)] = 0.0
    return keypoints


def _picture_file(folder: Path, image: Mapping[str, Any]) -> Path:
    path = folder / image["file_name"]
    # Archives of pictures are often unpacked without the folders that the file names.
    return path if path.exists() else folder / Path(image["file_name"]).name


def _existing(
    name: str, labelled: Sequence[LabelledPicture], advice: str, ignored: Sequence[str]
) -> LabelledPictures:
    missing = [one.path for one in labelled if not one.path.is_file()]
    if missing:
        names = ", ".join(path.name for path in missing[:_NAMED])
        raise LabelError(
            f"{len(missing)} of {len(labelled)} pictures are not in {missing[0].parent}, "
            f"for example {names}; {advice}"
        )
    if not labelled:
        raise LabelError(f"{advice.partition(':')[0]} names no pictures")
    return LabelledPictures(name, labelled, ignored)


def _beside(labels: Path) -> Path:
    """Return the folder of pictures for a folder of labels: `images` where it says `labels`."""
    parts = list(labels.absolute().parts)
    if "labels" in parts:
        last = len(parts) - 1 - parts[::-1].index("labels")
        parts[last] = "images"
        folder = Path(*parts)
        if folder.is_dir():
            return folder
    return labels


def _yolo_people(text: Path, picture: Path) -> list[LabelledPerson]:
    image = read_picture(picture)
    size = np.array([image.shape[1], image.shape[0]], float)
    people = []
    with damage_of(text):
        lines = text.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        where = f"{text}, line {number}"
        try:
            values = np.array(line.split(), float)
        except ValueError as error:
            raise LabelError(f"{where} has to be numbers, not {line!r}") from error
        if not len(values) or values[0] != YOLO_PERSON:
            continue
        if len(values) not in (_BOX_COLUMNS, _BOX_COLUMNS + 51):
            raise LabelError(
                f"{where} has {len(values)} columns; a box has {_BOX_COLUMNS}, "
                f"a box with keypoints {_BOX_COLUMNS + 51} (outlines are not read)"
            )
        centre, sides = values[1:3] * size, values[3:5] * size
        if not np.isfinite([*centre, *sides]).all() or sides.min() < 0.0:
            raise LabelError(f"{where}: centre and size of a box have to be finite, size from 0 up")
        keypoints = no_keypoints(17)
        if len(values) > _BOX_COLUMNS:
            keypoints = _clean(values[_BOX_COLUMNS:].reshape(17, 3) * [*size, 1.0])
        box = np.concatenate([centre - sides / 2.0, centre + sides / 2.0])
        people.append(LabelledPerson(box, keypoints, area=float(sides[0] * sides[1])))
    return people
