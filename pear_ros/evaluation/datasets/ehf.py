# SPDX-License-Identifier: Apache-2.0
"""EHF (Pavlakos et al., CVPR 2019) as its owners distribute it.

100 pictures `01_img.jpg` (or .png) with SMPL-X's mesh `01_align.ply` in the world and OpenPose's
keypoints `01_2Djnt.json`; one camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.evaluation.datasets.comparisons import WHOLE_BODY_FILES, WholeBodyComparison
from pear_ros.evaluation.datasets.people import (
    SMPLX_VERTICES,
    MeshBenchmark,
    TruePerson,
    TruePicture,
)
from pear_ros.evaluation.datasets.ply import read_vertices
from pear_ros.evaluation.datasets.protocol_files import left_out
from pear_ros.evaluation.datasets.reading import BOX_MARGIN, box_around, require_pictures
from pear_ros.evaluation.labels import Doubles, LabelError
from pear_ros.evaluation.reading import damage_of, numbers, read_json

INTRINSICS = (1498.22426237, 1498.22426237, 790.263706, 578.90334)
"""fx, fy, cx, cy of EHF's camera, pixels."""
ROTATION = Rotation.from_rotvec([-2.98747896, 0.01172457, -0.05704687]).as_matrix()
TRANSLATION = np.array([-0.03609917, 0.43416458, 2.37101226])
"""From the world to EHF's optical frame, metres."""


def read_ehf(folder: Path, files: Mapping[str, Path]) -> MeshBenchmark:
    """Return EHF's people. `files`: PROTOCOL_FILES by their keys. Raises LabelError."""
    meshes = sorted(folder.rglob("*_align.ply"))
    if not meshes:
        raise LabelError(f"{folder} has no *_align.ply of EHF")
    pictures = [_picture(mesh) for mesh in meshes]
    require_pictures([one.path for one in pictures], "EHF")
    about = [f"Boxes: around OpenPose's keypoints of the body, sides x {BOX_MARGIN:g}"]
    about += left_out("Figures of parts of the body are", files, WHOLE_BODY_FILES)
    return MeshBenchmark("EHF, mm", pictures, WholeBodyComparison(files), about)


def in_camera(vertices: Doubles) -> Doubles:
    """Return points (N, 3) of EHF's world in its camera's optical frame, metres."""
    moved: Doubles = vertices @ ROTATION.T + TRANSLATION
    return moved


def _picture(mesh: Path) -> TruePicture:
    stem = mesh.name.removesuffix("_align.ply")
    picture = mesh.with_name(f"{stem}_img.jpg")
    if not picture.exists() and picture.with_suffix(".png").exists():
        picture = picture.with_suffix(".png")
    box = _box(mesh.with_name(f"{stem}_2Djnt.json"))
    return TruePicture(picture, [TruePerson(box, partial(_mesh, mesh))], INTRINSICS)


def _mesh(file: Path) -> Doubles:
    return in_camera(read_vertices(file, SMPLX_VERTICES))


def _box(file: Path) -> Doubles:
    if not file.is_file():
        raise LabelError(f"{file} is missing: its keypoints give the box of the person")
    people = read_json(file, ["people"])["people"]
    with damage_of(file):
        person = people[0]
        values = person.get("pose_keypoints_2d", person.get("pose_keypoints"))
        points = numbers(file, "pose_keypoints_2d", values, (None,)).reshape(-1, 3)
        seen = points[points[:, 2] > 0, :2]
        if len(seen) < 2:
            raise ValueError("no keypoint of the body is seen")
    return box_around(seen)
