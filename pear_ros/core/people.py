# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of the core: what is said about the people in one image.

Frame of all 3D quantities: the camera's optical frame (REP-103: x right, y down, z forward).
Units: metres, radians, pixels. NaN means not known.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]
"""A picture: (height, width, 3) uint8, BGR as OpenCV reads it."""

NUM_JOINTS = 55

SMPLX_JOINT_NAMES: tuple[str, ...] = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2"),
    *("left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck"),
    *("left_collar", "right_collar", "head", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("jaw", "left_eye_smplhf", "right_eye_smplhf"),
    *(
        f"{side}_{finger}{phalanx}"
        for side in ("left", "right")
        for finger in ("index", "middle", "pinky", "ring", "thumb")
        for phalanx in (1, 2, 3)
    ),
)
"""Names of the 55 SMPL-X joints in order (Pavlakos et al., CVPR 2019)."""


class TrackingState(enum.IntEnum):
    """Life of a track id; the numbers are those of pear_msgs/Human."""

    NEW = 1
    TRACKED = 2
    PREDICTED = 3
    LOST = 4


class DepthSource(enum.IntEnum):
    """Where absolute size comes from; the numbers are those of pear_msgs/Human."""

    ASSUMED = 1
    BODY_HEIGHT = 2
    MEASURED = 3


@dataclass(frozen=True)
class SmplxParams:
    """SMPL-X parameters of one person (Pavlakos et al., CVPR 2019)."""

    pose: Array
    """(55, 3) axis-angle: global_orient, body 21, jaw, eyes, left hand 15, right hand 15."""
    betas: Array
    """(num_betas,) shape coefficients of the body model in use, in standard deviations."""
    expression: Array
    """(num_expression,) expression coefficients of the body model in use."""
    transl: Array
    """(3,) added to the posed body, after Person.scale."""


@dataclass(frozen=True)
class FlameParams:
    """FLAME parameters of one head (Li et al., SIGGRAPH Asia 2017), as scaled in PEAR's EHM-s."""

    shape: Array
    expression: Array
    jaw: Array
    """(3,) axis-angle."""
    eyes: Array
    """(6,) axis-angle, left then right."""
    eyelids: Array
    """(2,) left then right, 0 as in the template, 1 closed."""
    head_scale: Array
    """(3,) along FLAME's own axes."""


Params = TypeVar("Params", SmplxParams, FlameParams)


def stack(people: Sequence[Params]) -> Params:
    """Parameters of several people as one, with people as the first axis of each array."""
    kind = type(people[0])
    arrays = {
        part.name: np.array([getattr(one, part.name) for one in people]) for part in fields(kind)
    }
    return kind(**arrays)


def unstack(batch: Params) -> list[Params]:
    """The inverse of `stack`; the arrays are views."""
    kind = type(batch)
    rows = zip(*(getattr(batch, part.name) for part in fields(kind)), strict=True)
    return [kind(*row) for row in rows]


@dataclass(frozen=True)
class Person:
    """One person in one image."""

    id: str
    """Track id, starts with a letter; never reused until a new pipeline is made."""
    state: TrackingState
    score: float
    """Confidence that this is a person, 0 to 1."""
    box: Array
    """(4,) x0 y0 x1 y1 of the person's region in pixels; reaches outside where the person does."""
    smplx: SmplxParams
    joints: Array
    """(55, 3) joint positions in the camera's optical frame."""
    joint_confidence: Array
    """(55,) 0 to 1; near 0: not seen, the position is the body's prior alone; NaN: not said."""
    keypoints: Array
    """(55, 2) the joints in the image, pixels."""
    flame: FlameParams | None = None
    """None where the estimator has no FLAME head."""
    scale: float = 1.0
    """Size of the person over that of the posed body: vertex = scale * body + transl."""
    depth_source: DepthSource = DepthSource.ASSUMED
    """Where size, and so distance, comes from."""


@dataclass(frozen=True)
class People:
    """Everyone in one image, and how they were found."""

    camera: Camera
    model_id: str
    body_model: str
    persons: Sequence[Person] = field(default_factory=tuple)
