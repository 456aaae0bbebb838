# SPDX-License-Identifier: Apache-2.0
"""Evaluation on datasets by their protocols: from pictures to figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from pear_ros.core.camera import Camera
from pear_ros.core.people import Image
from pear_ros.evaluation.datasets.agora import FULL_WIDTH, AgoraPicture
from pear_ros.evaluation.datasets.comparisons import HIPS
from pear_ros.evaluation.datasets.estimating import BoxedEstimator, DetectedBodies
from pear_ros.evaluation.datasets.mesh_metrics import MATCHING_JOINTS, f1_score, match_by_joints
from pear_ros.evaluation.datasets.people import SMPLX_VERTICES, FoundBody, MeshBenchmark
from pear_ros.evaluation.figures import Figure, mean, percentage
from pear_ros.evaluation.keypoint_metrics import PCK, errors
from pear_ros.evaluation.labels import Doubles, LabelledPictures
from pear_ros.evaluation.methods import found_person
from pear_ros.evaluation.pose_metrics import root_relative_error
from pear_ros.evaluation.reading import read_picture


def mesh_figures(
    benchmark: MeshBenchmark, method: BoxedEstimator, field_of_view: float, every: int = 1
) -> list[Figure]:
    """Return the mean errors of a method on labelled boxes, and how many people it sees.

    `field_of_view`: of cameras that are not known, degrees; `every`: of the pictures each such one
    is taken. Raises LabelError.
    """
    values: defaultdict[str, list[float]] = defaultdict(list)
    seen = []
    pictures = benchmark.pictures[every - 1 :: every] or benchmark.pictures
    for picture in tqdm(pictures, unit="picture", desc=f"{benchmark.title}, {method.name}"):
        image = read_picture(picture.path)
        camera = _camera(image, picture.intrinsics, field_of_view)
        found = method(image, camera, [person.box for person in picture.people])
        for one, person in zip(found, picture.people, strict=True):
            seen.append(one is not None and one.person.pose_observed)
            if one is not None and one.person.pose_observed:
                for name, error in benchmark.compare(one, person).items():
                    values[name].append(error)
    return [mean(name, errors_) for name, errors_ in values.items()] + [percentage("seen, %", seen)]


def keypoint_set_figures(
    labels: LabelledPictures, method: BoxedEstimator, field_of_view: float, every: int = 1
) -> list[Figure]:
    """Return PCK of a method on labelled boxes: for each keypoint, then their mean.

    As ViTPose's and 4D-Humans' evaluation has it; people whom the method does not see count as
    wrong. `field_of_view`, `every`: as of `mesh_figures`. Raises LabelError.
    """
    rows: list[Doubles] = []
    seen = []
    pictures = labels.pictures[every - 1 :: every] or labels.pictures
    for picture in tqdm(pictures, unit="picture", desc=f"{labels.name}, {method.name}"):
        image = read_picture(picture.path)
        camera = _camera(image, None, field_of_view)
        found = method(image, camera, [one.box for one in picture.people], meshes=False)
        for one, person in zip(found, picture.people, strict=True):
            seen.append(one is not None and one.person.pose_observed)
            if one is not None and one.person.pose_observed:
                rows.append(errors(person, found_person(one.person, camera)))
            else:
                rows.append(np.where(person.labelled, np.inf, np.nan))
    distances = np.asarray(rows, np.float64).reshape(-1, 17)
    figures = [mean_pck(f"PCK@{threshold:g}, %", distances, threshold) for threshold in PCK]
    return [*figures, percentage("seen, %", seen)]


def mean_pck(name: str, distances: Doubles, threshold: float) -> Figure:
    """Return the mean over the keypoints of their PCK, per cent.

    `distances` (N, 17) over the longer side of the box; NaN: not labelled.
    """
    known = ~np.isnan(distances)
    hits = (distances <= threshold).sum(axis=0)
    counts = known.sum(axis=0)
    shares = hits[counts > 0] / counts[counts > 0]
    value = 100.0 * float(shares.mean()) if len(shares) else float("nan")
    return Figure(name, value, int(counts.sum()))


def agora_figures(
    pictures: Iterable[AgoraPicture],
    method: DetectedBodies,
    body: npt.NDArray[np.intp] | None,
    every: int = 1,
) -> list[Figure]:
    """Return AGORA's figures of a method that detects people: errors, F1 and both in one.

    `body`: indices of the vertices that count as body; None: MVE is left out. `every`: as of
    `mesh_figures`. Raises LabelError.
    """
    vertex_errors: list[float] = []
    joint_errors: list[float] = []
    hits = false = missed = 0
    chosen = islice(pictures, every - 1, None, every)
    for picture in tqdm(chosen, unit="picture", desc=f"AGORA, {method.name}"):
        image = read_picture(picture.path)
        height, width = image.shape[:2]
        found = method(image, picture.camera(width, height))
        pixels = _pixels(found) * (FULL_WIDTH / width)
        pairs, strangers = match_by_joints(pixels, picture.joints_2d, picture.valid)
        hits, false = hits + len(pairs), false + len(strangers)
        missed += int(picture.valid.sum()) - len(pairs)
        for one, other in pairs:
            joints = found[one].person.joints[:22].astype(np.float64)
            roots = [part[list(HIPS)].mean(axis=0) for part in (joints, picture.joints[other])]
            joint_errors.append(root_relative_error(joints, picture.joints[other], *roots))
            vertices = found[one].vertices
            if body is not None and len(vertices) == SMPLX_VERTICES:
                mesh = np.asarray(picture.meshes[other], np.float64)
                error = root_relative_error(vertices[body], mesh[body], *roots)
                vertex_errors.append(error)
    # Rounded to two digits, as in the owners' evaluation.
    f1 = round(f1_score(hits, false, missed), 2) if hits + false + missed else float("nan")
    people = hits + missed
    figures = []
    for short, values in (("MVE", vertex_errors), ("MPJPE", joint_errors)):
        figure = mean(f"body, {short}", values)
        normalised = figure.value / f1 if f1 else float("nan")
        figures += [figure, Figure(f"body, N-{short}", normalised, figure.count)]
    return [
        *figures,
        Figure("F1", f1, people, 2),
        Figure("precision, %", _share(hits, false), hits + false),
        Figure("recall, %", _share(hits, missed), people),
    ]


def _share(hits: int, others: int) -> float:
    return 100.0 * hits / (hits + others) if hits + others else float("nan")


def _pixels(found: Sequence[FoundBody]) -> Doubles:
    """(P, 24, 2) the first joints in the image."""
    points = [one.person.keypoints[:MATCHING_JOINTS] for one in found]
    return np.asarray(points, np.float64).reshape(-1, MATCHING_JOINTS, 2)


def _camera(
    image: Image, intrinsics: tuple[float, float, float, float] | None, field_of_view: float
) -> Camera:
    height, width = image.shape[:2]
    if intrinsics is None:
        return Camera.from_field_of_view(width, height, field_of_view)
    return Camera(width, height, *intrinsics)
