# SPDX-License-Identifier: Apache-2.0
"""LandmarkEstimator, the open default: landmarks of body, hands and face, and a fit of a body."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pear_ros.body import BodyModel
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Region
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import NUM_JOINTS, Array, Estimate, Image, Person, SmplxParams, stack
from pear_ros.core.state import Stateful
from pear_ros.fitting import BodyFit, BodyFitter, PartFitter
from pear_ros.fitting.body_in_box import BodyInBox
from pear_ros.fitting.joint_visibility import joint_visibility
from pear_ros.landmarks.detected_pose import LENGTHS, roi_of_length
from pear_ros.landmarks.holistic import (
    DetectedPerson,
    HolisticLandmarks,
    PendingLandmarks,
    PersonStart,
    ProposedPerson,
)
from pear_ros.landmarks.pose import sufficiently_visible, visible_box
from pear_ros.landmarks.types import PersonLandmarks, PoseLandmarks
from pear_ros.landmarks.undistort import undistorted_part, undistorted_pose

MIN_SCORE = 0.5
"""Least score of a person in a new region: the landmark model's, lowered by the fit's mismatch."""
MIN_SCORE_KNOWN = 0.35
"""Least score of a person who was there in the image before; lower, as fast motion blurs."""

_HALVING_MISMATCH = 0.02
"""Mismatch of the fit at which the score is halved."""
_HALVING_MISMATCH_VOUCHED = 0.04
"""The same for a person whom a detector found: it does not tell right landmarks from wrong ones."""
_MAX_MISMATCH = 0.1
"""Mismatch above which the fit shows nothing of a person whom a detector found."""
_DOUBTFUL_MISMATCH = 0.015
"""Mismatch above which a fit is in doubt."""
_MAX_ACCURATE = 4
"""Number of new people in one image who get the more accurate model at most: it takes longer."""
_UNREAD_INTERVAL = 3
"""Images from one attempt to read a body that could not be read to the next, without detections."""
_UNREAD_ATTEMPTS = 4
"""Attempts after which there is one with a detection only, and in the following interval."""
_LATER_INTERVAL = 10
"""Images from one attempt to the next then."""
_MAX_UNREAD_TIME = 1.5
"""Seconds for which a person whose body cannot be read keeps the last known pose; then the body is
at rest."""


@dataclass(frozen=True)
class _RegionState:
    """The state of one region from image to image."""

    landmarks: PersonLandmarks | None = None
    """Landmarks in the last image; None: no person was found in it."""
    body: BodyFit | None = None
    """The last fit; None: the body could not be read yet."""
    smplx: SmplxParams | None = None
    """The last fit with hands and face."""
    stamp: float = -math.inf
    """Stamp of the last fit, seconds."""
    attempts: int = 0
    """Failed attempts to read the body of a detected person since it was read; 0: it was read."""
    waited: int = 0
    """Images since the last of these attempts."""


class LandmarkEstimator(Stateful):
    """Estimates people by MediaPipe's landmark models on the CPU and a fit of the open body."""

    state_attributes = ("_states",)
    model_id = "landmarks/3"
    diagnostics: Mapping[str, str] = {}

    def __init__(self, threads: int = 2, model: str = Parameters.landmarks) -> None:
        """Load the landmark models, for `threads` threads, and the open body.

        `model`: the model of body landmarks, one of LANDMARKS in pear_ros.core.parameters. Raises
        pear_ros.io.downloads.AssetError when a landmark model has not been downloaded.
        """
        self._landmarks = HolisticLandmarks(threads, model)
        self._fit = BodyFitter()
        self._fit_parts = PartFitter(self._fit)
        self._in_box = BodyInBox(self._fit.body)
        self._states: dict[str, _RegionState] = {}

    @property
    def body(self) -> BodyModel:
        """The open body, which is part of the package."""
        return self._fit.body

    @property
    def landmarks(self) -> list[PersonLandmarks]:
        """The landmarks of all people estimated in the last image, in any order."""
        return [state.landmarks for state in self._states.values() if state.landmarks]

    def estimate(
        self, image: Image, camera: Camera, regions: Sequence[Region], stamp: float
    ) -> list[Estimate | None]:
        """Return the person in each region, in the regions' order; None: there is no person.

        `image` (height, width, 3) uint8 BGR, taken by `camera` at `stamp`, seconds. In a region
        with a score there always is one: where the body cannot be read, at rest in the box.
        """
        known = [self._states.get(region.id) for region in regions]
        starts = list(map(_start, regions, known))
        # Bodies are fitted while hands and faces are still being detected.
        pending = self._landmarks.submit(image, starts, _doubtful(regions, known))
        bodies = [
            None if person is None else self._fit_body(person.pose, camera, state, stamp)
            for state, person in zip(known, pending, strict=True)
        ]
        estimates: list[Estimate | None] = []
        states: dict[str, _RegionState] = {}
        results = zip(regions, known, starts, pending, bodies, strict=True)
        for region, state, start, person, body in results:
            detected = not math.isnan(region.score)
            if person and body and _is_person(person, body, detected, state is not None):
                landmarks = person.result()
                estimate = self._estimate(landmarks, body, camera, region, image)
                states[region.id] = _RegionState(landmarks, body, estimate.smplx, stamp)
                estimates.append(estimate)
            elif detected:
                unread = _unread(state or _RegionState(), start)
                states[region.id] = unread
                estimates.append(self._unread_estimate(region, unread, camera, stamp))
            else:
                estimates.append(None)
                if state:
                    is_unread = state.attempts > 0
                    states[region.id] = (
                        _unread(state, start) if is_unread else replace(state, landmarks=None)
                    )
        self._states = states
        return estimates

    def joints(self, persons: Sequence[Person]) -> Array:
        """Compute the joints (N, 55, 3) in the frame of transl, metres, with Person.scale as 1."""
        smplx = stack([person.smplx for person in persons])
        joints: Array = self.body.joints(smplx.pose, smplx.betas, smplx.expression, smplx.transl)
        return joints

    def heights(self, persons: Sequence[Person]) -> Array:
        """Compute the standing heights (N,), metres, with Person.scale as 1."""
        return self.body.heights(stack([person.smplx for person in persons]).betas)

    def meshes(self, persons: Sequence[Person]) -> Array:
        """Compute the vertices (N, V, 3) in the frame of transl, metres, with scale as 1."""
        smplx = stack([person.smplx for person in persons])
        vertices: Array = self.body.vertices(
            smplx.pose, smplx.betas, smplx.expression, smplx.transl
        )
        return vertices

    def reset(self) -> None:
        """Drop the state of all regions."""
        self._states.clear()

    def close(self) -> None:
        """Stop the threads of the landmark models; the estimator cannot be used afterwards."""
        self._landmarks.close()

    def _fit_body(
        self, pose: PoseLandmarks, camera: Camera, state: _RegionState | None, stamp: float
    ) -> BodyFit | None:
        ideal = undistorted_pose(pose, camera)
        if ideal is None:
            return None
        if state is None or state.body is None:
            return self._fit(ideal, camera.pinhole, None, 0.0)
        return self._fit(ideal, camera.pinhole, state.body, stamp - state.stamp)

    def _estimate(
        self,
        person: PersonLandmarks,
        body: BodyFit,
        camera: Camera,
        region: Region,
        image: Image,
    ) -> Estimate:
        ideal = replace(
            person,
            pose=undistorted_pose(person.pose, camera) or person.pose,
            left_hand=person.left_hand and undistorted_part(person.left_hand, camera),
            right_hand=person.right_hand and undistorted_part(person.right_hand, camera),
            face=person.face and undistorted_part(person.face, camera),
        )
        smplx, joint_confidence = self._fit_parts(body, ideal, camera.pinhole)
        if person.vouched:
            # A table or the image's edge may hide half the body: nothing is seen of it.
            joint_confidence = joint_confidence * joint_visibility(person.pose, image)
        joints = self._joints(smplx)
        return Estimate(
            score=float(np.fmax(_score(person.pose, body, person.vouched), region.score)),
            box=visible_box(person.pose),
            smplx=smplx,
            joints=joints,
            joint_confidence=joint_confidence,
            keypoints=camera.project(joints),
        )

    def _unread_estimate(
        self, region: Region, state: _RegionState, camera: Camera, stamp: float
    ) -> Estimate:
        """Return the person in the detector's box, in the last known pose or at rest."""
        if state.smplx is not None and stamp - state.stamp <= _MAX_UNREAD_TIME:
            smplx = self._in_box.as_before(state.smplx, region.box, camera)
        else:
            smplx = self._in_box.at_rest(region.box, camera)
        joints = self._joints(smplx)
        return Estimate(
            score=region.score,
            box=region.box,
            smplx=smplx,
            joints=joints,
            joint_confidence=np.zeros(NUM_JOINTS, np.float32),
            keypoints=camera.project(joints),
            pose_observed=False,
        )

    def _joints(self, smplx: SmplxParams) -> Array:
        """Return the joints (55, 3) of one person, metres."""
        joints: Array = self.body.joints(
            smplx.pose[None], smplx.betas[None], smplx.expression[None], smplx.transl[None]
        )[0]
        return joints


