# SPDX-License-Identifier: Apache-2.0
"""Object keypoint similarity (OKS) and the average precision by it, as COCO's evaluation defines.

https://cocodataset.org/#keypoints-eval; Lin et al., Microsoft COCO, ECCV 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros.evaluation.keypoint_names import COCO_SIGMAS
from pear_ros.evaluation.labels import Doubles, LabelledPerson
from pear_ros.evaluation.matching import FoundPerson

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""OKS from which on a found person is the labelled one."""
MOST = 20
"""Found people in a picture that count, those of the highest scores."""

_RECALLS = np.linspace(0.0, 1.0, 101)
_TINY = float(np.spacing(1.0))


@dataclass(frozen=True)
class AveragePrecision:
    """Average precision at each of THRESHOLDS."""

    values: Doubles
    """(10,) 0 to 1; NaN: there are no people with labelled keypoints."""
    people: int
    """Number of people with labelled keypoints."""

    @property
    def mean(self) -> float:
        """COCO's AP: the mean over all thresholds."""
        return float(self.values.mean())

    def at(self, threshold: float) -> float:
        """Return the average precision at one of THRESHOLDS."""
        return float(self.values[int(np.argmin(np.abs(THRESHOLDS - threshold)))])


def keypoint_similarity(found: Doubles, labelled: Doubles, area: float) -> float:
    """Return OKS, 0 to 1, of keypoints (17, 2) and labelled ones (17, 3); NaN: none is labelled.

    `area`: of the person, square pixels. Keypoints that are unknown (NaN) count as infinitely far.
    """
    known = labelled[:, 2] > 0
    if not known.any():
        return float("nan")
    squared = ((found[known] - labelled[known, :2]) ** 2).sum(axis=1)
    return float(_likeness(squared, known, area).mean())


def oks_average_precision(
    pictures: Sequence[tuple[Sequence[LabelledPerson], Sequence[FoundPerson]]],
) -> AveragePrecision:
    """Return COCO's average precision of people found in pictures, over people of all sizes.

    Crowds and people without labelled keypoints are neither missed nor, where found, wrong.
    """
    scores: list[float] = []
    hits: list[npt.NDArray[np.bool_]] = []
    total = 0
    for people, found in pictures:
        total += sum(_counts(person) for person in people)
        order = np.argsort([-one.score for one in found], kind="stable")[:MOST]
        best = [found[n] for n in order]
        right, ignored = _assign(people, best)
        for n, one in enumerate(best):
            scores.append(one.score)
            hits.append(np.where(ignored[:, n], -1, right[:, n]))
    if not total:
        return AveragePrecision(np.full(len(THRESHOLDS), np.nan), 0)
    ranked = np.array(hits).reshape(-1, len(THRESHOLDS))[
        np.argsort(-np.array(scores), kind="stable")
    ]
    return AveragePrecision(
        np.array([_area_under(column[column >= 0], total) for column in ranked.T]), total
    )


def _assign(
    people: Sequence[LabelledPerson], found: Sequence[FoundPerson]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return (thresholds, found) whether they are right, and whether they are left out.

    Found people, in the order of their scores, take the labelled person who is most similar among
    those not yet taken; people who do not count only where no other is similar enough.
    """
    counted = sorted(people, key=lambda person: not _counts(person))
    similar = np.array([[_similarity(one, person) for person in counted] for one in found])
    similar = similar.reshape(len(found), len(counted))
    right = np.zeros((len(THRESHOLDS), len(found)), bool)
    ignored = np.zeros_like(right)
    for number, threshold in enumerate(THRESHOLDS):
        taken = np.zeros(len(counted), bool)
        for n in range(len(found)):
            best, least = -1, min(float(threshold), 1.0 - 1e-10)
            for g, person in enumerate(counted):
                if taken[g] and not person.crowd:
                    continue
                if best >= 0 and _counts(counted[best]) and not _counts(person):
                    break
                if similar[n, g] >= least:
                    best, least = g, similar[n, g]
            if best >= 0:
                taken[best] = True
                right[number, n] = _counts(counted[best])
                ignored[number, n] = not _counts(counted[best])
    return right, ignored


def _counts(person: LabelledPerson) -> bool:
    return not person.crowd and bool(person.labelled.any())


def _similarity(found: FoundPerson, person: LabelledPerson) -> float:
    """Return OKS; for people without labelled keypoints, that of distances outside their box."""
    if person.labelled.any():
        return keypoint_similarity(found.keypoints, person.keypoints, person.area)
    sides = person.box[2:] - person.box[:2]
    low, high = person.box[:2] - sides, person.box[2:] + sides  # COCO doubles the box on each side.
    outside = np.maximum(low - found.keypoints, 0.0) + np.maximum(found.keypoints - high, 0.0)
    return float(_likeness((outside**2).sum(axis=1), np.ones(17, bool), person.area).mean())


def _likeness(squared: Doubles, known: npt.NDArray[np.bool_], area: float) -> Doubles:
    """Return exp(-d^2 / (2 s^2 k^2)) with s^2 the area and k twice the annotators' deviation."""
    exponent = squared / (2.0 * COCO_SIGMAS[known]) ** 2 / (area + _TINY) / 2.0
    likeness: Doubles = np.exp(-np.where(np.isnan(exponent), np.inf, exponent))
    return likeness


def _area_under(right: npt.NDArray[np.int_], total: int) -> float:
    """Return the mean over 101 recalls of the greatest precision at this recall or a greater."""
    if not len(right):
        return 0.0
    found = np.cumsum(right > 0)
    recall = found / total
    precision = found / (np.arange(len(right)) + 1.0)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, _RECALLS, side="left")
    return float(
        np.where(places < len(recall), precision[np.minimum(places, len(recall) - 1)], 0.0).mean()
    )
