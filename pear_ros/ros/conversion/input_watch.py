# SPDX-License-Identifier: Apache-2.0
"""Faults of the inputs that only a sequence of images shows: in stamps, detections and results."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pear_ros.core.camera_motion import has_jumped
from pear_ros.core.device_image import DeviceImage, on_cpu
from pear_ros.core.frame_clock import FORWARDS, STILL, FrameClock, Tick
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Array, Image, Person, TrackingState
from pear_ros.core.quoting import quoted, quoted_list
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.ros.conversion.detections import Detected
from pear_ros.ros.conversion.frame_input import DETECTIONS, IMAGE, POSE, FrameInput, Issue
from pear_ros.ros.conversion.notes import Note

NONE_ACCEPTED = "none of a person"
"""Cause: no detection has a class and score of people, nor ever had."""
OUTSIDE = "outside the image"
"""Cause: boxes are of an image of another size."""
NOBODY = "nobody found"
"""Cause: no person in all images so far, although something moves."""

_REPEATED = 5
"""Images with the same oddity of detections from which on it is a fault."""
_WINDOW = 30
"""Images with people's boxes among which those are counted whose boxes are outside."""
_UNSEEN = 100
"""Images without a person from which on the user is asked to check the camera."""
_SAMPLES = 32
"""Samples along each axis of an image, for comparison with the next."""
_MOTION = 2.0
"""Mean absolute difference of samples, of 255, from which on something moves."""
_DARK = 30.0
"""Mean of an image, of 255, below which it is dark."""
_MOVING = 20
"""Images in which something moves from which on a scene does."""


