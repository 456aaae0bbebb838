# SPDX-License-Identifier: Apache-2.0
"""Adds head, face and hands to a fitted body, each from its own landmarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.body.model_files import load_surface_points, relaxed_hands
from pear_ros.core.camera import Camera
from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES, Array, SmplxParams
from pear_ros.fitting.body_fitter import BodyFit, BodyFitter
from pear_ros.fitting.face_fitter import FaceFitter
from pear_ros.fitting.hand_fitter import FINGERS, HandFitter
from pear_ros.fitting.part_alignment import PartAlignment
from pear_ros.fitting.pose_prior import viewing_rotation
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.landmarks.types import HandLandmarks, PersonLandmarks

_MAX_HEAD_TURN = np.radians(80.0)
"""Greatest rotation of the head relative to the chest, radians."""

_INDEX = {name: number for number, name in enumerate(SMPLX_JOINT_NAMES)}
_JAW = _INDEX["jaw"]
_FACE_JOINTS = [_JAW, _INDEX["left_eye_smplhf"], _INDEX["right_eye_smplhf"]]
_HAND_START = {"left": _INDEX["left_index1"], "right": _INDEX["right_index1"]}


class PartFitter:
    """Adds head, face and hands to fitted bodies; stateless."""

    def __init__(self, fitter: BodyFitter) -> None:
        """Prepare the fits of face and hands to bodies that `fitter` has fitted."""
        self._body = body = fitter.body
        self._observed = fitter.observed
        surface = load_surface_points()
        self._face = FaceFitter(body, surface.face_corners, surface.face_barycentric)
        self._hands = {
            side: HandFitter(
                body,
                np.array([surface.vertices[f"{side}_{finger}_tip"] for finger in FINGERS]),
                side,
            )
            for side in ("left", "right")
        }
        self._align = PartAlignment(body, surface)
        self._relaxed = dict(zip(("left", "right"), relaxed_hands(), strict=True))

    def __call__(
        self, body: BodyFit, person: PersonLandmarks, camera: Camera
    ) -> tuple[SmplxParams, Array]:
        """Return all SMPL-X parameters of a person and the confidence (55,) of their joints.

        `person`: landmarks in pixels of the pinhole `camera`. Fingers without landmarks get a
        relaxed pose and confidence 0.
        """
        pose = np.zeros((NUM_JOINTS, 3), np.float32)
        confidence = np.zeros(NUM_JOINTS, np.float32)
        confidence[:NUM_BODY_JOINTS] = body.joint_confidence
        rotations = body.state.rotations.copy()
        face_used, hands_used = None, {}
        expression: Array = np.zeros(self._body.num_expression, np.float32)
        if person.face is not None:
            face = self._face(person.face.image, viewing_rotation(person.face.roi, camera))
            if self._rotate_head(rotations, face.orientation):
                face_used = person.face
                pose[_JAW, 0] = face.jaw
                expression = face.expression
                confidence[_FACE_JOINTS] = person.face.score * confidence[_INDEX["head"]]
        for side, hand in (("left", person.left_hand), ("right", person.right_hand)):
            fingers = slice(_HAND_START[side], _HAND_START[side] + 15)
            pose[fingers] = self._relaxed[side]
            if hand is not None:
                posed = self._pose_hand(rotations, side, hand, camera)
                if posed is not None:
                    hands_used[side] = hand
                    pose[fingers] = posed
                    confidence[fingers] = hand.score * confidence[_INDEX[f"{side}_wrist"]]
        state = replace(body.state, rotations=rotations)
        observed = self._observed(person.pose, body)
        state = self._align(state, observed, face_used, hands_used, camera)
        pose[:NUM_BODY_JOINTS] = Rotation.from_matrix(state.rotations).as_rotvec()
        smplx = SmplxParams(pose, state.betas, expression, state.transl)
        return smplx, confidence

    def _pose_hand(
        self, rotations: Array, side: str, hand: HandLandmarks, camera: Camera
    ) -> Array | None:
        """Set the wrist in `rotations`, return the fingers' pose (15, 3); None: implausible."""
        forearm = self._orientation(rotations, _INDEX[f"{side}_elbow"])
        world = hand.world @ viewing_rotation(hand.roi, camera).T
        posed = self._hands[side](world, forearm)
        if posed is None:
            return None
        rotations[_INDEX[f"{side}_wrist"]], fingers = posed
        return fingers

    def _rotate_head(self, rotations: Array, head: Array) -> bool:
        """Split the head's rotation relative to the chest over neck and head; False: too far."""
        chest = self._orientation(rotations, _INDEX["spine3"])
        turn = Rotation.from_matrix(chest.T @ head)
        if turn.magnitude() > _MAX_HEAD_TURN:
            return False
        half = Rotation.from_rotvec(turn.as_rotvec() / 2).as_matrix()
        rotations[_INDEX["neck"]] = rotations[_INDEX["head"]] = half
        return True

    def _orientation(self, rotations: Array, joint: int) -> Array:
        """Return the orientation (3, 3) of a joint in the optical frame."""
        orientation = np.eye(3, dtype=np.float32)
        while joint >= 0:
            orientation = rotations[joint] @ orientation
            joint = int(self._body.parents[joint])
        return orientation
