# SPDX-License-Identifier: Apache-2.0
"""How many people are found, and how much is found without a label.

Recall and precision by box overlap (Everingham et al., The PASCAL Visual Object Classes Challenge,
IJCV 2010), with regions of crowds and small people left out as in COCO's evaluation
(https://cocodataset.org/#detection-eval).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pear_ros.evaluation.figures import Figure, Figures, number, percentage
from pear_ros.evaluation.labels import LabelledPerson
from pear_ros.evaluation.matching import MatchedPicture

MIN_HEIGHT = 60.0
"""Height of a box, pixels, from which on a person counts; smaller ones are neither missed nor
false alarms."""
HEIGHTS = ((60.0, 100.0), (100.0, 200.0), (200.0, math.inf))
"""Ranges of heights of boxes, pixels, that are reported on their own."""
KEYPOINT_COUNTS = ((5, 8), (9, 12), (13, 17))
"""Ranges of numbers of labelled keypoints that are reported on their own."""


def counts(person: LabelledPerson) -> bool:
    """Return whether a labelled person has to be found."""
    return not person.crowd and person.height >= MIN_HEIGHT


def detection_figures(pictures: Sequence[MatchedPicture]) -> Figures:
    """Return recall by size and by labelled keypoints, the unmatched by size, and false alarms."""
    people = [
        (person, found >= 0)
        for picture in pictures
        for person, found in zip(picture.people, picture.match, strict=True)
        if counts(person)
    ]
    tables: dict[str, list[Figure]] = {
        "People found, % (recall)": [
            percentage("all of 60 px and more", [hit for _, hit in people])
        ]
    }
    for low, high in HEIGHTS:
        hits = [hit for person, hit in people if low <= person.height < high]
        tables["People found, % (recall)"].append(percentage(_range(low, high), hits))
    for fewest, most in KEYPOINT_COUNTS:
        hits = [hit for person, hit in people if fewest <= person.labelled.sum() <= most]
        name = f"{fewest} to {most} keypoints labelled"
        if hits:
            tables["People found, % (recall)"].append(percentage(name, hits))
    tables["Found without a label, % (1 - precision)"] = _unmatched(pictures)
    empty = [picture for picture in pictures if not picture.people]
    if empty:
        alarms = [len(picture.found) > 0 for picture in empty]
        tables["Pictures without people"] = [
            percentage("with a false alarm, %", alarms),
            number("false alarms", sum(len(picture.found) for picture in empty), len(empty)),
        ]
    return tables


def _unmatched(pictures: Sequence[MatchedPicture]) -> list[Figure]:
    heights, wrong = [], []
    for picture in pictures:
        unmatched = set(picture.unmatched)
        for index, one in enumerate(picture.found):
            if not picture.in_crowd[index]:
                heights.append(float(one.box[3] - one.box[1]))
                wrong.append(index in unmatched)
    high, hits = np.array(heights), np.array(wrong, bool)
    figures = [percentage("all", hits)]
    for low, top in HEIGHTS:
        figures.append(percentage(_range(low, top), hits[(high >= low) & (high < top)]))
    return figures


def _range(low: float, high: float) -> str:
    return f"above {low:.0f} px" if math.isinf(high) else f"{low:.0f} to {high:.0f} px"
