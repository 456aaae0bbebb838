# SPDX-License-Identifier: Apache-2.0
"""`pear evaluate --dataset`: published datasets by their protocols, beside published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pear_ros.body.array_files import check_indices, read_npy
from pear_ros.core.configuration import EstimatorChoice
from pear_ros.core.parameters import Parameters
from pear_ros.evaluation import coco_regressor
from pear_ros.evaluation.datasets.agora import read_agora
from pear_ros.evaluation.datasets.catalogue import DATASETS
from pear_ros.evaluation.datasets.ehf import read_ehf
from pear_ros.evaluation.datasets.estimating import BoxedEstimator, DetectedBodies
from pear_ros.evaluation.datasets.keypoint_sets import (
    read_coco_val,
    read_lsp_extended,
    read_posetrack,
)
from pear_ros.evaluation.datasets.people import SMPLX_VERTICES, MeshBenchmark
from pear_ros.evaluation.datasets.protocol_files import find_protocol_files, left_out
from pear_ros.evaluation.datasets.published import published_columns, sources
from pear_ros.evaluation.datasets.runs import agora_figures, keypoint_set_figures, mesh_figures
from pear_ros.evaluation.datasets.threedpw import read_threedpw
from pear_ros.evaluation.datasets.ubody import read_ubody
from pear_ros.evaluation.figures import Figure, Figures
from pear_ros.evaluation.labels import LabelError
from pear_ros.evaluation.reading import damage_of
from pear_ros.evaluation.report import Report
from pear_ros.pear.files import default_model_folder

MESHES = {"3dpw": read_threedpw, "ehf": read_ehf, "ubody": read_ubody}
KEYPOINTS = {
    "lsp-extended": read_lsp_extended,
    "coco-val": read_coco_val,
    "posetrack": read_posetrack,
}
_OTHER_BODY = (
    "This estimator's mesh is not of SMPL-X: figures of vertices, and of joints regressed from "
    "them, are left out; --estimator pear has SMPL-X's"
)


def evaluate_dataset(name: str, folder: Path, parameters: Parameters, every: int) -> Report:
    """Return the report on a dataset in `folder`, a key of DATASETS.

    `every`: of the pictures each such one is taken. Raises LabelError, EstimatorError, OSError.
    """
    if not folder.is_dir():
        raise LabelError(f"{folder} is no folder; {_how_to_get(name)}")
    models = Path(parameters.model_folder or default_model_folder())
    files = find_protocol_files([models, folder])
    about = [f"Protocol: {DATASETS[name].protocol}"]
    try:
        if name in KEYPOINTS:
            figures, method, notes = _keypoints(name, folder, parameters, every)
        elif name in MESHES:
            benchmark = MESHES[name](folder, files)
            figures, method, notes = _meshes(benchmark, parameters, every)
        else:
            figures, method, notes = _agora(folder, files, parameters, every)
    except LabelError as error:
        raise LabelError(f"{error}. {_how_to_get(name)}") from error
    title = DATASETS[name].title
    if every > 1:
        about.append(f"One picture in {every} alone: not the whole set")
    about += [*notes, *(f"Columns {text}" for text in sources(name))]
    heading = title if name in KEYPOINTS else f"{title}, mm"
    columns: dict[str, Figures] = {method: {heading: figures}}
    columns.update({who: {heading: rows} for who, rows in published_columns(name).items()})
    return Report(title, about, columns)


_Run = tuple[list[Figure], str, Sequence[str]]


def _keypoints(name: str, folder: Path, parameters: Parameters, every: int) -> _Run:
    labels = KEYPOINTS[name](folder)
    method = _boxed(parameters)
    try:
        figures = keypoint_set_figures(labels, method, parameters.field_of_view, every)
    finally:
        method.close()
    notes = [
        "Boxes: as labelled, else around the keypoints; PCK is over the longer side of the box, "
        "for each keypoint, then their mean",
        coco_regressor.ABOUT,
        *labels.ignored,
    ]
    return figures, method.name, notes


def _meshes(benchmark: MeshBenchmark, parameters: Parameters, every: int) -> _Run:
    method = _boxed(parameters)
    try:
        figures = mesh_figures(benchmark, method, parameters.field_of_view, every)
    finally:
        method.close()
    notes = [*benchmark.about, *([] if method.has_smplx_mesh else [_OTHER_BODY])]
    return figures, method.name, notes


def _agora(folder: Path, files: Mapping[str, Path], parameters: Parameters, every: int) -> _Run:
    from pear_ros.detection.detectors import make_detector
    from pear_ros.estimators.factory import make_estimator
    from pear_ros.pipeline import Pipeline

    body = _vertices(files["agora_body"]) if "agora_body" in files else None
    notes = left_out("MVE is", files, ["agora_body"])
    detector = make_detector(min_score=parameters.min_detection_score)
    estimator = make_estimator(EstimatorChoice.of(parameters))
    if estimator.body.vertex_count != SMPLX_VERTICES:
        notes.append(_OTHER_BODY)
    method = DetectedBodies(Pipeline(estimator, detector, parameters))
    try:
        figures = agora_figures(read_agora(folder), method, body, every)
    finally:
        method.close()
    return figures, method.name, notes


def _boxed(parameters: Parameters) -> BoxedEstimator:
    from pear_ros.estimators.factory import make_estimator

    return BoxedEstimator(make_estimator(EstimatorChoice.of(parameters)))


def _vertices(file: Path) -> npt.NDArray[np.intp]:
    with damage_of(file):
        found = read_npy(file, "a list of SMPL-X's vertices")
        check_indices(file, "the list", found, SMPLX_VERTICES)
        return found.astype(np.intp)


def _how_to_get(name: str) -> str:
    one = DATASETS[name]
    return (
        f"{one.title} is at {one.origin} (licence: {one.licence}); the folder has to have "
        f"{', '.join(one.layout)}"
    )
