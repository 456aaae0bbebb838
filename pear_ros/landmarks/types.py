# SPDX-License-Identifier: Apache-2.0
"""Landmarks of one person in one image: the outputs of the landmark models.

Image coordinates are pixels (x right, y down), their z is depth in pixels of the same size, nearer
is smaller. World coordinates are metres along the same axes: x right, y down, z away from the
camera as seen through the centre of the person's region. Left and right are the person's own.
Index names: pear_ros.landmarks.topology.
"""

from __future__ import annotations

from dataclasses import dataclass

from pear_ros.core.people import Array
from pear_ros.landmarks.roi import Roi


@dataclass(frozen=True)
class PoseLandmarks:
    """Landmarks of a body, indexed by topology.Pose."""

    image: Array
    """(33, 3) pixels; z relative to the middle of the hips."""
    world: Array
    """(33, 3) metres relative to the middle of the hips."""
    visibility: Array
    """(33,) probability that the landmark is in the image and not occluded."""
    presence: Array
    """(33,) probability that the landmark is within the image."""
    score: float
    """Probability that there is a person."""
    roi: Roi
    """Region of interest of this person in the next image."""
    swappable: bool = True
    """Whether the model may have confused front and back; the heavy one does not."""


@dataclass(frozen=True)
class HandLandmarks:
    """Landmarks of a hand, indexed by topology.Hand."""

    image: Array
    """(21, 3) pixels; z relative to the wrist."""
    world: Array
    """(21, 3) metres relative to the hand's centre."""
    score: float
    """Probability that there is a hand."""
    roi: Roi
    """Region of interest of this hand in the next image."""


@dataclass(frozen=True)
class FaceLandmarks:
    """Landmarks of a face, some of them named by topology.Face."""

    image: Array
    """(468, 3) pixels; z relative to the head's centre."""
    score: float
    """Probability that there is a face."""
    roi: Roi
    """Region of interest of this face in the next image."""


@dataclass(frozen=True)
class PersonLandmarks:
    """Landmarks of body, hands and face of one person.

    None: not found, or not due for detection since it was not found in the image before.
    """

    pose: PoseLandmarks
    left_hand: HandLandmarks | None = None
    right_hand: HandLandmarks | None = None
    face: FaceLandmarks | None = None
    age: int = 0
    """Images since the person was found first."""
    vouched: bool = False
    """Whether a detector found the person, in this image or an earlier one."""
    disagreements: int = 0
    """Successive detections of the person that were elsewhere than the body's landmarks."""
