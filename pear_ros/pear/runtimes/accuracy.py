# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a runtime: errors of its people against the network in fp32, in degrees and mm.

Lower precision and a compiler's rearrangements change the network's outputs. Their effect is
measured on a few real people, once, when an engine is built or a runtime is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np
import numpy.typing as npt

from pear_ros.body.ehm import EhmBody
from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.people import Array
from pear_ros.pear.body import PearBody, body_parameters, body_vertices
from pear_ros.pear.prediction import VECTOR_SIZE, Prediction

# Vertices: a tenth of PEAR's own mean error, 59 mm (AGORA). Rotations correspond: a degree at the
# shoulder moves the hand by 10 mm. The maxima are over hundreds of joints and some hundred thousand
# vertices, fingers included: they find a single joint or person that is wrong.
MAX_MEAN_ROTATION_DEG = 1.0
MAX_ROTATION_DEG = 10.0
MAX_MEAN_VERTEX_MM = 5.0
MAX_VERTEX_MM = 50.0
MAX_PLACE_MM = 30.0
"""Greatest error of position, mm: 1 % of the distance; unknown body height has more effect."""

_DISTANCE_MM = 3000.0
"""Distance of people at which errors of position are measured."""


@dataclass(frozen=True)
class Verdict:
    """Errors of a runtime against the network in fp32, over the bundled crops.

    NaN: unknown. All are NaN where an output of the runtime is not finite.
    """

    mean_rotation_deg: float
    """Mean angle between rotations of a joint, over joints and crops, degrees."""
    max_rotation_deg: float
    """Largest angle between rotations of a joint, degrees."""
    mean_vertex_mm: float
    """Mean distance of vertices, relative to the pelvis, from those of fp32, mm; NaN: no body."""
    max_vertex_mm: float
    """Largest distance between positions of a vertex relative to the pelvis, mm."""
    max_place_mm: float
    """Largest distance between positions of a person who is three metres away, mm."""

    @property
    def passed(self) -> bool:
        """Whether the runtime may be used: no error exceeds its bound."""
        return not self.fault

    @property
    def fault(self) -> str:
        """The errors that exceed their bounds, as a text; empty if there are none."""
        if not math.isfinite(self.mean_rotation_deg):
            return "its outputs contain NaN or infinity"
        found = {
            "degrees on average": (self.mean_rotation_deg, MAX_MEAN_ROTATION_DEG),
            "degrees at one joint": (self.max_rotation_deg, MAX_ROTATION_DEG),
            "mm on average": (self.mean_vertex_mm, MAX_MEAN_VERTEX_MM),
            "mm at one vertex": (self.max_vertex_mm, MAX_VERTEX_MM),
            "mm in a person's position": (self.max_place_mm, MAX_PLACE_MM),
        }
        # NaN, of vertices without a body, exceeds no bound.
        exceeded = [
            f"{_rounded(value)} {unit} (allowed: {most:g})"
            for unit, (value, most) in found.items()
            if value > most
        ]
        return ", ".join(exceeded)

    def __str__(self) -> str:
        if not math.isfinite(self.mean_rotation_deg):
            return "not comparable with fp32: its outputs contain NaN or infinity"
        mean, most = (
            f"{_rounded(angle)} degrees"
            for angle in (self.mean_rotation_deg, self.max_rotation_deg)
        )
        if math.isfinite(self.mean_vertex_mm):
            mean += f" and {_rounded(self.mean_vertex_mm)} mm"
            most += f" and {_rounded(self.max_vertex_mm)} mm"
        return (
            f"{mean} off fp32 on average (at most {most}), positions at 3 m at most "
            f"{_rounded(self.max_place_mm)} mm"
        )

    def as_json(self) -> dict[str, float | None]:
        """Return all fields by name, with None for NaN, which JSON does not have."""
        return {
            name: value if math.isfinite(value) else None for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Verdict:
        """Return the verdict of a result of `as_json`. Raises ValueError for anything else."""
        names = [field.name for field in fields(cls)]
        if set(content) != set(names):
            raise ValueError(f"a verdict has {', '.join(names)}")
        values = [content[name] for name in names]
        if not all(value is None or type(value) in (int, float) for value in values):
            raise ValueError("a verdict has numbers only")
        return cls(*(math.nan if value is None else float(value) for value in values))  # type: ignore[arg-type]


def _rounded(value: float) -> str:
    """Format to two significant digits."""
    if value < 0.01:
        return "under 0.01"
    return f"{value:.2g}" if value < 100.0 else f"{value:.0f}"


def judge(vectors: Array, reference: Array, body: PearBody | None) -> Verdict:
    """Return the errors of `vectors` (N, VECTOR_SIZE) against `reference`, the network's in fp32.

    `body`: on NumPy; None: errors of vertices are NaN.

    Raises ValueError when the shapes differ or the reference is not finite.
    """
    if vectors.shape != reference.shape or reference.shape[1:] != (VECTOR_SIZE,):
        raise ValueError(
            f"outputs of shape {vectors.shape} cannot be compared with a reference of shape "
            f"{reference.shape}"
        )
    if not np.isfinite(reference).all():
        raise ValueError("outputs of the network in fp32 contain NaN or infinity")
    if not np.isfinite(vectors).all():
        return Verdict(*[math.nan] * len(fields(Verdict)))
    found, expected = (Prediction.from_vectors(numbers) for numbers in (vectors, reference))
    with np.errstate(over="ignore", invalid="ignore"):
        apart = _vertex_distances(found, expected, body) if body else np.array(math.nan)
    if body and not np.isfinite(apart).all():  # Parameters too large for a body.
        return Verdict(*[math.nan] * len(fields(Verdict)))
    angles = _angles(found, expected)
    return Verdict(
        mean_rotation_deg=float(angles.mean()),
        max_rotation_deg=float(angles.max()),
        mean_vertex_mm=float(apart.mean()),
        max_vertex_mm=float(apart.max()),
        max_place_mm=float(_place_distances(found, expected).max()),
    )


def _angles(found: Prediction, expected: Prediction) -> npt.NDArray[np.float64]:
    """Angles (N, 55) between rotations of SMPL-X's joints and FLAME's jaw and eyes, degrees."""
    difference = _rotations(found) - _rotations(expected)
    # |R - S|_F = sqrt(8) sin(angle / 2): unlike the trace of R^T S exact for small angles.
    sine = np.linalg.norm(difference, axis=(2, 3)) / math.sqrt(8.0)
    angles: npt.NDArray[np.float64] = np.degrees(2.0 * np.arcsin(np.minimum(sine, 1.0)))
    return angles


def _rotations(people: Prediction) -> npt.NDArray[np.float64]:
    """Rotations (N, 55, 3, 3) of SMPL-X's joints, then FLAME's jaw and eyes."""
    of_head = np.concatenate([people.jaw, people.eyes], axis=1).reshape(-1, 3, 3)
    parts = (
        *(people.global_orient, people.body_pose, people.left_hand_pose, people.right_hand_pose),
        rotation_matrices(of_head),
    )
    return np.concatenate(parts, axis=1).astype(np.float64)


def _vertex_distances(found: Prediction, expected: Prediction, body: PearBody) -> Array:
    """Distances (N, V) between vertices relative to the pelvis, mm."""
    distance: Array = np.linalg.norm(_centred(found, body) - _centred(expected, body), axis=2)
    return 1000.0 * distance


def _centred(people: Prediction, body: PearBody) -> Array:
    """Vertices (N, V, 3) in metres, the pelvis at the origin."""
    parameters = body_parameters(body, people)
    if isinstance(body, EhmBody):
        joints = body.rest_joints(parameters)
    else:
        joints = body.rest_joints(parameters.betas, parameters.expression)
    # Rotations leave the pelvis, the root, at its rest position.
    centred: Array = body_vertices(body, parameters) - joints[:, :1]
    return centred


def _place_distances(found: Prediction, expected: Prediction) -> npt.NDArray[np.float64]:
    """Distances (N,) between positions of people who are _DISTANCE_MM away, mm.

    A person's distance is proportional to one over the camera's scale; tx and ty are in metres.
    """
    difference = found.camera.astype(np.float64) - expected.camera
    along = _DISTANCE_MM * difference[:, 2] / np.maximum(np.abs(expected.camera[:, 2]), 1e-6)
    place: npt.NDArray[np.float64] = np.hypot(1000.0 * np.hypot(*difference[:, :2].T), along)
    return place
