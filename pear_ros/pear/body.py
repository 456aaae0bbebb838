# SPDX-License-Identifier: Apache-2.0
"""The body models that PEAR's parameters belong to."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.ehm import EhmBody
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.kinematics import Tensor, namespace, rotation_matrices
from pear_ros.pear.files import ModelFiles, load_body_files
from pear_ros.pear.prediction import Prediction

PearBody: TypeAlias = EhmBody | BodyModel
"""EHM-s (SMPL-X with FLAME's head, arXiv 2601.22693), plain SMPL-X, or the open body."""


def load_body(files: ModelFiles, pear_body: str) -> PearBody:
    """Return the body model of a user's files, on NumPy; that of the weights if they name one.

    `pear_body`: one of pear_ros.core.parameters.PEAR_BODIES, for weights that name no body.

    Raises pear_ros.pear.files.MissingFilesError when a file is missing, ValueError when one is
    damaged or another than it should be or the named body is not known, OSError when one cannot be
    read.
    """
    if not files.needs_body:
        return _named_body(files)
    smplx, flame = load_body_files(files)
    if files.body == smplx.name:
        return smplx
    if not files.body and pear_body == "smplx":
        return replace(smplx, head_at_rest=True)  # The release's jaw and eyes are FLAME's.
    return EhmBody(smplx, flame)


def _named_body(files: ModelFiles) -> BodyModel:
    body = load_open_body()
    if files.body != body.name:
        raise ValueError(
            f"the weights in {files.folder} were trained for the body {files.body}, but this "
            f"version has {body.name}: train again, or use the version that trained them"
        )
    return body


def body_vertices(body: PearBody, people: EhmParameters) -> Tensor:
    """Return (B, V, 3) vertices in metres, NumPy arrays or torch tensors like the arguments."""
    if isinstance(body, EhmBody):
        return body.vertices(people)
    return body.vertices(people.pose, people.betas, people.expression, people.transl)


def has_own_head(body: PearBody) -> bool:
    """Return whether predicted jaw, eyes and expression are the body's own, not FLAME's."""
    return isinstance(body, BodyModel) and not body.head_at_rest


def body_parameters(body: PearBody, seen: Prediction) -> EhmParameters:
    """Return the parameters of `body` that the network predicts, with translation 0.

    NumPy arrays or torch tensors like those of `seen`. A body with its own head takes as many of
    the predicted coefficients as it has, and 0 for expressions beyond; jaw and eyes turn its own
    joints.
    """
    if not has_own_head(body):
        return seen.parameters()
    xp = namespace(seen.betas)
    count = len(seen.betas)
    turned = rotation_matrices(xp.concat([seen.jaw, seen.eyes], axis=1).reshape(count, 3, 3))
    hands = (seen.left_hand_pose, seen.right_hand_pose)
    beyond = max(0, body.num_expression - seen.expression.shape[1])
    none = xp.zeros_like(seen.betas[:, :beyond])
    return EhmParameters(
        pose=xp.concat([seen.global_orient, seen.body_pose, turned, *hands], axis=1),
        betas=seen.betas[:, : body.num_betas],
        expression=xp.concat([seen.expression, none], axis=1)[:, : body.num_expression],
        flame_shape=seen.flame_shape,
        flame_expression=seen.flame_expression,
        jaw=seen.jaw,
        eyes=seen.eyes,
        eyelids=seen.eyelids,
        head_scale=seen.head_scale,
        transl=xp.zeros_like(seen.camera),
    )


def body_joints(body: PearBody, people: EhmParameters) -> Tensor:
    """Return joints (B, 55, 3) in metres, NumPy arrays or torch tensors like the arguments."""
    if isinstance(body, EhmBody):
        return body.joints(people)
    return body.joints(people.pose, people.betas, people.expression, people.transl)
