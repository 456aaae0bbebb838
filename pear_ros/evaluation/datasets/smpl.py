# SPDX-License-Identifier: Apache-2.0
"""The SMPL body (Loper et al., SIGGRAPH Asia 2015) of a user's model file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from pear_ros.body import BodyModel
from pear_ros.body.array_files import check_indices, check_shapes
from pear_ros.evaluation.datasets.people import SMPL_VERTICES
from pear_ros.evaluation.datasets.reading import read_pickle
from pear_ros.evaluation.labels import Doubles
from pear_ros.evaluation.reading import damage_of
from pear_ros.pear.unpickle import PickleKind

NUM_JOINTS = 24
NUM_BETAS = 10
SMPL = PickleKind("SMPL")
_ARRAYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")


def read_smpl(file: Path) -> BodyModel:
    """Return the body of SMPL's pickle, as its owners distribute it, with 10 betas.

    Neither the pickle nor chumpy is executed. Raises LabelError.
    """
    found: dict[str, Any] = dict(read_pickle(file, SMPL, _ARRAYS))
    with damage_of(file):
        shapes = {
            "v_template": (SMPL_VERTICES, 3),
            "shapedirs": (SMPL_VERTICES, 3, None),
            "posedirs": (SMPL_VERTICES, 3, 9 * (NUM_JOINTS - 1)),
            "J_regressor": (NUM_JOINTS, SMPL_VERTICES),
            "weights": (SMPL_VERTICES, NUM_JOINTS),
            "kintree_table": (2, NUM_JOINTS),
            "f": (None, 3),
        }
        check_shapes(file, found, shapes)
        if found["shapedirs"].shape[2] < NUM_BETAS:
            raise ValueError(f"shapedirs has fewer than {NUM_BETAS} directions")
        parents = found["kintree_table"][0].astype(np.int64)
        parents[0] = -1
        check_indices(file, "kintree_table", parents[1:], NUM_JOINTS)
        arrays = {name: np.asarray(found[name], np.float32) for name in _ARRAYS[:5]}
    return BodyModel(
        name=file.stem.lower(),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        license_note="SMPL model licence, https://smpl.is.tue.mpg.de",
        joint_names=tuple(map(str, range(NUM_JOINTS))),
        parents=parents.astype(np.int32),
        faces=found["f"].astype(np.int32),
        v_template=arrays["v_template"],
        shapedirs=np.ascontiguousarray(arrays["shapedirs"][:, :, :NUM_BETAS]),
        exprdirs=np.empty((0, 3, 0), np.float32),
        exprdirs_vertices=np.empty(0, np.intp),
        expression_names=(),
        joint_regressor=sparse.csr_array(arrays["J_regressor"]),
        weights=sparse.csr_array(arrays["weights"]),
        posedirs=arrays["posedirs"],
    )


def smpl_vertices(body: BodyModel, pose: Doubles, betas: Doubles, transl: Doubles) -> Doubles:
    """Return SMPL's vertices (6890, 3), metres, of pose (72,), betas (10,) and transl (3,)."""
    vertices = body.vertices(
        pose.reshape(1, NUM_JOINTS, 3).astype(np.float32),
        betas[None, :NUM_BETAS].astype(np.float32),
        np.zeros((1, 0), np.float32),
        transl[None].astype(np.float32),
    )
    return np.asarray(vertices[0], np.float64)
