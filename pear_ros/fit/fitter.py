# SPDX-License-Identifier: Apache-2.0
"""The fit of one person: landmarks in, SMPL-X parameters and confidences out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.files import load_surface_points, relaxed_hands
from pear_ros.body.kinematics import rotation_vectors
from pear_ros.camera import Camera
from pear_ros.fit.face import FaceFitter
from pear_ros.fit.hands import FINGERS, HandFitter
from pear_ros.fit.prior import PosePrior, confidence, front_for_back, viewing_rotation
from pear_ros.fit.skeleton import NUM_BODY_JOINTS, AttachedPoints, BodyState, Skeleton
from pear_ros.fit.solver import BodySolver, Expectation, Observation, place
from pear_ros.landmarks.types import HandLandmarks, PersonLandmarks, PoseLandmarks
from pear_ros.people import NUM_JOINTS, SMPLX_JOINT_NAMES, Array, SmplxParams

_MIN_VISIBILITY = 0.1
"""Landmarks less visible than this are guesses of the landmark model, not observations."""
_DOUBTFUL = 0.03
"""A guess further off its landmarks than this share of the region's side needs a second opinion."""
_IMPLAUSIBLE = 0.05
"""A guess further off than this took front for back."""
_BETAS_ERROR = 0.7
"""Error of one picture's betas, standard deviations."""
_STEADY_BETAS_ERROR = 0.1
"""A person's shape is never held for better known than this."""
_SUDDEN_TURN = np.radians(110.0)
"""From one picture to the next; whoever turns passes through the angles between."""
_REVERSAL_PATIENCE = 0.5
"""Seconds after which the landmarks are believed after all."""
_TURN_RATE = 4.0
"""Radians per second by which a joint's rotation typically changes."""
_SPEED = 1.5
"""Metres per second, likewise, of depth."""
_HEAD_TURN = np.radians(80.0)
"""No head turns further than this against the chest."""

_INDEX = {name: number for number, name in enumerate(SMPLX_JOINT_NAMES)}
_JAW = _INDEX["jaw"]
_FACE_JOINTS = [_JAW, _INDEX["left_eye_smplhf"], _INDEX["right_eye_smplhf"]]
_HAND_START = {"left": _INDEX["left_index1"], "right": _INDEX["right_index1"]}


@dataclass(frozen=True)
class Fit:
    """One person's body in one image, and what is remembered of it for the next."""

    smplx: SmplxParams
    joint_confidence: Array
    """(55,) 0 to 1."""
    mismatch: float
    """Typical distance between landmarks and the body fitted to them, as a share of the region's
    side: 0.005 is usual, above 0.02 no body explains the landmarks."""
    body: BodyState
    betas_error: float
    """Standard deviation of the shape, which is learnt from picture to picture."""
    reversed_for: float
    """Seconds for which the landmarks have been read as front for back, against their word."""


