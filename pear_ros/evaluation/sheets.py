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
from pear_ros.evaluation.matching import FoundPerson, MatchedPicture
from pear_ros.evaluation.pictures import read_picture
from pear_ros.rendering.colours import PAPER
from pear_ros.rendering.contact_sheet import contact_sheet

TILE = 400
"""Side of a case's picture, pixels."""
COLUMNS = 4
_ROOM = 1.5
"""Side of what is shown over the longer side of the person's box."""
_LABEL, _FOUND, _THIS = (60, 200, 60), (40, 120, 255), (60, 60, 255)
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
            cv2.imwrite(str(file), contact_sheet(tiles, COLUMNS, TILE))
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
        """Return the surroundings of the person, with everyone's boxes and keypoints."""
        labelled = labels.pictures[self._result.index]
        image = read_picture(labelled)
        for person in self._result.people:
            _draw_box(image, person.box, _LABEL)
            _draw_keypoints(image, person.keypoints[:, :2], person.labelled, _LABEL)
        for one in self._result.found:
            _draw_found(image, one)
        _draw_box(image, self._box, _THIS)
        tile = _around(image, self._box)
        for line, y in ((labelled.path.name, 16), (self._text, TILE - 8)):
            cv2.putText(tile, line, (5, y), _FONT, 0.45, (0, 0, 0), 3, cv2.LINE_AA)
            cv2.putText(tile, line, (5, y), _FONT, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
        return tile


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
            if index >= 0 and counts(person) and person.labelled.any():
                off = float(np.nanmedian(errors(person, result.found[index])))
                text = f"median distance {100.0 * off:.1f} % of the box"
                cases.append(_Case(result, person.box, off, text))
    return cases


def _draw_found(image: Image, found: FoundPerson) -> None:
    _draw_box(image, found.box, _FOUND)
    known = np.asarray(np.isfinite(found.keypoints).all(axis=1))
    _draw_keypoints(image, found.keypoints, known, _FOUND)
    for start, end in BONES:
        if known[start] and known[end]:
            ends = np.clip(found.keypoints[[start, end]], -9999, 9999).round().astype(int)
            cv2.line(image, ends[0].tolist(), ends[1].tolist(), _FOUND, 1, cv2.LINE_AA)


def _draw_keypoints(
    image: Image, points: Doubles, known: npt.NDArray[np.bool_], colour: tuple[int, int, int]
) -> None:
    for point in np.clip(points[known], -9999, 9999).round().astype(int).tolist():
        cv2.circle(image, point, 2, colour, -1, cv2.LINE_AA)


def _draw_box(image: Image, box: npt.NDArray[np.floating], colour: tuple[int, int, int]) -> None:
    x0, y0, x1, y1 = np.clip(box, -9999, 9999).round().astype(int).tolist()
    cv2.rectangle(image, (x0, y0), (x1, y1), colour, 1)


def _around(image: Image, box: npt.NDArray[np.floating]) -> Image:
    """Return the square around a box, TILE pixels wide."""
    side = max(_ROOM * float((box[2:] - box[:2]).max()), 1.0)
    centre = (box[:2] + box[2:]) / 2.0
    scale = TILE / side
    move = TILE / 2.0 - scale * centre
    matrix = np.array([[scale, 0.0, move[0]], [0.0, scale, move[1]]])
    flags = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    tile = cv2.warpAffine(image, matrix, (TILE, TILE), flags=flags, borderValue=(PAPER,) * 3)
    return np.asarray(tile, np.uint8)
