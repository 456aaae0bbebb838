# SPDX-License-Identifier: Apache-2.0
"""Which estimator somebody wants, and what is to run it. Imports nothing else of the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

ESTIMATORS = ("auto", "pear", "landmarks")
PEAR_BODIES = ("ehm-s", "smplx")
DETECTORS = ("built_in", "topic", "full_frame")
TRANSFORMS = ("off", "roots", "joints")
STORAGES = ("mcap", "sqlite3")
"""Of bags that are written."""
RELIABILITIES = ("auto", "reliable", "best_effort")
MESH_DETAILS = ("full", "medium", "low")
RUNTIMES = ("auto", "tensorrt", "torch", "onnxruntime", "openvino")
PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8")
GRAPH_PRECISIONS = ("fp32", "fp16", "bf16")
"""Of exported graphs; int8 is made of fp32 where it runs."""


@dataclass(frozen=True)
class RuntimeChoice:
    """What is to run PEAR's network."""

    name: str = "auto"
    """One of RUNTIMES; auto: the quickest that this machine has."""
    strict: bool = False
    """Whether to refuse to start where the runtime of that name cannot be had, instead of taking
    another one."""
    precision: str = "auto"
    """One of PRECISIONS; auto: the quickest that is accurate enough."""
    max_people: int = 8
    """Most people in one batch; more are taken one batch after the other."""


@dataclass(frozen=True)
class EstimatorChoice:
    """Which estimator is wanted."""

    name: str = "auto"
    """One of ESTIMATORS; auto: PEAR where it can be had, else landmarks."""
    model_folder: Path | None = None
    """Where PEAR's files are; None: in the default folder."""
    pear_body: str = "ehm-s"
    """One of PEAR_BODIES; ehm-s is SMPL-X with FLAME's head, smplx is SMPL-X alone."""
    runtime: RuntimeChoice = field(default_factory=RuntimeChoice)
    """What is to run PEAR; the landmarks have a runtime of their own."""


class EstimatorError(ValueError):
    """An estimator that was asked for and cannot be had; the text says why and what to do."""
