# SPDX-License-Identifier: Apache-2.0
"""People as streams take them, and the steps between the frames of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pear_ros.core import quaternions
from pear_ros.core.people import Array, TrackingState
from pear_ros.streaming.motion import ObservedPerson
from pear_ros.streaming.motion_stream import MotionFrame
from testing.open_people import person, t_pose


def observed(
    pose: Array | None = None,
    transl: tuple[float, float, float] = (0.0, 0.0, 4.0),
    track_id: str = "h1",
    state: TrackingState = TrackingState.TRACKED,
    confidence: float = 0.9,
) -> ObservedPerson:
    """Return a person of mean shape in a pose, the T-pose unless given."""
    one = person(t_pose() if pose is None else pose, transl, track_id, state)
    return ObservedPerson(
        track_id, state, one.smplx.pose, one.joints, np.full(55, confidence, np.float32)
    )


class Steps(NamedTuple):
    """Greatest differences between successive frames."""

    joint: float
    """Of a joint's rotation, radians."""
    root: float
    """Of the pelvis's place, metres."""
    turn: float
    """Of the pelvis's rotation, radians."""
    bone: float
    """Of a bone, metres."""


def steps(frames: Sequence[MotionFrame]) -> Steps:
    """Return the greatest steps of a stream."""
    rotations = np.array([one.motion.rotations for one in frames])
    turns = quaternions.to_vectors(quaternions.difference(rotations[:-1], rotations[1:]))
    angles = np.linalg.norm(turns, axis=-1)
    roots = np.array([one.motion.root for one in frames])
    bones = np.array([one.motion.bones for one in frames])
    return Steps(
        float(angles[:, 1:].max(initial=0.0)),
        float(np.linalg.norm(np.diff(roots, axis=0), axis=-1).max(initial=0.0)),
        float(angles[:, 0].max(initial=0.0)),
        float(np.linalg.norm(np.diff(bones, axis=0), axis=-1).max(initial=0.0)),
    )
