# SPDX-License-Identifier: Apache-2.0
"""LandmarkEstimator, the open default: landmarks of body, hands and face, and a fit of a body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pear_ros.body import BodyModel
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Region
from pear_ros.core.people import Array, Estimate, Image, Person, stack
from pear_ros.core.state import Stateful
from pear_ros.fitting import BodyFit, BodyFitter, PartFitter
from pear_ros.landmarks.holistic import HolisticLandmarks
from pear_ros.landmarks.pose import roi_from_box, sufficiently_visible, visible_box
from pear_ros.landmarks.types import PersonLandmarks, PoseLandmarks
from pear_ros.landmarks.undistort import undistorted_part, undistorted_pose

MIN_SCORE = 0.5
"""Least score of a person in a new region: the landmark model's, lowered by the fit's mismatch."""
MIN_SCORE_KNOWN = 0.25
"""Least score of a person who was there in the image before; lower, as fast motion blurs."""

_HALVING_MISMATCH = 0.02
"""Mismatch of the fit at which the score is halved."""


@dataclass(frozen=True)
class _RegionState:
    """The state of one region from image to image."""

    landmarks: PersonLandmarks | None
    """Landmarks in the last image; None: no person was found in it."""
    body: BodyFit
    """The last fit."""
    stamp: float
    """Stamp of the last fit, seconds."""


class LandmarkEstimator(Stateful):
    """Estimates people by MediaPipe's landmark models on the CPU and a fit of the open body."""

    state_attributes = ("_states",)
    model_id = "landmarks/1"
    diagnostics: Mapping[str, str] = {}

    def __init__(self, threads: int = 2) -> None:
        """Load the landmark models, for `threads` threads, and the open body.

        Raises pear_ros.io.downloads.AssetError when a landmark model has not been downloaded.
        """
        self._landmarks = HolisticLandmarks(threads)
        self._fit = BodyFitter()
        self._fit_parts = PartFitter(self._fit.body)
        self._states: dict[str, _RegionState] = {}

    @property
    def body(self) -> BodyModel:
        """The open body, which is part of the package."""
        return self._fit.body

    @property
    def landmarks(self) -> list[PersonLandmarks]:
        """The landmarks of everyone estimated in the last image, in any order."""
        return [state.landmarks for state in self._states.values() if state.landmarks]

    def estimate(
        self, image: Image, camera: Camera, regions: Sequence[Region], stamp: float
    ) -> list[Estimate | None]:
        """Return the person in each region, in the regions' order; None: there is no person.

        `image` (height, width, 3) uint8 BGR, taken by `camera` at `stamp`, seconds.
        """
        starts = []
        for region in regions:
            state = self._states.get(region.id)
            landmarks = state.landmarks if state else None
            starts.append(landmarks or roi_from_box(region.box))
        # Bodies are fitted while hands and faces are still being detected.
        pending = self._landmarks.submit(image, starts)
        bodies = [
            None
            if person is None
            else self._fit_body(person.pose, camera, self._states.get(region.id), stamp)
            for region, person in zip(regions, pending, strict=True)
        ]
        estimates: list[Estimate | None] = []
        states: dict[str, _RegionState] = {}
        for region, person, body in zip(regions, pending, bodies, strict=True):
            state = self._states.get(region.id)
            if person and body and _is_person(person.pose, body, state is not None):
                landmarks = person.result()
                states[region.id] = _RegionState(landmarks, body, stamp)
                estimates.append(self._estimate(landmarks, body, camera))
            else:
                estimates.append(None)
                if state:
                    states[region.id] = replace(state, landmarks=None)
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
        if state is None:
            return self._fit(ideal, camera.pinhole, None, 0.0)
        return self._fit(ideal, camera.pinhole, state.body, stamp - state.stamp)

    def _estimate(self, person: PersonLandmarks, body: BodyFit, camera: Camera) -> Estimate:
        ideal = replace(
            person,
            left_hand=person.left_hand and undistorted_part(person.left_hand, camera),
            right_hand=person.right_hand and undistorted_part(person.right_hand, camera),
            face=person.face and undistorted_part(person.face, camera),
        )
        smplx, joint_confidence = self._fit_parts(body, ideal, camera.pinhole)
        joints = self.body.joints(
            smplx.pose[None], smplx.betas[None], smplx.expression[None], smplx.transl[None]
        )[0]
        return Estimate(
            score=_score(person.pose, body),
            box=visible_box(person.pose),
            smplx=smplx,
            joints=joints,
            joint_confidence=joint_confidence,
            keypoints=camera.project(joints),
        )


def _is_person(pose: PoseLandmarks, body: BodyFit, known: bool) -> bool:
    """Return whether the score suffices; a new person also needs the head or half the body seen."""
    if known:
        return _score(pose, body) >= MIN_SCORE_KNOWN
    return sufficiently_visible(pose) and _score(pose, body) >= MIN_SCORE


def _score(pose: PoseLandmarks, body: BodyFit) -> float:
    """Confidence that this is a person, 0 to 1."""
    return pose.score / (1.0 + (body.mismatch / _HALVING_MISMATCH) ** 2)
