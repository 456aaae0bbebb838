# SPDX-License-Identifier: Apache-2.0
"""Which parts of the pipeline and of its estimators are timed, and as what.

Here alone their private parts are named, so that they need no timers of their own.
"""

from __future__ import annotations

from pear_ros.cli.bench.stopwatch import Stopwatch
from pear_ros.core.estimator import Estimator
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.estimators.pear import PearEstimator
from pear_ros.pipeline import Pipeline

DECODE, MESH, MESSAGES, OTHER = "decode", "mesh", "messages", "other"

MEANINGS = {
    DECODE: "file to picture",
    "detect": "waiting for the detector, which works beside the rest",
    "landmarks": "landmarks of the bodies",
    "fit": "fit of the bodies",
    "fit parts": "fit of hands and faces",
    "wait for parts": "for landmarks of hands and faces, which are looked for meanwhile",
    "follow": "where the people are whom the network is to look at",
    "network": "crops, PEAR's network, and its answer",
    "place": "from the network's numbers to people before the camera",
    "estimate": "all of the estimator",
    "track": "ids",
    "true size": "size and distance",
    "smooth": "freed of jitter",
    MESH: "vertices of everybody",
    MESSAGES: "HumanArray and mesh markers, serialised",
    OTHER: "what lies between",
}
"""Stages in the order of work, and what each is."""


def watch_parts(pipeline: Pipeline, estimator: Estimator, stopwatch: Stopwatch) -> None:
    """Time the parts of `pipeline` and of its `estimator`, from now on."""
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
        stopwatch.watch(estimator, "_follow", "follow")
        stopwatch.watch(estimator._runtime, "infer", "network")
        rest = "place"
    stopwatch.watch(estimator, "estimate", rest)
