# SPDX-License-Identifier: Apache-2.0
"""The fit of a body without hands and face: landmarks in, joint rotations and shape out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.kinematics import rotation_vectors
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array
from pear_ros.fitting.pose_prior import PosePrior, confidence, front_for_back
from pear_ros.fitting.skeleton import AttachedPoints, BodyState, Skeleton
from pear_ros.fitting.solver import BodySolver, Expectation, Observation, place
from pear_ros.landmarks.types import PoseLandmarks

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


@dataclass(frozen=True)
class BodyFit:
    """One person's body in one image, and what is remembered of it for the next."""

    state: BodyState
    joint_confidence: Array
    """(22,) 0 to 1."""
    mismatch: float
    """Typical distance between landmarks and the body fitted to them, as a share of the region's
    side: 0.005 is usual, above 0.02 hardly any body explains the landmarks."""
    betas_error: float
    """Standard deviation of the shape, which is learnt from picture to picture."""
    reversed_for: float
    """Seconds for which the landmarks have been read as front for back, against their word."""


class BodyFitter:
    """Fits the open body to body landmarks of one person at a time; keeps no state."""

    def __init__(self) -> None:
        self.body: BodyModel = load_open_body()
        self._prior = PosePrior()
        self._skeleton = Skeleton(self.body)
        self._solver = BodySolver(self._skeleton)
        self._points = AttachedPoints(self._prior.landmark_joint, self._prior.landmark_offset)

    def __call__(
        self, pose: PoseLandmarks, camera: Camera, previous: BodyFit | None, elapsed: float
    ) -> BodyFit:
        """The body that explains a person's landmarks best.

        `previous`: the same person's fit `elapsed` seconds earlier, None for a new person.
        """
        seen = self._observe(pose)
        start, joint_error, betas_error = self._start(pose, seen, camera, previous)
        reversed_for = 0.0
        if previous is not None and _turned(start, previous.state) > _SUDDEN_TURN:
            # Nobody turns so fast: more likely the landmarks took front for back this time.
            other = front_for_back(pose)
            other_seen = self._observe(other)
            again = self._start(other, other_seen, camera, previous)
            patient = previous.reversed_for + elapsed <= _REVERSAL_PATIENCE
            if patient and _turned(again[0], previous.state) < _SUDDEN_TURN / 2:
                seen, (start, joint_error, betas_error) = other_seen, again
                reversed_for = previous.reversed_for + elapsed
        expected = self._expect(start, betas_error, previous, elapsed)
        state = self._solver(start, seen, expected, camera)
        points = self._skeleton.points(self._skeleton.pose(state), seen.points)
        return BodyFit(
            state=state,
            joint_confidence=confidence(joint_error) * np.float32(pose.score),
            mismatch=_distance(points, seen, camera) / pose.roi.size,
            betas_error=betas_error,
            reversed_for=reversed_for,
        )

    def _observe(self, pose: PoseLandmarks) -> Observation:
        """The body's landmarks as observations; hidden ones count less, guessed ones not at all."""
        certain = pose.visibility * pose.presence
        error = self._prior.landmark_error * pose.roi.size / np.maximum(certain, 1e-6)
        error[certain < _MIN_VISIBILITY] = np.inf
        return Observation(self._points, pose.image[:, :2], error)

    def _start(
        self, pose: PoseLandmarks, seen: Observation, camera: Camera, previous: BodyFit | None
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
            rotations = previous.state.rotations
        # Running mean of the pictures so far (Kalman filter of a constant).
        gain = previous.betas_error**2 / (previous.betas_error**2 + _BETAS_ERROR**2)
        betas = previous.state.betas + gain * (start.betas - previous.state.betas)
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
        self, start: BodyState, betas_error: float, previous: BodyFit | None, elapsed: float
    ) -> list[Expectation]:
        """What the learned guess and the previous picture make expect."""
        spread = np.full(len(start.betas), betas_error)
        expected = [Expectation(start, self._prior.rotation_error, spread, np.full(3, np.inf))]
        if previous is not None:
            expected.append(_continuity(start, previous.state, elapsed))
        return expected


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
