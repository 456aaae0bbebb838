# SPDX-License-Identifier: Apache-2.0
"""Picture sheets of samples: random ones and the worst."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pear_ros.annotation.sample import AnnotatedPerson
from pear_ros.annotation.shards import ShardReader
from pear_ros.annotation.statistics import Statistics, worst_first
from pear_ros.core.people import NUM_JOINTS, SMPLX_PARENTS, Image
from pear_ros.io.output_files import write_picture
from pear_ros.rendering.contact_sheet import contact_sheet

_COLUMNS = 6
_ZOOM = 2
"""Pixels of a tile for one of the crop."""
_MASK = (200, 120, 0)
_BONES = (60, 60, 255)
_POINTS = (0, 220, 0)
_MIN_CONFIDENCE = 0.3


def write_sheets(
    files: Sequence[Path], statistics: Statistics, folder: Path, count: int
) -> list[Path]:
    """Write sheet_random.jpg and sheet_worst.jpg with `count` samples each at most.

    Blue: outline of the mask; red: the fitted skeleton; green: 2D points. Returns the files; there
    are none without samples. Raises OSError.
    """
    ordered = worst_first(statistics)
    # By hash: the same each time, and without an order of sources or time.
    drawn = sorted(ordered, key=lambda key: hashlib.sha256(key.encode()).digest())
    chosen = {"random": drawn[:count], "worst": ordered[:count]}
    tiles = _tiles(files, {key for keys in chosen.values() for key in keys}, statistics)
    written = []
    for name, keys in chosen.items():
        pictures = [tiles[key] for key in keys if key in tiles]
        if pictures:
            path = folder / f"sheet_{name}.jpg"
            write_picture(path, contact_sheet(pictures, min(_COLUMNS, len(pictures)), 320))
            written.append(path)
    return written


def _tiles(
    files: Sequence[Path], keys: Collection[str], statistics: Statistics
) -> dict[str, Image]:
    sources = {key.rpartition("-")[0].rpartition("-")[0] for key in keys}
    chosen = [path for path in files if path.stem.rpartition("-")[0] in sources]
    return {
        person.key: draw(person, f"{statistics.scores[person.key]:.2f}")
        for person in ShardReader(chosen)
        if person.key in keys
    }


def draw(person: AnnotatedPerson, note: str = "") -> Image:
    """Return the crop (512, 512, 3) with mask, skeleton and points drawn over it."""
    height, width = person.crop.shape[:2]
    image: Any = cv2.resize(person.crop, (width * _ZOOM, height * _ZOOM))
    if person.mask is not None and person.confidence["mask"] > 0.0:
        mask = cv2.resize(person.mask, (width * _ZOOM, height * _ZOOM))
        outlines, _ = cv2.findContours(
            (mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(image, outlines, -1, _MASK, 2)
    _draw_bones(image, person)
    known = person.points[:, 2] > _MIN_CONFIDENCE
    for x, y in person.crop_points(person.points[known, :2]) * _ZOOM:
        cv2.circle(image, (round(float(x)), round(float(y))), 2, _POINTS, -1, cv2.LINE_AA)
    text = " ".join(
        f"{part[:2] if '_' not in part else part[0] + 'h'}{value:.1f}"
        for part, value in person.confidence.items()
    )
    for line, content in enumerate((f"{person.key} {note}", text)):
        place = (6, 16 + 18 * line)
        for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(
                image,
                content,
                place,
                cv2.FONT_HERSHEY_SIMPLEX,
                0.42,
                colour,
                thickness,
                cv2.LINE_AA,
            )
    return np.asarray(image, np.uint8)


def _draw_bones(image: Image, person: AnnotatedPerson) -> None:
    pixels = person.crop_points(person.keypoints) * _ZOOM
    for joint in range(1, NUM_JOINTS):
        parent = SMPLX_PARENTS[joint]
        seen = person.joint_confidence[[joint, parent]] > 0.0
        ends = pixels[[joint, parent]]
        if np.isfinite(ends).all() and seen.all():
            (x0, y0), (x1, y1) = ends.round().astype(int).tolist()
            cv2.line(image, (x0, y0), (x1, y1), _BONES, 1, cv2.LINE_AA)
