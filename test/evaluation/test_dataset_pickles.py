# SPDX-License-Identifier: Apache-2.0
"""Pickles of datasets are read without executing them; hostile and damaged ones are named."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from pear_ros.evaluation.datasets.data_frames import read_frame
from pear_ros.evaluation.datasets.joblib_arrays import is_joblib, read_joblib
from pear_ros.evaluation.datasets.reading import read_pickle
from pear_ros.evaluation.datasets.smpl import SMPL
from pear_ros.evaluation.datasets.threedpw import read_threedpw
from pear_ros.evaluation.datasets.vertex_matrix import read_regressor, read_transfer
from pear_ros.evaluation.labels import LabelError
from testing.dataset_files import (
    SMPL_VERTICES,
    SMPLX_VERTICES,
    as_python_2,
    data_frame,
    threedpw_sequence,
    write_joblib,
    write_threedpw,
)

DATA = Path(__file__).parents[1] / "data" / "pickles"
"""Files that the libraries in their names wrote, with made-up numbers."""
COLUMNS = {"imgPath": ["a.png", "b.png"], "isValid": [[True], [True, False]], "kid": [[0], [1]]}


@pytest.mark.parametrize("name", ["pandas-1.1.5", "pandas-3.1.1"])
def test_tables_of_pandas_are_read(name: str) -> None:
    table = read_frame(DATA / f"{name}.pkl", ("imgPath", "gt_joints_2d"))
    assert table["imgPath"].tolist() == ["a.png", "b.png"]
    assert table["isValid"].tolist() == [[True], [True, False]]
    assert table["camX"].tolist() == [0.0, 1.0] and table["n"].tolist() == [1, 2]
    np.testing.assert_array_equal(table["gt_joints_2d"][1][1], np.ones((2, 2)))
    assert table["occlusion"][1] == [4, 5]


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_tables_made_in_tests_are_like_those_of_pandas(
    tmp_path: Path, old: bool, protocol: int
) -> None:
    file = tmp_path / "table.pkl"
    file.write_bytes(data_frame(COLUMNS, old, protocol))
    table = read_frame(file, ("imgPath",))
    assert {name: values.tolist() for name, values in table.items()} == COLUMNS


def test_what_a_table_lacks_is_named(tmp_path: Path) -> None:
    file = tmp_path / "table.pkl"
    file.write_bytes(data_frame(COLUMNS))
    with pytest.raises(LabelError, match="lacks the columns gt_verts"):
        read_frame(file, ("imgPath", "gt_verts"))
    file.write_bytes(pickle.dumps({"imgPath": 1}))
    with pytest.raises(LabelError, match="is not a table of pandas"):
        read_frame(file, ())


def test_arrays_of_joblib_are_read(tmp_path: Path) -> None:
    found = read_joblib(DATA / "joblib-0.14.pkl", "matrix")
    assert found.shape == (5, 7) and found.dtype == np.float32 and 0.0 < found.min() < 1.0
    array = np.arange(12.0).reshape(3, 4)
    for padding in (16, None):
        file = tmp_path / "made.pkl"
        write_joblib(file, array, padding)
        assert is_joblib(file)
        np.testing.assert_array_equal(read_joblib(file, "matrix"), array)
    assert not is_joblib(DATA / "pandas-1.1.5.pkl")


@pytest.mark.parametrize("protocol", [0, 2])
def test_a_sequence_that_python_2_wrote_is_read(tmp_path: Path, protocol: int) -> None:
    folder = tmp_path / "sequenceFiles" / "test"
    folder.mkdir(parents=True)
    source = DATA / f"python-2.7-protocol-{protocol}.pkl"
    (folder / "street_00.pkl").write_bytes(source.read_bytes())
    with pytest.raises(LabelError, match=r"2 of 2 pictures of 3DPW are missing.*image_00000\.jpg"):
        read_threedpw(tmp_path, {})


class Bomb:
    """Runs a command where a pickle of it is executed."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._mark}",)


def _threedpw(file: Path) -> object:
    folder = file.parent / "sequenceFiles" / "test"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.pkl").write_bytes(file.read_bytes())
    return read_threedpw(file.parent, {})


