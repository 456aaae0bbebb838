# SPDX-License-Identifier: Apache-2.0
"""From observations of a person to motion: the pass over the whole recording."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import NUM_JOINTS
from pear_ros.hri.body_parts import FINGERS, WRISTS, hands_seen
from pear_ros.motion import rts
from pear_ros.motion.contact import contact_probability
from pear_ros.motion.feet import held_legs
from pear_ros.motion.motion import Doubles, Flags, Motion, Observations
from pear_ros.motion.root import corrected_path
from pear_ros.motion.segments import distances, split, timeline
from pear_ros.motion.skeleton import soles_of
from pear_ros.motion.swaps import swapped
from pear_ros.smoothing.soles import SOLE_JOINTS

_Value = TypeVar("_Value", bound=np.generic)

ROTATION_DENSITY, _POSITION_DENSITY = 60.0, 1.0
"""Spectral density of the acceleration, rad^2/s^3 and m^2/s^3: chosen on synthetic motion
(benchmarks/motion_quality.py, other seeds)."""
ROTATION_NOISE, _POSITION_NOISE = (0.06, 0.3), (0.003, 0.1)
"""Least and greatest standard deviation of a measurement, radians and metres."""
_STANDING = 0.2
"""Quantile of the height of the lower sole that is on the floor."""
_RAISED = 0.3
"""Height by which a person is raised or lowered, metres, from which on it is said."""
_ROUNDS = 2
"""Times that path and legs are corrected in turn."""


@dataclass(frozen=True)
class Options:
    """What the pass may be told."""

    rate: int
    """Frames a second."""
    max_gap: float = 0.5
    """Longest gap that is filled, seconds."""
    feet: bool = True
    """Whether feet in contact are held; the floor is at z = 0 then."""


def motions_of(observations: Observations, options: Options) -> tuple[list[Motion], list[str]]:
    """Return the motions of a person in the world, one for each part between long gaps.

    `observations`: in a world with z up. The second result is a sentence for everything that was
    left out or changed: short parts, exchanged limbs, hands at rest.
    """
    parts, notes = split(observations, options.max_gap)
    result = []
    for part in parts:
        motion, changed = _motion(part, options)
        result.append(motion)
        notes += changed
    return result, notes


def _motion(part: Observations, options: Options) -> tuple[Motion, list[str]]:
    joints = part.skeleton.joints(part.rotations, part.pelvis)
    exchanged = swapped(part.seconds, joints)
    exchanged[[0, -1]] = False  # A part begins and ends with what was measured.
    hands = hands_seen(part.confidence)
    smooth = _smoothed(part, ~exchanged, hands, options.rate)
    seen_hands = _nearest(part.seconds, smooth, hands)
    motion = replace(smooth, hands_seen=seen_hands)
    confidence = _nearest(part.seconds, smooth, part.confidence[:, SOLE_JOINTS])
    camera = np.median(part.camera, axis=0)
    if not options.feet:
        return motion, _notes(motion, int(exchanged.sum()), 0.0)
    on_floor, raised = _on_floor(motion, confidence, camera)
    return on_floor, _notes(on_floor, int(exchanged.sum()), raised)


def _smoothed(part: Observations, measured: Flags, hands: Flags, rate: int) -> Motion:
    """The smoothed motion at a constant rate; hands that were not seen are at rest."""
    times, images, (first, end) = timeline(part.seconds, rate)
    before = np.maximum(np.searchsorted(images, np.arange(len(times)), "right") - 1, 0)
    is_image = np.zeros(len(times), np.bool_)
    is_image[images] = True
    rotations = part.rotations.copy()
    for side, (wrist, fingers) in enumerate(zip(WRISTS, FINGERS, strict=True)):
        for joints in (wrist, fingers):
            rotations[~hands[:, side], joints] = (0.0, 0.0, 0.0, 1.0)
    usable = is_image & measured[before]
    turned = rts.smooth(
        rts.ROTATIONS,
        times,
        rotations[before],
        np.repeat(usable[:, None], NUM_JOINTS, axis=1),
        ROTATION_DENSITY,
        ROTATION_NOISE,
    )
    axes = _sight_axes(part)  # rows: along the line of sight, and across it
    along = part.pelvis @ axes.T
    placed = rts.smooth(
        rts.VECTORS,
        times,
        along[before][..., None],
        np.repeat(is_image[:, None], 3, axis=1),
        _POSITION_DENSITY,
        _POSITION_NOISE,
    )
    rows = np.searchsorted(times, np.arange(first, end) / rate - 1e-6)
    rows = np.clip(rows, 0, len(times) - 1)
    return Motion(
        id=part.id,
        rate=rate,
        first=first,
        rotations=turned.values[rows],
        pelvis=placed.values[rows, :, 0] @ axes,
        skeleton=part.skeleton,
        rotation_std=turned.std[rows],
        pelvis_std=np.sqrt(placed.std[rows] ** 2 @ axes**2),
        seen=distances(times[rows], part.seconds) <= _usual_step(part.seconds, rate),
        hands_seen=np.zeros((len(rows), 2), np.bool_),
        contact=np.full((len(rows), 4), np.nan),
    )


def _usual_step(seconds: Doubles, rate: int) -> float:
    """Distance from an image up to which a frame is seen: half of the usual step and of a frame."""
    return float(0.75 * max(np.median(np.diff(seconds)), 1.0 / rate))


def _sight_axes(part: Observations) -> Doubles:
    """(3, 3) rows: mean direction from the camera to the person, and two axes across it."""
    sight = np.median(part.pelvis - part.camera, axis=0)
    length = float(np.linalg.norm(sight))
    sight = sight / length if length > 0.0 else np.array([1.0, 0.0, 0.0])
    across = np.cross(np.eye(3)[np.abs(sight).argmin()], sight)
    across /= np.linalg.norm(across)
    return np.stack([sight, across, np.cross(sight, across)])


def _on_floor(motion: Motion, confidence: Doubles, camera: Doubles) -> tuple[Motion, float]:
    """The motion with its feet on the floor z = 0, and by how much it was raised, metres."""
    soles = soles_of(motion.rotations, motion.joints())
    raised = -float(np.quantile(soles[..., 2].min(axis=1), _STANDING))
    shift = np.array([0.0, 0.0, raised])
    motion = replace(motion, pelvis=motion.pelvis + shift)
    contact = contact_probability(soles + shift, confidence, camera, motion.rate)
    motion = replace(motion, contact=contact)
    for _ in range(_ROUNDS):
        path = corrected_path(
            motion.pelvis,
            motion.pelvis_std,
            soles_of(motion.rotations, motion.joints()),
            contact,
            camera,
            motion.rate,
        )
        motion = replace(motion, pelvis=path)
        turned = held_legs(
            motion.rotations,
            motion.joints(),
            soles_of(motion.rotations, motion.joints()),
            contact,
            motion.rate,
        )
        motion = replace(motion, rotations=turned)
    return motion, raised


def _nearest(seconds: Doubles, motion: Motion, values: npt.NDArray[_Value]) -> npt.NDArray[_Value]:
    """Values (T, ...) of the images nearest to each frame."""
    times = (motion.first + np.arange(len(motion.pelvis))) / motion.rate
    after = np.clip(np.searchsorted(seconds, times), 1, len(seconds) - 1)
    before_is_nearer = times - seconds[after - 1] < seconds[after] - times
    return values[after - before_is_nearer]


def _notes(motion: Motion, exchanged: int, raised: float) -> list[str]:
    """Sentences about what was changed."""
    notes = []
    if abs(raised) > _RAISED:
        notes.append(f"{motion.id} stood {-raised:+.1f} m from the floor z = 0, and is put on it")
    if exchanged:
        images = "image" if exchanged == 1 else "images"
        notes.append(f"{motion.id}: left and right were exchanged in {exchanged} {images}, mended")
    filled = int((~motion.seen).sum())
    if filled:
        worst = np.degrees(motion.rotation_std[~motion.seen].max())
        notes.append(
            f"{motion.id}: {filled} of {len(motion.seen)} frames are filled in, with a standard "
            f"deviation of rotations up to {worst:.0f} degrees"
        )
    for side, name in enumerate(("left", "right")):
        share = float(motion.hands_seen[:, side].mean())
        if share < 1.0:
            notes.append(
                f"{motion.id}: the {name} hand was seen in {100 * share:.0f} % of the frames, and "
                "is at rest in the others"
            )
    return notes
