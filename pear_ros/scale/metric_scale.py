# SPDX-License-Identifier: Apache-2.0
"""Metric scale of people in a video, from depth images or a known body height.

One picture does not determine size: a body scaled about the camera's centre projects to the same
pixels. So one scale factor for each person is unknown. A depth image measures it for the moment,
and with it the person's standing height, which is constant and determines the scale of images
without depth.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.people import Array, DepthSource, Person, TrackingState
from pear_ros.core.state import Stateful
from pear_ros.scale.beam_model import LogScalePrior, estimate_log_scale
from pear_ros.scale.visible_surface import median_depth, visible_surface

_MAX_SPACING = 0.03
"""Distance between depth samples on the furthest person, metres."""
_MIN_SPACING = 0.01
"""Least distance between depth samples on the nearest person, metres."""
_SURFACE_STD = 0.03
"""Standard deviation of an estimated body's surface close to its pelvis, metres."""
_LEAN_STD = 0.1
"""Growth of that deviation per metre from the pelvis, by errors of rotation, radians."""
_DEPTH_NOISE = 0.004
"""Standard deviation of measured depth at one metre, metres; of stereo cameras it grows with the
square of distance."""

_MEAN_LOG_HEIGHT = math.log(1.65)
"""Mean of the prior of log height, metres."""
_LOG_HEIGHT_STD = 0.12
"""Standard deviation of the log height of people, few of them children."""
_UNCALIBRATED_LOG_HEIGHT_STD = 0.5
"""Standard deviation of the log height where the field of view, and so the distance, is a guess."""
_KNOWN_LOG_HEIGHT_STD = 0.03
"""Standard deviation of a measured log height of a person of known height: poses have errors."""
_MIN_INTERVAL = 0.1
"""Seconds between two measurements of a height that are kept: errors of images are correlated."""
_MAX_MEASUREMENTS = 200
"""Number of measurements of which the median is taken."""

_MEASURED_STATES = (TrackingState.NEW, TrackingState.TRACKED)
"""States of people who were measured in the present image."""


@dataclass
class _HeightEstimate:
    """Running median of the measured log heights of a person, robust against outliers."""

    median: float = math.nan
    """Median of the measured log heights, log metres."""
    _measurements: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_MEASUREMENTS))
    _stamp: float = -math.inf

    def add(self, log_height: float, stamp: float) -> None:
        if 0.0 < stamp - self._stamp < _MIN_INTERVAL:
            return
        self._measurements.append(log_height)
        self._stamp = stamp
        self.median = float(np.median(self._measurements))


@dataclass(frozen=True)
class _Scale:
    """The scale of a person: an estimate and the prior for measuring it."""

    log_scale: float
    source: DepthSource
    prior: LogScalePrior


