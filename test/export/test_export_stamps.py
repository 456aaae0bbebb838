# SPDX-License-Identifier: Apache-2.0
"""`pear export` of images whose stamps are out of order, equal, zero, or begin again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pear_ros.core.people import (
    TrackingState,
)
from testing.exported_people import IMAGES, STEP, Images, write


def test_tracks_begin_again_where_an_id_is_new_again(
    tmp_path: Path, images: Images, export: Callable[..., Path]
) -> None:
    again = [(stamp + IMAGES * STEP, people) for stamp, people in images]
    out = export(write(tmp_path / "bag", [*images, *again]), "npz")
    assert {file.stem for file in out.iterdir()} == {"h1", "h1_2", "h2", "h2_2"}
    with np.load(out / "h1_2.npz") as found:
        assert found["frame"].tolist() == list(range(IMAGES, 2 * IMAGES))


def test_swapped_images_are_put_in_order(
    tmp_path: Path, images: Images, export: Callable[..., Path], bag: Path, capsys: Any
) -> None:
    swapped = [images[0], images[2], images[1], *images[3:]]
    folder = export(write(tmp_path / "swapped", swapped), "npz").rename(tmp_path / "first")
    assert "1 images are recorded after later ones, and put in order" in capsys.readouterr().err
    expected = export(bag, "npz")
    for name in ("h1.npz", "h2.npz"):
        with np.load(folder / name) as found, np.load(expected / name) as right:
            for key in right.files:
                np.testing.assert_array_equal(found[key], right[key])


@pytest.mark.parametrize("file_format", ["npz", "csv", "glb"])
def test_duplicate_and_zero_stamps_are_left_out(
    tmp_path: Path,
    images: Images,
    export: Callable[..., Path],
    bag: Path,
    file_format: str,
    capsys: Any,
) -> None:
    odd = [images[0], images[0], *images[1:3], (0, images[2][1]), *images[3:]]
    folder = export(write(tmp_path / "odd", odd), file_format).rename(tmp_path / "first")
    said = capsys.readouterr().err
    assert "1 image is left out: others have the same stamp" in said
    assert "1 image is left out: their stamp is 0" in said
    expected = export(bag, file_format)
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in expected.iterdir())
    if file_format == "csv":
        assert (folder / "joints.csv").read_text() == (expected / "joints.csv").read_text()


@pytest.mark.parametrize("file_format", ["npz", "csv", "glb"])
def test_stamps_that_begin_again_split_the_tracks(
    tmp_path: Path, images: Images, export: Callable[..., Path], file_format: str, capsys: Any
) -> None:
    """As of a bag that is played twice, without its people being new the second time."""
    seen = [
        (
            stamp + 5 * 10**9,
            replace(
                found,
                persons=tuple(replace(one, state=TrackingState.TRACKED) for one in found.persons),
            ),
        )
        for stamp, found in images
    ]
    twice = [*seen, *((stamp - 10 * 10**9, found) for stamp, found in seen)]
    folder = export(write(tmp_path / "twice", twice), file_format)
    assert "go back 1 times by more than a second: tracks are split" in capsys.readouterr().err
    if file_format == "npz":
        assert {"h1.npz", "h1_2.npz"} <= {path.name for path in folder.iterdir()}
        for name in ("h1", "h1_2"):
            with np.load(folder / f"{name}.npz") as found:
                assert (np.diff(found["stamps_ns"]) > 0).all()
                assert found["mocap_frame_rate"] > 0


def test_recording_times_serve_where_all_stamps_are_zero(
    tmp_path: Path, images: Images, export: Callable[..., Path], capsys: Any
) -> None:
    folder = export(write(tmp_path / "zeros", [(0, found) for _, found in images]), "npz")
    assert "have the stamp 0: their recording times are used" in capsys.readouterr().err
    with np.load(folder / "h1.npz") as found:
        assert set(np.diff(found["stamps_ns"])) <= {n * 1_000_000 for n in range(1, 9)}