@dataclass
class InputWatch:
    """Watch the sequence of images of one camera: call it with each input, then `found`."""

    clock: FrameClock = field(default_factory=FrameClock)
    ever_accepted: bool = False
    """Whether a detection was ever of a person."""
    unaccepted: int = 0
    """Images with boxes of which none was of a person."""
    outside: deque[bool] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    """For the last images with people's boxes, whether these were outside of the image."""
    unseen: int = 0
    """Images before the first person; -1 after it."""
    moving: int = 0
    """Of these, images in which something moved."""
    samples: Array | None = None
    """Samples of the last image before the first person."""
    pose: RigidTransform | None = None
    """Pose of the camera in the last image that had one."""
    pose_time: float = 0.0
    """Time of that image, seconds."""

    def __call__(
        self, frame: FrameInput, arrival: int, topics: tuple[str, str], parameters: Parameters
    ) -> tuple[Tick, list[Issue]]:
        """Return the time of the image, and what is wrong with it in view of those before.

        `arrival`: when it arrived or was recorded, nanoseconds; `topics`: names of those of images
        and of detections.
        """
        tick = self.clock(frame.nanoseconds, arrival)
        issues = []
        if tick.fault:
            issues.append(_issue(IMAGE, timing_note(tick.fault, frame.nanoseconds, topics[0])))
        if frame.detected is not None:
            issues += self._detections(frame, topics, parameters)
        if frame.camera_pose is not None:
            issues += self._jump(frame.camera_pose, tick, parameters)
        return tick, issues

    def found(
        self,
        image: Image | DeviceImage,
        persons: Sequence[Person],
        topic: str,
        parameters: Parameters,
    ) -> list[Issue]:
        """Return whether nobody was found for too long; `persons`: those in this `image`."""
        if self.unseen < 0:
            return []
        if any(one.state is not TrackingState.LOST and one.pose_observed for one in persons):
            self.unseen, self.samples = -1, None
            return []
        height, width = image.shape[:2]
        steps = max(height // _SAMPLES, 1), max(width // _SAMPLES, 1)
        samples = on_cpu(image)[:: steps[0], :: steps[1], 1].astype(np.float32)
        if self.samples is not None and self.samples.shape == samples.shape:
            self.moving += float(np.abs(samples - self.samples).mean()) > _MOTION
        self.samples = samples
        self.unseen += 1
        if self.unseen != _UNSEEN or self.moving < _MOVING:
            self.unseen = min(self.unseen, _UNSEEN - 1)
            return []
        self.unseen, self.samples = -1, None
        return [_issue(IMAGE, _what_to_check(topic, parameters, samples))]

    def _detections(
        self, frame: FrameInput, topics: tuple[str, str], parameters: Parameters
    ) -> list[Issue]:
        detected, topic = frame.detected, topics[1]
        assert detected is not None
        if detected.people:
            self.ever_accepted = True
            height, width = frame.image.shape[:2]
            reason = detected.misses(width, height)
            self.outside.append(bool(reason))
            if reason and sum(self.outside) >= _REPEATED:
                return [_issue(DETECTIONS, outside_note(reason, *topics, width, height))]
        elif detected.none_accepted and not self.ever_accepted:
            self.unaccepted += 1
            if self.unaccepted >= _REPEATED:
                return [_issue(DETECTIONS, none_accepted_note(detected, topic, parameters))]
        return []

    def _jump(self, pose: RigidTransform, tick: Tick, parameters: Parameters) -> list[Issue]:
        """Whether the pose has jumped since the last image that had one."""
        last, seconds = self.pose, tick.time - self.pose_time
        self.pose, self.pose_time = pose, tick.time
        if last is None or tick.reset or not has_jumped(pose.inverse() @ last, seconds):
            return []
        text = (
            f"The camera's pose in target_frame {quoted(parameters.target_frame)} jumped within "
            f"{seconds:.2f} s, which is not taken for motion"
        )
        return [_issue(POSE, Note("jump", text, "take a frame without jumps, such as odom"))]


def timing_note(fault: str, stamp: int, topic: str) -> Note:
    """Return the note about a fault of FrameClock at `stamp`, nanoseconds, on `topic`."""
    seconds = f"{1e-9 * stamp:.6f} s"
    instead = "the time of arrival, or of recording, is used"
    if fault == STILL:
        text = f"Stamps on {topic} stand still at {seconds}; {instead}"
        return Note(fault, text, "let the camera's driver stamp its images")
    if fault == FORWARDS:
        text = f"Stamps on {topic} jumped forwards to {seconds}; for this step {instead}"
        return Note(fault, text, "synchronise the clocks of the machines")
    text = f"Stamps on {topic} jump back and forth, now to {seconds}; {instead}"
    return Note(fault, text, "let one driver alone publish there, with one clock")


def outside_note(reason: str, image_topic: str, topic: str, width: int, height: int) -> Note:
    """Return the note about boxes on `topic` that miss images of this size; see Detected.misses."""
    text = f"Boxes on {topic} {reason}, but images on {image_topic} have {width} x {height} pixels"
    return Note(OUTSIDE, text, "let the detector scale its boxes to the image that it was given")


def none_accepted_note(detected: Detected, topic: str, parameters: Parameters) -> Note:
    """Return the note about detections on `topic` of which none is taken for a person."""
    what = "they have no class"
    remedy = "set detection_classes to '' to take all boxes"
    if detected.classes:
        what = (
            f"their classes are {quoted_list(detected.classes)} with scores up to "
            f"{detected.best_score:.2f}"
        )
        remedy = "set detection_classes and detection_score"
    text = (
        f"No detection on {topic} is of a person: {what}, wanted is "
        f"{quoted(parameters.detection_classes)} with {parameters.detection_score:g} or more"
    )
    return Note(NONE_ACCEPTED, text, remedy)


def _issue(kind: str, note: Note) -> Issue:
    return Issue(kind, note.cause, note.sentence, used=True)


def _what_to_check(topic: str, parameters: Parameters, samples: Array) -> Note:
    dark = ", and brighten the image, which is dark" if samples.mean() < _DARK else ""
    detector = {
        "topic": "whether the topic detections has people",
        "full_frame": "whether one person fills the image",
    }.get(parameters.detector, "min_detection_score")
    text = f"Nobody was found in the first {_UNSEEN} images on {topic}, though something moves"
    remedy = (
        f"check whether people are upright in them (parameter rotate, now {parameters.rotate}) and "
        f"larger than 40 pixels, and {detector}{dark}"
    )
    return Note(NOBODY, text, remedy)
