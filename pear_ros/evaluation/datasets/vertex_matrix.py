# SPDX-License-Identifier: Apache-2.0
"""Sparse matrices of a user that map vertices: SMPL-X's to SMPL's, or vertices to joints.

They are pickles, of SciPy's matrices or written by joblib. Neither library reads them here: both
would execute what the file says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from pear_ros.body.array_files import read_npy
from pear_ros.evaluation.datasets.joblib_arrays import is_joblib, read_joblib
from pear_ros.evaluation.datasets.people import SMPL_VERTICES, SMPLX_VERTICES
from pear_ros.evaluation.labels import LabelError
from pear_ros.evaluation.reading import damage_of
from pear_ros.pear.unpickle import PickleKind, Unread, load_pickle

TRANSFER = PickleKind(
    "the transfer from SMPL-X to SMPL", r"scipy\.sparse(\.\w+)?\.(csc|csr|coo)_(matrix|array)"
)


def read_transfer(file: Path) -> sparse.csr_array:
    """Return the matrix (6890, 10475) that makes SMPL's vertices of SMPL-X's.

    `file`: `smplx2smpl.pkl` as BEDLAM and PEAR have it (key `matrix`, written by joblib),
    `smplx2smpl_deftrafo_setup.pkl` of the `smplx` package's transfer_data (key `mtx`, whose further
    columns, of normals, are left out), or an NPY. Raises LabelError.
    """
    with damage_of(file):
        matrix = _matrix(file)
        if matrix.shape == (SMPL_VERTICES, 2 * SMPLX_VERTICES):
            matrix = matrix[:, :SMPLX_VERTICES]
    if matrix.shape != (SMPL_VERTICES, SMPLX_VERTICES):
        raise LabelError(
            f"{file} has to map {SMPLX_VERTICES} vertices of SMPL-X to {SMPL_VERTICES} of SMPL; "
            f"its matrix is {matrix.shape}"
        )
    if not np.isfinite(matrix.data).all():
        raise LabelError(f"{file}: its matrix is not finite")
    return matrix


def read_regressor(file: Path, joints: int, vertices: int) -> sparse.csr_array:
    """Return a matrix (joints, vertices) of an NPY or a pickle. Raises LabelError."""
    with damage_of(file):
        if file.suffix == ".npy":
            found: Any = read_npy(file, "a joint regressor")
        else:
            found = load_pickle(file, PickleKind("a joint regressor"))
        if not isinstance(found, np.ndarray) or found.shape != (joints, vertices):
            shape = getattr(found, "shape", type(found).__name__)
            raise LabelError(f"{file} has to be ({joints}, {vertices}), not {shape}")
        matrix = sparse.csr_array(found.astype(np.float64))
    if not np.isfinite(matrix.data).all():
        raise LabelError(f"{file}: its matrix is not finite")
    return matrix


def _matrix(file: Path) -> sparse.csr_array:
    if file.suffix == ".npy":
        return sparse.csr_array(read_npy(file, "a matrix of vertices")).astype(np.float64)
    if is_joblib(file):
        return sparse.csr_array(read_joblib(file, "matrix")).astype(np.float64)
    data = load_pickle(file, TRANSFER)
    found = data.get("mtx", data.get("matrix"))
    return _sparse(found) if isinstance(found, Unread) else sparse.csr_array(np.asarray(found))


def _sparse(found: Unread) -> sparse.csr_array:
    """Return a matrix of the state of one of SciPy's, after a check of all places in it."""
    state = found.state
    shape = tuple(map(int, state["_shape"] if "_shape" in state else state["shape"]))
    if len(shape) != 2 or min(shape) < 0 or max(shape) > 2 * SMPLX_VERTICES:
        raise ValueError(f"a matrix of {shape} maps no vertices of SMPL-X")
    values = np.asarray(state["data"], np.float64)
    if "indptr" in state:
        starts = np.asarray(state["indptr"], np.int64)
        inner = np.asarray(state["indices"], np.int64)
        counts = np.diff(starts)
        if len(starts) < 2 or starts[0] != 0 or counts.min(initial=0) < 0:
            raise ValueError("the rows of its matrix are damaged")
        if counts.sum() != len(inner) or len(inner) != len(values):
            raise ValueError("the numbers of its matrix and their places disagree")
        outer = np.repeat(np.arange(len(counts)), counts)
        rows, columns = (inner, outer) if "csc" in found.name else (outer, inner)
    else:
        places = state["coords"] if "coords" in state else (state["row"], state["col"])
        rows, columns = (np.asarray(one, np.int64) for one in places)
    # SciPy checks that places of a COO matrix are within its shape.
    return sparse.csr_array(sparse.coo_array((values, (rows, columns)), shape=shape))