READERS: dict[str, Callable[[Path], object]] = {
    "table": lambda file: read_frame(file, ()),
    "transfer": read_transfer,
    "regressor": lambda file: read_regressor(file, 14, SMPLX_VERTICES),
    "SMPL": lambda file: read_pickle(file, SMPL),
    "3DPW": _threedpw,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("where", ["alone", "in an array", "in a table"])
def test_a_command_is_not_run(tmp_path: Path, reader: str, protocol: int, where: str) -> None:
    mark = tmp_path / "executed"
    bomb: Any = Bomb(mark)
    content = {
        "alone": lambda: pickle.dumps(bomb, protocol),
        "in an array": lambda: pickle.dumps({"matrix": np.array([bomb, 1], object)}, protocol),
        "in a table": lambda: data_frame({"imgPath": ["a"], "kid": [bomb]}, protocol=4),
    }[where]()
    file = tmp_path / "hostile.pkl"
    file.write_bytes(content)
    with pytest.raises(LabelError, match="nothing of it was executed") as error:
        READERS[reader](file)
    assert "\n" not in str(error.value) and not mark.exists()


def test_a_command_in_a_file_of_joblib_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    file = tmp_path / "hostile.pkl"
    write_joblib(file, np.eye(2))
    command = f"cposix\nsystem\n(S'touch {mark}'\ntR0".encode()
    content = file.read_bytes()
    file.write_bytes(content[:2] + command + content[2:])  # After the protocol.
    with pytest.raises(LabelError, match=r"would run posix\.system.*nothing of it was executed"):
        read_transfer(file)
    assert not mark.exists()
    pickle.loads(b"\x80\x02" + command + b"N.")
    assert mark.exists(), "the same opcodes do harm elsewhere"


@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
@pytest.mark.parametrize("wide", [False, True])
def test_transfers_of_all_kinds_are_equal(tmp_path: Path, kind: str, wide: bool) -> None:
    rng = np.random.default_rng(0)
    places = (rng.permutation(SMPL_VERTICES)[:50], rng.permutation(SMPLX_VERTICES)[:50])
    matrix = sparse.coo_matrix((rng.random(50), places), shape=(SMPL_VERTICES, SMPLX_VERTICES))
    whole = sparse.hstack([matrix, 2 * matrix]) if wide else matrix
    file = tmp_path / "smplx2smpl.pkl"
    content = pickle.dumps({"mtx" if wide else "matrix": whole.asformat(kind)}, 2)
    file.write_bytes(as_python_2(content))
    found = read_transfer(file)
    assert found.shape == matrix.shape and abs(found - matrix.tocsr()).max() < 1e-12


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"indices": np.array([0, 1, 99999])}, "smplx2smpl.pkl"),
        ({"indices": np.array([0, -1, 2])}, "smplx2smpl.pkl"),
        ({"indptr": np.array([0, 2, 1, 3])}, "rows of its matrix are damaged"),
        ({"data": np.ones(2)}, "numbers of its matrix and their places disagree"),
        ({"_shape": (10**9, 10**9)}, "maps no vertices"),
        ({"_shape": (3, 3)}, "has to map 10475 vertices of SMPL-X to 6890 of SMPL"),
    ],
)
def test_forged_transfers_are_refused(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    matrix = sparse.csr_matrix(np.eye(3))
    for name, value in changes.items():
        setattr(matrix, name, value)
    file = tmp_path / "smplx2smpl.pkl"
    file.write_bytes(pickle.dumps({"matrix": matrix}, 2))
    with pytest.raises(LabelError, match=text) as error:
        read_transfer(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("reader", READERS)
def test_damaged_files_are_named_in_one_sentence(tmp_path: Path, reader: str) -> None:
    rng = np.random.default_rng(0)
    goods = [
        *(path.read_bytes() for path in sorted(DATA.glob("*.pkl"))),
        as_python_2(pickle.dumps(threedpw_sequence(), 2)),
    ]
    for good in goods:
        for _ in range(12):
            content = bytearray(good[: rng.integers(1, len(good) + 1)])
            for place in rng.integers(0, len(content), 3):
                content[place] = rng.integers(0, 256)
            file = tmp_path / "damaged.pkl"
            file.write_bytes(bytes(content))
            try:
                READERS[reader](file)
            except LabelError as error:
                assert "\n" not in str(error)


def test_a_sequence_with_wrong_fields_is_explained(tmp_path: Path) -> None:
    for changes, text in (
        ({"poses": [np.zeros((2, 72))]}, r"'poses' has to be \(3, 72\), not \(2, 72\)"),
        ({"genders": ["x"]}, "a gender has to be m or f, not 'x'"),
        ({"genders": []}, "different numbers of people"),
        ({"trans": 7}, "'trans' has to be a list"),
        ({"cam_intrinsics": "none"}, "'cam_intrinsics' has to be numbers"),
        ({"cam_intrinsics": np.full((3, 3), np.nan)}, "numbers that are not finite"),
        ({"betas": [np.zeros(9)]}, "'betas' has to be 10 numbers or more"),
    ):
        write_threedpw(tmp_path, threedpw_sequence(**changes))
        with pytest.raises(LabelError, match=text):
            read_threedpw(tmp_path, {})
    sequence = threedpw_sequence()
    del sequence["cam_poses"]
    (tmp_path / "sequenceFiles/test/street_00.pkl").write_bytes(pickle.dumps(sequence))
    with pytest.raises(LabelError, match="is not 3DPW's: it lacks cam_poses"):
        read_threedpw(tmp_path, {})
