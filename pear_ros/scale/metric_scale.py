# SPDX-License-Identifier: Apache-2.0
"""Metric scale of people in a video, from depth images, the floor, or a known body height.

One picture does not determine size: a body scaled about the camera's centre projects to the same
pixels. So one scale factor for each person is unknown. A depth image measures it for the moment,
and so does a floor that the person touches. With it they give the person's standing height, which
is constant and determines the scale of images without them.

The sources are combined in the log of the scale factor, each with its standard deviation: height
and floor make the prior of what the depth image measures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import MEASURED_STATES, Array, DepthSource, Person, TrackingState
from pear_ros.core.state import Stateful
from pear_ros.scale import depth_scale, floor_contact
from pear_ros.scale.beam_model import LogScalePrior
from pear_ros.scale.floor_contact import FloorScale, PopulationPrior
from pear_ros.scale.learnt_height import KNOWN_LOG_HEIGHT_STD, LearntHeight

Doubles = npt.NDArray[np.float64]

_MEAN_LOG_HEIGHT = math.log(1.65)
"""Mean of the prior of log height, metres."""
_LOG_HEIGHT_STD = 0.12
"""Standard deviation of the log height of people, few of them children."""
_UNCALIBRATED_LOG_HEIGHT_STD = 0.5
"""Standard deviation of the log height where the field of view, and so the distance, is a guess."""
_MIN_CONTACT = 0.5
"""Probability that a person touches the floor from which on the floor gives the scale."""
_LEARNT_CONTACT = 0.8
"""Probability from which on the person's height is learnt from the floor."""
_MAX_LEARNT_STD = 0.1
"""Greatest standard deviation of a log height that is learnt from the floor."""


@dataclass(frozen=True)
class _Scale:
    """The scale of a person: an estimate and the prior for measuring it."""

    log_scale: float
    source: DepthSource
    prior: LogScalePrior
    std: float
    """Standard deviation of `log_scale`."""
    unknown_height: bool = False
    """Whether nothing is known of the person's height."""
    learnt_from_floor: bool = False
    """Whether the prior is a height that the floor gave earlier."""


