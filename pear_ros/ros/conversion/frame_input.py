# SPDX-License-Identifier: Apache-2.0
"""The messages of one image, live or from a bag, as the input of the pipeline.

Messages are read by their fields, so those of rclpy and of the `rosbags` package both serve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pear_ros.core.camera import Camera
from pear_ros.core.device_image import DeviceImage
from pear_ros.core.estimator import Detection
from pear_ros.core.ground import GroundPlane
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Array, Image
from pear_ros.core.quoting import plain, quoted
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.ros.conversion.camera_placement import (
    Lookup,
    PlacementError,
    floor_of,
    pose_in_target,
)
from pear_ros.ros.conversion.compressed_pictures import DecodeJpeg
from pear_ros.ros.conversion.depth import depth_from_image
from pear_ros.ros.conversion.detections import Detected, people_in
from pear_ros.ros.conversion.images import ImageError, bgr_from_image, image_from_compressed
from pear_ros.ros.conversion.intrinsics import CalibrationError, camera_from_info, is_rectified
from pear_ros.ros.conversion.notes import Note
from pear_ros.ros.topics import COMPRESSED
from pear_ros.ros.transform_buffer import TransformBuffer

IMAGE, CAMERA_INFO, DETECTIONS, DEPTH = "image", "camera_info", "detections", "depth"
"""Kinds of messages that the input of a frame is assembled from."""
POSE, FLOOR = "pose", "floor"
"""Kinds of what else it is assembled from: the camera's pose in target_frame, and the floor."""
MISSING = "missing"
"""Cause of an issue: there is no message of this kind for the image."""


class UnreadableError(ValueError):
    """A message that cannot be deserialised; the text says why."""


@dataclass(frozen=True)
class Issue:
    """A fault of one input of a frame, which is processed all the same."""

    kind: str
    """IMAGE, CAMERA_INFO, DETECTIONS, DEPTH, POSE or FLOOR."""
    cause: str
    """Short name of the fault, the same for all faults alike; MISSING if there is no message."""
    text: str
    """A sentence for the user, without its full stop."""
    used: bool = False
    """Whether the input is used, as something in it could be mended or left out."""

    @property
    def name(self) -> str:
        """Name for statistics: what the frame lacks, as "no depth", or "image: dark" if `used`."""
        if self.used:
            return f"{self.kind}: {self.cause}"
        return "no intrinsics" if self.kind == CAMERA_INFO else f"no {self.kind}"


@dataclass(frozen=True)
class FrameInput:
    """One image with all that the pipeline takes besides."""

    image: Image | DeviceImage
    """(height, width, 3) uint8 image, blue, green and red."""
    camera: Camera
    nanoseconds: int
    """Stamp in the image's header, nanoseconds."""
    frame_id: str
    """Frame of the image, as tf2 accepts it; empty if the header has none."""
    detected: Detected | None
    """Detections in the image; None if the pipeline has to detect people."""
    depth: Array | None
    """(height, width) float32 metres, NaN where unknown; None if there is no depth image."""
    issues: list[Issue] = field(default_factory=list)
    camera_pose: RigidTransform | None = None
    """Pose of the optical frame in the parameter target_frame; None: unknown or not asked for."""
    ground: GroundPlane | None = None
    """The floor in the optical frame; None: unknown or not asked for."""

    @property
    def detections(self) -> Sequence[Detection] | None:
        """People in the image; None if the pipeline has to detect them."""
        return None if self.detected is None else self.detected.people


