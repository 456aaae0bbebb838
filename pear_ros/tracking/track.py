# SPDX-License-Identifier: Apache-2.0
"""What is known of one person, and how it changes with each image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Region
from pear_ros.core.people import Array, Estimate, Person, TrackingState
from pear_ros.tracking.kalman import Doubles

PATIENCE = 1.5
"""Seconds for which somebody who is not seen is still expected, before they are lost.

Whoever was in sight for less than that is expected for no longer than they were in sight.
"""
STEADY_LOOKS = 2
"""Images for which somebody who is not seen is looked for where they are expected; then a
detection has to tell where they are."""

NUM_BODY = 22
"""SMPL-X's joints without hands and face, which come first."""

_DOUBT = 0.2
"""Seconds in which the confidence in somebody who is not seen is halved, once more than at once."""
_SHAPE_IMAGES = 30
"""Images of which a person's shape is the mean; then older ones fade."""


@dataclass(frozen=True)
class Track:
    """One person."""

    person: Person
    """As published last: as seen, or as expected since."""
    look: Region | None
    """Where the person is looked at in this image; None: nowhere."""
    since: float
    """Stamp of the image in which the person was seen first, seconds."""
    seen: float
    """Stamp of the image in which the person was seen last."""
    confidence: tuple[float, Array]
    """Of the person and of the joints (55,), when last seen."""
    shape: Array
    """(num_betas,) mean of what was seen."""
    images: int = 1
    """How many the shape was seen in."""
    misses: int = 0
    """Images since, in which the person was looked for in vain; 0 again after a detection."""

    @classmethod
    def begin(cls, name: str, look: Region, estimate: Estimate, stamp: float) -> Track:
        """Somebody new."""
        return cls(
            person=Person.of(estimate, id=name, state=TrackingState.NEW),
            look=look,
            since=stamp,
            seen=stamp,
            confidence=(estimate.score, estimate.joint_confidence),
            shape=estimate.smplx.betas,
        )

    @property
    def missing(self) -> bool:
        """Whether the person was not seen in the last image."""
        return self.person.state is TrackingState.PREDICTED

    @property
    def whole(self) -> Array:
        """(4,) box around the whole person, of whom something may be outside the image or hidden.

        Where the person was published last.
        """
        low = np.fmin.reduce(self.person.keypoints[:NUM_BODY])
        high = np.fmax.reduce(self.person.keypoints[:NUM_BODY])
        box = self.person.box
        return np.concatenate([np.fmin(box[:2], low), np.fmax(box[2:], high)])

    def found(self, look: Region, estimate: Estimate, stamp: float) -> Track:
        """The person, seen by a look."""
        images = min(self.images + 1, _SHAPE_IMAGES)
        return replace(
            self,
            person=Person.of(estimate, id=self.person.id, state=TrackingState.TRACKED),
            look=look,
            seen=stamp,
            shape=self.shape + (estimate.smplx.betas - self.shape) / np.float32(images),
            images=images,
            misses=0,
            confidence=(estimate.score, estimate.joint_confidence),
        )

    def missed(self, look: Region | None, expected: Person, stamp: float) -> Track:
        """The person, not seen: `expected` somewhere for some time, then lost."""
        elapsed = stamp - self.seen
        waiting = elapsed <= min(PATIENCE, self.seen - self.since)
        doubt = 0.5 ** (1.0 + elapsed / _DOUBT)
        score, joint_confidence = self.confidence
        person = replace(
            expected,
            state=TrackingState.PREDICTED if waiting else TrackingState.LOST,
            score=score * doubt,
            joint_confidence=joint_confidence * np.float32(doubt),
        )
        misses = self.misses + 1
        steady = look if misses < STEADY_LOOKS else None
        return replace(self, person=person, look=steady, misses=misses)


def elsewhere(person: Person, root: Doubles, box: Array, camera: Camera) -> Person:
    """Somebody whose root (3,) and box are elsewhere."""
    shift = (root - person.joints[0]).astype(np.float32)
    joints = person.joints + shift
    return replace(
        person,
        box=box,
        smplx=replace(person.smplx, transl=person.smplx.transl + shift),
        joints=joints,
        keypoints=camera.project(joints),
    )
