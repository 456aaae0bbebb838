# SPDX-License-Identifier: Apache-2.0
"""How far a runtime's people are from those of the fp32 network, in units that people understand.

Lower precision and a compiler's rearrangements change the network's numbers. Whether that matters
is judged on a few real people, once, when an engine is built or a runtime is made.
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
from pear_ros.pear.body import PearBody, body_vertices
from pear_ros.pear.prediction import VECTOR_SIZE, Prediction

# Vertices: a tenth of what PEAR itself is off the truth, 59 mm on average (AGORA). Rotations: what
# goes with it, as a degree at the shoulder moves the hand by 10 mm. The extremes are over hundreds
# of joints and some hundred thousand vertices, fingers among them: they are there to find a joint,
# or a person, of which a runtime makes something else.
MAX_MEAN_ROTATION_DEG = 1.0
MAX_ROTATION_DEG = 10.0
MAX_MEAN_VERTEX_MM = 5.0
MAX_VERTEX_MM = 50.0
MAX_PLACE_MM = 30.0
"""One percent of the distance at which it is told; how tall somebody is makes more."""

_DISTANCE_MM = 3000.0
"""Distance of the people whose place is compared."""


@dataclass(frozen=True)
class Verdict:
    """Differences over the bundled crops between a runtime and the network in fp32.

    NaN: not known. That is so for all of them where a runtime's numbers are not finite.
    """

    mean_rotation_deg: float
    """Angle between the rotations of a joint, mean over joints and crops."""
    max_rotation_deg: float
    mean_vertex_mm: float
    """Distance between the places of a vertex, relative to the pelvis, mean over all. NaN where
    there was no body to compute vertices of."""
    max_vertex_mm: float
    max_place_mm: float
    """Distance between the places of somebody who stands three metres away."""

    @property
    def passed(self) -> bool:
        """Whether it may be used."""
        return not self.fault

    @property
    def fault(self) -> str:
        """What of it is more than is allowed; empty when nothing is."""
        if not math.isfinite(self.mean_rotation_deg):
            return "there is NaN or infinity in its numbers"
        found = {
            "degrees on average": (self.mean_rotation_deg, MAX_MEAN_ROTATION_DEG),
            "degrees at one joint": (self.max_rotation_deg, MAX_ROTATION_DEG),
            "mm on average": (self.mean_vertex_mm, MAX_MEAN_VERTEX_MM),
            "mm at one vertex": (self.max_vertex_mm, MAX_VERTEX_MM),
            "mm in somebody's place": (self.max_place_mm, MAX_PLACE_MM),
        }
        # What is not known of vertices, as there is no body, does not count.
        beyond = [
            f"{_told(value)} {unit} (allowed: {most:g})"
            for unit, (value, most) in found.items()
            if value > most
        ]
        return ", ".join(beyond)

    def __str__(self) -> str:
        if not math.isfinite(self.mean_rotation_deg):
            return "not comparable with fp32: there is NaN or infinity in its numbers"
        mean, most = (
            f"{_told(angle)} degrees" for angle in (self.mean_rotation_deg, self.max_rotation_deg)
        )
        if math.isfinite(self.mean_vertex_mm):
            mean += f" and {_told(self.mean_vertex_mm)} mm"
            most += f" and {_told(self.max_vertex_mm)} mm"
        return (
            f"{mean} off fp32 on average (at most {most}), people who are 3 m away at most "
            f"{_told(self.max_place_mm)} mm"
        )

    def as_json(self) -> dict[str, float | None]:
        """All fields, None for NaN, which JSON does not know."""
        return {
            name: value if math.isfinite(value) else None for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Verdict:
        """What `as_json` gave. Raises ValueError when it is something else."""
        names = [field.name for field in fields(cls)]
        if set(content) != set(names):
            raise ValueError(f"a verdict has {', '.join(names)}")
        values = [content[name] for name in names]
        if not all(value is None or type(value) in (int, float) for value in values):
            raise ValueError("a verdict has numbers only")
        return cls(*(math.nan if value is None else float(value) for value in values))  # type: ignore[arg-type]


def _told(value: float) -> str:
    """As exactly as somebody wants to know it."""
    if value < 0.01:
        return "under 0.01"
    return f"{value:.2g}" if value < 100.0 else f"{value:.0f}"


def judge(vectors: Array, reference: Array, body: PearBody | None) -> Verdict:
    """How far `vectors` (N, VECTOR_SIZE) are from `reference`, those of the network in fp32.

    `body`: on NumPy; None where there is none, then of vertices nothing is known. Raises ValueError
    when the shapes differ or the reference is not finite.
    """
    if vectors.shape != reference.shape or reference.shape[1:] != (VECTOR_SIZE,):
        raise ValueError(
            f"numbers of shape {vectors.shape} cannot be compared with a reference of shape "
            f"{reference.shape}"
        )
    if not np.isfinite(reference).all():
        raise ValueError("there is NaN or infinity in what the network in fp32 says")
    if not np.isfinite(vectors).all():
        return Verdict(*[math.nan] * len(fields(Verdict)))
    found, wanted = (Prediction.from_vectors(numbers) for numbers in (vectors, reference))
    with np.errstate(over="ignore", invalid="ignore"):
        apart = _vertex_distances(found, wanted, body) if body else np.array(math.nan)
    if body and not np.isfinite(apart).all():  # Numbers too large for a body.
        return Verdict(*[math.nan] * len(fields(Verdict)))
    angles = _angles(found, wanted)
    return Verdict(
        mean_rotation_deg=float(angles.mean()),
        max_rotation_deg=float(angles.max()),
        mean_vertex_mm=float(apart.mean()),
        max_vertex_mm=float(apart.max()),
        max_place_mm=float(_place_distances(found, wanted).max()),
    )


def _angles(found: Prediction, wanted: Prediction) -> npt.NDArray[np.float64]:
    """(N, 55) degrees between the rotations of SMPL-X's joints, FLAME's jaw and FLAME's eyes."""
    difference = _rotations(found) - _rotations(wanted)
    # Good to rounding for small angles, which the trace of the product is not.
    sine = np.linalg.norm(difference, axis=(2, 3)) / math.sqrt(8.0)
    angles: npt.NDArray[np.float64] = np.degrees(2.0 * np.arcsin(np.minimum(sine, 1.0)))
    return angles


