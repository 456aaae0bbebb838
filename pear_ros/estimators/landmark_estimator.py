# SPDX-License-Identifier: Apache-2.0
"""The open default: landmarks of body, hands and face, and the open body fitted to them."""

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
from pear_ros.landmarks.pose import in_sight, roi_from_box, visible_box
from pear_ros.landmarks.types import PersonLandmarks, PoseLandmarks
from pear_ros.landmarks.undistort import undistorted_part, undistorted_pose

MIN_SCORE = 0.5
"""Below: nobody new. The landmark model's score, lowered where no body explains its landmarks."""
MIN_SCORE_KNOWN = 0.25
"""Below: somebody followed is missed. Lower, since people in swift motion are read badly."""

_MISMATCH = 0.02
"""Of the fit, at which the score is halved."""


@dataclass(frozen=True)
class _Memory:
    """What is kept of one person."""

    landmarks: PersonLandmarks | None
    """Of the last image; None where the person was missed in it."""
    body: BodyFit
    stamp: float
    """Of the fit."""


class LandmarkEstimator(Stateful):
    """MediaPipe's landmark models on the CPU and a fit of the embedded open body."""

    state_attributes = ("_known",)
    model_id = "landmarks/1"
    diagnostics: Mapping[str, str] = {}

    def __init__(self, threads: int = 2) -> None:
        """Load models and body.

        Raises pear_ros.io.downloads.AssetError when a landmark model has not been downloaded.
        """
        self._landmarks = HolisticLandmarks(threads)
        self._fit = BodyFitter()
        self._complete = PartFitter(self._fit.body)
        self._known: dict[str, _Memory] = {}

    @property
    def body(self) -> BodyModel:
        """The embedded open body."""
        return self._fit.body

    def estimate(
        self, image: Image, camera: Camera, regions: Sequence[Region], stamp: float
    ) -> list[Estimate | None]:
        """The person in each region, in the regions' order; None where there is nobody."""
        where = []
        for region in regions:
            memory = self._known.get(region.id)
            seen = memory.landmarks if memory else None
            where.append(seen or roi_from_box(region.box))
        # Bodies are fitted while hands and faces are still being looked for.
        looking = self._landmarks.look(image, where)
        bodies = [
            None
            if person is None
            else self._fit_body(person.pose, camera, self._known.get(region.id), stamp)
            for region, person in zip(regions, looking, strict=True)
        ]
        estimates: list[Estimate | None] = []
        known: dict[str, _Memory] = {}
        for region, person, body in zip(regions, looking, bodies, strict=True):
            memory = self._known.get(region.id)
            if person and body and _is_person(person.pose, body, memory is not None):
                landmarks = person.result()
                known[region.id] = _Memory(landmarks, body, stamp)
                estimates.append(self._describe(landmarks, body, camera))
            else:
                estimates.append(None)
                if memory:
                    known[region.id] = replace(memory, landmarks=None)
        self._known = known
        return estimates

    def joints(self, persons: Sequence[Person]) -> Array:
        """See Estimator."""
        smplx = stack([person.smplx for person in persons])
        joints: Array = self.body.joints(smplx.pose, smplx.betas, smplx.expression, smplx.transl)
        return joints

    def heights(self, persons: Sequence[Person]) -> Array:
        """See Estimator."""
        return self.body.heights(stack([person.smplx for person in persons]).betas)

    def meshes(self, persons: Sequence[Person]) -> Array:
        """See Estimator."""
        smplx = stack([person.smplx for person in persons])
        vertices: Array = self.body.vertices(
            smplx.pose, smplx.betas, smplx.expression, smplx.transl
        )
        return vertices

    def reset(self) -> None:
        """Forget everybody."""
        self._known.clear()

    def close(self) -> None:
        """Stop the threads of the landmark models; the estimator cannot be used afterwards."""
        self._landmarks.close()

    def _fit_body(
        self, pose: PoseLandmarks, camera: Camera, memory: _Memory | None, stamp: float
    ) -> BodyFit | None:
        ideal = undistorted_pose(pose, camera)
        if ideal is None:
            return None
        if memory is None:
            return self._fit(ideal, camera.pinhole, None, 0.0)
        return self._fit(ideal, camera.pinhole, memory.body, stamp - memory.stamp)

    def _describe(self, person: PersonLandmarks, body: BodyFit, camera: Camera) -> Estimate:
        ideal = replace(
            person,
            left_hand=person.left_hand and undistorted_part(person.left_hand, camera),
            right_hand=person.right_hand and undistorted_part(person.right_hand, camera),
            face=person.face and undistorted_part(person.face, camera),
        )
        smplx, joint_confidence = self._complete(body, ideal, camera.pinhole)
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
    """Whether to believe that somebody is there; of newcomers the head or half of them must be."""
    if known:
        return _score(pose, body) >= MIN_SCORE_KNOWN
    return in_sight(pose) and _score(pose, body) >= MIN_SCORE


def _score(pose: PoseLandmarks, body: BodyFit) -> float:
    """Confidence that this is a person, 0 to 1."""
    return pose.score / (1.0 + (body.mismatch / _MISMATCH) ** 2)
