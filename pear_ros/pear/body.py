# SPDX-License-Identifier: Apache-2.0
"""The bodies that PEAR's parameters are of."""

from __future__ import annotations

from typing import TypeAlias

from pear_ros.body import BodyModel
from pear_ros.body.ehm import EhmBody, EhmParameters
from pear_ros.body.kinematics import Tensor
from pear_ros.pear.files import ModelFiles, load_body_files

PearBody: TypeAlias = EhmBody | BodyModel
"""EHM-s, or plain SMPL-X without FLAME's head."""


def load_body(files: ModelFiles, pear_body: str) -> PearBody:
    """The body of a user's files, by NumPy; `pear_body`: one of pear_ros.core.choice.PEAR_BODIES.

    Raises as `load_body_files` does.
    """
    smplx, flame = load_body_files(files)
    return smplx if pear_body == "smplx" else EhmBody(smplx, flame)


def body_vertices(body: PearBody, people: EhmParameters) -> Tensor:
    """(B, V, 3) vertices, by the kind of arrays that body and people are made of."""
    if isinstance(body, EhmBody):
        return body.vertices(people)
    return body.vertices(people.pose, people.betas, people.expression, people.transl)