class MetricScale(Stateful):
    """Estimates the metric scale of each person and learns their heights; not thread-safe."""

    state_attributes = ("_heights",)

    def __init__(self, bodies: ScaledBodies) -> None:
        """Start without known heights; `bodies` computes heights and meshes of people."""
        self._bodies = bodies
        self._heights: dict[str, _HeightEstimate] = {}

    def __call__(
        self,
        persons: Sequence[Person],
        camera: Camera,
        stamp: float,
        depth: Array | None,
        body_height: float | None,
    ) -> list[Person]:
        """Return the same people at their metric scale, as far as it is known.

        `persons`: as estimated, at scale 1; `stamp` in seconds. `depth` (height, width): metres
        along the optical axis at each pixel of the image, NaN where unknown; None if there is no
        depth image. `body_height`: standing height of all people, metres, None if unknown; measured
        heights have precedence. Raises ValueError if depth and image differ in size.
        """
        if depth is None and body_height is None and not self._heights:
            return list(persons)
        log_heights = np.log(self._bodies.heights(persons).astype(float))
        scales = [
            self._prior_scale(person, float(log_height), camera, body_height)
            for person, log_height in zip(persons, log_heights, strict=True)
        ]
        if depth is not None:
            _check_size(depth, camera)
            seen = [n for n, person in enumerate(persons) if person.state in _MEASURED_STATES]
            measured = self._measure(
                [persons[n] for n in seen], [scales[n] for n in seen], camera, depth
            )
            for n, log_scale in zip(seen, measured, strict=True):
                if log_scale is not None:
                    height = self._heights.setdefault(persons[n].id, _HeightEstimate())
                    height.add(float(log_heights[n]) + log_scale, stamp)
                    scales[n] = replace(scales[n], log_scale=log_scale, source=DepthSource.MEASURED)
        self._heights = {
            person.id: self._heights[person.id]
            for person in persons
            if person.id in self._heights and person.state is not TrackingState.LOST
        }
        return [_scaled(person, scale) for person, scale in zip(persons, scales, strict=True)]

    def reset(self) -> None:
        """Drop the heights of all people."""
        self._heights = {}

    def _prior_scale(
        self, person: Person, log_height: float, camera: Camera, body_height: float | None
    ) -> _Scale:
        """Scale without a depth image of a person whose estimated body has this log height."""
        calibrated = camera.source is IntrinsicsSource.CAMERA_INFO
        height = self._heights.get(person.id)
        if height is not None:
            prior = LogScalePrior(height.median - log_height, _KNOWN_LOG_HEIGHT_STD)
            return _Scale(prior.mean, DepthSource.BODY_HEIGHT, prior)
        if body_height is not None:
            prior = LogScalePrior(math.log(body_height) - log_height, _KNOWN_LOG_HEIGHT_STD)
            source = DepthSource.BODY_HEIGHT if calibrated else DepthSource.ASSUMED
            return _Scale(prior.mean, source, prior)
        std = _LOG_HEIGHT_STD if calibrated else _UNCALIBRATED_LOG_HEIGHT_STD
        return _Scale(0.0, DepthSource.ASSUMED, LogScalePrior(_MEAN_LOG_HEIGHT - log_height, std))

    def _measure(
        self, persons: Sequence[Person], scales: Sequence[_Scale], camera: Camera, depth: Array
    ) -> list[float | None]:
        """Log scale of each person from depth; None where the depth image does not determine it."""
        if not persons:
            return []
        # Occlusions between people are most likely right at their prior scales.
        scaled = [_scaled(person, scale) for person, scale in zip(persons, scales, strict=True)]
        vertices = self._bodies.meshes(scaled)
        surface = visible_surface(vertices, self._bodies.faces, camera, _step(scaled, camera))
        measured = median_depth(depth, surface)  # (K,)
        known = np.isfinite(measured)
        pelvis = np.array([person.joints[0] for person in scaled])[surface.person]
        arm = np.linalg.norm(surface.points - pelvis, axis=1)  # (K,) metres
        z = surface.points[:, 2]
        with np.errstate(invalid="ignore"):
            log_ratio = np.log(measured / z)
        sigma = np.hypot(np.hypot(_SURFACE_STD, _LEAN_STD * arm) / z, _DEPTH_NOISE * z)
        result: list[float | None] = []
        for n, scale in enumerate(scales):
            own = known & (surface.person == n)
            # The ratios are relative to the prior scale, and so must the prior be.
            prior = replace(scale.prior, mean=scale.prior.mean - scale.log_scale)
            change = estimate_log_scale(
                log_ratio[own].astype(float), sigma[own].astype(float), prior
            )
            result.append(None if change is None else change + scale.log_scale)
        return result


def _check_size(depth: Array, camera: Camera) -> None:
    if depth.shape != (camera.height, camera.width):
        height, width = depth.shape
        raise ValueError(
            f"the depth image has {width} x {height} pixels and the image {camera.width} x "
            f"{camera.height}; depth must be aligned with the image"
        )


def _step(persons: Sequence[Person], camera: Camera) -> int:
    """Pixels between depth samples, one number for all people.

    The furthest person gets samples that are dense enough, unless the nearest one would get so many
    that it takes long.
    """
    z = np.array([person.joints[0, 2] for person in persons])
    z = z[z > 0.0]
    if not len(z):
        return 1
    focal = max(camera.fx, camera.fy)
    spacing = max(_MAX_SPACING / float(z.max()), _MIN_SPACING / float(z.min()))
    return max(1, round(focal * spacing))


def _scaled(person: Person, scale: _Scale) -> Person:
    """The person scaled about the camera's centre, which leaves the image unchanged."""
    if scale.log_scale == 0.0:
        return replace(person, depth_source=scale.source)
    factor = math.exp(scale.log_scale)
    return replace(
        person,
        smplx=replace(person.smplx, transl=person.smplx.transl * np.float32(factor)),
        joints=person.joints * np.float32(factor),
        scale=person.scale * factor,
        depth_source=scale.source,
    )
