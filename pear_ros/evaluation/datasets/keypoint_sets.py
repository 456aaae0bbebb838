# SPDX-License-Identifier: Apache-2.0
"""Datasets with keypoints in the picture as their owners distribute them.

LSP-extended (Johnson and Everingham, CVPR 2011): `joints.mat` and `im00001.png` or `.jpg`.
PoseTrack18 and PoseTrack21 (Andriluka et al., CVPR 2018; Doering et al., CVPR 2022): one JSON for
each video of the validation part. COCO val2017 (Lin et al., ECCV 2014), or COCO-WholeBody's file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from pear_ros.evaluation.datasets.reading import box_around, require_pictures
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS
from pear_ros.evaluation.labels import (
    Doubles,
    LabelError,
    LabelledPerson,
    LabelledPicture,
    LabelledPictures,
    no_keypoints,
)
from pear_ros.evaluation.readers import read_coco
from pear_ros.evaluation.reading import damage_of, numbers, read_json

LSP_JOINTS = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
    *("neck", "head_top"),
)
POSETRACK_JOINTS = ("nose", "head_bottom", "head_top", "left_ear", "right_ear", *COCO_KEYPOINTS[5:])
_NOT_COMPARED = "neck and top of the head, which are no keypoints of COCO, are left out"
_MAX_MAT = 64 << 20
_MIN_KEYPOINTS = 2
"""Keypoints without which a person has no box."""


def read_lsp_extended(folder: Path) -> LabelledPictures:
    """Return the people of LSP-extended, or of HR-LSPET. Raises LabelError."""
    file = next(iter(sorted(folder.rglob("joints.mat"))), None)
    if file is None:
        raise LabelError(f"{folder} has no joints.mat of LSP-extended")
    if file.stat().st_size > _MAX_MAT:
        raise LabelError(f"{file} is not LSP-extended's: it has {file.stat().st_size >> 20} MB")
    with damage_of(file):
        try:
            content = loadmat(io.BytesIO(file.read_bytes()), variable_names=["joints"])
        except (OSError, MemoryError) as error:  # SciPy's, where the content is damaged.
            raise ValueError("it declares more than it holds") from error
        joints = numbers(file, "joints", content["joints"], (14, 3, None), finite=False).transpose(
            2, 0, 1
        )
    paths = sorted(p for p in folder.rglob("im*") if re.fullmatch(r"im\d+\.(png|jpg)", p.name))
    if len(paths) != len(joints):
        raise LabelError(
            f"{file} is of {len(joints)} pictures, and {len(paths)} im*.png or im*.jpg are in "
            f"{folder}; unpack the archive whole, in one size"
        )
    labelled = [
        LabelledPicture(path, _people([(_in_coco(points, LSP_JOINTS), None)]))
        for path, points in zip(paths, joints, strict=True)
    ]
    return LabelledPictures("LSP-extended", labelled, [f"Of 14 joints, {_NOT_COMPARED}."])


def read_posetrack(folder: Path) -> LabelledPictures:
    """Return the people with keypoints of PoseTrack's validation videos. Raises LabelError."""
    files = sorted(
        path
        for path in folder.rglob("*.json")
        if path.parent.name == "val" and path.parents[1].name in ("annotations", "posetrack_data")
    )
    if not files:
        raise LabelError(f"{folder} has no annotations/val/*.json (or posetrack_data/val) of it")
    pictures = [picture for file in files for picture in _posetrack(file, folder)]
    require_pictures([one.path for one in pictures], "PoseTrack")
    return LabelledPictures("PoseTrack, val", pictures, [f"Ears, {_NOT_COMPARED}."])


def read_coco_val(folder: Path) -> LabelledPictures:
    """Return the people with keypoints of COCO's val2017. Raises LabelError."""
    names = ("person_keypoints_val2017.json", "coco_wholebody_val_v1.0.json")
    found = [path for name in names for path in sorted(folder.rglob(name))]
    if not found:
        raise LabelError(f"{folder} has no {' or '.join(names)} of COCO")
    images = next((path for path in sorted(folder.rglob("val2017")) if path.is_dir()), None)
    if images is None:
        raise LabelError(f"{folder} has no folder val2017 with COCO's pictures")
    labels = read_coco(found[0], images)
    kept = [
        replace(picture, people=[one for one in picture.people if _counts(one)])
        for picture in labels.pictures
    ]
    left_out = sum(len(picture.people) for picture in labels.pictures) - sum(
        len(picture.people) for picture in kept
    )
    note = f"{left_out} people without keypoints, and crowds, are left out."
    return LabelledPictures("COCO val2017", [one for one in kept if one.people], [note])


def _counts(person: LabelledPerson) -> bool:
    return not person.crowd and int(person.labelled.sum()) >= _MIN_KEYPOINTS and person.size > 1.0


def _posetrack(file: Path, folder: Path) -> list[LabelledPicture]:
    data = read_json(file, ["images", "annotations"])
    people: dict[Any, list[tuple[Doubles, Any]]] = {}
    with damage_of(file):
        order = _joint_order(data)
        for one in data["annotations"]:
            if one.get("keypoints"):
                points = numbers(file, "keypoints", one["keypoints"], (51,), finite=False).reshape(
                    17, 3
                )
                labelled = _in_coco(points, order)
                labelled[3:5] = 0.0  # Ears are placeholders, never labelled.
                people.setdefault(one["image_id"], []).append((labelled, one.get("bbox")))
        pictures = []
        for image in data["images"]:
            found = _people(people.get(image["id"], []), file)
            name = Path(image["file_name"])
            if name.is_absolute() or ".." in name.parts:
                raise ValueError(f"a picture outside the folder, {str(name)!a}")
            if found:
                pictures.append(LabelledPicture(_root(file, folder, name) / name, found))
    return pictures


def _root(file: Path, folder: Path, name: Path) -> Path:
    """Return the folder above the labels that has the picture `name`."""
    above = [folder, *(path for path in file.parents if folder in path.parents)]
    return next((path for path in above if (path / name).is_file()), folder)


def _joint_order(data: Mapping[str, Any]) -> Sequence[str]:
    categories = data.get("categories") or [{}]
    names = categories[0].get("keypoints") or POSETRACK_JOINTS
    if len(names) != len(POSETRACK_JOINTS):
        raise ValueError(f"it has {len(names)} keypoints, not {len(POSETRACK_JOINTS)}")
    return [str(name) for name in names]


def _in_coco(points: Doubles, names: Sequence[str]) -> Doubles:
    """Return keypoints (17, 3) in COCO's order of labelled ones (J, 3) with `names`."""
    keypoints = no_keypoints(len(COCO_KEYPOINTS))
    for point, name in zip(points, names, strict=True):
        if name in COCO_KEYPOINTS and np.isfinite(point).all() and point[2] > 0:
            keypoints[COCO_KEYPOINTS.index(name)] = [*point[:2], 2.0]
    return keypoints


def _people(
    labelled: Sequence[tuple[Doubles, Any]], file: Path | None = None
) -> list[LabelledPerson]:
    people = []
    for keypoints, box in labelled:
        seen = keypoints[keypoints[:, 2] > 0, :2]
        if len(seen) < _MIN_KEYPOINTS:
            continue
        if box is None or file is None:
            corners = box_around(seen)
        else:
            x, y, width, height = numbers(file, "bbox", box, (4,))
            corners = np.array([x, y, x + width, y + height])
        sides = corners[2:] - corners[:2]
        if sides.max() > 1.0:
            people.append(LabelledPerson(corners, keypoints, area=float(np.prod(sides))))
    return people
