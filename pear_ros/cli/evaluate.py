# SPDX-License-Identifier: Apache-2.0
"""`pear evaluate`: compare what is found with labels, and write tables and picture sheets."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pear_ros.core.configuration import EstimatorChoice, EstimatorError
from pear_ros.core.parameters import Parameters
from pear_ros.evaluation.labels import LabelError, LabelledPictures
from pear_ros.evaluation.methods import Method, PipelineMethod
from pear_ros.evaluation.pictures import find_people, picture_figures
from pear_ros.evaluation.readers import read_labels
from pear_ros.evaluation.report import Report
from pear_ros.evaluation.sheets import write_sheets


def evaluate(
    source: Path, images: Path | None, folder: Path, parameters: Parameters, worst: int
) -> int:
    """Evaluate on the labels `source`, write results into `folder`; return the exit code.

    `images`: folder of the pictures, None: beside the labels; `worst`: cases on a picture sheet.
    """
    try:
        labels = read_labels(source, images)
        folder.mkdir(parents=True, exist_ok=True)
        methods = [_pipeline(parameters)]
        try:
            report = evaluate_pictures(labels, methods, folder, parameters.field_of_view, worst)
        finally:
            for method in methods:
                method.close()
        files = report.save(folder)
    except (OSError, EstimatorError, LabelError) as error:  # among them AssetError
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(report.as_text())
    print(f"\nResults are in {', '.join(str(f.resolve()) for f in (*files, *report.pictures))}")
    return 0


def evaluate_pictures(
    labels: LabelledPictures,
    methods: Sequence[Method],
    folder: Path,
    field_of_view: float,
    worst: int,
) -> Report:
    """Return the report of all `methods`; picture sheets of the first go into `folder`."""
    figures = {}
    sheets: list[Path] = []
    for number, method in enumerate(methods):
        pictures = tqdm(labels.pictures, unit="picture", desc=method.name)
        results = find_people(method, pictures, field_of_view)
        figures[method.name] = picture_figures(labels, results)
        if number == 0:
            sheets = write_sheets(labels, results, folder, worst)
    people = sum(len(picture.people) for picture in labels.pictures)
    about = [
        f"{labels.name}: {len(labels.pictures)} pictures with {people} labelled people",
        f"Each picture on its own, field of view {field_of_view:g} degrees",
        *labels.ignored,
    ]
    return Report(labels.name, about, figures, sheets)


def _pipeline(parameters: Parameters) -> Method:
    from pear_ros.estimators.factory import make_estimator
    from pear_ros.pipeline import Pipeline

    estimator = make_estimator(EstimatorChoice.of(parameters))
    return PipelineMethod(Pipeline(estimator, settings=parameters))
