# SPDX-License-Identifier: Apache-2.0
"""Pipelines as configured by the node's parameters, for the node and for replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pear_ros.core.configuration import EstimatorChoice
from pear_ros.core.parameters import Parameters

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline


def build_pipeline(parameters: Parameters) -> Pipeline:
    """Return a pipeline as configured by the parameters."""
    (pipeline,) = build_pipelines(parameters, 1)
    return pipeline


def build_pipelines(parameters: Parameters, count: int) -> list[Pipeline]:
    """Return `count` pipelines as configured by the parameters, each for a thread of its own.

    They share PEAR's network, and results are the same whatever the count.
    """
    # Imported late: not before parameters have been checked, since the models' runtime takes time.
    from pear_ros.detection.detectors import make_detector
    from pear_ros.estimators.factory import make_estimators
    from pear_ros.pipeline import Pipeline

    return [
        Pipeline(
            estimator,
            make_detector(parameters.detector, parameters.min_detection_score),
            parameters,
            parameters.id_prefix,
            parameters.reidentify_seconds,
        )
        for estimator in make_estimators(EstimatorChoice.of(parameters), count)
    ]