def _rotations(people: Prediction) -> npt.NDArray[np.float64]:
    """(N, 55, 3, 3)"""
    of_head = np.concatenate([people.jaw, people.eyes], axis=1).reshape(-1, 3, 3)
    parts = (
        *(people.global_orient, people.body_pose, people.left_hand_pose, people.right_hand_pose),
        rotation_matrices(of_head),
    )
    return np.concatenate(parts, axis=1).astype(np.float64)


def _vertex_distances(found: Prediction, wanted: Prediction, body: PearBody) -> Array:
    """(N, V) millimetres between vertices, relative to the pelvis."""
    distance: Array = np.linalg.norm(_centred(found, body) - _centred(wanted, body), axis=2)
    return 1000.0 * distance


def _centred(people: Prediction, body: PearBody) -> Array:
    """(N, V, 3) vertices in metres, the pelvis at the origin."""
    parameters = people.parameters()
    if isinstance(body, EhmBody):
        joints = body.rest_joints(parameters)
    else:
        joints = body.rest_joints(people.betas, people.expression)
    # The pelvis is where it is at rest: it turns about itself.
    centred: Array = body_vertices(body, parameters) - joints[:, :1]
    return centred


def _place_distances(found: Prediction, wanted: Prediction) -> npt.NDArray[np.float64]:
    """(N,) millimetres between the places of people who are _DISTANCE_MM away.

    The distance of a person goes with one over the camera's scale; tx and ty are in metres.
    """
    difference = found.camera.astype(np.float64) - wanted.camera
    along = _DISTANCE_MM * difference[:, 2] / np.maximum(np.abs(wanted.camera[:, 2]), 1e-6)
    place: npt.NDArray[np.float64] = np.hypot(1000.0 * np.hypot(*difference[:, :2].T), along)
    return place
