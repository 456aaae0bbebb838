# SPDX-License-Identifier: Apache-2.0
"""The open default: landmarks of body, hands and face, and the open body fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pear_ros.body import BodyModel
from pear_ros.camera import Camera
from pear_ros.estimator import Estimate, Region
from pear_ros.fit import BodyFitter, Fit
from pear_ros.landmarks.detector import person_box
from pear_ros.landmarks.holistic import HolisticLandmarks
from pear_ros.landmarks.pose import roi_from_box
from pear_ros.landmarks.types import PersonLandmarks
from pear_ros.people import Image

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
    fit: Fit
    stamp: float
    """Of the fit."""


class LandmarkEstimator:
    """MediaPipe's landmark models on the CPU and a fit of the embedded open body."""

    model_id = "landmarks/1"

    def __init__(self, threads: int = 2) -> None:
        """Load models and body.

        Raises pear_ros.assets.AssetError when a landmark model has not been downloaded.
        """
        self._landmarks = HolisticLandmarks(threads)
        self._fitter = BodyFitter()
        self._known: dict[str, _Memory] = {}

    @property
    def body(self) -> BodyModel:
        """The embedded open body."""
        return self._fitter.body

    def estimate(
        self, image: Image, camera: Camera, regions: Sequence[Region], stamp: float
    ) -> list[Estimate | None]:
        """The person in each region, in the regions' order; None where there is nobody."""
        where = []
        for region in regions:
            memory = self._known.get(region.id)
            seen = memory.landmarks if memory else None
            where.append(seen or roi_from_box(region.box))
        found = self._landmarks(image, where)
        estimates: list[Estimate | None] = []
        known: dict[str, _Memory] = {}
        for region, person in zip(regions, found, strict=True):
            memory = self._known.get(region.id)
            estimate = None
            if person is not None:
                before = memory.fit if memory else None
                elapsed = stamp - memory.stamp if memory else 0.0
                fit = self._fitter(person, camera, before, elapsed)
                estimate = self._describe(person, fit, camera)
                if estimate.score < (MIN_SCORE_KNOWN if memory else MIN_SCORE):
                    estimate = None
            if estimate is not None:
                known[region.id] = _Memory(person, fit, stamp)
            elif memory:
                known[region.id] = _Memory(None, memory.fit, memory.stamp)
            estimates.append(estimate)
        self._known = known
        return estimates

    def reset(self) -> None:
        """Forget everybody."""
        self._known.clear()

    def _describe(self, person: PersonLandmarks, fit: Fit, camera: Camera) -> Estimate:
        smplx = fit.smplx
        joints = self.body.joints(
            smplx.pose[None], smplx.betas[None], smplx.expression[None], smplx.transl[None]
        )[0]
        visible = person.pose.image[person.pose.presence > 0.5, :2]
        box = person_box(person.pose.roi)
        if len(visible):
            low, high = visible.min(axis=0), visible.max(axis=0)
            margin = 0.08 * float((high - low).max())
            box = np.concatenate([low - margin, high + margin])
        return Estimate(
            score=person.pose.score / (1.0 + (fit.mismatch / _MISMATCH) ** 2),
            box=box.astype(np.float32),
            smplx=smplx,
            joints=joints,
            joint_confidence=fit.joint_confidence,
            keypoints=camera.project(joints),
        )
