# SPDX-License-Identifier: Apache-2.0
"""3DPW (von Marcard et al., ECCV 2018) as its owners distribute it.

`sequenceFiles/test/SEQUENCE.pkl`, pickles of Python 2 that are read without executing them, and
`imageFiles/SEQUENCE/image_00000.jpg`. Poses are SMPL's, in the world; `cam_poses` brings them into
the camera's frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pear_ros.body import BodyModel
from pear_ros.evaluation.datasets.comparisons import THREE_DPW_FILES, ThreeDpwComparison
from pear_ros.evaluation.datasets.people import MeshBenchmark, TruePerson, TruePicture
from pear_ros.evaluation.datasets.protocol_files import left_out
from pear_ros.evaluation.datasets.reading import (
    BOX_MARGIN,
    box_around,
    read_pickle,
    require_pictures,
)
from pear_ros.evaluation.datasets.smpl import NUM_BETAS, read_smpl, smpl_vertices
from pear_ros.evaluation.labels import Doubles, LabelError
from pear_ros.evaluation.reading import numbers
from pear_ros.pear.unpickle import PickleKind

SPLIT = "test"
_KIND = PickleKind("3DPW", objects=True)
_KEYS = (
    *("poses", "betas", "trans", "genders", "poses2d", "campose_valid", "cam_poses"),
    *("cam_intrinsics", "jointPositions"),
)
_GENDERS = {"m": "smpl_male", "f": "smpl_female"}


def read_threedpw(folder: Path, files: Mapping[str, Path]) -> MeshBenchmark:
    """Return the people of 3DPW's test part whose camera is aligned (campose_valid).

    `files`: PROTOCOL_FILES by their keys; meshes need THREE_DPW_FILES. Raises LabelError.
    """
    sequences = sorted((folder / "sequenceFiles" / SPLIT).glob("*.pkl"))
    if not sequences:
        raise LabelError(f"{folder} has no sequenceFiles/{SPLIT}/*.pkl of 3DPW")
    missing = left_out("The paper's MPJPE, PA-MPJPE and PVE are", files, THREE_DPW_FILES)
    bodies = {} if missing else {key: read_smpl(files[key]) for key in _GENDERS.values()}
    pictures: list[TruePicture] = []
    others = 0
    for file in sequences:
        found, rest = _Sequence(file, bodies).pictures(folder / "imageFiles" / file.stem)
        pictures += found
        others += rest
    require_pictures([one.path for one in pictures], "3DPW")
    about = [
        f"{others} people in frames without an aligned camera (campose_valid) are left out, and "
        "those without a box",
        f"Boxes: around the labelled keypoints, sides x {BOX_MARGIN:g}",
    ]
    about += missing
    return MeshBenchmark(f"3DPW, {SPLIT}, mm", pictures, ThreeDpwComparison(files), about)


class _Sequence:
    """One sequence: its arrays, by person and frame."""

    def __init__(self, file: Path, bodies: Mapping[str, BodyModel]) -> None:
        data = read_pickle(file, _KIND, _KEYS)
        self._bodies = bodies
        self._cameras = numbers(file, "cam_poses", data["cam_poses"], (None, 4, 4))
        matrix = numbers(file, "cam_intrinsics", data["cam_intrinsics"], (3, 3))
        self._intrinsics = (*matrix[[0, 1], [0, 1]].tolist(), *matrix[:2, 2].tolist())
        frames = len(self._cameras)
        shapes: dict[str, tuple[int | None, ...]] = {
            **{"poses": (frames, 72), "trans": (frames, 3), "poses2d": (frames, 3, None)},
            **{"jointPositions": (frames, 72), "campose_valid": (frames,), "betas": (None,)},
        }
        count = {len(_people(file, name, data[name])) for name in (*shapes, "genders")}
        if len(count) != 1:
            raise LabelError(f"{file}: its fields are of different numbers of people")
        self._people = [
            {
                name: numbers(file, name, data[name][person], shape, finite=False)
                for name, shape in shapes.items()
            }
            for person in range(count.pop())
        ]
        if any(len(person["betas"]) < NUM_BETAS for person in self._people):
            raise LabelError(f"{file}: 'betas' has to be {NUM_BETAS} numbers or more")
        self._genders = [_gender(file, value) for value in data["genders"]]

    def pictures(self, folder: Path) -> tuple[list[TruePicture], int]:
        """Return the frames with people, and how many people are left out."""
        pictures = []
        for frame in range(len(self._cameras)):
            aligned = [
                self._person(number, frame)
                for number, person in enumerate(self._people)
                if person["campose_valid"][frame]
            ]
            people = [one for one in aligned if np.isfinite(one.box).all()]
            if people:
                path = folder / f"image_{frame:05d}.jpg"
                pictures.append(TruePicture(path, people, self._intrinsics))
        total = len(self._people) * len(self._cameras)
        return pictures, total - sum(len(one.people) for one in pictures)

    def _person(self, number: int, frame: int) -> TruePerson:
        person = self._people[number]
        joints = self._in_camera(person["jointPositions"][frame].reshape(24, 3), frame)
        points = person["poses2d"][frame]  # (3, K)
        seen = points[2] > 0
        # Few frames have no detections: then the projected joints say where the person is.
        corners = points[:2, seen].T if seen.sum() > 1 else self._projected(joints)
        return TruePerson(box_around(corners), partial(self._mesh, number, frame), joints[:22])

    def _mesh(self, number: int, frame: int) -> Doubles:
        person = self._people[number]
        body = self._bodies[self._genders[number]]
        mesh = smpl_vertices(body, person["poses"][frame], person["betas"], person["trans"][frame])
        return self._in_camera(mesh, frame)

    def _in_camera(self, points: Doubles, frame: int) -> Doubles:
        moved: Doubles = points @ self._cameras[frame, :3, :3].T + self._cameras[frame, :3, 3]
        return moved

    def _projected(self, points: Doubles) -> Doubles:
        focal, centre = np.array(self._intrinsics[:2]), np.array(self._intrinsics[2:])
        pixels: Doubles = points[:, :2] / np.maximum(points[:, 2:], 0.1) * focal + centre
        return pixels


def _people(file: Path, name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise LabelError(f"{file}: '{name}' has to be a list with one entry for each person")
    return value  # type: ignore[return-value]


def _gender(file: Path, value: Any) -> str:
    text = value.decode("latin1") if isinstance(value, bytes) else str(value)
    if text[:1] not in _GENDERS:
        raise LabelError(f"{file}: a gender has to be m or f, not {text[:20]!a}")
    return _GENDERS[text[:1]]
