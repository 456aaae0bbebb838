# SPDX-License-Identifier: Apache-2.0
"""The open body written out in SMPL-X's own file layout, with pose-corrective offsets made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pear_ros.body import BodyModel

SHAPE_DIRECTIONS = 300
EXPRESSION_DIRECTIONS = 100


def write_smplx_file(body: BodyModel, folder: Path, posedirs_scale: float = 1e-3) -> Path:
    """Write SMPLX_NEUTRAL.npz into `folder`, as the `smplx` package wants it; return its path."""
    rng = np.random.default_rng(0)
    vertices, joints = body.vertex_count, len(body.parents)
    shapedirs = np.zeros((vertices, 3, SHAPE_DIRECTIONS + EXPRESSION_DIRECTIONS), np.float32)
    shapedirs[:, :, : body.num_betas] = body.shapedirs
    last = SHAPE_DIRECTIONS + body.num_expression
    shapedirs[body.exprdirs_vertices, :, SHAPE_DIRECTIONS:last] = body.exprdirs
    posedirs = rng.normal(0.0, posedirs_scale, (vertices, 3, 9 * (joints - 1)))
    parents = body.parents.astype(np.int64)
    parents[0] = 2**32 - 1
    path = folder / "SMPLX_NEUTRAL.npz"
    np.savez(
        path,
        v_template=body.v_template,
        f=body.faces.astype(np.uint32),
        shapedirs=shapedirs,
        posedirs=posedirs.astype(np.float32),
        J_regressor=body.joint_regressor.toarray(),
        weights=body.weights.toarray(),
        kintree_table=np.stack([parents, np.arange(joints)]),
        hands_meanl=np.zeros(45, np.float32),
        hands_meanr=np.zeros(45, np.float32),
        hands_componentsl=np.eye(45, dtype=np.float32),
        hands_componentsr=np.eye(45, dtype=np.float32),
        lmk_faces_idx=np.zeros(51, np.int64),
        lmk_bary_coords=np.full((51, 3), 1 / 3, np.float32),
        dynamic_lmk_faces_idx=np.zeros((79, 17), np.int64),
        dynamic_lmk_bary_coords=np.full((79, 17, 3), 1 / 3, np.float32),
    )
    return path
