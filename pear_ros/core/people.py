# SPDX-License-Identifier: Apache-2.0
"""People in one image: the types that estimators fill and that messages and exports are made of.

Frame of all 3D quantities: the camera's optical frame (REP-103: x right, y down, z forward).
Units: metres, radians, pixels. NaN: unknown.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera

Array = npt.NDArray[np.float32]
"""Single precision, the precision of messages."""
Image = npt.NDArray[np.uint8]
"""(height, width, 3) uint8, BGR as OpenCV reads it."""

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

SMPLX_PARENTS: tuple[int, ...] = (
    *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19),
    *(15, 15, 15),
    *(20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35, 20, 37, 38),
    *(21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53),
)
"""Parent of each of the 55 SMPL-X joints; -1 for the root."""


FARTHEST = 1000.0
"""Distance along an axis at which nobody can be seen, metres."""


class TrackingState(enum.IntEnum):
    """State of a track; the numbers are those of pear_msgs/Human."""

    NEW = 1
    """First image of the track."""
    TRACKED = 2
    """Observed in this image."""
    PREDICTED = 3
    """Not detected in this image; pose and position are predicted, confidences lowered."""
    LOST = 4
    """The track ends with this image."""
    DETECTED = 5
    """Detected in this image, but the body could not be read: at rest in the detector's box, or in
    the last known pose; confidences of joints are near 0."""


MEASURED_STATES = (TrackingState.NEW, TrackingState.TRACKED)
"""States of people who were measured in the present image."""


class DepthSource(enum.IntEnum):
    """Where absolute size and distance come from; the numbers are those of pear_msgs/Human."""

    ASSUMED = 1
    """A body of average size is assumed: distance is not metric."""
    BODY_HEIGHT = 2
    """The person's height is known, given or from earlier depth images."""
    MEASURED = 3
    """Measured in the depth image of this moment."""
    FLOOR = 4
    """The person stands, sits or lies on a known floor."""


@dataclass(frozen=True)
class SmplxParams:
    """SMPL-X parameters of one person (Pavlakos et al., CVPR 2019)."""

    pose: Array
    """(55, 3) axis-angle, radians: global_orient, body 21, jaw, eyes, left hand 15, right hand 15.

    The first rotates the body's axes at rest (x to the person's left, y up, z out of the chest) to
    the camera's optical frame, the others are relative to the parent joint."""
    betas: Array
    """(num_betas,) shape coefficients of the body model in use, in standard deviations."""
    expression: Array
    """(num_expression,) expression coefficients of the body model in use."""
    transl: Array
    """(3,) metres, added to the posed body after it was multiplied by Person.scale."""


@dataclass(frozen=True)
class FlameParams:
    """FLAME parameters of one head (Li et al., SIGGRAPH Asia 2017), scaled as in PEAR's EHM-s."""

    shape: Array
    """(300,) shape coefficients, in standard deviations."""
    expression: Array
    """(50,) expression coefficients, in standard deviations."""
    jaw: Array
    """(3,) axis-angle, radians."""
    eyes: Array
    """(6,) axis-angle, radians, left then right."""
    eyelids: Array
    """(2,) left then right; 0: as in the template, 1: closed."""
    head_scale: Array
    """(3,) factors along FLAME's own axes."""


Params = TypeVar("Params", SmplxParams, FlameParams)


def stack(people: Sequence[Params]) -> Params:
    """Return the parameters of N people as one object, each array with N as its first axis."""
    kind = type(people[0])
    arrays = {
        part.name: np.array([getattr(one, part.name) for one in people]) for part in fields(kind)
    }
    return kind(**arrays)


def unstack(batch: Params) -> list[Params]:
    """Return one object for each of N people from arrays with N as first axis, as views."""
    kind = type(batch)
    rows = zip(*(getattr(batch, part.name) for part in fields(kind)), strict=True)
    return [kind(*row) for row in rows]


@dataclass(frozen=True)
class Estimate:
    """One person in one image, as an estimator sees them.

    A field that is added here reaches Person, tracking and smoothing by itself; with an entry in
    pear_ros.core.estimate_arrays it also reaches messages, run files and exports.
    """

    score: float
    """Confidence that this is a person, 0 to 1."""
    box: Array
    """(4,) x0 y0 x1 y1 of the person's region in pixels; reaches outside where the person does."""
    smplx: SmplxParams
    """Body, hands and face in the camera's optical frame."""
    joints: Array
    """(55, 3) joint positions in the camera's optical frame, metres."""
    joint_confidence: Array
    """(55,) 0 to 1; near 0: not seen, the position is the prior's; NaN: not estimated."""
    keypoints: Array
    """(55, 2) the joints projected into the image, pixels."""
    flame: FlameParams | None = None
    """None where the estimator has no FLAME head."""
    pose_observed: bool = True
    """False: a detector found the person, but the body could not be read: it is at rest, or in the
    last known pose, and stands in the detector's box."""
    depth_error: float = math.nan
    """Standard deviation of the pelvis's distance along its line of sight, metres; NaN: unknown."""
    foot_contact: Array = field(default_factory=lambda: np.full(4, np.nan, np.float32))
    """(4,) probability that left heel, left toes, right heel, right toes touch the floor, 0 to 1;
    NaN: unknown."""


@dataclass(frozen=True, kw_only=True)
class Person(Estimate):
    """One tracked person in one image: an estimate with identity and scale."""

    id: str
    """Track id, starts with a letter; no other person gets it until a new pipeline is made, and the
    same person gets it again after LOST only with re-identification."""
    state: TrackingState
    scale: float = 1.0
    """Size of the person over that of the posed body: vertex = scale * body + transl."""
    depth_source: DepthSource = DepthSource.ASSUMED
    """Where scale, and so distance, comes from."""

    @classmethod
    def of(cls, estimate: Estimate, *, id: str, state: TrackingState) -> Person:
        """Return the person of an estimate, with a track id and its state."""
        values: dict[str, Any] = {
            part.name: getattr(estimate, part.name) for part in fields(Estimate)
        }
        return cls(**values, id=id, state=state)


@dataclass(frozen=True)
class People:
    """All people in one image."""

    camera: Camera
    """The camera that took the image."""
    model_id: str
    """Name and version of the estimator, as in pear_msgs/HumanArray."""
    body_model: str
    """Name and version of the body that all parameters belong to."""
    persons: Sequence[Person] = field(default_factory=tuple)
    """In the order in which the tracks were started."""
