# SPDX-License-Identifier: Apache-2.0
"""Motion of all people of a recording, for the formats of animation and retargeting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions
from pear_ros.core.people import FARTHEST, MEASURED_STATES, Array
from pear_ros.export.tracks import Recording, ResultsError, Track
from pear_ros.motion.motion import Motion, Observations
from pear_ros.motion.offline import Options, motions_of
from pear_ros.motion.segments import rate_of
from pear_ros.motion.skeleton import skeleton_of
from pear_ros.motion.world import World, fit_world

_NECK = 12


@dataclass(frozen=True)
class TrackMotion:
    """Motion of a person, or of a part of their track, and the track that it was made of."""

    motion: Motion
    track: Track
    betas: Array
    """(B,) shape coefficients: medians of the images in which the person was measured."""
    scale: float
    """Ratio of the true size to that of the posed body, likewise."""


@dataclass(frozen=True)
class Motions:
    """Motion of all people of a recording, in one world and at one rate."""

    people: tuple[TrackMotion, ...]
    rate: int
    """Frames a second."""
    notes: tuple[str, ...]
    """What the world is, and what was left out or changed, one sentence each."""


def motions_of_recording(
    recording: Recording, world: World | None, *, rate: int | None = None, max_gap: float = 0.5
) -> Motions:
    """Return the motion of all people.

    `world`: from the camera's poses, None to fit it to the people; `rate`: frames a second, None:
    30 or 60, by the recording; `max_gap`: longest gap that is filled, seconds. Raises ResultsError
    where no motion can be made of anybody.
    """
    first = recording.stamps_ns.min() if len(recording.stamps_ns) else 0
    seconds = (recording.stamps_ns - first) * 1e-9
    frames = rate or rate_of(seconds)
    observed = [observations_of(track, seconds) for track in recording.tracks]
    there = [one for one in observed if one.seen.any()]
    place = world or fit_world(there)
    found: list[TrackMotion] = []
    notes = [place.source, *filter(None, [place.warning])]
    for track, one in zip(recording.tracks, observed, strict=True):
        motions, said = motions_of(place.place(one, track.frames), Options(frames, max_gap))
        if motions:
            betas = np.median(track.betas[one.seen], axis=0).astype(np.float32)
            scale = float(np.median(track.scale[one.seen]))
            found += [TrackMotion(motion, track, betas, scale) for motion in motions]
        notes += said
    if not found:
        reasons = "; ".join(notes[1:]) or "it has no people"
        raise ResultsError(f"{recording.source} has no motion to export: {reasons}")
    _check_names(recording, found)
    return Motions(tuple(found), frames, tuple(notes))


def observations_of(track: Track, seconds: npt.NDArray[np.float64]) -> Observations:
    """Return what a track observed, in the optical frame; `seconds` (F,): of all images."""
    rotations = quaternions.from_vectors(np.where(np.isfinite(track.pose), track.pose, 0.0))
    joints = track.arrays["joints"].astype(np.float64)
    seen = _measured(track)
    rows = seen if seen.any() else np.ones(len(seen), np.bool_)
    skeleton = skeleton_of(
        rotations[rows],
        np.nan_to_num(joints[rows]),
        np.nan_to_num(track.transl[rows]).astype(np.float64),
        track.scale[rows].astype(np.float64),
    )
    return Observations(
        id=track.id,
        seconds=seconds[track.frames],
        rotations=rotations,
        pelvis=np.nan_to_num(joints[:, 0]),
        confidence=track.arrays["joint_confidence"].astype(np.float64),
        seen=seen,
        camera=np.zeros((len(seen), 3)),
        skeleton=skeleton,
    )


def _measured(track: Track) -> npt.NDArray[np.bool_]:
    """(T,) whether the body was measured, and is one: finite, not a point, at a sane distance."""
    joints = track.arrays["joints"].astype(np.float64)
    rows: list[npt.NDArray[Any]] = [joints, track.pose, track.betas, track.transl, track.scale]
    finite = [np.isfinite(row.reshape(len(row), -1)).all(axis=1) for row in rows]
    known = np.logical_and.reduce(finite) & np.isin(track.states, MEASURED_STATES)
    trunk = np.linalg.norm(joints[:, _NECK] - joints[:, 0], axis=1)
    near = np.abs(joints).max(axis=(1, 2)) < FARTHEST
    return np.asarray(known & near & (trunk > 0.0) & (track.scale > 0.0))


def _check_names(recording: Recording, found: list[TrackMotion]) -> None:
    names = [one.motion.id for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ResultsError(
            f"{recording.source} has ids that parts of other tracks get, {', '.join(twice)}: "
            "export these people one by one, by --person"
        )