def _start(region: Region, state: _RegionState | None) -> PersonStart | None:
    """Return what is known of the person in a region; None: no attempt is due."""
    landmarks = state.landmarks if state else None
    attempts, waited = (state.attempts, state.waited) if state else (0, 0)
    late = attempts >= _UNREAD_ATTEMPTS
    if not math.isnan(region.score):
        if late and waited < _LATER_INTERVAL:
            return None
        # One length in each image is tried again.
        lengths = (LENGTHS[attempts % len(LENGTHS)],) if attempts else LENGTHS
        return DetectedPerson(region.box, landmarks, lengths)
    if attempts:
        # The box may have been of a part of the body: here nothing around it is black.
        due = not late and waited >= _UNREAD_INTERVAL
        return roi_of_length(region.box, LENGTHS[0]) if due else None
    return landmarks or ProposedPerson(region.box)


def _unread(state: _RegionState, start: PersonStart | None) -> _RegionState:
    """Return the state after an image in which `start` has led to no landmarks."""
    attempted = start is not None
    return replace(
        state,
        landmarks=None,
        attempts=state.attempts + attempted,
        waited=1 if attempted else state.waited + 1,
    )


def _doubtful(regions: Sequence[Region], states: Sequence[_RegionState | None]) -> set[int]:
    """Return the indices of those who get the more accurate model, which takes longer.

    They are the largest of the detected people who are new, and the one who fitted worst in the
    last image, if badly.
    """
    new = [
        n
        for n, (region, state) in enumerate(zip(regions, states, strict=True))
        if state is None and not math.isnan(region.score)
    ]
    new.sort(key=lambda n: float(regions[n].box[1] - regions[n].box[3]))
    mismatch = {
        n: state.body.mismatch
        for n, state in enumerate(states)
        if state and state.landmarks and state.body and state.body.mismatch > _DOUBTFUL_MISMATCH
    }
    worst = {max(mismatch, key=lambda n: mismatch[n])} if mismatch else set()
    return {*new[:_MAX_ACCURATE], *worst}


def _is_person(person: PendingLandmarks, body: BodyFit, detected: bool, known: bool) -> bool:
    """Return whether landmarks and fit show a person.

    Those of a person who is detected in this image fill the box. Without a detection the score
    decides, and a new person also needs the head or half the body seen.
    """
    if detected:
        return body.mismatch < _MAX_MISMATCH
    score = _score(person.pose, body, person.vouched)
    if known:
        return score >= MIN_SCORE_KNOWN
    return sufficiently_visible(person.pose) and score >= MIN_SCORE


def _score(pose: PoseLandmarks, body: BodyFit, vouched: bool) -> float:
    """Confidence that this is a person, 0 to 1; `vouched`: a detector found the person."""
    halving = _HALVING_MISMATCH_VOUCHED if vouched else _HALVING_MISMATCH
    return pose.score / (1.0 + (body.mismatch / halving) ** 2)
