# SPDX-License-Identifier: Apache-2.0
"""How near found keypoints are to labelled ones in the picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pear_ros.evaluation.detection_metrics import KEYPOINT_COUNTS, counts
from pear_ros.evaluation.figures import Figure, Figures, mean, median, percentage
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS
from pear_ros.evaluation.labels import Doubles, LabelledPerson
from pear_ros.evaluation.matching import FoundPerson, MatchedPicture
from pear_ros.evaluation.oks import keypoint_similarity, oks_average_precision

PCK = (0.05, 0.1)
"""Thresholds of PCK over the longer side of a person's box."""
PCKH = (0.5, 0.1)
"""Thresholds of PCKh over the size of a person's head."""
HEAD_OF_DIAGONAL = 0.6
"""Size of the head over the diagonal of its box, as MPII's evaluation has it."""
RIGHT_WITHIN = 0.1
"""Distance of a joint of a fit that counts as right, over the longer side of the box."""
RIGHT_SHARE = 0.5
"""Share of a person's labelled keypoints that have to be right for the fit to be right."""
MIN_KEYPOINTS = 9
"""Labelled keypoints from which on it is judged whether a fit is right."""

_EYES = [COCO_KEYPOINTS.index(name) for name in ("left_eye", "right_eye")]
_PARTS = {
    "head": range(0, 5),
    "shoulders, elbows, wrists": range(5, 11),
    "hips, knees, ankles": range(11, 17),
}


def errors(person: LabelledPerson, found: FoundPerson) -> Doubles:
    """Return the distances (17,) of keypoints over the longer side of the box; NaN: no label.

    Infinite where the label is there and the method has no such keypoint.
    """
    return _distances(person.keypoints, found.keypoints) / max(person.size, 1e-6)


def pck(distances: Doubles, threshold: float) -> float:
    """Return PCK, the share of known `distances` that are at most `threshold`; NaN: none is known.

    Percentage of correct keypoints (Yang and Ramanan, TPAMI 2013); distances and threshold are over
    the longer side of the person's box, or over the head's size for PCKh (Andriluka et al., CVPR
    2014).
    """
    known = ~np.isnan(distances)
    return float((distances[known] <= threshold).mean()) if known.any() else float("nan")


def is_right(distances: Doubles) -> bool:
    """Return whether half of the labelled keypoints are right; `distances` as of `errors`."""
    return pck(distances, RIGHT_WITHIN) >= RIGHT_SHARE


def keypoint_figures(pictures: Sequence[MatchedPicture]) -> Figures:
    """Return PCK, PCKh, OKS, OKS-AP and the share of people whose fit is right.

    Distances are those of people whose bodies were read; others count as found, and as not right.
    """
    found = [pair for pair in _pairs(pictures) if pair[0].labelled.any()]
    pairs = [(person, one) for person, one in found if one.observed]
    tables = {"Keypoints of the found": _position(pairs)}
    if len(pairs) < len(found):
        read = percentage("body read, % of the found", [one.observed for _, one in found])
        tables["Keypoints of the found"].insert(0, read)
    seen = [(person, one) for person, one in pairs if np.isfinite(one.landmarks).any()]
    if seen:
        raw = [(person, replace(one, keypoints=one.landmarks)) for person, one in seen]
        tables["Their landmarks, before the fit"] = _position(raw)
    hands = _stack([_hand_errors(person, one) for person, one in pairs], 42)
    if (~np.isnan(hands)).any():
        tables["Keypoints of the found"].append(
            median("hands, median distance, % of the box", 100.0 * hands, 2)
        )
    tables["All people"] = _all_people(pictures)
    return {name: figures for name, figures in tables.items() if figures}


def common_figures(methods: Sequence[Sequence[MatchedPicture]]) -> list[Figures]:
    """Return for each method the figures of keypoints of those people whom all methods read.

    `methods`: the results of each on the same pictures.
    """
    shared = [
        np.logical_and.reduce([_read(one) for one in results])
        for results in zip(*methods, strict=True)
    ]
    return [
        {
            "Keypoints of people whom all find": _position(
                [
                    pair
                    for pair in _pairs(
                        [
                            replace(one, match=np.where(both, one.match, -1))
                            for one, both in zip(results, shared, strict=True)
                        ]
                    )
                    if pair[0].labelled.any()
                ]
            )
        }
        for results in methods
    ]


