# SPDX-License-Identifier: Apache-2.0
"""Files in SMPL-X's own layout for the `smplx` package, and its forward pass as we name things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pear_ros.body import BodyModel

SHAPE_DIRECTIONS = 300
EXPRESSION_DIRECTIONS = 100


def write_smplx_file(body: BodyModel, folder: Path, posedirs_scale: float = 1e-3) -> Path:
    """Write the body as SMPLX_NEUTRAL.npz into `folder`, with synthetic pose-corrective offsets."""
    rng = np.random.default_rng(0)
    vertices, joints = body.vertex_count, len(body.parents)
    shapedirs = np.zeros((vertices, 3, SHAPE_DIRECTIONS + EXPRESSION_DIRECTIONS), np.float32)
    shapedirs[:, :, : body.num_betas] = body.shapedirs
    last = SHAPE_DIRECTIONS + body.num_expression
    shapedirs[body.exprdirs_vertices, :, SHAPE_DIRECTIONS:last] = body.exprdirs
    posedirs = rng.normal(0.0, posedirs_scale, (vertices, 3, 9 * (joints - 1)))
    parents = body.parents.astype(np.int64)
    parents[0] = 2**32 - 1
    arrays: dict[str, Any] = {
        "v_template": body.v_template,
        "f": body.faces.astype(np.uint32),
        "shapedirs": shapedirs,
        "posedirs": posedirs.astype(np.float32),
        "J_regressor": body.joint_regressor.toarray(),
        "weights": body.weights.toarray(),
        "kintree_table": np.stack([parents, np.arange(joints)]),
        "lmk_faces_idx": np.zeros(51, np.int64),
        "lmk_bary_coords": np.full((51, 3), 1 / 3, np.float32),
        "dynamic_lmk_faces_idx": np.zeros((79, 17), np.int64),
        "dynamic_lmk_bary_coords": np.full((79, 17, 3), 1 / 3, np.float32),
    }
    return complete_smplx_file(arrays, folder)


def complete_smplx_file(arrays: Mapping[str, Any], folder: Path) -> Path:
    """Write SMPLX_NEUTRAL.npz with what the package wants beyond the body; return its path."""
    path = folder / "SMPLX_NEUTRAL.npz"
    hands: dict[str, Any] = {}
    for side in "lr":
        hands[f"hands_mean{side}"] = np.zeros(45, np.float32)
        hands[f"hands_components{side}"] = np.eye(45, dtype=np.float32)
    np.savez(path, **arrays, **hands)
    return path


def smplx_forward(path: Path, body: BodyModel, values: Mapping[str, Any]) -> Callable[[], Any]:
    """A call of the `smplx` package for `values` by the names of BodyModel.vertices.

    Its result has `vertices` and `joints`, of which the first 55 are SMPL-X's.
    """
    import smplx
    import torch

    people = len(values["pose"])
    model = smplx.SMPLX(
        str(path),
        num_betas=body.num_betas,
        num_expression_coeffs=body.num_expression,
        use_pca=False,
        flat_hand_mean=True,
        batch_size=people,
    )
    pose = torch.from_numpy(values["pose"].reshape(people, -1))
    parts = {
        **{"global_orient": pose[:, :3], "body_pose": pose[:, 3:66], "jaw_pose": pose[:, 66:69]},
        **{"leye_pose": pose[:, 69:72], "reye_pose": pose[:, 72:75]},
        **{"left_hand_pose": pose[:, 75:120], "right_hand_pose": pose[:, 120:165]},
        **{key: torch.from_numpy(values[key]) for key in ("betas", "expression", "transl")},
    }

    def forward() -> Any:
        with torch.no_grad():
            return model(**parts)

    return forward
