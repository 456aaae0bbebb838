# SPDX-License-Identifier: Apache-2.0
"""Figures that others published on the datasets, with their sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pear_ros.evaluation.figures import Figure

PAPER = "arXiv 2601.22693"
"""PEAR's paper; figures of other methods in it are as it reports them."""
RELEASED = (
    "an independent run of the released ViT-H, BestWJH/PEAR_models 513a74e7: boxes of labelled "
    "keypoints x 1.2, SMPL-X mapped to SMPL by smplx2smpl.pkl"
)


@dataclass(frozen=True)
class Published:
    """One published figure."""

    dataset: str
    """Name of the dataset, a key of catalogue.DATASETS."""
    figure: str
    """Name of the figure in the report."""
    method: str
    value: float
    source: str = PAPER


PUBLISHED: tuple[Published, ...] = (
    Published("3dpw", "MPJPE", "PEAR, paper", 71.3),
    Published("3dpw", "PA-MPJPE", "PEAR, paper", 45.3),
    Published("3dpw", "MPJPE", "PEAR, released", 73.56, RELEASED),
    Published("3dpw", "PA-MPJPE", "PEAR, released", 45.65, RELEASED),
    Published("3dpw", "PVE", "PEAR, released", 82.28, RELEASED),
    Published("3dpw", "MPJPE", "OSX", 74.7),
    Published("3dpw", "MPJPE", "Multi-HMR", 78.0),
    Published("3dpw", "MPJPE", "SMPLest-X", 74.8),
    Published("agora", "body, MVE", "PEAR, paper", 59.3),
    Published("ehf", "hands' PA-PVE", "PEAR, paper", 12.8),
    Published("ehf", "hands' PA-PVE", "PEAR, released", 11.0, RELEASED),
    Published("ehf", "PVE", "PEAR, released", 66.6, RELEASED),
    Published("ehf", "PA-PVE", "PEAR, released", 47.9, RELEASED),
    Published("ehf", "head's PA-PVE", "PEAR, released", 8.7, RELEASED),
    Published("ehf", "PA-MPJPE", "PEAR, released", 49.2, RELEASED),
    Published("ehf", "hands' PA-PVE", "OSX", 15.9),
    Published("ehf", "hands' PA-PVE", "Multi-HMR", 16.4),
    Published("ubody", "hands' PA-PVE", "PEAR, paper", 9.8),
    Published("ubody", "hands' PA-PVE", "OSX", 10.8),
    Published("ubody", "hands' PA-PVE", "Multi-HMR", 11.2),
    Published("ubody", "paper's MLE, definition unknown", "PEAR, paper", 0.72),
    Published("ubody", "paper's MLE, definition unknown", "TEASER", 1.92),
    Published("3dpw", "paper's MLE, definition unknown", "PEAR, paper", 3.36),
    Published("3dpw", "paper's MLE, definition unknown", "TEASER", 3.95),
    Published("ubody", "paper's LVE (1e-5 m), definition unknown", "PEAR, paper", 1.22),
    Published("3dpw", "paper's LVE (1e-5 m), definition unknown", "PEAR, paper", 0.99),
    Published("coco-val", "PCK@0.05, %", "PEAR, paper", 81.0),
    Published("lsp-extended", "PCK@0.05, %", "PEAR, paper", 55.0),
    Published("posetrack", "PCK@0.05, %", "PEAR, paper", 87.0),
)


def published_columns(dataset: str) -> dict[str, Sequence[Figure]]:
    """Return the published figures of a dataset by their methods."""
    columns: dict[str, list[Figure]] = {}
    for one in PUBLISHED:
        if one.dataset == dataset:
            digits = 2 if one.value < 5.0 else 1
            columns.setdefault(one.method, []).append(Figure(one.figure, one.value, None, digits))
    return dict(columns)


def sources(dataset: str) -> list[str]:
    """Return a sentence on the sources of each method's published figures."""
    methods: dict[str, list[str]] = {}
    for one in PUBLISHED:
        if one.dataset == dataset and one.method not in methods.setdefault(one.source, []):
            methods[one.source].append(one.method)
    return [f"{'; '.join(names)}: {source}" for source, names in methods.items()]
