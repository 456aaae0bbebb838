# SPDX-License-Identifier: Apache-2.0
"""True size and distance: from a depth image, or from a body height that is known.

A picture alone cannot tell size from distance: a body scaled about the camera looks the same. So
all that is sought is one factor for each person. A depth image tells it for the moment, and with
it the person's standing height, which does not change: that serves when depth is missing.
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
from pear_ros.scale.scale_fit import Expected, fit_log_factor
from pear_ros.scale.surface import median_depth, visible_surface

_SPACING = 0.03
"""Metres between the points at which depth is read, on the body furthest away."""
_LEAST_SPACING = 0.01
"""The same on the nearest body."""
_RELIEF = 0.03
"""Standard deviation of an estimated body's surface close to its pelvis, metres."""
_LEAN = 0.1
"""What adds to it with the distance from the pelvis: the radians by which bodies are turned
wrongly."""
_NOISE = 0.004
"""Standard deviation of measured depth at one metre, metres; of stereo cameras it grows with the
square of distance."""

_USUAL_HEIGHT = math.log(1.65)
_HEIGHT_SPREAD = 0.12
"""Of people whose height nobody knows, in log metres; children are met, but seldom."""
_UNCALIBRATED_SPREAD = 0.5
"""The same where the field of view, and so all apparent sizes, may be wrong."""
_KNOWN_SPREAD = 0.03
"""By which a measured log height differs from the known one: wrong poses look larger or smaller."""
_INTERVAL = 0.1
"""Seconds from one measured height that is kept to the next: images in between are wrong alike."""
_KEPT = 200
"""Measured heights of each person of which the median is taken."""

_SEEN = (TrackingState.NEW, TrackingState.TRACKED)
"""Where others are is a guess."""


@dataclass
class _LearntHeight:
    """Of a person, log metres: the median, as some measurements are quite wrong."""

    value: float = math.nan
    _measured: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _stamp: float = -math.inf

    def add(self, measured: float, stamp: float) -> None:
        """Take one more measurement into account, `stamp` in seconds."""
        if 0.0 < stamp - self._stamp < _INTERVAL:
            return
        self._measured.append(measured)
        self._stamp = stamp
        self.value = float(np.median(self._measured))


@dataclass(frozen=True)
class _Belief:
    """How large a person is taken to be."""

    log_scale: float
    source: DepthSource
    expected: Expected
    """What a measurement of log_scale is likely to give."""


