# SPDX-License-Identifier: Apache-2.0
"""The body that a network is trained for, and its people's parameters as training keeps them.

Training has one layout for all bodies: rotations of SMPL-X's 55 joints, jaw and eyes among them,
shape and expression; and, of EHM-s, the parameters of FLAME's head as one row of numbers.
"""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from pathlib import Path

from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.ehm import EhmBody
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.flame import NUM_EXPRESSION, NUM_SHAPE
from pear_ros.body.kinematics import Tensor, namespace, no_rotations
from pear_ros.core.parameters import PEAR_BODIES
from pear_ros.pear.body import PearBody, load_body
from pear_ros.pear.files import (
    BODIES_OF_FILES,
    MissingFilesError,
    ModelFiles,
    default_model_folder,
    find_model_files,
)

OPEN = "open"
BODIES = (OPEN, *PEAR_BODIES)
"""Names of the bodies that a configuration may choose."""

FLAME_PARTS = {
    "shape": NUM_SHAPE,
    "expression": NUM_EXPRESSION,
    "jaw": 3,
    "eyes": 6,
    "eyelids": 2,
    "head_scale": 3,
}
"""The parts of a row of FLAME's parameters in order, with their sizes; meaning and units are those
of pear_ros.core.people.FlameParams. A body without FLAME has rows without numbers."""

JAW_AND_EYES = slice(22, 25)
"""Joints of SMPL-X that FLAME's head has in EHM-s."""


class BodyError(ValueError):
    """A body cannot be trained for; the message has what is missing and what to do."""


@cache
def load_training_body(body: str = OPEN, model_folder: str = "") -> PearBody:
    """Return the body that a configuration names, on NumPy, loaded once for the process.

    `body`: one of BODIES; `model_folder`: folder of the user's body files, by default the node's;
    the open body needs none. Raises BodyError where a file is missing, ValueError where one is not
    what it should be, OSError where one cannot be read.
    """
    if body == OPEN:
        return load_open_body()
    files = body_files(body, model_folder)
    try:
        return load_body(files, body)
    except MissingFilesError as error:
        raise BodyError(
            f"body: {body} is made of files of yours: put them into the folder that model_folder "
            f"names.\n{error}"
        ) from error


def body_files(body: str, model_folder: str) -> ModelFiles:
    """Return the files of the body `body`, other than the open one; weights there do not matter."""
    folder = Path(model_folder) if model_folder else default_model_folder()
    found = find_model_files(folder)
    return ModelFiles(found.folder, found.found, near=found.near, body=BODIES_OF_FILES[body])


def surface(body: PearBody) -> BodyModel:
    """Return the body that has the template, triangles and skinning weights of `body`.

    That of EHM-s is SMPL-X, whose head FLAME's is like.
    """
    return body.smplx if isinstance(body, EhmBody) else body


def flame_size(body: PearBody) -> int:
    """Return the numbers in a row of FLAME's parameters; 0 for bodies without FLAME."""
    return sum(FLAME_PARTS.values()) if isinstance(body, EhmBody) else 0


def flame_parts(flame: Tensor) -> dict[str, Tensor]:
    """Return the parts of FLAME's parameters (..., F) by name, as views; empty without FLAME."""
    ends = accumulate(FLAME_PARTS.values())
    return {
        name: flame[..., end - size : end]
        for (name, size), end in zip(FLAME_PARTS.items(), ends, strict=True)
    }


def parameters_of(
    body: PearBody, rotations: Tensor, betas: Tensor, expression: Tensor, flame: Tensor
) -> EhmParameters:
    """Return the parameters of B people with translation 0, NumPy arrays or torch tensors.

    `rotations` (B, 55, 3, 3) relative to the parents; `betas` (B, num_betas); `expression`
    (B, num_expression); `flame` (B, flame_size): of EHM-s, whose jaw and eyes it turns.
    """
    xp = namespace(rotations)
    if isinstance(body, EhmBody):
        before, head, after = (
            rotations[:, : JAW_AND_EYES.start],
            rotations[:, JAW_AND_EYES],
            rotations[:, JAW_AND_EYES.stop :],
        )
        rotations = xp.concat([before, no_rotations(head), after], axis=1)
    parts = flame_parts(flame)
    return EhmParameters(
        pose=rotations,
        betas=betas,
        expression=expression,
        flame_shape=parts["shape"],
        flame_expression=parts["expression"],
        jaw=parts["jaw"],
        eyes=parts["eyes"],
        eyelids=parts["eyelids"],
        head_scale=parts["head_scale"],
        transl=xp.zeros_like(rotations[:, 0, 0]),
    )
