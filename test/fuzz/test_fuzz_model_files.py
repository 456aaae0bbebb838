# SPDX-License-Identifier: Apache-2.0
"""Fuzzed files of models and runs are read, or refused as documented."""

from __future__ import annotations

import io
import pickle
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from pear_ros.body.array_files import read_npy, read_npz
from pear_ros.body.model_files import load_smplx
from pear_ros.export.run_file import read_run_file
from pear_ros.export.tracks import ResultsError
from pear_ros.pear.unpickle import load_pickle
from testing.fuzzed import FUZZED, file_of, refused_with
from testing.mutations import mutated


@cache
def pickles() -> tuple[bytes, ...]:
    arrays = {"a": np.eye(3), "b": sparse.csc_matrix(np.eye(3)), "c": [np.float64(1), {"d"}]}
    return tuple(pickle.dumps(arrays, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1))


@FUZZED
@given(st.deferred(lambda: mutated(*pickles())))
def test_pickle(content: bytes) -> None:
    with file_of(content, "odd.pkl") as path, refused_with(ValueError):
        load_pickle(path)


@cache
def array_files() -> tuple[bytes, ...]:
    """An npz file as it is, one that is compressed, and an npy file."""
    arrays = {"v_template": np.eye(3), "f": np.zeros((4, 3), np.int32), "id": np.array(["h1"])}
    files = [io.BytesIO() for _ in range(3)]
    np.savez(files[0], **arrays)  # type: ignore[arg-type]
    np.savez_compressed(files[1], **arrays)  # type: ignore[arg-type]
    np.save(files[2], np.eye(3))
    return tuple(file.getvalue() for file in files)


@FUZZED
@given(st.deferred(lambda: mutated(*array_files())))
def test_arrays_of_models(content: bytes) -> None:
    with file_of(content, "odd.npz") as path:
        with refused_with(ValueError):
            read_npz(path, ["v_template", "f", "id"], "a model")
        with refused_with(ValueError):
            read_npy(path, "a model")
        with refused_with(ValueError):
            load_smplx(path)
        with refused_with(ResultsError):
            read_run_file(path)


@cache
def checkpoints() -> tuple[bytes, ...]:
    """Files of torch.save and of safetensors with the layout of PEAR's checkpoint, but small."""
    import torch
    from safetensors.torch import save

    parts = {
        "backbone": {"pos_embed": torch.ones(1, 5, 64), "blocks.0.norm1.weight": torch.ones(64)},
        "head": {"init_cam": torch.ones(1, 3)},
    }
    files = [io.BytesIO(), io.BytesIO()]
    torch.save(parts, files[0])
    torch.save({**parts, "head": torch.nn.Parameter(torch.ones(3))}, files[1])
    named = {f"{part}.{key}": value for part, of in parts.items() for key, value in of.items()}
    return (*(file.getvalue() for file in files), save(named))


@pytest.mark.skipif(
    not (find_spec("torch") and find_spec("safetensors")), reason="they read checkpoints"
)
@FUZZED
@given(st.deferred(lambda: mutated(*checkpoints())))
def test_checkpoint(content: bytes) -> None:
    from pear_ros.pear.checkpoint import CheckpointError, load_checkpoint

    with file_of(content, "odd.pt") as path, refused_with(CheckpointError):
        load_checkpoint(path)