class MetricScale(Stateful):
    """Finds the scale of each person and remembers their height; not thread-safe."""

    state_attributes = ("_learnt",)

    def __init__(self, bodies: ScaledBodies) -> None:
        self._bodies = bodies
        self._learnt: dict[str, _LearntHeight] = {}

    def __call__(
        self,
        persons: Sequence[Person],
        camera: Camera,
        stamp: float,
        depth: Array | None,
        body_height: float | None,
    ) -> list[Person]:
        """The same people at their true scale, as far as it can be known.

        `persons`: as estimated, not scaled; `stamp` in seconds. `depth` (height, width): metres
        along the optical axis for each pixel of the image as it is, NaN where not known; None:
        there is none of this moment. `body_height`: standing height in metres of everybody, if
        known; what was measured of a person goes before it. Raises ValueError when depth and image
        differ in size.
        """
        if depth is None and body_height is None and not self._learnt:
            return list(persons)
        heights = np.log(self._bodies.heights(persons).astype(float))
        beliefs = [
            self._belief(person, float(height), camera, body_height)
            for person, height in zip(persons, heights, strict=True)
        ]
        if depth is not None:
            _check_size(depth, camera)
            seen = [n for n, person in enumerate(persons) if person.state in _SEEN]
            found = self._measure(
                [persons[n] for n in seen], [beliefs[n] for n in seen], camera, depth
            )
            for n, log_scale in zip(seen, found, strict=True):
                if log_scale is not None:
                    learnt = self._learnt.setdefault(persons[n].id, _LearntHeight())
                    learnt.add(float(heights[n]) + log_scale, stamp)
                    beliefs[n] = replace(
                        beliefs[n], log_scale=log_scale, source=DepthSource.MEASURED
                    )
        self._learnt = {
            person.id: self._learnt[person.id]
            for person in persons
            if person.id in self._learnt and person.state is not TrackingState.LOST
        }
        return [_scaled(p, belief) for p, belief in zip(persons, beliefs, strict=True)]

    def reset(self) -> None:
        """Forget everybody."""
        self._learnt = {}

    def _belief(
        self, person: Person, height: float, camera: Camera, body_height: float | None
    ) -> _Belief:
        """What is known before any measurement of a person estimated to be exp(height) tall."""
        calibrated = camera.source is IntrinsicsSource.CAMERA_INFO
        learnt = self._learnt.get(person.id)
        if learnt is not None:
            expected = Expected(learnt.value - height, _KNOWN_SPREAD)
            return _Belief(expected.middle, DepthSource.BODY_HEIGHT, expected)
        if body_height is not None:
            expected = Expected(math.log(body_height) - height, _KNOWN_SPREAD)
            source = DepthSource.BODY_HEIGHT if calibrated else DepthSource.ASSUMED
            return _Belief(expected.middle, source, expected)
        spread = _HEIGHT_SPREAD if calibrated else _UNCALIBRATED_SPREAD
        return _Belief(0.0, DepthSource.ASSUMED, Expected(_USUAL_HEIGHT - height, spread))

    def _measure(
        self, persons: Sequence[Person], beliefs: Sequence[_Belief], camera: Camera, depth: Array
    ) -> list[float | None]:
        """Log scale of each person; None where depth does not tell."""
        if not persons:
            return []
        # Who hides whom is best told from where they are believed to be.
        believed = [_scaled(p, belief) for p, belief in zip(persons, beliefs, strict=True)]
        vertices = self._bodies.meshes(believed)
        surface = visible_surface(vertices, self._bodies.faces, camera, _step(believed, camera))
        measured = median_depth(depth, surface)
        known = np.isfinite(measured)
        pelvis = np.array([person.joints[0] for person in believed])[surface.person]
        arm = np.linalg.norm(surface.points - pelvis, axis=1)
        z = surface.points[:, 2]
        with np.errstate(invalid="ignore"):
            ratio = np.log(measured / z)
        spread = np.hypot(np.hypot(_RELIEF, _LEAN * arm) / z, _NOISE * z)
        result: list[float | None] = []
        for n, belief in enumerate(beliefs):
            own = known & (surface.person == n)
            expected = replace(belief.expected, middle=belief.expected.middle - belief.log_scale)
            factor = fit_log_factor(ratio[own].astype(float), spread[own].astype(float), expected)
            result.append(None if factor is None else factor + belief.log_scale)
        return result


def _check_size(depth: Array, camera: Camera) -> None:
    if depth.shape != (camera.height, camera.width):
        height, width = depth.shape
        raise ValueError(
            f"the depth image has {width} x {height} pixels and the image {camera.width} x "
            f"{camera.height}; depth must be aligned with the image"
        )


def _step(persons: Sequence[Person], camera: Camera) -> int:
    """Pixels between the points at which depth is read, for all people alike.

    The furthest person has enough of them, unless the nearest had so many that it took long.
    """
    z = np.array([person.joints[0, 2] for person in persons])
    z = z[z > 0.0]
    if not len(z):
        return 1
    focal = max(camera.fx, camera.fy)
    spacing = max(_SPACING / float(z.max()), _LEAST_SPACING / float(z.min()))
    return max(1, round(focal * spacing))


def _scaled(person: Person, belief: _Belief) -> Person:
    """The person at their true size, in the same place of the image."""
    if belief.log_scale == 0.0:
        return replace(person, depth_source=belief.source)
    factor = math.exp(belief.log_scale)
    return replace(
        person,
        smplx=replace(person.smplx, transl=person.smplx.transl * np.float32(factor)),
        joints=person.joints * np.float32(factor),
        scale=person.scale * factor,
        depth_source=belief.source,
    )
