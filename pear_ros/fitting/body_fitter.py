# SPDX-License-Identifier: Apache-2.0
"""Fits the body without hands and face: landmarks in, joint rotations, shape and place out.

The learned prior proposes a pose, the solver refines it. From image to image, shape is a running
mean, and poses and depth are kept near those of the image before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.kinematics import rotation_matrices, rotation_vectors
from pear_ros.core.camera import Camera
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array
from pear_ros.fitting.body_in_box import ARM_ANGLE
from pear_ros.fitting.facing import MAX_GAP, MAX_LOG_ODDS, NEAR, Facing, log_likelihood_ratio
from pear_ros.fitting.landmark_places import landmark_points
from pear_ros.fitting.pose_prior import (
    PosePrior,
    confidence,
    front_back_swapped,
    upright_rotation,
)
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS, BodyState, Skeleton
from pear_ros.fitting.solver import BodySolver, GaussianPrior, Observation
from pear_ros.fitting.translation import fit_translation
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import PoseLandmarks

_MIN_VISIBILITY = 0.1
"""Least weight of a landmark that is used, and least visibility of a knee that is seen."""
_ALIGNMENT_ERROR = 0.7
"""Standard deviation of the landmarks in the final fit, over that on renders.

The less, the nearer the body is to the landmarks in the image and the farther from the prior's
pose. Landmarks of renders are less accurate than those of photographs.
"""
_FAR_START = 0.03
"""Distance between start and landmarks, as a share of the region's side, from which on a fit with a
wider loss comes first: the robust loss alone would take the landmarks for outliers."""
_FAR_ROBUST_SCALE = 12.0
"""c of that loss."""
_BAD_MISMATCH = 0.015
"""Mismatch of a new person from which on the fit is tried from a body at rest, too."""
_MUCH_BETTER = 0.5
"""Mismatch of that fit, over that of the prior's pose, below which it is taken."""
_MIN_WEIGHT = 0.2
"""Least visibility that a landmark in the image counts with: the model guesses places of hidden
limbs, too, and better than the prior does."""
_UNSEEN_HIPS = 4.0
"""Factor on the errors of the hips where no knee is visible: the landmark model then puts the hips
where the image ends, with high visibility."""
_DOUBTFUL_DISTANCE = 0.03
"""Distance between proposal and landmarks, as a share of the region's side, from which on the
proposal for the mirrored landmarks is tried, too."""
_IMPLAUSIBLE_DISTANCE = 0.05
"""Distance, as a share of the region's side, from which on the proposal is discarded for the pose
of the image before."""
_BETAS_ERROR = 1.0
"""Standard deviation of the betas of one image."""
_MIN_BETAS_ERROR = 0.1
"""Least standard deviation of the mean betas of a person."""
_REST_ERROR = np.array(
    [
        0.7 if name == "pelvis" or name.endswith(("shoulder", "elbow")) else 0.3
        for name in SMPLX_JOINT_NAMES[:NUM_BODY_JOINTS]
    ],
    np.float32,
)
"""(22,) standard deviation of the rotations from those at rest, radians per axis."""
_HIPS = [Pose.LEFT_HIP, Pose.RIGHT_HIP]
_KNEES = [Pose.LEFT_KNEE, Pose.RIGHT_KNEE]
_TURN_RATE = 4.0
"""Standard deviation of the rate at which a joint rotates, radians per second."""
_DEPTH_RATE = 1.5
"""Standard deviation of the rate at which depth changes, metres per second."""
_MAX_TURN_RATE = 12.0
"""Rate at which people turn at most, radians per second."""
_MAX_TURN_ERROR = 0.5
"""Difference between the root orientations of successive images due to errors, radians."""
_REVERSAL = np.radians(100.0)
"""Turn from which on front and back may have been confused, which Facing judges, radians."""
_MAX_HELD_TIME = 0.15
"""Seconds for which landmarks that turn the body faster may be wrong; then they are believed."""