class MetricScale(Stateful):
    """Estimates the metric scale of each person and learns their heights; not thread-safe."""

    state_attributes = ("_heights",)

    def __init__(self, bodies: ScaledBodies) -> None:
        """Start without known heights; `bodies` computes heights and meshes of people."""
        self._bodies = bodies
        self._heights: dict[str, LearntHeight] = {}

    def __call__(
        self,
        persons: Sequence[Person],
        camera: Camera,
        stamp: float,
        depth: Array | None,
        body_height: float | None,
        ground: GroundPlane | None = None,
    ) -> list[Person]:
        """Return the same people at their metric scale, as far as it is known.

        `persons`: as estimated, at scale 1; `stamp` in seconds. `depth` (height, width): metres
        along the optical axis at each pixel of the image, NaN where unknown; None if there is no
        depth image. `body_height`: standing height of all people, metres, None if unknown; measured
        heights have precedence. `ground`: the floor; None if unknown. Raises ValueError if depth
        and image differ in size.
        """
        if depth is None and body_height is None and ground is None and not self._heights:
            std = _assumed_std(camera)
            return [_with_error(person, std) for person in persons]
        log_heights = np.log(self._bodies.heights(persons).astype(float))
        scales = [
            self._prior_scale(person, float(log_height), camera, body_height)
            for person, log_height in zip(persons, log_heights, strict=True)
        ]
        seen = [n for n, person in enumerate(persons) if person.state in MEASURED_STATES]
        # Where the field of view is a guess, so is the ray to the feet.
        if ground is not None and seen and camera.source is IntrinsicsSource.CAMERA_INFO:
            of_seen = [persons[n] for n in seen]
            found = floor_contact.measure(of_seen, self._bodies.meshes(of_seen), ground, camera)
            for n, floor in zip(seen, found, strict=True):
                if floor is not None:
                    height = self._heights.setdefault(persons[n].id, LearntHeight())
                    scales[n] = _on_floor(scales[n], floor, height, float(log_heights[n]), stamp)
        if depth is not None:
            depth_scale.check_size(depth, camera)
            self._measure(persons, seen, scales, log_heights, camera, depth, stamp)
        present = [one.id for one in persons if one.state is not TrackingState.LOST]
        self._heights = {
            person_id: height
            for person_id, height in self._heights.items()
            if person_id in present and height.is_known
        }
        return [_scaled(person, scale) for person, scale in zip(persons, scales, strict=True)]

    def reset(self) -> None:
        """Drop the heights of all people."""
        self._heights = {}

    def _prior_scale(
        self, person: Person, log_height: float, camera: Camera, body_height: float | None
    ) -> _Scale:
        """Scale without floor and depth image of a person whose body has this log height."""
        calibrated = camera.source is IntrinsicsSource.CAMERA_INFO
        height = self._heights.get(person.id)
        if height is not None and (height.from_depth or body_height is None) and height.is_known:
            prior = LogScalePrior(height.median - log_height, height.std)
            learnt = not height.from_depth
            source = DepthSource.BODY_HEIGHT
            return _Scale(prior.mean, source, prior, prior.std, learnt_from_floor=learnt)
        if body_height is not None:
            prior = LogScalePrior(math.log(body_height) - log_height, KNOWN_LOG_HEIGHT_STD)
            source = DepthSource.BODY_HEIGHT if calibrated else DepthSource.ASSUMED
            std = prior.std if calibrated else _UNCALIBRATED_LOG_HEIGHT_STD
            return _Scale(prior.mean, source, prior, std)
        std = _assumed_std(camera)
        prior = LogScalePrior(_MEAN_LOG_HEIGHT - log_height, std)
        return _Scale(0.0, DepthSource.ASSUMED, prior, std, unknown_height=True)

    def _measure(
        self,
        persons: Sequence[Person],
        seen: Sequence[int],
        scales: list[_Scale],
        log_heights: Doubles,
        camera: Camera,
        depth: Array,
        stamp: float,
    ) -> None:
        """Replace the `scales` of people, of those `seen`, whom the depth image measures."""
        scaled = [_scaled(persons[n], scales[n]) for n in seen]
        # The ratios are relative to the prior scale, and so must the prior be.
        priors = [
            replace(scales[n].prior, mean=scales[n].prior.mean - scales[n].log_scale) for n in seen
        ]
        changes = depth_scale.measure(scaled, priors, self._bodies, camera, depth)
        for n, change in zip(seen, changes, strict=True):
            if change is not None:
                log_scale = change + scales[n].log_scale
                height = self._heights.setdefault(persons[n].id, LearntHeight())
                height.add_depth(float(log_heights[n]) + log_scale, stamp)
                std = depth_scale.measured_std(float(persons[n].joints[0, 2]) * math.exp(log_scale))
                scales[n] = replace(
                    scales[n], log_scale=log_scale, source=DepthSource.MEASURED, std=std
                )


def _on_floor(
    scale: _Scale, floor: FloorScale, height: LearntHeight, log_height: float, stamp: float
) -> _Scale:
    """The scale with what the floor implies; `height` learns from it."""
    posterior = floor_contact.combine(
        floor, PopulationPrior(log_height) if scale.unknown_height else scale.prior
    )
    if posterior.contact < _MIN_CONTACT:
        return scale
    std = posterior.std
    if scale.learnt_from_floor:
        # Both have the same errors of the floor: together they are no better than one of them.
        std = max(std, min(scale.std, floor.std))
    if posterior.contact > _LEARNT_CONTACT and std < _MAX_LEARNT_STD:
        height.add_floor(log_height + posterior.log_scale, std, stamp)
    source = DepthSource.FLOOR if floor.std < scale.prior.std else scale.source
    prior = LogScalePrior(posterior.log_scale, std)
    return _Scale(posterior.log_scale, source, prior, std)


def _assumed_std(camera: Camera) -> float:
    calibrated = camera.source is IntrinsicsSource.CAMERA_INFO
    return _LOG_HEIGHT_STD if calibrated else _UNCALIBRATED_LOG_HEIGHT_STD


def _scaled(person: Person, scale: _Scale) -> Person:
    """The person scaled about the camera's centre, which leaves the image unchanged."""
    person = replace(person, depth_source=scale.source)
    if scale.log_scale != 0.0:
        factor = math.exp(scale.log_scale)
        person = replace(
            person,
            smplx=replace(person.smplx, transl=person.smplx.transl * np.float32(factor)),
            joints=person.joints * np.float32(factor),
            scale=person.scale * factor,
        )
    return _with_error(person, scale.std)


def _with_error(person: Person, log_std: float) -> Person:
    """The person with the standard deviation of its distance, metres."""
    return replace(person, depth_error=float(np.linalg.norm(person.joints[0])) * log_std)
