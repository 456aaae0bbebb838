# SPDX-License-Identifier: Apache-2.0
"""The track of one person: initiation, hits and misses, coasting and loss."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pear_ros.core.boxes import move_boxes
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Region
from pear_ros.core.moving import moved
from pear_ros.core.people import Array, Estimate, Person, TrackingState
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.tracking.kalman import Doubles

MAX_COASTING_TIME = 1.5
"""Seconds for which a track without measurements is predicted before it is lost.

A track that was measured for less time than this coasts no longer than it was measured.
"""
_MIN_DETECTED_COASTING_TIME = 0.5
"""Seconds for which a person whose body was not read is predicted at least: a detector need not
search every image."""
_CERTAIN_SCORE = 0.5
"""Score of a detection from which on it alone is enough for this. Others, which the first image of
a video may have, are confirmed by the next search or are no people."""
_MAX_UNCERTAIN_TIME = 0.25
"""Seconds within which this search has to be."""
_MAX_REGION_MISSES = 2
"""Successive misses after which a track loses its region; then only a detection gives a new one."""

NUM_BODY_JOINTS = 22
"""The first joints of SMPL-X: those of the body, without hands and face."""

_CONFIDENCE_HALF_LIFE = 0.2
"""Seconds in which the confidence of a coasting track halves; it halves once more at the start."""
_MAX_BETAS_IMAGES = 30
"""Images over which betas are averaged equally; then the mean becomes an exponential one."""


@dataclass(frozen=True)
class Track:
    """The track of one person as of one image."""

    person: Person
    """As published last: measured, or predicted since."""
    region: Region | None
    """Region of the image in which the person is estimated; None while there is none."""
    first_seen: float
    """Stamp of the first image in which the person was measured, seconds."""
    last_seen: float
    """Stamp of the last image in which the person was measured, seconds."""
    confidence: tuple[float, Array]
    """Confidence of the person, and of the joints (55,), at the last measurement, 0 to 1."""
    betas: Array
    """(num_betas,) mean of the measured shape coefficients."""
    betas_images: int = 1
    """Number of images in this mean."""
    misses: int = 0
    """Number of successive misses; a detection sets it to 0."""

    @classmethod
    def initiate(cls, track_id: str, region: Region, estimate: Estimate, stamp: float) -> Track:
        """Return the track of a new person, in state NEW, or DETECTED if the body is not read."""
        state = TrackingState.NEW if estimate.pose_observed else TrackingState.DETECTED
        return cls(
            person=Person.of(estimate, id=track_id, state=state),
            region=region,
            first_seen=stamp,
            last_seen=stamp,
            confidence=(estimate.score, estimate.joint_confidence),
            betas=estimate.smplx.betas,
            betas_images=int(estimate.pose_observed),
        )

    @property
    def coasting(self) -> bool:
        """Whether the person was predicted in the last image, not measured."""
        return self.person.state is TrackingState.PREDICTED

    @property
    def full_box(self) -> Array:
        """(4,) box, pixels, around the whole person as published last.

        It includes the body parts that are outside the image or occluded.
        """
        low = np.fmin.reduce(self.person.keypoints[:NUM_BODY_JOINTS])
        high = np.fmax.reduce(self.person.keypoints[:NUM_BODY_JOINTS])
        box = self.person.box
        return np.concatenate([np.fmin(box[:2], low), np.fmax(box[2:], high)])

    def moved(self, transform: RigidTransform, camera: Camera) -> Track:
        """Return the track in the target frame of `transform`, the camera's after it has moved."""
        person = moved(self.person, transform)
        before, after = (one.joints[:1].astype(np.float64) for one in (self.person, person))

        def move(box: Array) -> Array:
            (moved_box,) = move_boxes(box[None], before, after, camera)
            return np.asarray(moved_box)

        keypoints = camera.project(person.joints)
        return replace(
            self,
            person=replace(person, box=move(person.box), keypoints=keypoints),
            region=self.region and replace(self.region, box=move(self.region.box)),
        )

    def hit(self, region: Region, estimate: Estimate, stamp: float) -> Track:
        """Return the track after a measurement: `estimate` from `region`.

        Its state is TRACKED, or DETECTED where the body is not read; then the shape stays.
        """
        state, betas, images = TrackingState.DETECTED, self.betas, self.betas_images
        if estimate.pose_observed:
            state, images = TrackingState.TRACKED, min(images + 1, _MAX_BETAS_IMAGES)
            betas = betas + (estimate.smplx.betas - betas) / np.float32(images)
        return replace(
            self,
            person=Person.of(estimate, id=self.person.id, state=state),
            region=region,
            last_seen=stamp,
            betas=betas,
            betas_images=images,
            misses=0,
            confidence=(estimate.score, estimate.joint_confidence),
        )

    def miss(self, region: Region | None, predicted: Person, stamp: float) -> Track:
        """Return the track after an image without a measurement, state PREDICTED or LOST.

        `region`: the region to keep; `predicted`: the person at the predicted place.
        """
        elapsed = stamp - self.last_seen
        unread = not self.person.pose_observed
        limit = min(MAX_COASTING_TIME, self.last_seen - self.first_seen)
        score, joint_confidence = self.confidence
        if unread:
            uncertain = self.last_seen == self.first_seen and score < _CERTAIN_SCORE
            limit = max(limit, _MAX_UNCERTAIN_TIME if uncertain else _MIN_DETECTED_COASTING_TIME)
        coasting = elapsed <= limit
        decay = 0.5 ** (1.0 + elapsed / _CONFIDENCE_HALF_LIFE)
        person = replace(
            predicted,
            state=TrackingState.PREDICTED if coasting else TrackingState.LOST,
            score=score * decay,
            joint_confidence=joint_confidence * np.float32(decay),
        )
        misses = self.misses + 1
        kept_region = region if unread or misses < _MAX_REGION_MISSES else None
        return replace(self, person=person, region=kept_region, misses=misses)


def translate_person(person: Person, root: Doubles, box: Array, camera: Camera) -> Person:
    """Return a person translated as a whole so that the root is at `root` (3,), metres.

    `box` (4,) is the new box, pixels.
    """
    shift = (root - person.joints[0]).astype(np.float32)
    joints = person.joints + shift
    return replace(
        person,
        box=box,
        smplx=replace(person.smplx, transl=person.smplx.transl + shift),
        joints=joints,
        keypoints=camera.project(joints),
    )
