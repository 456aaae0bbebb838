# SPDX-License-Identifier: Apache-2.0
"""The stages that are timed, and the attributes of the pipeline that implement them.

Only this module names these private attributes, so that the pipeline needs no timers of its own.
"""

from __future__ import annotations

from pear_ros.cli.bench.stopwatch import Stopwatch
from pear_ros.core.estimator import Estimator
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.estimators.pear import PearEstimator
from pear_ros.pipeline import Pipeline

DECODE, MESH, MESSAGES, OTHER = "decode", "mesh", "messages", "other"

MEANINGS = {
    DECODE: "reading and decoding of the image",
    "detect": "waiting for the detector, which runs in parallel",
    "landmarks": "landmarks of the bodies",
    "fit": "fit of the bodies",
    "fit parts": "fit of hands and faces",
    "wait for parts": "for landmarks of hands and faces, detected in parallel",
    "follow": "image regions for the network",
    "network": "crops and PEAR's network",
    "place": "placement of the network's results before the camera",
    "estimate": "all of the estimator",
    "track": "identities",
    "true size": "size and distance",
    "smooth": "smoothing",
    MESH: "vertices of all people",
    MESSAGES: "HumanArray and mesh markers, serialised",
    OTHER: "everything else",
}
"""Stages in the order of execution, with their descriptions."""


def watch_parts(pipeline: Pipeline, estimator: Estimator, stopwatch: Stopwatch) -> None:
    """Let `stopwatch` time the stages of `pipeline` and of its `estimator`."""
    stopwatch.watch(pipeline, "_detector", "detect")
    stopwatch.watch(pipeline._tracker, "predict", "track")
    stopwatch.watch(pipeline._tracker, "update", "track")
    stopwatch.watch(pipeline, "_metric_scale", "true size")
    stopwatch.watch(pipeline, "_smoother", "smooth")
    rest = "estimate"
    if isinstance(estimator, LandmarkEstimator):
        stopwatch.watch(estimator._landmarks, "submit", "landmarks")
        stopwatch.watch(estimator, "_fit", "fit")
        stopwatch.watch(estimator, "_fit_parts", "fit parts")
        rest = "wait for parts"
    elif isinstance(estimator, PearEstimator):
        stopwatch.watch(estimator, "_detect", "follow")
        stopwatch.watch(estimator._runtime, "infer", "network")
        rest = "place"
    stopwatch.watch(estimator, "estimate", rest)
