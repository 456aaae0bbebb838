# SPDX-License-Identifier: Apache-2.0
"""Which estimator somebody wants. Imports nothing else of the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ESTIMATORS = ("auto", "pear", "landmarks")
PEAR_BODIES = ("ehm-s", "smplx")


@dataclass(frozen=True)
class EstimatorChoice:
    """Which estimator is wanted."""

    name: str = "auto"
    """One of ESTIMATORS; auto: PEAR where it can be had, else landmarks."""
    model_folder: Path | None = None
    """Where PEAR's files are; None: in the default folder."""
    pear_body: str = "ehm-s"
    """One of PEAR_BODIES; ehm-s is SMPL-X with FLAME's head, smplx is SMPL-X alone."""


class EstimatorError(ValueError):
    """An estimator that was asked for and cannot be had; the text says why and what to do."""