@dataclass(frozen=True)
class BodyFit:
    """The body of one person fitted in one image; also the state for the next image."""

    state: BodyState
    """Rotations, shape and translation."""
    joint_confidence: Array
    """(22,) 0 to 1."""
    mismatch: float
    """Median distance between landmarks and the body fitted to them, as a share of the region's
    side: 0.005 is usual; above 0.02 hardly any body explains the landmarks."""
    betas_error: float
    """Standard deviation of the betas, the mean of those of all images so far."""
    facing: Facing
    """Belief about front and back."""
    held_for: float
    """Seconds for which the landmarks have turned the body faster than people turn, so that the
    pose before was taken for more probable; 0: they do not."""


@dataclass(frozen=True)
class _Reading:
    """What the learned prior makes of landmarks: where the solver starts."""

    observed: Observation
    """The landmarks."""
    start: BodyState
    """The pose proposed, with the person's mean shape, placed to fit the landmarks best."""
    joint_error: Array
    """(22,) standard deviation of each joint's position, metres per axis."""
    rotation_error: Array
    """(22,) standard deviation of each joint's rotation, radians per axis."""
    betas_error: float
    """Standard deviation of the betas."""
    distance: float
    """Median distance between start and landmarks, as a share of the region's side."""


class BodyFitter:
    """Fits the open body to the body landmarks of one person at a time; stateless."""

    def __init__(self) -> None:
        """Load the open body and the pose prior."""
        self.body: BodyModel = load_open_body()
        self._prior = PosePrior()
        self._skeleton = Skeleton(self.body)
        self._solver = BodySolver(self._skeleton)
        self._approach = BodySolver(self._skeleton, robust_scale=_FAR_ROBUST_SCALE)
        self._points = landmark_points(self._prior)
        self._rest = _rest_rotations()

    def __call__(
        self, pose: PoseLandmarks, camera: Camera, previous: BodyFit | None, elapsed: float
    ) -> BodyFit:
        """Fit the body to a person's landmarks.

        `pose` in pixels of the pinhole `camera`; `previous`: the same person's fit `elapsed`
        seconds earlier, None for a new person.
        """
        reading, facing = self._read(pose, camera, previous), Facing(log_odds=MAX_LOG_ODDS)
        if pose.swappable:
            reading, facing = self._choose(reading, pose, camera, previous, elapsed)
        far = reading.distance > _FAR_START
        state, mismatch = self._fitted(reading, pose, camera, previous, elapsed, far=far)
        held_for = 0.0
        if previous is None:
            if mismatch > _BAD_MISMATCH:
                rest = self._at_rest(reading, pose, camera)
                other = self._fitted(rest, pose, camera, None, elapsed, far=True)
                if other[1] < _MUCH_BETTER * mismatch:
                    state, mismatch = other
        elif _max_turn(elapsed) < _turn(state, previous.state) < _REVERSAL:
            held_for = previous.held_for + elapsed
            if held_for <= _MAX_HELD_TIME:
                held = self._held(reading, camera, previous)
                state, mismatch = self._fitted(held, pose, camera, previous, elapsed, far=False)
            else:
                held_for = 0.0
        return BodyFit(
            state=state,
            joint_confidence=confidence(reading.joint_error) * np.float32(pose.score),
            mismatch=mismatch,
            betas_error=reading.betas_error,
            facing=facing,
            held_for=held_for,
        )

    def observed(self, pose: PoseLandmarks, fit: BodyFit) -> Observation:
        """Return the landmarks as `fit` takes them, with standard deviations as on renders."""
        return self._observation(front_back_swapped(pose) if fit.facing.swapped else pose)

    def _fitted(
        self,
        reading: _Reading,
        pose: PoseLandmarks,
        camera: Camera,
        previous: BodyFit | None,
        elapsed: float,
        *,
        far: bool,
    ) -> tuple[BodyState, float]:
        """Return the body fitted from a start, which may be `far` from it, and its mismatch."""
        priors = [_learned_prior(reading)]
        if previous is not None:
            priors.append(_continuity_prior(reading.start, previous.state, elapsed))
        observed = replace(reading.observed, error=reading.observed.error * _ALIGNMENT_ERROR)
        start = reading.start
        if far:
            start = self._approach(start, observed, priors, camera).state
        state = self._solver(start, observed, priors, camera).state
        points = self._skeleton.points(self._skeleton.pose(state), observed.points)
        return state, _median_distance(points, observed, camera) / pose.roi.size

    def _held(self, reading: _Reading, camera: Camera, previous: BodyFit) -> _Reading:
        """Return a start in the pose of the image before."""
        rotations, betas = previous.state.rotations, reading.start.betas
        start, _ = self._place(rotations, betas, reading.observed, camera)
        return replace(reading, start=start)

    def _at_rest(self, reading: _Reading, pose: PoseLandmarks, camera: Camera) -> _Reading:
        """Return a start at rest: upright in the region, facing the camera, arms lowered.

        In close-ups the prior may see a body leaning into the camera, from which no step leads to
        the upright one.
        """
        rotations = self._rest.copy()
        rotations[0] = upright_rotation(pose.roi, camera) @ rotations[0]
        betas = np.zeros_like(reading.start.betas)
        start, distance = self._place(rotations, betas, reading.observed, camera)
        return replace(
            reading,
            start=start,
            rotation_error=_REST_ERROR,
            distance=distance / pose.roi.size,
        )

    def _choose(
        self,
        reading: _Reading,
        pose: PoseLandmarks,
        camera: Camera,
        previous: BodyFit | None,
        elapsed: float,
    ) -> tuple[_Reading, Facing]:
        """Return the more probable reading of landmarks, as they are or swapped, and the belief.

        `reading`: of the landmarks as they are.
        """
        known = previous if elapsed < MAX_GAP else None
        turn = 0.0 if known is None else _turn(reading.start, known.state)
        if turn < NEAR and reading.distance < _DOUBTFUL_DISTANCE:
            facing = Facing() if known is None else known.facing.updated(turn, np.pi, 0.0, elapsed)
            return reading, facing
        other = self._read(front_back_swapped(pose), camera, previous)
        evidence = log_likelihood_ratio(
            self._cost(reading, camera),
            self._cost(other, camera),
            float(np.log(reading.rotation_error).sum()),
            float(np.log(other.rotation_error).sum()),
        )
        if known is None:
            facing = Facing.of_new_person(evidence)
        else:
            other_turn = _turn(other.start, known.state)
            facing = known.facing.updated(turn, other_turn, evidence, elapsed)
        return (other if facing.swapped else reading), facing

    def _cost(self, reading: _Reading, camera: Camera) -> float:
        """Return the cost of the fit to this image alone."""
        priors = [_learned_prior(reading)]
        return self._solver(reading.start, reading.observed, priors, camera).cost

    def _observation(self, pose: PoseLandmarks) -> Observation:
        """Return the landmarks with standard deviations, which grow with falling visibility."""
        visible = pose.visibility * pose.presence
        weight = np.maximum(visible, _MIN_WEIGHT * pose.presence)
        error = self._prior.landmark_error * pose.roi.size / np.maximum(weight, 1e-6)
        if (visible[_KNEES] < _MIN_VISIBILITY).all():
            error[_HIPS] *= _UNSEEN_HIPS
        error[weight < _MIN_VISIBILITY] = np.inf
        return Observation(self._points, pose.image[:, :2], error)

    def _read(self, pose: PoseLandmarks, camera: Camera, previous: BodyFit | None) -> _Reading:
        """Return the start of the solver for these landmarks."""
        observed = self._observation(pose)
        proposal = self._prior(pose, camera)
        start, distance = self._place(proposal.rotations, proposal.betas, observed, camera)
        if distance > _DOUBTFUL_DISTANCE * pose.roi.size:
            other = self._prior(pose, camera, mirrored=True)
            other_start, other_distance = self._place(
                other.rotations, other.betas, observed, camera
            )
            if other_distance < distance:
                proposal, start, distance = other, other_start, other_distance
        betas_error = _BETAS_ERROR
        if previous is not None:
            rotations = start.rotations
            if distance > _IMPLAUSIBLE_DISTANCE * pose.roi.size:
                rotations = previous.state.rotations
            # Kalman filter of a constant: K = P / (P + R), x = x + K (z - x), P = (1 - K) P.
            gain = previous.betas_error**2 / (previous.betas_error**2 + _BETAS_ERROR**2)
            betas = previous.state.betas + gain * (start.betas - previous.state.betas)
            betas_error = float(max(np.sqrt(1.0 - gain) * previous.betas_error, _MIN_BETAS_ERROR))
            start, distance = self._place(rotations, betas, observed, camera)
        return _Reading(
            observed=observed,
            start=start,
            joint_error=proposal.joint_error,
            rotation_error=proposal.rotation_error,
            betas_error=betas_error,
            distance=distance / pose.roi.size,
        )

    def _place(
        self, rotations: Array, betas: Array, observed: Observation, camera: Camera
    ) -> tuple[BodyState, float]:
        """Return the body in this pose, translated to fit best, and its median distance, pixels."""
        at_origin = BodyState(rotations, betas, np.zeros(3, np.float32))
        points = self._skeleton.points(self._skeleton.pose(at_origin), observed.points)
        transl = fit_translation(points, observed.pixels, 1.0 / observed.error, camera)
        placed = replace(at_origin, transl=transl)
        return placed, _median_distance(points + transl, observed, camera)


