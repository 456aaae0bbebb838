# SPDX-License-Identifier: Apache-2.0
"""Motion by several methods at the frames of one rate, and what retargeters suffer from in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.motion_people import Truth, Walker
from benchmarks.one_euro import one_euro
from pear_ros.core import quaternions
from pear_ros.motion.contact import contact_probability
from pear_ros.motion.motion import Observations
from pear_ros.motion.offline import Options, motions_of
from pear_ros.motion.segments import timeline
from pear_ros.motion.skeleton import soles_of
from pear_ros.motion.swaps import swapped
from pear_ros.motion.world import World

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_STANDING = 0.2
"""Quantile of the height of the lower sole that is put on the floor, for every method."""


@dataclass(frozen=True)
class Frames:
    """A person at equidistant frames, in a world with z up."""

    rate: int
    first: int
    rotations: Doubles
    """(T, 55, 4)."""
    joints: Doubles
    """(T, 55, 3) metres, on the floor."""
    soles: Doubles
    """(T, 4, 3)."""
    there: Flags
    """(T,) False: the method has nothing for this frame."""


def frames_of(person: Observations, rate: int) -> Frames:
    """Return observations in the world at the frames, between images that follow each other."""
    times, _, (first, end) = timeline(person.seconds, rate)
    del times
    grid = np.arange(first, end) / rate
    after = np.clip(np.searchsorted(person.seconds, grid - 1e-9), 1, len(person.seconds) - 1)
    a, b = person.seconds[after - 1], person.seconds[after]
    share = np.clip((grid - a) / (b - a), 0.0, 1.0)[:, None]
    step = quaternions.to_vectors(
        quaternions.difference(person.rotations[after - 1], person.rotations[after])
    )
    rotations = quaternions.product(
        person.rotations[after - 1], quaternions.from_vectors(share[..., None] * step)
    )
    pelvis = (1.0 - share) * person.pelvis[after - 1] + share * person.pelvis[after]
    usual = 1.5 * float(np.median(np.diff(person.seconds)))
    return on_floor(person, rate, first, rotations, pelvis, b - a <= usual)


def on_floor(
    person: Observations, rate: int, first: int, rotations: Doubles, pelvis: Doubles, there: Flags
) -> Frames:
    """Return frames with the person put on the floor z = 0 by one constant height."""
    joints = person.skeleton.joints(rotations, pelvis)
    soles = soles_of(rotations, joints)
    up = np.array([0.0, 0.0, np.quantile(soles[there][..., 2].min(axis=1), _STANDING)])
    return Frames(rate, first, rotations, joints - up, soles - up, there)


def filtered(person: Observations, frames: Frames, cutoff: float, slope: float) -> Frames:
    """Return the frames filtered by One Euro, on each rotation and on the pelvis."""
    rotations = one_euro(
        frames.rotations,
        frames.rate,
        cutoff,
        slope,
        lambda start, end: quaternions.to_vectors(quaternions.difference(start, end)),
        lambda start, step: quaternions.product(start, quaternions.from_vectors(step)),
    )
    pelvis = one_euro(
        frames.joints[:, 0], frames.rate, cutoff, slope, lambda a, b: b - a, lambda a, b: a + b
    )
    return on_floor(person, frames.rate, frames.first, rotations, pelvis, frames.there)


def offline(person: Observations, rate: int) -> list[Frames]:
    """Return the frames of `pear_ros.motion`, one for each part."""
    motions, _ = motions_of(person, Options(rate))
    return [
        Frames(
            rate,
            one.first,
            one.rotations,
            one.joints(),
            soles_of(one.rotations, one.joints()),
            np.ones(len(one.pelvis), np.bool_),
        )
        for one in motions
    ]


def methods(
    walker: Walker, world: World, rate: int, tuned: tuple[float, float]
) -> dict[str, Frames]:
    """Return the frames of each method in one world, over the same time: the longest part."""
    images = np.zeros(len(walker.raw.seconds), np.int64)
    raw = world.place(walker.raw, images)
    live = world.place(walker.live, np.zeros(len(walker.live.seconds), np.int64))
    longest = max(offline(raw, rate), key=lambda one: len(one.there))
    span = (longest.first, longest.first + len(longest.there))
    plain = _cut(frames_of(_seen(raw), rate), span)
    return {
        "raw": plain,
        "One Euro": filtered(raw, plain, *tuned),
        "live smoothing": _cut(frames_of(_seen(live), rate), span),
        "offline, of raw": longest,
        "offline, of live": _cut(max(offline(live, rate), key=lambda one: len(one.there)), span),
    }


def _seen(person: Observations) -> Observations:
    rows = person.seen
    return replace(
        person,
        seconds=person.seconds[rows],
        rotations=person.rotations[rows],
        pelvis=person.pelvis[rows],
        confidence=person.confidence[rows],
        seen=person.seen[rows],
        camera=person.camera[rows],
    )


def _cut(frames: Frames, span: tuple[int, int]) -> Frames:
    """The frames of a span, of which those that do not exist repeat the nearest one."""
    index = np.arange(*span) - frames.first
    inside = (index >= 0) & (index < len(frames.there))
    rows = np.clip(index, 0, len(frames.there) - 1)
    return replace(
        frames,
        first=span[0],
        rotations=frames.rotations[rows],
        joints=frames.joints[rows],
        soles=frames.soles[rows],
        there=frames.there[rows] & inside,
    )


def contact_of(frames: Frames, confidence: Doubles, camera: Doubles) -> Flags:
    """Return (T, 4) contact by speed and height of the soles of the raw motion."""
    return contact_probability(frames.soles, confidence, camera, frames.rate) >= 0.5


def defects(frames: Frames, contact: Flags) -> dict[str, float]:
    """Return skating, cm/s, floating, penetration, cm, jerk, m/s^3, and counts of frames."""
    rate, there = frames.rate, frames.there
    both = contact[1:] & contact[:-1] & (there[1:] & there[:-1])[:, None]
    speed = np.linalg.norm(np.diff(frames.soles[..., :2], axis=0), axis=-1) * rate
    height = frames.soles[..., 2][contact & there[:, None]]
    four = there[3:] & there[2:-1] & there[1:-2] & there[:-3]
    jerk = np.linalg.norm(np.diff(frames.joints, 3, axis=0), axis=-1)[four] * rate**3
    times = np.flatnonzero(there) / rate
    return {
        "skating": 100.0 * float(speed[both].mean()),
        "floating": 100.0 * float(np.maximum(height, 0.0).mean()),
        "penetration": 100.0 * float(np.maximum(-height, 0.0).mean()),
        "jerk": float(jerk.mean()),
        "exchanged": float(swapped(times, frames.joints[there]).sum()),
        "missing": float((~there).sum()),
    }


def errors(frames: Frames, truth: Truth, world: World) -> dict[str, float]:
    """Return MPJPE (mm), drift of the root (cm in 1 s), error of acceleration (m/s^2), vs truth."""
    R = world.rotation[0]
    true = truth.joints @ R.T / truth.size
    index = frames.first + np.arange(len(frames.there))
    true = true[np.clip(index, 0, len(true) - 1)]
    body = slice(0, 22)
    own = frames.joints[:, body] - frames.joints[:, :1]
    given = true[:, body] - true[:, :1]
    apart = np.linalg.norm(own - given, axis=-1)[frames.there]
    second = frames.rate
    moved = frames.joints[second:, 0] - frames.joints[:-second, 0]
    truly = true[second:, 0] - true[:-second, 0]
    known = frames.there[second:] & frames.there[:-second]
    three = frames.there[2:] & frames.there[1:-1] & frames.there[:-2]
    bend = np.diff(frames.joints[:, body] - true[:, body], 2, axis=0)[three] * second**2
    return {
        "MPJPE": 1000.0 * float(apart.mean()),
        "drift": 100.0 * float(np.linalg.norm(moved - truly, axis=-1)[known].mean()),
        "acceleration": float(np.linalg.norm(bend, axis=-1).mean()),
    }
