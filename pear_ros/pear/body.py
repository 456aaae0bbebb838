# SPDX-License-Identifier: Apache-2.0
"""The body models that PEAR's parameters belong to."""

from __future__ import annotations

from typing import TypeAlias

from pear_ros.body import BodyModel
from pear_ros.body.ehm import EhmBody
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.kinematics import Tensor
from pear_ros.pear.files import ModelFiles, load_body_files

PearBody: TypeAlias = EhmBody | BodyModel
"""EHM-s (SMPL-X with FLAME's head, arXiv 2601.22693), or plain SMPL-X."""


def load_body(files: ModelFiles, pear_body: str) -> PearBody:
    """Return the body model of a user's files, on NumPy.

    `pear_body`: one of pear_ros.core.parameters.PEAR_BODIES.

    Raises pear_ros.pear.files.MissingFilesError when a file is missing, ValueError when one is
    damaged or another than it should be, OSError when one cannot be read.
    """
    smplx, flame = load_body_files(files)
    return smplx if pear_body == "smplx" else EhmBody(smplx, flame)


def body_vertices(body: PearBody, people: EhmParameters) -> Tensor:
    """Return (B, V, 3) vertices in metres, NumPy arrays or torch tensors like the arguments."""
    if isinstance(body, EhmBody):
        return body.vertices(people)
    return body.vertices(people.pose, people.betas, people.expression, people.transl)
