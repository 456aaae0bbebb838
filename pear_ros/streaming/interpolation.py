# SPDX-License-Identifier: Apache-2.0
"""Poses between images: a short history with stamps, interpolated."""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import NamedTuple

from pear_ros.core import quaternions
from pear_ros.streaming.body_pose import BodyPose

_BACKWARDS_SECONDS = 1.0
"""Images whose stamps are later than this behind the newest are of another time: a new history."""
_HISTORY = 100
"""Number of motions that are kept."""


class Sample(NamedTuple):
    """The motion of a person in one image."""

    stamp: float
    """Seconds."""
    person_id: str
    motion: BodyPose


def interpolated(start: BodyPose, end: BodyPose, share: float) -> BodyPose:
    """Return the motion at a `share`, 0 to 1, of the way from `start` to `end`.

    Spherical linear interpolation of rotations (Shoemake, 1985), linear of places.
    """
    return BodyPose(
        start.root + share * (end.root - start.root),
        quaternions.slerp(start.rotations, end.rotations, share),
        start.bones + share * (end.bones - start.bones),
        end.hands_seen,
    )


class MotionHistory:
    """The latest motions by their stamps."""

    def __init__(self, longest_gap: float) -> None:
        """Keep nothing yet; across more than `longest_gap` seconds nothing is interpolated."""
        self._longest_gap = longest_gap
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Add a sample. Late ones are ignored; if stamps jump back, the history begins anew."""
        if self._samples:
            ahead = sample.stamp - self._samples[-1].stamp
            if -_BACKWARDS_SECONDS < ahead <= 0.0:
                return
            if ahead <= 0.0:
                self._samples.clear()
        self._samples.append(sample)
        del self._samples[:-_HISTORY]

    def at(self, time: float) -> Sample | None:
        """Return the motion at a time, seconds, interpolated; None: the time is before all.

        After the last motion and in a gap, it is the motion before. Between the motions of two
        people, it is the first one's until the second one begins.
        """
        index = bisect_right(self._samples, time, key=attrgetter("stamp"))
        if index == 0:
            return None
        start = self._samples[index - 1]
        if index == len(self._samples):
            return start
        end = self._samples[index]
        gap = end.stamp - start.stamp
        if gap > self._longest_gap or start.person_id != end.person_id:
            return start
        share = (time - start.stamp) / gap
        return Sample(time, start.person_id, interpolated(start.motion, end.motion, share))
