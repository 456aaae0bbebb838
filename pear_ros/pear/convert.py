# SPDX-License-Identifier: Apache-2.0
"""Conversion of a user's body files: checked, reduced to what EHM-s needs, in float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.body import BodyModel
from pear_ros.body.array_files import (
    Arrays,
    Shape,
    check_indices,
    check_shapes,
    read_npy,
    require_names,
)
from pear_ros.body.flame import NUM_EXPRESSION, NUM_SHAPE, PARENTS, FlameModel
from pear_ros.body.mesh_reduction import REDUCED, reduce_faces
from pear_ros.body.model_files import read_smplx, smplx_body
from pear_ros.core.log import get_logger
from pear_ros.pear.unpickle import load_pickle

BODY_NAME = "smplx-neutral-2020"
NUM_BETAS = 200
"""Shape coefficients of SMPL-X, of its 300: as many as PEAR's network predicts."""

_log = get_logger(__name__)

_SMPLX_VERTICES = 10475
_FLAME_VERTICES = 5023
_FLAME_ARRAYS: dict[str, Shape] = {
    "v_template": (_FLAME_VERTICES, 3),
    "shapedirs": (_FLAME_VERTICES, 3, 400),
    "posedirs": (_FLAME_VERTICES, 3, 36),
    "J_regressor": (5, _FLAME_VERTICES),
    "weights": (_FLAME_VERTICES, 5),
    "kintree_table": (2, 5),
}


def convert(found: Mapping[str, Path]) -> Arrays:
    """Return all arrays of the body files `found` by ModelFile.key, named `smplx.*` and `flame.*`.

    Raises ValueError, naming file and array, when a file is not what it should be; OSError when it
    cannot be read.
    """
    flame: Arrays = {
        "eyelids": np.stack([_read_eyelid(found[f"{side}_eyelid"]) for side in ("left", "right")]),
        "smplx_vertices": _read_vertices(found["flame_vertices"]),
        "swapped": ~_read_kept(found["flame_masks"]),
        **_read_flame(found["flame"]),
    }
    smplx = read_smplx(found["smplx"], NUM_BETAS, NUM_EXPRESSION)
    shapes: dict[str, Shape] = {
        "v_template": (_SMPLX_VERTICES, 3),
        "shapedirs": (_SMPLX_VERTICES, 3, NUM_BETAS),
    }
    check_shapes(found["smplx"], smplx, shapes)
    return {
        **{f"smplx.{name}": array for name, array in smplx.items()},
        **{f"flame.{name}": array for name, array in flame.items()},
    }


def with_reduced_meshes(arrays: Arrays) -> Arrays:
    """Return `arrays` of `convert` with triangles of reduced meshes, `smplx.faces_<detail>`, added.

    Where meshoptimizer is missing or does not work, `arrays` are returned unchanged, with a
    warning in the log.
    """
    if all(f"smplx.faces_{detail}" in arrays for detail in REDUCED):
        return arrays
    try:
        reduced = reduce_faces(_smplx(arrays, sha256=""))
    # The library is missing, or was compiled for another machine.
    except (ImportError, OSError, AttributeError) as error:
        _log.warning(
            "The body has its full mesh alone, whatever mesh_detail is: lighter ones need the "
            "Python package meshoptimizer (pip install meshoptimizer; %s).",
            error,
        )
        return arrays
    return {**arrays, **{f"smplx.faces_{detail}": faces for detail, faces in reduced.items()}}


def bodies(arrays: Arrays, sha256: str) -> tuple[BodyModel, FlameModel]:
    """Return SMPL-X and FLAME of the arrays of `convert`. Raises KeyError when one is missing.

    `sha256`: hash of the original files, for BodyModel.sha256.
    """
    flame = {name[6:]: array for name, array in arrays.items() if name.startswith("flame.")}
    return _smplx(arrays, sha256), FlameModel(**flame)


def _smplx(arrays: Arrays, sha256: str) -> BodyModel:
    smplx = {name[6:]: array for name, array in arrays.items() if name.startswith("smplx.")}
    return smplx_body(smplx, name=BODY_NAME, sha256=sha256)


def _read_flame(path: Path) -> Arrays:
    found = _read_dictionary(path, _FLAME_ARRAYS, "a FLAME model")
    check_shapes(path, found, _FLAME_ARRAYS)
    if (found["kintree_table"][0, 1:] != PARENTS[1:]).any():
        raise ValueError(f"{path}: kintree_table does not hold FLAME's joints")
    directions = found["shapedirs"]
    expression = directions[:, :, NUM_SHAPE : NUM_SHAPE + NUM_EXPRESSION]
    arrays = {
        "v_template": found["v_template"],
        "shapedirs": np.concatenate([directions[:, :, :NUM_SHAPE], expression], axis=2),
        "posedirs": found["posedirs"],
        "joint_regressor": found["J_regressor"],
        "weights": found["weights"],
    }
    return {name: array.astype(np.float32, order="C") for name, array in arrays.items()}


def _read_kept(path: Path) -> npt.NDArray[np.bool_]:
    """(V,) whether a vertex belongs to the neck or to the head's boundary."""
    masks = _read_dictionary(path, ("neck", "boundary"), "FLAME's masks")
    kept = np.zeros(_FLAME_VERTICES, bool)
    for name in ("neck", "boundary"):
        check_shapes(path, masks, {name: (None,)})
        check_indices(path, name, masks[name], _FLAME_VERTICES)
        kept[masks[name]] = True
    return kept


def _read_vertices(path: Path) -> npt.NDArray[np.intp]:
    vertices = _read_array(path, (_FLAME_VERTICES,), "the list of FLAME's vertices on SMPL-X")
    check_indices(path, "the list", vertices, _SMPLX_VERTICES)
    if len(np.unique(vertices)) != len(vertices):
        raise ValueError(f"{path} names a vertex of SMPL-X twice")
    return vertices.astype(np.intp)


def _read_eyelid(path: Path) -> npt.NDArray[np.float32]:
    return _read_array(path, (_FLAME_VERTICES, 3), "a blend shape of FLAME").astype(np.float32)


def _read_array(path: Path, shape: Shape, what: str) -> npt.NDArray[Any]:
    array = read_npy(path, what)
    check_shapes(path, {"the array": array}, {"the array": shape})
    return array


def _read_dictionary(path: Path, names: Mapping[str, Any] | tuple[str, ...], what: str) -> Any:
    found = load_pickle(path)
    if not isinstance(found, dict):
        raise ValueError(f"{path} is not {what}: it holds no dictionary")
    require_names(path, found, names, what)
    return found
