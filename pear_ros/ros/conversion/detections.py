# SPDX-License-Identifier: Apache-2.0
"""Conversion of vision_msgs/Detection2DArray of any detector to detections of people."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pear_ros.core.estimator import Detection
from pear_ros.core.people import Array


def people_in(message: Any, classes: str, min_score: float) -> list[Detection]:
    """Return the people among the detections of a vision_msgs/Detection2DArray, best score first.

    `classes`: class ids of people, separated by commas; empty: every class. `min_score`: minimum
    score. A detection without a hypothesis has no class and the score NaN. Boxes are in pixels of
    the image; a rotated box becomes the upright box around it. Boxes that are empty or not finite
    are left out.
    """
    person_classes = {name.strip() for name in classes.split(",") if name.strip()}
    found = []
    for detection in message.detections:
        score = _score(detection.results, person_classes)
        box = _box(detection.bbox)
        if box is not None and score is not None and not score < min_score:
            found.append(Detection(box, score))
    return sorted(found, key=lambda one: 0.0 if math.isnan(one.score) else -one.score)


def _score(results: Any, person_classes: set[str]) -> float | None:
    """Score of the best hypothesis of a person; NaN if unknown, None if there is none."""
    if not results:
        return None if person_classes else math.nan
    scores = [
        float(result.hypothesis.score)
        for result in results
        if not person_classes or result.hypothesis.class_id in person_classes
    ]
    return max(scores, default=None)


def _box(bbox: Any) -> Array | None:
    """(4,) x0 y0 x1 y1 around a vision_msgs/BoundingBox2D; None if it is empty or not finite."""
    centre = np.array([bbox.center.position.x, bbox.center.position.y])
    size = np.array([bbox.size_x, bbox.size_y])
    if not np.isfinite([*centre, *size, bbox.center.theta]).all() or (size <= 0.0).any():
        return None
    cos, sin = abs(math.cos(bbox.center.theta)), abs(math.sin(bbox.center.theta))
    half = np.array([[cos, sin], [sin, cos]]) @ size / 2.0
    box: Array = np.concatenate([centre - half, centre + half]).astype(np.float32)
    return box
