# SPDX-License-Identifier: Apache-2.0
"""Picture sheets of the worst cases: the missed, those without a label, the worst keypoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Image
from pear_ros.evaluation.detection_metrics import counts
from pear_ros.evaluation.keypoint_metrics import errors
from pear_ros.evaluation.labels import Doubles, LabelledPictures
from pear_ros.evaluation.matching import MatchedPicture
from pear_ros.evaluation.reading import read_picture
from pear_ros.io.output_files import write_picture
from pear_ros.rendering.colours import PAPER
from pear_ros.rendering.contact_sheet import contact_sheet

TILE = 400
"""Side of a case's picture, pixels."""
COLUMNS = 4
_ROOM = 1.5
"""Side of what is shown over the longer side of the person's box."""
_LABEL, _FOUND, _THIS = (60, 200, 60), (40, 120, 255), (60, 60, 255)
_FAR = 9999
"""Pixels from which on a place outside the tile may be anywhere."""
_Colour = tuple[int, int, int]
_FONT = cv2.FONT_HERSHEY_SIMPLEX
BONES = (
    *((0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12)),
    *((11, 12), (11, 13), (13, 15), (12, 14), (14, 16)),
)
"""Pairs of COCO's keypoints to draw lines between."""


def write_sheets(
    labels: LabelledPictures, results: Sequence[MatchedPicture], folder: Path, most: int
) -> list[Path]:
    """Write missed.jpg, unmatched.jpg and keypoints.jpg into `folder`; return those written.

    Each has up to `most` cases, the worst first: the largest of the missed and the unmatched, the
    largest median distances of keypoints. Green: labelled, orange: found, red: the case.
    """
    kinds: dict[str, Callable[[Sequence[MatchedPicture]], list[_Case]]] = {
        "missed": _missed,
        "unmatched": _unmatched,
        "keypoints": _worst_keypoints,
    }
    files = []
    for name, collect in kinds.items():
        cases = sorted(collect(results), key=lambda case: -case.badness)[:most]
        if cases:
            file = folder / f"{name}.jpg"
            tiles = [case.tile(labels) for case in cases]
            write_picture(file, contact_sheet(tiles, COLUMNS, TILE))
            files.append(file)
    return files


class _Case:
    """One person to show."""

    def __init__(
        self, result: MatchedPicture, box: npt.NDArray[np.floating], badness: float, text: str
    ) -> None:
        self._result, self._box, self._text = result, box, text
        self.badness = badness

    def tile(self, labels: LabelledPictures) -> Image:
        """Return the surroundings of the person, with all boxes and keypoints."""
        labelled = labels.pictures[self._result.index]
        canvas = _Canvas(read_picture(labelled.path), self._box)
        for person in self._result.people:
            canvas.box(person.box, _LABEL)
            canvas.keypoints(person.keypoints[:, :2], person.labelled, _LABEL)
        for one in self._result.found:
            canvas.box(one.box, _FOUND)
            known = np.asarray(np.isfinite(one.keypoints).all(axis=1))
            canvas.keypoints(one.keypoints, known, _FOUND)
            canvas.bones(one.keypoints, known, _FOUND)
        canvas.box(self._box, _THIS)
        for line, y in ((labelled.path.name, 16), (self._text, TILE - 8)):
            cv2.putText(canvas.tile, line, (5, y), _FONT, 0.45, (0, 0, 0), 3, cv2.LINE_AA)
            cv2.putText(canvas.tile, line, (5, y), _FONT, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
        return canvas.tile


def _missed(results: Sequence[MatchedPicture]) -> list[_Case]:
    return [
        _Case(one, person.box, person.height, f"missed, {person.height:.0f} px high")
        for one in results
        for person, found in zip(one.people, one.match, strict=True)
        if counts(person) and found < 0
    ]


def _unmatched(results: Sequence[MatchedPicture]) -> list[_Case]:
    cases = []
    for result in results:
        for one in (result.found[index] for index in result.unmatched):
            height = float(one.box[3] - one.box[1])
            cases.append(_Case(result, one.box, height, f"no label, score {one.score:.2f}"))
    return cases


def _worst_keypoints(results: Sequence[MatchedPicture]) -> list[_Case]:
    cases = []
    for result in results:
        for person, index in zip(result.people, result.match, strict=True):
            if index < 0 or not counts(person) or not person.labelled.any():
                continue
            if result.found[index].observed:
                off = float(np.nanmedian(errors(person, result.found[index])))
                text = f"median distance {100.0 * off:.1f} % of the box"
                cases.append(_Case(result, person.box, off, text))
    return cases


class _Canvas:
    """The square around a box of a picture, TILE pixels wide; draws in the picture's pixels."""

    def __init__(self, image: Image, box: npt.NDArray[np.floating]) -> None:
        side = max(_ROOM * float((box[2:] - box[:2]).max()), 1.0)
        self._scale = TILE / side
        self._move = TILE / 2.0 - self._scale * (box[:2] + box[2:]) / 2.0
        matrix = np.array([[self._scale, 0.0, self._move[0]], [0.0, self._scale, self._move[1]]])
        flags = cv2.INTER_AREA if self._scale < 1.0 else cv2.INTER_LINEAR
        tile = cv2.warpAffine(image, matrix, (TILE, TILE), flags=flags, borderValue=(PAPER,) * 3)
        self.tile = np.asarray(tile, np.uint8)

    def box(self, box: npt.NDArray[np.floating], colour: _Colour) -> None:
        """Draw a box (4,)."""
        low, high = self._places(box.reshape(2, 2))
        cv2.rectangle(self.tile, low, high, colour, 1)

    def keypoints(self, points: Doubles, known: npt.NDArray[np.bool_], colour: _Colour) -> None:
        """Draw the known points (17, 2)."""
        for place in self._places(points[known]):
            cv2.circle(self.tile, place, 3, colour, -1, cv2.LINE_AA)

    def bones(self, points: Doubles, known: npt.NDArray[np.bool_], colour: _Colour) -> None:
        """Draw lines between the known points (17, 2)."""
        for pair in BONES:
            if known[list(pair)].all():
                start, end = self._places(points[list(pair)])
                cv2.line(self.tile, start, end, colour, 1, cv2.LINE_AA)

    def _places(self, points: npt.NDArray[np.floating]) -> list[list[int]]:
        places: list[list[int]] = (
            np.clip(points * self._scale + self._move, -_FAR, _FAR).round().astype(int).tolist()
        )
        return places
