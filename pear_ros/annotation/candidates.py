# SPDX-License-Identifier: Apache-2.0
"""People in an image who may become samples, and who of them was in the image before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from pear_ros.annotation.frames import Frame
from pear_ros.annotation.known_people import KnownPerson
from pear_ros.core.boxes import iou_matrix
from pear_ros.core.people import Array
from pear_ros.fitting import BodyFit
from pear_ros.landmarks.types import PoseLandmarks

MIN_SIZE = 64.0
"""Least longer side of a person's box, pixels: a quarter of the crop."""
_SAME_IOU = 0.3
"""Least intersection over union of one person's boxes in successive images."""


@dataclass(frozen=True)
class Candidate:
    """A person who may become a sample."""

    box: Array
    """(4,) x0 y0 x1 y1, pixels; NaN: unknown."""
    known: KnownPerson | None
    """What the user knows of the person; None: a detection."""


@dataclass(frozen=True)
class Track:
    """One person in one image, for the next."""

    name: str
    box: Array
    """(4,) x0 y0 x1 y1, pixels."""
    stamp_ns: int
    """Stamp of the image, nanoseconds."""
    pose: PoseLandmarks | None = None
    joints: Array | None = None
    """(55, 3) metres, in the optical frame."""
    state: BodyFit | None = None


class Tracks:
    """The people of the image before."""

    def __init__(self) -> None:
        """Begin without people."""
        self._tracks: list[Track] = []
        self._count = 0

    def reset(self) -> None:
        """Forget all people."""
        self._tracks, self._count = [], 0

    def replace(self, tracks: Sequence[Track]) -> None:
        """Take the people of an image, before the next."""
        self._tracks = list(tracks)

    def matched(self, candidates: Sequence[Candidate]) -> list[Track]:
        """Return the track of each candidate in the image before, or a new one.

        People whose track the user knows keep its name; others belong together by their boxes.
        """
        found: dict[int, Track] = {}
        names = {track.name: track for track in self._tracks}
        unnamed = []
        for number, candidate in enumerate(candidates):
            name = candidate.known.track if candidate.known else ""
            if name:
                found[number] = names.get(name, Track(name, candidate.box, 0))
            else:
                unnamed.append(number)
        if unnamed and self._tracks:
            boxes = np.array([candidates[number].box for number in unnamed])
            iou = iou_matrix(boxes, np.array([track.box for track in self._tracks]))
            for row, column in zip(*linear_sum_assignment(iou, maximize=True), strict=True):
                if iou[row, column] >= _SAME_IOU:
                    found[unnamed[row]] = self._tracks[column]
        return [
            found[number] if number in found else self._new_track(candidate.box)
            for number, candidate in enumerate(candidates)
        ]

    def _new_track(self, box: Array) -> Track:
        self._count += 1
        return Track(f"p{self._count}", box, 0)


def box_of(known: KnownPerson, frame: Frame) -> Array:
    """Return the box (4,) of a given person; NaN: it is unknown."""
    if known.box is not None:
        return known.box
    assert known.fitted is not None
    camera = known.camera or frame.camera
    vertices = known.fitted.vertices()
    shown = camera.project(known.fitted.joints if vertices is None else vertices)
    shown = shown[np.isfinite(shown).all(axis=1)]
    if not len(shown):
        return np.full(4, np.nan, np.float32)
    low, high = shown.min(axis=0), shown.max(axis=0)
    # Joints lie inside the body; the crown is a head above the neck.
    margin = 0.0 if vertices is not None else 0.1 * float((high - low).max())
    size = np.array([camera.width, camera.height], np.float32)
    corners = np.clip([low - margin, high + margin], 0.0, size)
    return np.asarray(corners.reshape(4), np.float32)


def unusable(candidate: Candidate, square: npt.NDArray[np.float64]) -> str:
    """Return the name of the reason for which a person is not looked at; empty: there is none."""
    if candidate.known is not None and not candidate.known.measured:
        return "unmeasured"
    if not np.isfinite(candidate.box).all():
        return "not_finite"
    if not np.isfinite(square).all():
        return "outside"
    size = float((candidate.box[2:] - candidate.box[:2]).max())
    return "small" if size < MIN_SIZE else ""