class FrameAssembler:
    """Assemble the inputs of frames; keeps nothing from frame to frame."""

    def __init__(
        self,
        topics: Mapping[str, str],
        read: Callable[[Any], Any] = lambda message: message,
        decode_jpeg: DecodeJpeg | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        """Take the resolved names of the `topics` in use, by kind; an empty name is none.

        `read` deserialises a message of CAMERA_INFO, DETECTIONS or DEPTH; what it raises becomes an
        issue. `decode_jpeg`: decoder of colour JPEGs; None: OpenCV. `lookup`:
        TransformBuffer.lookup; None: there are no transforms.
        """
        self._decode_jpeg = decode_jpeg
        self._topics = topics
        self._read = read
        self._lookup = lookup or TransformBuffer().lookup

    def __call__(
        self, image: Any, messages: Mapping[str, Any], parameters: Parameters
    ) -> FrameInput:
        """Return the input of the pipeline for the message `image`.

        `messages`: those that belong to it, by kind, not read yet. Raises ImageError if the image
        cannot be used.
        """
        notes: list[Note] = []
        picture = _bgr(image, parameters.max_pixels, notes, self._decode_jpeg)
        height, width = picture.shape[:2]
        frame_id = frame_of(image.header.frame_id, notes)
        issues = self._noted(IMAGE, notes)
        frame = FrameInput(
            picture,
            self._camera(messages.get(CAMERA_INFO), width, height, parameters, issues),
            nanoseconds_of(image.header),
            frame_id,
            self._detections(messages.get(DETECTIONS), parameters, issues),
            self._depth(messages.get(DEPTH), width, height, parameters, issues),
            issues,
        )
        if not parameters.target_frame and parameters.floor == "off":
            return frame
        return self._placed(frame, parameters)

    def _placed(self, frame: FrameInput, parameters: Parameters) -> FrameInput:
        """The frame with the camera's pose and the floor, as far as they are asked for."""
        pose = ground = None
        when = frame.frame_id, frame.nanoseconds
        if parameters.target_frame:
            try:
                pose = pose_in_target(self._lookup, *when, parameters)
            except PlacementError as error:
                target = quoted(parameters.target_frame)
                what = f"Results are not in target_frame {target}"
                frame.issues.append(Issue(POSE, error.cause, f"{what}: {error}"))
        if parameters.floor != "off":
            try:
                ground = floor_of(self._lookup, *when, frame.camera, frame.depth, parameters)
            except PlacementError as error:
                frame.issues.append(
                    Issue(FLOOR, error.cause, f"The floor gives no distance: {error}")
                )
        return replace(frame, camera_pose=pose, ground=ground)

    def _camera(
        self, message: Any, width: int, height: int, parameters: Parameters, issues: list[Issue]
    ) -> Camera:
        """Intrinsics from CameraInfo, else from the parameter field_of_view."""
        image_topic = self._topics[IMAGE].removesuffix(COMPRESSED)
        cause = MISSING
        try:
            if message is None:
                topic = self._topics.get(CAMERA_INFO)
                raise CalibrationError(f"no CameraInfo on {topic}" if topic else "no CameraInfo")
            cause = "unusable"
            rectified = is_rectified(parameters.calibration, image_topic)
            notes: list[Note] = []
            camera = camera_from_info(self._read(message), width, height, rectified, notes)
            issues += self._noted(CAMERA_INFO, notes)
            return camera
        except Exception as error:  # A corrupt message may raise anything.
            topic = self._topics.get(CAMERA_INFO) if cause != MISSING else ""
            where = f"CameraInfo on {topic}: " if topic else ""
            text = (
                f"No intrinsics for {image_topic}: {where}{describe(error)}. "
                f"A field of view of {parameters.field_of_view:g} degrees is assumed"
            )
            issues.append(Issue(CAMERA_INFO, cause, text))
            return Camera.from_field_of_view(width, height, parameters.field_of_view)

    def _detections(
        self, message: Any, parameters: Parameters, issues: list[Issue]
    ) -> Detected | None:
        if not self._topics.get(DETECTIONS):
            return None
        if message is None:
            issues.append(self._missing(DETECTIONS, parameters))
            return Detected(())
        try:
            classes, score = parameters.detection_classes, parameters.detection_score
            return people_in(self._read(message), classes, score)
        except Exception as error:  # A corrupt message may raise anything.
            issues.append(self._unusable(DETECTIONS, error))
            return Detected(())

    def _depth(
        self, message: Any, width: int, height: int, parameters: Parameters, issues: list[Issue]
    ) -> Array | None:
        if not self._topics.get(DEPTH):
            return None
        if message is None:
            issues.append(self._missing(DEPTH, parameters))
            return None
        try:
            notes: list[Note] = []
            metres = depth_from_image(self._read(message), width, height, notes)
            issues += self._noted(DEPTH, notes)
            return metres
        except Exception as error:  # A corrupt message may raise anything.
            issues.append(self._unusable(DEPTH, error))
            return None

    def _noted(self, kind: str, notes: Sequence[Note]) -> list[Issue]:
        topic = self._topics.get(kind) or kind
        return [Issue(kind, one.cause, f"On {topic}: {one.sentence}", used=True) for one in notes]

    def _missing(self, kind: str, parameters: Parameters) -> Issue:
        text = (
            f"No {kind} for an image on {self._topics[IMAGE]}: no message on {self._topics[kind]} "
            f"has its stamp, within sync_tolerance = {parameters.sync_tolerance:g} s"
        )
        return Issue(kind, MISSING, text)

    def _unusable(self, kind: str, error: Exception) -> Issue:
        cause = error.cause if isinstance(error, ImageError) else type(error).__name__
        return Issue(kind, cause, f"Refused on {self._topics[kind]}: {describe(error)}")


def _bgr(
    message: Any, max_pixels: int, notes: list[Note], decode_jpeg: DecodeJpeg | None
) -> Image | DeviceImage:
    """Picture of an Image or CompressedImage; whatever goes wrong is an ImageError."""
    try:
        if hasattr(message, "encoding"):
            return bgr_from_image(message, max_pixels, notes)
        return image_from_compressed(message, max_pixels, notes, decode_jpeg)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError("corrupt message", describe(error)) from error


def frame_of(name: str, notes: list[Note]) -> str:
    """Return the frame of an image for its results: without slashes in front, which tf2 refuses.

    `notes` gets a note about a frame_id that is empty or begins with a slash.
    """
    remedy = "set frame_id in the camera's driver"
    if not name:
        notes.append(Note("no frame_id", "frame_id is empty, so results have no frame", remedy))
    elif name.startswith("/"):
        text = f"frame_id {quoted(name)} begins with a slash, which tf2 refuses; it is left out"
        notes.append(Note("slash in frame_id", text, remedy))
    return name.lstrip("/")


def describe(error: Exception) -> str:
    known = isinstance(error, (ImageError, CalibrationError, UnreadableError))
    if known:
        return str(error)
    return f"the message is corrupt ({type(error).__name__}: {plain(error)})"
