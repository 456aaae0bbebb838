# SPDX-License-Identifier: Apache-2.0
"""Configuration of the estimator and its runtime, and the formats of files that are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pear_ros.core.parameters import Parameters

STORAGES = ("mcap", "sqlite3")
"""Formats of bags that are written."""
FP16_FP32_ATTENTION = "fp16_fp32_attention"
"""fp16, but the backbone's attention in fp32, for which TensorRT has no fused kernel."""
FLOAT_PRECISIONS = ("fp32", "fp16", "bf16", FP16_FP32_ATTENTION)
"""Precisions of graphs that are exported without calibration."""
CALIBRATED_PRECISIONS = ("fp8", "int8_static")
"""Precisions of graphs for TensorRT whose linear layers were calibrated for 8 bits when exported;
int8, in which scales are dynamic, is made from fp32 by onnxruntime on the machine that runs it."""
GRAPH_PRECISIONS = (*FLOAT_PRECISIONS, *CALIBRATED_PRECISIONS)
"""Precisions of exported graphs."""
BUILD_MEMORY_FACTOR = 4
"""Memory that an engine's build takes over the size of its graph; 3.6 with ViT-H in fp16, one
profile, by TensorRT-RTX (benchmarks/results/engine_build.md)."""


@dataclass(frozen=True)
class RuntimeChoice:
    """Which runtime runs PEAR's network, and how."""

    name: str = Parameters.runtime
    """One of RUNTIMES; auto: the fastest on this machine."""
    strict: bool = Parameters.strict_runtime
    """Whether to fail if the named runtime is not available, instead of trying the others."""
    precision: str = Parameters.precision
    """One of PRECISIONS; auto: the fastest that is accurate enough."""
    max_people: int = Parameters.max_people
    """Greatest number of people in one batch; more are split into several batches."""
    expected_people: int = Parameters.max_humans
    """Greatest number of people expected at once: batches of up to so many are prepared."""
    blocking_wait: bool = Parameters.blocking_wait
    """Whether the CPU sleeps, instead of polling, while the GPU works."""

    @property
    def prepared_people(self) -> int:
        """Largest batch that is prepared at the start; a larger one delays the image it is of."""
        return min(self.max_people, self.expected_people)


@dataclass(frozen=True)
class EstimatorChoice:
    """Which estimator to load, and from where."""

    name: str = Parameters.estimator
    """One of ESTIMATORS; auto: PEAR if its files are complete, else landmarks."""
    model_folder: Path | None = None
    """Folder with PEAR's files; None: the default folder. Not used by the example."""
    pear_body: str = Parameters.pear_body
    """One of PEAR_BODIES; ehm-s is SMPL-X with FLAME's head, smplx is SMPL-X alone."""
    runtime: RuntimeChoice = field(default_factory=RuntimeChoice)
    """The runtime of PEAR; the landmark models have their own."""
    landmarks: str = Parameters.landmarks
    """One of LANDMARKS: the model of body landmarks of the open default."""

    @classmethod
    def of(cls, parameters: Parameters) -> EstimatorChoice:
        """Return the estimator that the `parameters` name."""
        folder = parameters.model_folder
        return cls(
            parameters.estimator,
            Path(folder).expanduser() if folder else None,
            parameters.pear_body,
            RuntimeChoice(
                parameters.runtime,
                parameters.strict_runtime,
                parameters.precision,
                parameters.max_people,
                # It may be raised later, and one process may have another than the next: it is no
                # bound of an engine, which takes minutes to build.
                parameters.max_humans,
                parameters.blocking_wait,
            ),
            parameters.landmarks,
        )


class EstimatorError(ValueError):
    """The requested estimator is not available; the text says why and what to do."""