def _read(picture: MatchedPicture) -> npt.NDArray[np.bool_]:
    """Return for each labelled person whether the person is found and the body was read."""
    return np.array([n >= 0 and picture.found[n].observed for n in picture.match], bool)


def _position(pairs: Sequence[tuple[LabelledPerson, FoundPerson]]) -> list[Figure]:
    off = _stack([errors(person, one) for person, one in pairs])
    figures = [Figure(f"PCK@{t:g} of the box, %", 100.0 * pck(off, t), _count(off)) for t in PCK]
    figures.append(median("median distance, % of the box", 100.0 * off, 2))
    for part, indices in _PARTS.items():
        figures.append(median(f"  {part}", 100.0 * off[:, list(indices)], 2))
    with_head = [(person, one) for person, one in pairs if person.head is not None]
    if with_head:
        by_head = _stack([_errors_by_head(person, one) for person, one in with_head])
        figures += [
            Figure(f"PCKh@{t:g}, %", 100.0 * pck(by_head, t), _count(by_head)) for t in PCKH
        ]
    similarity = [
        keypoint_similarity(one.keypoints, person.keypoints, person.area) for person, one in pairs
    ]
    figures.append(mean("OKS of the found", similarity, 3))
    return figures


def _all_people(pictures: Sequence[MatchedPicture]) -> list[Figure]:
    people = [(picture.people, picture.found) for picture in pictures]
    figures = []
    if any(person.labelled.any() for one, _ in people for person in one):
        most = KEYPOINT_COUNTS[-1][1]
        for low, high in ((MIN_KEYPOINTS, most), *KEYPOINT_COUNTS):
            judged = list(_right(pictures, low, high))
            if judged:
                name = f"fit right, of people with {low} to {high} keypoints, %"
                figures.append(percentage(name, judged))
        average = oks_average_precision(people)
        total = average.people
        figures += [
            Figure("OKS-AP (.50 to .95), %", 100.0 * average.mean, total),
            Figure("OKS-AP50, %", 100.0 * average.at(0.5), total),
            Figure("OKS-AP75, %", 100.0 * average.at(0.75), total),
        ]
    heads = [
        found is not None and _within(found.keypoints[_EYES].mean(axis=0), person.head)
        for person, found in _everybody(pictures)
        if person.head is not None
    ]
    if heads:
        figures.append(percentage("found with the head on the head, %", heads))
    return figures


def _right(pictures: Sequence[MatchedPicture], low: int, high: int) -> Iterator[bool]:
    """Yield for people with `low` to `high` labelled keypoints whether their fit is right."""
    for person, found in _everybody(pictures):
        if low <= person.labelled.sum() <= high:
            yield found is not None and found.observed and is_right(errors(person, found))


def _everybody(
    pictures: Sequence[MatchedPicture],
) -> Iterator[tuple[LabelledPerson, FoundPerson | None]]:
    """Yield every person who has to be found, with the found person or None."""
    for picture in pictures:
        for person, index in zip(picture.people, picture.match, strict=True):
            if counts(person):
                yield person, picture.found[index] if index >= 0 else None


def _pairs(pictures: Sequence[MatchedPicture]) -> list[tuple[LabelledPerson, FoundPerson]]:
    return [(person, found) for person, found in _everybody(pictures) if found is not None]


def _errors_by_head(person: LabelledPerson, found: FoundPerson) -> Doubles:
    assert person.head is not None
    size = HEAD_OF_DIAGONAL * float(np.linalg.norm(person.head[2:] - person.head[:2]))
    return _distances(person.keypoints, found.keypoints) / max(size, 1e-6)


def _hand_errors(person: LabelledPerson, found: FoundPerson) -> Doubles:
    off = _distances(person.hands, found.hands) / max(person.size, 1e-6)
    return np.where(np.isinf(off), np.nan, off)  # Tips of fingers are no joints.


def _distances(labelled: Doubles, found: Doubles) -> Doubles:
    off = np.linalg.norm(found - labelled[:, :2], axis=1)
    return np.where(labelled[:, 2] > 0, np.where(np.isnan(off), np.inf, off), np.nan)


def _within(point: Doubles, box: Doubles | None) -> bool:
    return box is not None and bool((box[:2] <= point).all() and (point <= box[2:]).all())


def _stack(rows: Sequence[Doubles], width: int = 17) -> Doubles:
    return np.asarray(rows, np.float64).reshape(-1, width)


def _count(distances: Doubles) -> int:
    return int((~np.isnan(distances)).sum())
