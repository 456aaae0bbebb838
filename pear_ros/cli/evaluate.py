# SPDX-License-Identifier: Apache-2.0
"""`pear evaluate`: compare what is found with labels, and write tables and picture sheets."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pear_ros.cli.evaluate_dataset import evaluate_dataset
from pear_ros.core.configuration import EstimatorChoice, EstimatorError
from pear_ros.core.estimator import DeviceLostError
from pear_ros.core.parameters import Parameters
from pear_ros.core.quoting import printable
from pear_ros.evaluation import coco_regressor
from pear_ros.evaluation.calibrations import read_calibration
from pear_ros.evaluation.clips import Clip, read_clip, write_clip
from pear_ros.evaluation.labels import LabelError, LabelledPictures
from pear_ros.evaluation.mediapipe import VARIANTS, BaselineError, MediaPipePose
from pear_ros.evaluation.methods import Method, PipelineMethod
from pear_ros.evaluation.pictures import compare_on_pictures
from pear_ros.evaluation.readers import read_labels
from pear_ros.evaluation.report import Report
from pear_ros.evaluation.sheets import write_sheets
from pear_ros.evaluation.triangulated_clips import (
    found_points,
    read_points,
    triangulated,
    view_files,
)
from pear_ros.evaluation.views import Found, clip_figures, compare_on_clip, find_in_view
from pear_ros.io.video import FrameSource

CALIBRATIONS = (".qca.txt", ".toml")
"""Suffixes of calibration files."""
_FAILURES = (OSError, EstimatorError, LabelError, BaselineError, DeviceLostError)
"""Errors, among them AssetError, whose texts are for the user."""


@dataclass(frozen=True)
class Task:
    """What to evaluate, and where results go."""

    labels: Path
    """File or folder with labels, or a calibration."""
    images: Path | None
    """Folder of pictures or videos; None: beside the labels."""
    points: Path | None
    """NPZ with 2D points to triangulate, instead of what the estimator finds."""
    folder: Path
    parameters: Parameters
    baseline: bool
    """Whether MediaPipe Pose is measured as well."""
    worst: int
    """Cases on each picture sheet at most."""
    dataset: str | None = None
    """Name of a published dataset that `labels` is the folder of; None: own labels."""
    every: int = 1
    """Of the pictures of a dataset each such one is taken."""


def evaluate(task: Task) -> int:
    """Evaluate, write the results and print the tables; return the exit code."""
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
        report = _report(task)
        files = report.save(task.folder)
    except _FAILURES as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        return 1
    print(printable(report.as_text()))
    print(f"\nResults are in {', '.join(str(f.resolve()) for f in (*files, *report.pictures))}")
    return 0


def _report(task: Task) -> Report:
    calibrated = str(task.labels).endswith(CALIBRATIONS)
    if task.dataset is not None:
        if task.baseline or task.points is not None or task.images is not None:
            raise LabelError("--baseline, --points and --images do not go with --dataset")
        return evaluate_dataset(task.dataset, task.labels, task.parameters, task.every)
    if task.every != 1:
        raise LabelError("--every goes with --dataset")
    if task.points is not None and not calibrated:
        raise LabelError(f"--points belong to a calibration ({', '.join(CALIBRATIONS)})")
    if calibrated:
        return _evaluate_calibrated(task)
    if task.labels.suffix == ".npz":
        return _evaluate_clip(task, read_clip(task.labels, task.images))
    return _evaluate_pictures(task, read_labels(task.labels, task.images))


def _evaluate_pictures(task: Task, labels: LabelledPictures) -> Report:
    view = task.parameters.field_of_view
    figures, results = compare_on_pictures(labels, _methods(task, still=True), view)
    people = sum(len(picture.people) for picture in labels.pictures)
    about = [
        f"{labels.name}: {len(labels.pictures)} pictures with {people} labelled people",
        f"Each picture on its own, field of view {view:g} degrees",
        *([coco_regressor.ABOUT] if labels.has_keypoints else []),
        *labels.ignored,
    ]
    sheets = write_sheets(labels, results[0], task.folder, task.worst)
    return Report(labels.name, about, figures, sheets)


def _evaluate_clip(
    task: Task, clip: Clip, about: Sequence[str] = (), known: Mapping[str, Sequence[Found]] = {}
) -> Report:
    """Return the report on a clip; `known`: what methods, by name, found in its views."""
    makers = _methods(task, still=False, meshes=clip.vertices is not None)[len(known) :]
    figures = {name: clip_figures(clip, found) for name, found in known.items()}
    figures.update(compare_on_clip(clip, makers))
    people = clip.joints.shape[1]
    title = (
        f"{clip.name}: {len(clip.cameras)} views, {len(clip.frames)} labelled frames with {people} "
        f"{'person' if people == 1 else 'people'}, {clip.frame_rate:g} frames per second"
    )
    return Report(clip.name, [title, coco_regressor.ABOUT, *about], figures)


def _evaluate_calibrated(task: Task) -> Report:
    """Triangulate the joints, write triangulated.npz, and evaluate on it."""
    cameras = read_calibration(task.labels)
    videos = view_files(task.images or task.labels.parent, [camera.name for camera in cameras])
    known: dict[str, Sequence[Found]] = {}
    if task.points is not None:
        moments = read_points(task.points, len(cameras))
        source = str(task.points)
    else:
        method = _methods(task, still=False)[0]()
        try:
            found = [
                find_in_view(method, c, video) for c, video in zip(cameras, videos, strict=True)
            ]
        finally:
            method.close()
        known[method.name] = found
        moments = found_points(found)
        source = f"what {method.name} found in the views: figures in space are relative to that"
    rate = FrameSource(str(videos[0])).frame_rate or 30.0
    clip, error = triangulated(task.labels.name.partition(".")[0], cameras, videos, moments, rate)
    write_clip(task.folder / "triangulated.npz", clip)
    about = [f"Joints in space are triangulated (triangulated.npz) from {source}", error]
    return _evaluate_clip(task, clip, about, known)


def _methods(task: Task, *, still: bool, meshes: bool = False) -> list[Callable[[], Method]]:
    """Return functions that make the methods, one after the other: each holds its models."""
    makers: list[Callable[[], Method]] = [lambda: _pipeline(task.parameters, meshes)]
    if task.baseline:
        makers += [functools.partial(MediaPipePose, variant, still) for variant in VARIANTS]
    return makers


def _pipeline(parameters: Parameters, meshes: bool) -> Method:
    from pear_ros.detection.detectors import make_detector
    from pear_ros.estimators.factory import make_estimator
    from pear_ros.estimators.landmark_estimator import LandmarkEstimator
    from pear_ros.pipeline import Pipeline

    estimator = make_estimator(EstimatorChoice.of(parameters))
    detector = make_detector(min_score=parameters.min_detection_score)
    pipeline = Pipeline(estimator, detector, parameters)
    shown = estimator if isinstance(estimator, LandmarkEstimator) else None
    return PipelineMethod(pipeline, shown, meshes)