class BodyFitter:
    """Fits the open body to landmarks of one person at a time; keeps no state."""

    def __init__(self) -> None:
        self.body: BodyModel = load_open_body()
        self._prior = PosePrior()
        self._skeleton = Skeleton(self.body)
        self._solver = BodySolver(self._skeleton)
        self._points = AttachedPoints(self._prior.landmark_joint, self._prior.landmark_offset)
        surface = load_surface_points()
        self._face = FaceFitter(self.body, surface.face_corners, surface.face_barycentric)
        self._hands = {
            side: HandFitter(
                self.body,
                np.array([surface.vertices[f"{side}_{finger}_tip"] for finger in FINGERS]),
                side,
            )
            for side in ("left", "right")
        }
        self._relaxed = dict(zip(("left", "right"), relaxed_hands(), strict=True))

    def __call__(
        self, person: PersonLandmarks, camera: Camera, previous: Fit | None, elapsed: float
    ) -> Fit:
        """The body that explains a person's landmarks best.

        `previous`: the same person's fit `elapsed` seconds earlier, None for a new person.
        """
        seen = self._observe(person.pose)
        start, joint_error, betas_error = self._start(person.pose, seen, camera, previous)
        reversed_for = 0.0
        if previous is not None and _turned(start, previous.body) > _SUDDEN_TURN:
            # Nobody turns so fast: more likely the landmarks took front for back this time.
            other = front_for_back(person.pose)
            other_seen = self._observe(other)
            again = self._start(other, other_seen, camera, previous)
            patient = previous.reversed_for + elapsed <= _REVERSAL_PATIENCE
            if patient and _turned(again[0], previous.body) < _SUDDEN_TURN / 2:
                seen, (start, joint_error, betas_error) = other_seen, again
                reversed_for = previous.reversed_for + elapsed
        expected = self._expect(start, betas_error, previous, elapsed)
        state = self._solver(start, seen, expected, camera)
        pose = np.zeros((NUM_JOINTS, 3), np.float32)
        certainty = np.zeros(NUM_JOINTS, np.float32)
        certainty[:NUM_BODY_JOINTS] = confidence(joint_error) * person.pose.score
        rotations = state.rotations.copy()
        expression: Array = np.zeros(self.body.num_expression, np.float32)
        if person.face is not None:
            face = self._face(person.face.image, viewing_rotation(person.face.roi, camera))
            if self._turn_head(rotations, face.orientation):
                pose[_JAW, 0] = face.jaw
                expression = face.expression
                certainty[_FACE_JOINTS] = person.face.score * certainty[_INDEX["head"]]
        for side, hand in (("left", person.left_hand), ("right", person.right_hand)):
            fingers = slice(_HAND_START[side], _HAND_START[side] + 15)
            pose[fingers] = self._relaxed[side]
            if hand is not None:
                posed = self._pose_hand(rotations, side, hand, camera)
                if posed is not None:
                    pose[fingers] = posed
                    certainty[fingers] = hand.score * certainty[_INDEX[f"{side}_wrist"]]
        pose[:NUM_BODY_JOINTS] = Rotation.from_matrix(rotations).as_rotvec()
        smplx = SmplxParams(pose, state.betas, expression, state.transl)
        points = self._skeleton.points(self._skeleton.pose(state), seen.points)
        mismatch = _distance(points, seen, camera) / person.pose.roi.size
        return Fit(smplx, certainty, mismatch, state, betas_error, reversed_for)

    def _observe(self, pose: PoseLandmarks) -> Observation:
        """The body's landmarks as observations; hidden ones count less, guessed ones not at all."""
        certain = pose.visibility * pose.presence
        error = self._prior.landmark_error * pose.roi.size / np.maximum(certain, 1e-6)
        error[certain < _MIN_VISIBILITY] = np.inf
        return Observation(self._points, pose.image[:, :2], error)

    def _start(
        self, pose: PoseLandmarks, seen: Observation, camera: Camera, previous: Fit | None
    ) -> tuple[BodyState, Array, float]:
        """Where to start, the error of its joints, and how well the shape will be known."""
        guess = self._prior(pose, camera)
        start, off = self._place(guess.rotations, guess.betas, seen, camera)
        if off > _DOUBTFUL * pose.roi.size:
            other = self._prior(pose, camera, in_mirror=True)
            other_start, other_off = self._place(other.rotations, other.betas, seen, camera)
            if other_off < off:
                guess, start, off = other, other_start, other_off
        joint_error = guess.joint_error
        if previous is None:
            return start, joint_error, _BETAS_ERROR
        rotations = start.rotations
        if off > _IMPLAUSIBLE * pose.roi.size:
            rotations = previous.body.rotations
        # Running mean of the pictures so far (Kalman filter of a constant).
        gain = previous.betas_error**2 / (previous.betas_error**2 + _BETAS_ERROR**2)
        betas = previous.body.betas + gain * (start.betas - previous.body.betas)
        betas_error = max(np.sqrt(1.0 - gain) * previous.betas_error, _STEADY_BETAS_ERROR)
        start, _ = self._place(rotations, betas, seen, camera)
        return start, joint_error, float(betas_error)

    def _place(
        self, rotations: Array, betas: Array, seen: Observation, camera: Camera
    ) -> tuple[BodyState, float]:
        """The body in this pose, projected best onto what is seen, and how far off it then is."""
        at_origin = BodyState(rotations, betas, np.zeros(3, np.float32))
        points = self._skeleton.points(self._skeleton.pose(at_origin), seen.points)
        transl = place(points, seen.pixels, 1.0 / seen.error, camera)
        return replace(at_origin, transl=transl), _distance(points + transl, seen, camera)

    def _expect(
        self, start: BodyState, betas_error: float, previous: Fit | None, elapsed: float
    ) -> list[Expectation]:
        """What the learned guess and the previous picture make expect."""
        spread = np.full(len(start.betas), betas_error)
        expected = [Expectation(start, self._prior.rotation_error, spread, np.full(3, np.inf))]
        if previous is not None:
            expected.append(_continuity(start, previous.body, elapsed))
        return expected

    def _pose_hand(
        self, rotations: Array, side: str, hand: HandLandmarks, camera: Camera
    ) -> Array | None:
        """Set the wrist in `rotations`, return the fingers' pose; None for a misread hand."""
        forearm = self._orientation(rotations, _INDEX[f"{side}_elbow"])
        world = hand.world @ viewing_rotation(hand.roi, camera).T
        posed = self._hands[side](world, forearm)
        if posed is None:
            return None
        rotations[_INDEX[f"{side}_wrist"]], fingers = posed
        return fingers

    def _turn_head(self, rotations: Array, head: Array) -> bool:
        """Share the head's turn against the chest between neck and head; False if impossible."""
        chest = self._orientation(rotations, _INDEX["spine3"])
        turn = Rotation.from_matrix(chest.T @ head)
        if turn.magnitude() > _HEAD_TURN:
            return False
        half = Rotation.from_rotvec(turn.as_rotvec() / 2).as_matrix()
        rotations[_INDEX["neck"]] = rotations[_INDEX["head"]] = half
        return True

    def _orientation(self, rotations: Array, joint: int) -> Array:
        """(3, 3) of a joint in the optical frame."""
        orientation = np.eye(3, dtype=np.float32)
        while joint >= 0:
            orientation = rotations[joint] @ orientation
            joint = int(self.body.parents[joint])
        return orientation


def _distance(points: Array, seen: Observation, camera: Camera) -> float:
    """Median distance in pixels between points of the body and where they are seen."""
    distance = np.linalg.norm(camera.project(points) - seen.pixels, axis=1)
    used = np.isfinite(seen.error)
    return float(np.median(distance[used])) if used.any() else np.inf


def _turned(state: BodyState, before: BodyState) -> float:
    """Angle between two root orientations, radians."""
    trace = float((before.rotations[0] * state.rotations[0]).sum())
    return float(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)))


def _continuity(start: BodyState, before: BodyState, elapsed: float) -> Expectation:
    """What the previous picture makes expect: little change, and no say where all has changed."""
    error = np.hypot(0.05, _TURN_RATE * elapsed)
    turn = rotation_vectors(before.rotations.swapaxes(1, 2) @ start.rotations)
    change = np.linalg.norm(turn, axis=1)
    depth_error = np.hypot(0.02, _SPEED * elapsed)
    return Expectation(
        before,
        (error * (1.0 + (change / (3.0 * error)) ** 2)).astype(np.float32),
        np.full(len(before.betas), np.inf),
        np.array([np.inf, np.inf, depth_error]),
    )
