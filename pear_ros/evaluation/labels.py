# SPDX-License-Identifier: Apache-2.0
"""Labelled pictures: what the readers return and the metrics compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

HAND_POINTS = 21
"""Keypoints of a hand in COCO-WholeBody: the wrist, then four of each finger from the thumb on."""


class LabelError(ValueError):
    """Labels that cannot be used; the text names the file, what is wrong and what to do."""


def no_keypoints(count: int) -> Doubles:
    """Return `count` keypoints (count, 3) of which none is labelled."""
    return np.zeros((count, 3))


@dataclass(frozen=True)
class LabelledPerson:
    """One person in one picture, as labelled. Pixels; keypoints are x, y, v.

    v is COCO's flag: 0 not labelled, 1 labelled but hidden, 2 labelled and visible.
    """

    box: Doubles
    """(4,) x0 y0 x1 y1 around the visible part of the person."""
    keypoints: Doubles = field(default_factory=lambda: no_keypoints(17))
    """(17, 3) COCO's keypoints, in the order of pear_ros.evaluation.keypoint_names."""
    hands: Doubles = field(default_factory=lambda: no_keypoints(2 * HAND_POINTS))
    """(42, 3) COCO-WholeBody's left hand, then its right hand."""
    feet: Doubles = field(default_factory=lambda: no_keypoints(6))
    """(6, 3) COCO-WholeBody's big toe, small toe and heel, left, then right."""
    face: Doubles = field(default_factory=lambda: no_keypoints(68))
    """(68, 3) COCO-WholeBody's points of the face."""
    head: Doubles | None = None
    """(4,) x0 y0 x1 y1 of the head; None: not labelled."""
    crowd: bool = False
    """Whether it is a region with more people than are labelled (COCO's iscrowd)."""
    area: float = 0.0
    """Square pixels of the person's silhouette (COCO's area), or of its box."""

    @property
    def height(self) -> float:
        """Height of the box, pixels."""
        return float(self.box[3] - self.box[1])

    @property
    def size(self) -> float:
        """Longer side of the box, pixels."""
        return float(max(self.box[2:] - self.box[:2]))

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """(17,) whether each keypoint is labelled."""
        return np.asarray(self.keypoints[:, 2] > 0)


@dataclass(frozen=True)
class LabelledPicture:
    """One picture and the people in it."""

    path: Path
    people: Sequence[LabelledPerson]


@dataclass(frozen=True)
class LabelledPictures:
    """A set of labelled pictures."""

    name: str
    pictures: Sequence[LabelledPicture]
    ignored: Sequence[str] = ()
    """What of the labels was left out, as sentences for the report."""

    @property
    def has_keypoints(self) -> bool:
        """Whether any keypoint is labelled."""
        return any(person.labelled.any() for one in self.pictures for person in one.people)
