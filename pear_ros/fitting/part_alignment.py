# SPDX-License-Identifier: Apache-2.0
"""Moves a fitted body onto its landmarks in the image, head and hands onto those of face and hands.

The body's fit weighs landmarks against the learned prior, which leaves the body beside them in the
image. A second solve, with more weight for the landmarks, starts from there and keeps the trunk's
rotations and the depth, which a single image shows least: limbs turn by a few degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pear_ros.body import BodyModel
from pear_ros.body.model_files import SurfacePoints
from pear_ros.core.camera import Camera
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS, AttachedPoints, BodyState, Skeleton
from pear_ros.fitting.solver import BodySolver, GaussianPrior, Observation
from pear_ros.landmarks.topology import Face, Hand
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks

# Spread over the face, and moved by no expression.
_FACE_POINTS = (
    *(Face.FOREHEAD, Face.NOSE_TIP, Face.RIGHT_EYE_OUTER, Face.RIGHT_EYE_INNER),
    *(Face.LEFT_EYE_INNER, Face.LEFT_EYE_OUTER, Face.RIGHT_CHEEK, Face.LEFT_CHEEK),
)
# Landmarks of the palm, and the joints they are at.
_PALM = (Hand.WRIST, Hand.INDEX_MCP, Hand.MIDDLE_MCP, Hand.RING_MCP, Hand.PINKY_MCP)
_PALM_JOINTS = ("wrist", "index1", "middle1", "ring1", "pinky1")

_FACE_ERROR = 0.02
"""Standard deviation of the face's landmarks, over the side of its region."""
_PALM_ERROR = 0.03
"""Standard deviation of the palm's landmarks, over the side of its region."""
_BODY_ERROR = 0.12
"""Standard deviation of the body's landmarks, over that on renders."""
_ROBUST_SCALE = 15.0
"""c of the robust loss, standard deviations: the body's fit may leave the head as far away."""
_ROTATION_ERROR = 0.05
"""Standard deviation, radians per axis, of rotations that the body's fit has found."""
_TRUNK = {"pelvis": 0.005, "spine1": 0.01, "spine2": 0.01, "spine3": 0.01}
"""The same of the trunk: small turns of it change every joint's depth."""
_ARMS_AND_NECK = {"neck": 0.2, "head": 0.1, "shoulder": 0.1, "elbow": 0.15, "wrist": 0.15}
"""The same of the joints that move head and hands."""
_TRANSL_ERROR = np.array([0.05, 0.05, 0.02])
"""Standard deviation of the translation that the body's fit has found, metres."""

_INDEX = {name: number for number, name in enumerate(SMPLX_JOINT_NAMES)}


class PartAlignment:
    """Aligns bodies with their landmarks, heads and hands with their own; stateless."""

    def __init__(self, body: BodyModel, surface: SurfacePoints) -> None:
        """Find the places of the landmarks on `body`, the open body."""
        self._skeleton = Skeleton(body)
        self._solver = BodySolver(self._skeleton, robust_scale=_ROBUST_SCALE)
        zeros = np.zeros((1, body.num_betas + body.num_expression), np.float32)
        rest = body.rest_joints(zeros[:, : body.num_betas], zeros[:, body.num_betas :])[0]
        dirs = body.joint_dirs[:, :, : body.num_betas]
        corners = surface.face_corners[list(_FACE_POINTS)]  # (M, 3)
        weights = surface.face_barycentric[list(_FACE_POINTS), :, None]  # (M, 3, 1)
        head = _INDEX["head"]
        face = (body.v_template[corners] * weights).sum(axis=1)  # (M, 3)
        face_dirs = (body.shapedirs[corners] * weights[..., None]).sum(axis=1)  # (M, 3, B)
        self._face = _RigidPart(_FACE_POINTS, head, face - rest[head], face_dirs - dirs[head])
        self._palms = {}
        for side in ("left", "right"):
            wrist = _INDEX[f"{side}_wrist"]
            joints = [_INDEX[f"{side}_{name}"] for name in _PALM_JOINTS]
            self._palms[side] = _RigidPart(
                _PALM, wrist, rest[joints] - rest[wrist], dirs[joints] - dirs[wrist]
            )
        errors = {**_TRUNK, **_ARMS_AND_NECK}
        self._rotation_error = np.array(
            [
                errors.get(name.rpartition("_")[2], _ROTATION_ERROR)
                for name in SMPLX_JOINT_NAMES[:NUM_BODY_JOINTS]
            ],
            np.float32,
        )

    def __call__(
        self,
        state: BodyState,
        body: Observation,
        face: FaceLandmarks | None,
        hands: dict[str, HandLandmarks],
        camera: Camera,
    ) -> BodyState:
        """Return the body on its landmarks, its head on the face's and its hands on the hands'.

        `body`: its landmarks; `face` and `hands` by side: those whose orientations `state` has. All
        in pixels of the pinhole `camera`.
        """
        error = body.error * _BODY_ERROR
        observed = [_Observed(body.points.joint, body.points.offset, body.pixels, error)]
        if face is not None:
            observed.append(self._face(state.betas, face, _FACE_ERROR))
        observed += [
            self._palms[side](state.betas, hand, _PALM_ERROR) for side, hand in hands.items()
        ]
        for part in observed[1:]:
            error[np.isin(body.points.joint, part.joint)] = np.inf
        joint, offset, pixels, error = (
            np.concatenate(values) for values in zip(*observed, strict=True)
        )
        points = AttachedPoints(joint, offset)
        observation = Observation(points, np.nan_to_num(pixels), error)
        near = GaussianPrior(
            state, self._rotation_error, np.full(len(state.betas), 1e-3), _TRANSL_ERROR
        )
        return self._solver(state, observation, [near], camera).state


class _Observed(NamedTuple):
    """Points of the body and where they are in the image."""

    joint: npt.NDArray[np.intp]
    """(N,) the joint that each moves with."""
    offset: npt.NDArray[np.floating]
    """(N, 3) from the joint, metres."""
    pixels: npt.NDArray[np.floating]
    """(N, 2) places in the image."""
    error: npt.NDArray[np.floating]
    """(N,) their standard deviations, pixels."""


class _RigidPart:
    """Landmarks that move with one joint of the body."""

    def __init__(self, landmarks: Sequence[int], joint: int, offset: Array, dirs: Array) -> None:
        """Take M landmarks, `offset` (M, 3) from the joint, with derivatives (M, 3, B) by betas."""
        self._landmarks = list(landmarks)
        self._joint = np.full(len(landmarks), joint)
        self._offset, self._dirs = offset, dirs

    def __call__(
        self, betas: Array, part: FaceLandmarks | HandLandmarks, relative_error: float
    ) -> _Observed:
        """Return the landmarks as points of a body; errors relative to the side of the region."""
        error = np.full(len(self._joint), relative_error * part.roi.size)
        pixels = part.image[self._landmarks, :2]
        return _Observed(self._joint, self._offset + self._dirs @ betas, pixels, error)
