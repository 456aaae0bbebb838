# SPDX-License-Identifier: Apache-2.0
"""What one image measures of people, as a batch, with standard deviations for the filter."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions
from pear_ros.core.people import (
    NUM_JOINTS,
    DepthSource,
    FlameParams,
    Person,
    SmplxParams,
    stack,
    unstack,
)

Doubles = npt.NDArray[np.float64]

_ROTATION_STD = 0.03
"""Standard deviation of a joint's rotation about an axis, radians, at confidence 1."""
_ACROSS_STD = 0.001
"""Standard deviation of the pelvis across the line of sight, as a share of its depth."""
_ESTIMATED_DEPTH_STD = 0.02
"""Standard deviation of the pelvis' depth, as a share of it, without a depth image."""
_MEASURED_DEPTH_STD = 0.005
"""Standard deviation of the pelvis' depth, as a share of it, from a depth image."""
_MIN_CONFIDENCE = 0.2
"""Lower limit of confidences, by which standard deviations are divided."""

FACE_JOINTS = slice(22, 25)
"""SMPL-X's jaw and eyes; the joints of the body come before them."""


@dataclass(frozen=True)
class Measurements:
    """The parameters of N people as measured in one image."""

    smplx: SmplxParams
    """SMPL-X parameters, each array with N as its first axis."""
    flame: FlameParams | None
    """FLAME parameters, each array with N as its first axis; None if the people have none."""
    pelvis: Doubles
    """(N, 3) position in the camera's optical frame, metres."""
    confidence: npt.NDArray[np.floating]
    """(N, 55) confidence of the joints, 0 to 1; NaN: unknown."""
    scale: Doubles
    """(N,) size of each person over that of the posed body."""
    depth_source: npt.NDArray[np.integer]
    """(N,) what the scale is based on: values of DepthSource."""

    @classmethod
    def from_persons(cls, persons: Sequence[Person]) -> Measurements:
        """Return the measurements of `persons`, all or none of whom have FLAME parameters."""
        heads = [person.flame for person in persons if person.flame is not None]
        return cls(
            smplx=stack([person.smplx for person in persons]),
            flame=stack(heads) if heads else None,
            pelvis=np.array([person.joints[0] for person in persons], np.float64),
            confidence=np.array([person.joint_confidence for person in persons]),
            scale=np.array([person.scale for person in persons]),
            depth_source=np.array([person.depth_source for person in persons]),
        )

    @functools.cached_property
    def rotation_vectors(self) -> npt.NDArray[np.floating]:
        """(N, J, 3) radians, J = 55 joints of SMPL-X; with FLAME J = 58: its jaw and eyes, too."""
        if self.flame is None:
            return self.smplx.pose
        eyes = self.flame.eyes.reshape(-1, 2, 3)
        return np.concatenate([self.smplx.pose, self.flame.jaw[:, None], eyes], axis=1)

    @property
    def shape(self) -> npt.NDArray[np.floating]:
        """(N, K) coefficients that are constant: betas; with FLAME its shape and scale, too."""
        if self.flame is None:
            return self.smplx.betas
        return np.concatenate([self.smplx.betas, self.flame.shape, self.flame.head_scale], axis=1)

    @property
    def face(self) -> npt.NDArray[np.floating]:
        """(N, L) coefficients that change quickly: expressions; with FLAME the eyelids, too."""
        if self.flame is None:
            return self.smplx.expression
        expressions = [self.smplx.expression, self.flame.expression, self.flame.eyelids]
        return np.concatenate(expressions, axis=1)

    @property
    def standard_deviations(self) -> Doubles:
        """(N, J + 2) nominal standard deviations of the channels of `tangent_space`.

        Radians for joints; metres for the pelvis across the line of sight and for its depth.
        """
        # fmin(NaN, 1) is 1: an unknown confidence leaves the standard deviation as it is.
        confidence = np.maximum(np.fmin(self.confidence, 1.0), _MIN_CONFIDENCE)
        joints = [_ROTATION_STD / confidence]
        if self.flame is not None:
            joints.append(joints[0][:, FACE_JOINTS])
        measured = self.depth_source == DepthSource.MEASURED
        along = np.where(measured, _MEASURED_DEPTH_STD, _ESTIMATED_DEPTH_STD)
        across = np.full_like(along, _ACROSS_STD)
        pelvis = self.pelvis[:, 2:] * np.stack([across, along], axis=1) / confidence[:, :1]
        return np.concatenate([*joints, pelvis], axis=1)

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """(N,) whether all parameters are finite and the pelvis is in front of the camera."""
        joints = self.rotation_vectors.reshape(len(self.pelvis), -1)
        parts = [joints, self.shape, self.face, self.smplx.transl, self.pelvis]
        finite = np.isfinite(np.concatenate(parts, axis=1)).all(axis=1)
        return np.asarray(finite & (self.pelvis[:, 2] > 0.0))

    def with_filtered(self, rotations: Doubles, shape: Doubles, face: Doubles) -> Measurements:
        """Return the measurements with filtered values instead of measured ones.

        `rotations` (N, J, 4) are unit quaternions; `shape` (N, K) and `face` (N, L) are in the
        layout of the properties of these names.
        """
        vectors = quaternions.to_vectors(rotations).astype(np.float32)  # (N, J, 3)
        shape32, face32 = shape.astype(np.float32), face.astype(np.float32)
        betas, expression = self.smplx.betas.shape[1], self.smplx.expression.shape[1]
        smplx = replace(
            self.smplx,
            pose=vectors[:, :NUM_JOINTS],
            betas=shape32[:, :betas],
            expression=face32[:, :expression],
        )
        if self.flame is None:
            return replace(self, smplx=smplx)
        eyelids, head_scale = face32.shape[1] - 2, shape32.shape[1] - 3
        flame = replace(
            self.flame,
            shape=shape32[:, betas:head_scale],
            expression=face32[:, expression:eyelids],
            jaw=vectors[:, NUM_JOINTS],
            eyes=vectors[:, NUM_JOINTS + 1 :].reshape(-1, 6),
            eyelids=face32[:, eyelids:],
            head_scale=shape32[:, head_scale:],
        )
        return replace(self, smplx=smplx, flame=flame)

    def apply_to(self, persons: Sequence[Person]) -> list[Person]:
        """Return `persons` with these SMPL-X and FLAME parameters; joints stay as they are."""
        heads = [None] * len(persons) if self.flame is None else unstack(self.flame)
        return [
            replace(person, smplx=smplx, flame=flame)
            for person, smplx, flame in zip(persons, unstack(self.smplx), heads, strict=True)
        ]
