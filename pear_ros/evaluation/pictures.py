# SPDX-License-Identifier: Apache-2.0
"""Evaluation on labelled pictures, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tqdm import tqdm

from pear_ros.core.camera import Camera
from pear_ros.evaluation.detection_metrics import detection_figures
from pear_ros.evaluation.figures import Figures
from pear_ros.evaluation.keypoint_metrics import common_figures, keypoint_figures
from pear_ros.evaluation.labels import LabelledPicture, LabelledPictures
from pear_ros.evaluation.matching import MatchedPicture, match
from pear_ros.evaluation.methods import Method
from pear_ros.evaluation.reading import read_picture


def find_people(
    method: Method, pictures: Iterable[LabelledPicture], field_of_view: float
) -> list[MatchedPicture]:
    """Return what `method` finds in each picture, as if there were no other.

    `field_of_view`: of all cameras, degrees across the longer side. Raises LabelError.
    """
    results = []
    for index, labelled in enumerate(pictures):
        image = read_picture(labelled.path)
        height, width = image.shape[:2]
        method.reset()
        found = method(image, Camera.from_field_of_view(width, height, field_of_view), 0.0)
        results.append(match(index, labelled.people, found))
    return results


def picture_figures(labels: LabelledPictures, results: Sequence[MatchedPicture]) -> Figures:
    """Return the figures of a method's `results` on pictures."""
    figures = dict(detection_figures(results))
    if labels.has_keypoints or any(p.head is not None for one in results for p in one.people):
        figures.update(keypoint_figures(results))
    return figures


def compare_on_pictures(
    labels: LabelledPictures, methods: Sequence[Callable[[], Method]], field_of_view: float
) -> tuple[dict[str, Figures], list[list[MatchedPicture]]]:
    """Return the figures of each method on labelled pictures, by its name, and what it found.

    `methods`: functions that make the methods, one after the other as each holds its models.
    `field_of_view`: as of `find_people`. Raises LabelError.
    """
    figures: dict[str, Figures] = {}
    results: list[list[MatchedPicture]] = []
    for make in methods:
        method = make()
        try:
            pictures = tqdm(labels.pictures, unit="picture", desc=f"{labels.name}, {method.name}")
            results.append(find_people(method, pictures, field_of_view))
        finally:
            method.close()
        figures[method.name] = picture_figures(labels, results[-1])
    if len(results) > 1 and labels.has_keypoints:
        names = zip(figures, common_figures(results), strict=True)
        figures = {name: {**figures[name], **shared} for name, shared in names}
    return figures, results
