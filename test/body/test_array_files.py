# SPDX-License-Identifier: Apache-2.0
"""Files of arrays that declare more than they hold are refused before memory is taken."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pear_ros.body.array_files import read_npy, read_npz


def npy(shape: str, data: bytes = b"", kind: str = "<f8") -> bytes:
    """Return an npy file that declares a shape."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + data


HUGE = {
    "numbers": npy("(1000000000000000,)"),
    "product": npy("(100000, 100000, 100000)", bytes(8)),
    "negative": npy("(-1, -1)", bytes(8)),
    "one too few": npy("(2,)", bytes(8)),
    "long texts": npy("(1,)", bytes(8), "<U100000000"),
    "no magic": b"x" * 200,
    "long header": b"\x93NUMPY\2\0" + (1 << 31).to_bytes(4, "little") + b" " * 50_000,
    "third version": b"\x93NUMPY\3\0" + (1 << 31).to_bytes(4, "little") + b" " * 50_000,
}

DAMAGED = {
    "header of no Python": npy("(3, 3), \0\n (", bytes(72)),
    "header without a number type": npy("(1,)", bytes(8), "?<8"),
    "header of brackets": npy("(" * 200, bytes(8)),
}
"""What NumPy refuses with errors of Python's parser."""


def zipped(content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as members:
        members.writestr("a.npy", content)
    return file.getvalue()


@pytest.mark.parametrize("content", HUGE.values(), ids=HUGE)
def test_array_that_declares_another_size_is_refused(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: Any, **more: Any) -> None:
        raise AssertionError("NumPy was asked to read it")

    monkeypatch.setattr(np, "load", never)
    (tmp_path / "a.npz").write_bytes(zipped(content))
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match="damaged or not an npz"):
        read_npz(tmp_path / "a.npz", ["a"], "a body")
    with pytest.raises(ValueError, match="damaged or not an npy"):
        read_npy(tmp_path / "a.npy", "a body")


def test_array_that_is_larger_than_any_of_a_body_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pear_ros.body.array_files._MAX_ARRAY", 1000)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1000))
    with pytest.raises(ValueError, match="damaged"):
        read_npz(tmp_path / "a.npz", ["a"], "a body")


def test_array_that_is_not_read_may_be_anything(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as members:
        members.writestr("a.npy", npy("(1,)", bytes(8)))
        members.writestr("b.npy", HUGE["numbers"])
        members.writestr("c.txt", b"text")
    (tmp_path / "a.npz").write_bytes(file.getvalue())
    assert read_npz(tmp_path / "a.npz", ["a"], "a body")["a"].tolist() == [0.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros((0, 3)),
        lambda: np.asfortranarray(np.ones((3, 4), np.float32)),
        lambda: np.array(5),
        lambda: np.array(["a", "bc"]),
        lambda: np.zeros(2, [("x", "f4"), ("y", "i2")]),
    ],
)
def test_ordinary_arrays_are_read(tmp_path: Path, make: Callable[[], Any]) -> None:
    array = make()
    np.savez_compressed(tmp_path / "a.npz", a=array)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", ["a"], "a body")["a"], array)


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_header_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npy is damaged or not an npy file of numbers"):
        read_npy(tmp_path / "a.npy", "a model")
    (tmp_path / "a.npz").write_bytes(zipped(content))
    with pytest.raises(ValueError, match=r"a\.npz is damaged or not an npz file of numbers"):
        read_npz(tmp_path / "a.npz", ["a"], "a model")


def test_directory_that_names_a_place_before_the_file_is_a_value_error(tmp_path: Path) -> None:
    content = zipped(npy("(1,)", bytes(8)))
    end = content.rindex(b"PK\5\6")
    at = end + 16  # where the directory begins; the first member's place is relative to it
    later = int.from_bytes(content[at : at + 4], "little") + 1
    (tmp_path / "a.npz").write_bytes(content[:at] + later.to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(ValueError, match=r"a\.npz is damaged or not an npz file of numbers"):
        read_npz(tmp_path / "a.npz", ["a"], "a model")