def _rest_rotations() -> Array:
    """Return the rotations (22, 3, 3) of a body at rest that faces a camera."""
    vectors = np.zeros((NUM_BODY_JOINTS, 3), np.float32)
    vectors[0, 0] = np.pi
    vectors[SMPLX_JOINT_NAMES.index("left_shoulder"), 2] = -ARM_ANGLE
    vectors[SMPLX_JOINT_NAMES.index("right_shoulder"), 2] = ARM_ANGLE
    return np.asarray(rotation_matrices(vectors), np.float32)


def _median_distance(points: Array, observed: Observation, camera: Camera) -> float:
    """Return the median distance, pixels, between projected points (N, 3) and observed ones.

    It is infinite for points behind the camera, and if nothing is observed.
    """
    used = np.isfinite(observed.error)
    distance = np.linalg.norm(camera.project(points[used]) - observed.pixels[used], axis=1)
    return float(np.median(np.nan_to_num(distance, nan=np.inf))) if used.any() else np.inf


def _turn(state: BodyState, before: BodyState) -> float:
    """Return the angle between two root orientations, radians: cos a = (tr(R0' R1) - 1) / 2."""
    trace = float((before.rotations[0] * state.rotations[0]).sum())
    return float(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)))


def _max_turn(elapsed: float) -> float:
    """Return the angle, radians, by which root orientations `elapsed` seconds apart differ."""
    return _MAX_TURN_ERROR + _MAX_TURN_RATE * elapsed


def _learned_prior(reading: _Reading) -> GaussianPrior:
    """Return the prior that the body is near what the learned prior proposes."""
    betas_error = np.full(len(reading.start.betas), reading.betas_error)
    return GaussianPrior(reading.start, reading.rotation_error, betas_error, np.full(3, np.inf))


def _continuity_prior(start: BodyState, before: BodyState, elapsed: float) -> GaussianPrior:
    """Return the prior that joints and depth change little; weak where the start differs much."""
    error = np.hypot(0.05, _TURN_RATE * elapsed)
    turn = rotation_vectors(before.rotations.swapaxes(1, 2) @ start.rotations)
    angle = np.linalg.norm(turn, axis=1)  # (22,)
    depth_error = np.hypot(0.02, _DEPTH_RATE * elapsed)
    return GaussianPrior(
        before,
        (error * (1.0 + (angle / (3.0 * error)) ** 2)).astype(np.float32),
        np.full(len(before.betas), np.inf),
        np.array([np.inf, np.inf, depth_error]),
    )
