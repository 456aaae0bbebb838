# SPDX-License-Identifier: Apache-2.0
"""People whose motion is known, as the package's fit sees them: with gaps and exchanged limbs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.motion import correlated_noise
from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import People, Person, TrackingState, stack
from pear_ros.export.motions import observations_of
from pear_ros.export.tracks import Recording, tracks_of
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import PoseLandmarks
from pear_ros.motion.motion import Observations
from pear_ros.smoothing.feet import Feet
from pear_ros.smoothing.smoother import Smoother
from pear_ros.smoothing.soles import sole_points
from testing.floor_people import CAMERA, FloorStudio
from testing.synthetic_depth import OpenBodyEstimator
from testing.walking_people import walking_scene

Doubles = npt.NDArray[np.float64]

RATE, SECONDS, DISTANCE = 30.0, 4.0, 4.5
GROUND = GroundPlane.from_tilt(1.2, np.radians(14.0), np.radians(0.3), 0.01)
GAPS = ((1.5, 1.8),)
"""Times without the person, seconds."""
EXCHANGED = ((0.8, 0.9), (2.6, 2.75))
"""Times at which left and right landmarks of the limbs are exchanged, seconds."""
BODIES = ScaledBodies(OpenBodyEstimator())  # type: ignore[arg-type]  # not a complete Estimator
_LIMBS = [
    name.removeprefix("LEFT_")
    for name in Pose.__members__
    if name.startswith("LEFT_") and "EYE" not in name and "EAR" not in name
]


@dataclass(frozen=True)
class Truth:
    """The true motion of a person at the images' times, in the optical frame."""

    joints: Doubles
    """(T, 55, 3) metres."""
    soles: Doubles
    """(T, 4, 3) metres."""
    contact: npt.NDArray[np.bool_]
    """(T, 4) of left heel, left toes, right heel, right toes."""
    up: Doubles
    """(3,) direction up."""
    size: float
    """Size of the person over that of the estimates."""


@dataclass(frozen=True)
class Walker:
    """One recorded person."""

    raw: Observations
    """As estimated, in the optical frame."""
    live: Observations
    """As the pipeline's smoothing over time has it."""
    truth: Truth | None = None


def walker(studio: FloorStudio, seed: int) -> Walker:
    """Return a person who walks past the camera, with one gap and two exchanges of limbs."""
    times: Doubles = np.arange(0.0, SECONDS, 1.0 / RATE, np.float64)
    rng = np.random.default_rng([seed, 7])
    scene = walking_scene(rng, studio.body, GROUND, times, DISTANCE)
    errors = correlated_noise(rng, times, 0.15, (33, 5))
    smplx = stack(scene.smplx)
    origin = np.zeros_like(smplx.transl)
    joints = studio.body.joints(smplx.pose, smplx.betas, smplx.expression, origin)
    joints = np.float32(scene.size) * joints + smplx.transl[:, None]
    fit, estimates = None, []
    for time, one, error in zip(times, scene.smplx, errors, strict=True):
        landmarks = studio.landmarks(error, one, scene.size, CAMERA)
        if _within(time, EXCHANGED):
            landmarks = _exchanged(landmarks)
        fit = studio.fit(landmarks, CAMERA, fit, 1.0 / RATE)
        estimates.append((time, studio.person(fit, CAMERA)))
    seen = [(time, person) for time, person in estimates if not _within(time, GAPS)]
    smooth, feet = Smoother(BODIES), Feet()
    live = [(t, feet(smooth([p], CAMERA, t), CAMERA, t)[0]) for t, p in seen]
    truth = Truth(
        joints.astype(np.float64),
        sole_points(smplx.pose, joints).astype(np.float64),
        scene.contact,
        GROUND.normal,
        scene.size,
    )
    return Walker(_observations(times, seen), _observations(times, live), truth)


def _within(time: float, spans: Iterable[tuple[float, float]]) -> bool:
    return any(begin <= time < end for begin, end in spans)


def _exchanged(landmarks: PoseLandmarks) -> PoseLandmarks:
    order = np.arange(len(landmarks.image))
    for name in _LIMBS:
        left, right = Pose[f"LEFT_{name}"], Pose[f"RIGHT_{name}"]
        order[[left, right]] = right, left
    return replace(landmarks, image=landmarks.image[order], world=landmarks.world[order])


def _observations(times: Doubles, seen: list[tuple[float, Person]]) -> Observations:
    persons = dict(seen)
    images = [
        People(CAMERA, "fit", "open", [_named(persons[time])] if time in persons else [])
        for time in times.tolist()
    ]
    stamps = np.round(times * 1e9).astype(np.int64)
    recording = Recording(Path("synthetic"), stamps, "", tracks_of(images))
    return observations_of(recording.tracks[0], times)


def _named(person: Person) -> Person:
    return replace(person, state=TrackingState.TRACKED)
