# SPDX-License-Identifier: Apache-2.0
"""Conversion of vision_msgs/Detection2DArray of any detector to detections of people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pear_ros.core.estimator import Detection
from pear_ros.core.people import Array

ALIASES_OF_PERSON = ("people", "persons", "human", "humans", "pedestrian", "pedestrians")
"""Class ids that are accepted as well if "person" is; capitals never matter."""

_FURTHEST = 1e6
"""Pixels from the origin beyond which no box is: areas stay finite in float32."""
_MOST = 1000
"""Detections of a message that are looked at; a detector finds fewer."""
_BEYOND = 0.1
"""How far a box may reach beyond the image, over its side: some detectors guess hidden parts."""
_NORMALISED = 2.0
"""Where no box has an edge beyond this many pixels, they are in parts of the image."""


@dataclass(frozen=True)
class Detected:
    """The people among the detections of one message, and what became of the others."""

    people: Sequence[Detection]
    """Best score first."""
    boxes: int = 0
    """Number of detections with a box."""
    classes: tuple[str, ...] = ()
    """Class ids of detections with a box, each once; empty if none has a hypothesis."""
    best_score: float = math.nan
    """Best score of a hypothesis, of any class; NaN without one."""

    @property
    def none_accepted(self) -> bool:
        """Whether there are boxes, but none is taken for a person."""
        return self.boxes > 0 and not self.people

    def misses(self, width: int, height: int) -> str:
        """Return how the people's boxes miss an image of this size, pixels; empty if they do not.

        They do if one is centred outside of the image or reaches far beyond it, and if all of them
        are less than some pixels large, as parts of the image instead of pixels are.
        """
        if not self.people:
            return ""
        boxes = np.array([one.box for one in self.people])  # (N, 4)
        size = np.array([width, height], np.float32)
        low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        if np.abs(boxes).max() <= _NORMALISED < size.min():
            return f"end at x {high[0]:g}, y {high[1]:g}: parts of the image, not pixels"
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2.0
        outside = ((centres < 0.0) | (centres > size)).any()
        if outside or (high > (1.0 + _BEYOND) * size).any() or (low < -_BEYOND * size).any():
            return f"reach from x {low[0]:.0f}, y {low[1]:.0f} to x {high[0]:.0f}, y {high[1]:.0f}"
        return ""


def people_in(message: Any, classes: str, min_score: float) -> Detected:
    """Return the people among the detections of a vision_msgs/Detection2DArray.

    `classes`: class ids of people, separated by commas, in any capitals; "person" includes its
    ALIASES_OF_PERSON; empty: every class. `min_score`: minimum score. A detection without a
    hypothesis has no class and the score NaN. Boxes are in pixels of the image; a rotated box
    becomes the upright box around it. Boxes that are empty, not finite or far outside of any image
    are left out.
    """
    person_classes = {name for one in classes.split(",") if (name := one.strip().lower())}
    if "person" in person_classes:
        person_classes.update(ALIASES_OF_PERSON)
    found, seen, scores = [], dict[str, None](), [-math.inf]
    boxes = 0
    for detection in message.detections[:_MOST]:
        box = _box(detection.bbox)
        if box is None:
            continue
        boxes += 1
        for result in detection.results:
            seen[str(result.hypothesis.class_id)] = None
            scores.append(float(result.hypothesis.score))
        score = _score(detection.results, person_classes)
        if score is not None and not score < min_score:
            found.append(Detection(box, score))
    people = sorted(found, key=lambda one: 0.0 if math.isnan(one.score) else -one.score)
    best = max(scores)
    return Detected(people, boxes, tuple(seen), best if seen else math.nan)


def _score(results: Any, person_classes: set[str]) -> float | None:
    """Score of the best hypothesis of a person; NaN if unknown, None if there is none."""
    if not results:
        return None if person_classes else math.nan
    scores = [
        float(result.hypothesis.score)
        for result in results
        if not person_classes or str(result.hypothesis.class_id).strip().lower() in person_classes
    ]
    return max(scores, default=None)


def _box(bbox: Any) -> Array | None:
    """(4,) x0 y0 x1 y1 around a vision_msgs/BoundingBox2D; None if it is empty or not finite."""
    centre = np.array([bbox.center.position.x, bbox.center.position.y])
    size = np.array([bbox.size_x, bbox.size_y])
    if not np.isfinite([*centre, *size, bbox.center.theta]).all() or (size <= 0.0).any():
        return None
    cos, sin = abs(math.cos(bbox.center.theta)), abs(math.sin(bbox.center.theta))
    with np.errstate(over="ignore"):
        half = np.array([[cos, sin], [sin, cos]]) @ size / 2.0
        corners = np.concatenate([centre - half, centre + half])
    if not (np.abs(corners) <= _FURTHEST).all():
        return None
    box: Array = corners.astype(np.float32)
    return box
