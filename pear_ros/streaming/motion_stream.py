# SPDX-License-Identifier: Apache-2.0
"""From people in images to frames at a constant rate: follow, interpolate, hold, blend, limit."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.hri.body_parts import LEVEL_CAMERA_UP
from pear_ros.streaming.body_pose import (
    BodyPose,
    Float64,
    ObservedPerson,
    motion_of,
    orientations_and_places,
)
from pear_ros.streaming.interpolation import MotionHistory, Sample, interpolated
from pear_ros.streaming.limits import Limits, limited
from pear_ros.streaming.options import StreamOptions
from pear_ros.streaming.rest_pose import at_rest
from pear_ros.streaming.selection import PersonSelector

_REST = ""
"""Stands for the id of a person while the stream goes to the pose at rest."""


class StreamState(enum.Enum):
    """What a frame shows."""

    TRACKING = "tracking"
    """The person's motion."""
    HOLDING = "holding"
    """The last motion of a person who is not seen."""
    RESTING = "resting"
    """The pose at rest, or the way there."""


@dataclass(frozen=True, eq=False)
class MotionFrame:
    """One frame of a stream."""

    index: int
    """0 for the first frame."""
    stamp: float
    """Time of the motion by the clock of the images, seconds."""
    state: StreamState
    person_id: str
    """Track id of the person who is, or was last, followed."""
    motion: BodyPose

    @cached_property
    def world(self) -> tuple[Float64, Float64]:
        """Orientations (55, 3, 3) and places (55, 3), metres, of all joints in the world."""
        return orientations_and_places(self.motion)


class MotionStream:
    """The motion of the person who is followed, without jumps.

    The first frame is the pose at rest at the person's place. From one frame to the next, no joint,
    nor the root, moves faster than the limits, whatever the images show. Deterministic: frames
    depend on images and times alone.
    """

    def __init__(self, options: StreamOptions) -> None:
        """Begin without anybody."""
        self._options = options
        self._seconds = 1.0 / options.rate
        self._limits = Limits(options.max_joint_rate, options.max_root_speed, options.max_turn_rate)
        self._select = PersonSelector(options.person)
        self._history = self._new_history()
        self._index = 0
        self._last: Sample | None = None
        """The motion of the last frame for which there was a new one."""
        self._rest: BodyPose | None = None
        """The pose at rest in that motion's place."""
        self._missing = 0
        """Frames since then."""
        self._source: str | None = None
        """Whose motion the frames show, or go to: a track id or _REST."""
        self._output: BodyPose | None = None
        self._origin: BodyPose | None = None
        """Where the blend to the source began."""
        self._blended = 0
        """Frames since then."""

    def add(
        self, stamp: float, persons: Sequence[ObservedPerson], to_world: RigidTransform | None
    ) -> None:
        """Take the people in an image of this `stamp`, seconds.

        `to_world`: from the optical frame to a frame with z up; None: unknown, see `motion_of`.
        """
        up = LEVEL_CAMERA_UP if to_world is None else to_world.rotation[2]
        person = self._select(persons, stamp, up)
        if person is not None and person.is_measured:
            self._history.add(Sample(stamp, person.id, motion_of(person, to_world)))

    def interrupt(self) -> None:
        """Forget the images; the next frames blend from the last one to whom is seen then."""
        self._history = self._new_history()
        self._select = PersonSelector(self._options.person)
        self._source = None

    def step(self, time: float) -> MotionFrame | None:
        """Return the next frame, with the motion at `time`, seconds by the images' stamps.

        One frame follows the other by 1 / rate seconds. None: nobody was followed yet.
        """
        found = self._history.at(time)
        if found is not None and (self._last is None or found.stamp != self._last.stamp):
            self._last, self._missing, self._rest = found, 0, None
        else:
            self._missing += 1
        if self._last is None:
            return None
        state, target = self._target(self._last)
        self._output = self._follow(state, self._last.person_id, target)
        frame = MotionFrame(self._index, time, state, self._last.person_id, self._output)
        self._index += 1
        return frame

    def _new_history(self) -> MotionHistory:
        # What follows within the look-ahead is known in time: a pose need not be held for it.
        return MotionHistory(max(self._options.hold_seconds, self._options.delay))

    def _target(self, last: Sample) -> tuple[StreamState, BodyPose]:
        if self._missing == 0:
            return StreamState.TRACKING, last.motion
        if self._missing * self._seconds <= self._options.hold_seconds:
            return StreamState.HOLDING, last.motion
        if self._rest is None:
            self._rest = at_rest(last.motion)
        return StreamState.RESTING, self._rest

    def _follow(self, state: StreamState, person_id: str, target: BodyPose) -> BodyPose:
        """Return the next motion on the way from the last one to `target`."""
        if self._output is None:
            self._output = at_rest(target)
        source = _REST if state is StreamState.RESTING else person_id
        if source != self._source:
            self._source, self._origin, self._blended = source, self._output, 0
        self._blended += 1
        if self._origin is not None:
            share = self._blended * self._seconds / max(self._options.blend_seconds, self._seconds)
            target = interpolated(self._origin, target, _smoothstep(min(share, 1.0)))
            if share >= 1.0:
                self._origin = None
        return limited(self._output, target, self._limits, self._seconds)


def _smoothstep(share: float) -> float:
    """Return a value from 0 to 1 that begins and ends with speed 0."""
    return share * share * (3.0 - 2.0 * share)
