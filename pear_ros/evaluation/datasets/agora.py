# SPDX-License-Identifier: Apache-2.0
"""AGORA (Patel et al., CVPR 2021) as its owners distribute it: the validation part, SMPL-X.

`SMPLX/validation_*_withjv.pkl`, tables of pandas with joints and vertices in the camera's frame
(the owners' `project_joints` makes them where they are not downloaded), and the pictures, of
3840x2160 or 1280x720. The labels of the test part are not public.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.evaluation.datasets.data_frames import read_frame
from pear_ros.evaluation.datasets.people import SMPLX_VERTICES
from pear_ros.evaluation.datasets.reading import require_pictures
from pear_ros.evaluation.labels import Doubles, LabelError
from pear_ros.evaluation.reading import damage_of, numbers

FULL_WIDTH = 3840.0
"""Width of the pictures that the labelled pixels are of."""
SENSOR_WIDTH = 36.0
"""Width of the sensor of AGORA's cameras, millimetres."""
_FOCAL_LENGTHS = {"hdri": 50.0, **{f"cam0{number}": 18.0 for number in range(4)}}
_OTHER_FOCAL_LENGTH = 28.0
_COLUMNS = ("imgPath", "isValid", "occlusion", "gt_joints_2d", "gt_joints_3d", "gt_verts")
_MAX_OCCLUSION = 90.0


@dataclass(frozen=True)
class AgoraPicture:
    """One picture and the people in it."""

    path: Path
    valid: npt.NDArray[np.bool_]
    """(T,) whether a person counts: at most 90 % are hidden."""
    joints_2d: Doubles
    """(T, 24, 2) joints, pixels of a picture 3840 wide."""
    joints: Doubles
    """(T, 22, 3) joints of the body, metres."""
    meshes: Sequence[npt.NDArray[Any]]
    """Vertices (10475, 3) of each, metres."""

    def camera(self, width: int, height: int) -> Camera:
        """Return the camera of a picture of this size."""
        focal = focal_length(self.path.name) / SENSOR_WIDTH * width
        return Camera(width, height, focal, focal, width / 2.0, height / 2.0)


def focal_length(name: str) -> float:
    """Return the focal length of a picture by its name, millimetres."""
    return next((mm for part, mm in _FOCAL_LENGTHS.items() if part in name), _OTHER_FOCAL_LENGTH)


def read_agora(folder: Path) -> Iterator[AgoraPicture]:
    """Yield the pictures of AGORA's validation part, one table in memory at a time.

    Raises LabelError.
    """
    tables = sorted(folder.rglob("validation_*withjv*.pkl"))
    if not tables:
        raise LabelError(
            f"{folder} has no SMPLX/validation_*_withjv.pkl of AGORA; download validation_SMPLX, "
            "or make them of validation_Cam by the owners' project_joints"
        )
    places = {path.name: path for path in sorted(folder.rglob("*.png"))}
    for table in tables:
        pictures = _pictures(table, folder, places)
        require_pictures([one.path for one in pictures], "AGORA")
        yield from pictures


def _pictures(table: Path, folder: Path, places: Mapping[str, Path]) -> list[AgoraPicture]:
    columns = read_frame(table, _COLUMNS)
    pictures = []
    with damage_of(table):
        for row in range(len(columns["imgPath"])):
            name = Path(str(columns["imgPath"][row])).name
            small = name.removesuffix(".png").removesuffix("_1280x720") + "_1280x720.png"
            path = places.get(name, places.get(small, folder / name))
            pictures.append(_picture(table, path, {key: columns[key][row] for key in _COLUMNS}))
    return pictures


def _picture(table: Path, path: Path, row: Mapping[str, Any]) -> AgoraPicture:
    joints_2d = [np.asarray(one, float)[:24, :2] for one in row["gt_joints_2d"]]
    joints = [np.asarray(one, float)[:22] for one in row["gt_joints_3d"]]
    meshes = [np.asarray(one) for one in row["gt_verts"]]
    count = len(meshes)
    if any(one.shape != (SMPLX_VERTICES, 3) or one.dtype.kind != "f" for one in meshes):
        raise LabelError(f"{table}: 'gt_verts' are not of SMPL-X; use the tables in folder SMPLX")
    hidden = numbers(table, "occlusion", row["occlusion"], (count,), finite=False)
    valid = np.asarray(row["isValid"], bool) & (hidden >= 0.0) & (hidden <= _MAX_OCCLUSION)
    return AgoraPicture(
        path,
        valid,
        numbers(table, "gt_joints_2d", joints_2d, (count, 24, 2), finite=False),
        numbers(table, "gt_joints_3d", joints, (count, 22, 3), finite=False),
        meshes,
    )
