# SPDX-License-Identifier: Apache-2.0
"""Crops for calibration come from pictures and bags, evenly, and from people alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pear_ros.bags.topic import BagError
from pear_ros.cli import calibration_crops as module
from pear_ros.cli.calibration_crops import calibration_crops
from pear_ros.core.people import Image
from pear_ros.pear.runtimes.reference_crops import bundled_crops
from testing.image_bags import jpeg, write_bag


def person() -> Image:
    """Return a picture with one whole person."""
    return np.asarray(cv2.resize(bundled_crops()[0], (512, 512)))


def test_people_in_pictures_are_cut_out(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png"):
        cv2.imwrite(str(tmp_path / name), person())
    (tmp_path / "c.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (tmp_path / "notes.txt").write_text("no picture")
    crops = calibration_crops(tmp_path)
    assert crops.shape == (2, 256, 256, 3) and crops.dtype == np.uint8
    assert np.abs(crops[0].astype(float) - crops[1]).mean() < 5.0


def test_images_of_a_bag_are_chosen_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CROPS", 3)
    frames = [("/camera/image_raw/compressed", n, jpeg(person(), n)) for n in range(1, 8)]
    write_bag(tmp_path / "bag", frames)
    assert len(calibration_crops(tmp_path / "bag")) == 3


def test_nobody_and_nothing_are_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="is not a bag"):
        calibration_crops(tmp_path)
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((300, 300, 3), 128, np.uint8))
    with pytest.raises(ValueError, match=r"nobody was found in 1 images of .*give pictures"):
        calibration_crops(tmp_path)
