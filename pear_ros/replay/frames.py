# SPDX-License-Identifier: Apache-2.0
"""What the pipeline needs of each image in a bag: picture, camera, depth and detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header

from pear_ros.bags.bag import Bag
from pear_ros.bags.matching import Frame
from pear_ros.bags.topic import BagError, Message
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Array, Image
from pear_ros.core.timestamps import seconds_of
from pear_ros.replay.topics import COMPRESSED_IMAGE, Wanted
from pear_ros.ros.conversion.depth import depth_from_image
from pear_ros.ros.conversion.detections import people_in
from pear_ros.ros.conversion.images import ImageError, bgr_from_compressed, bgr_from_image
from pear_ros.ros.conversion.intrinsics import CalibrationError, camera_from_info, is_rectified

CAMERA_INFO, DEPTH, DETECTIONS = "camera_info", "depth", "detections"
"""Kinds of messages that belong to an image."""


@dataclass(frozen=True)
class Remark:
    """Something to be told of a frame."""

    cause: str
    """The same for all that are alike."""
    text: str


@dataclass
class Given:
    """A frame as the pipeline takes it."""

    time: int
    """Of the image's recording, nanoseconds."""
    header: Header
    stamp: float
    """The header's, seconds."""
    picture: Image
    camera: Camera
    detections: Sequence[Detection] | None
    depth: Array | None
    remarks: list[Remark] = field(default_factory=list)


class FrameReader:
    """Reads frames of a bag; keeps nothing from frame to frame."""

    def __init__(self, bag: Bag, topics: Wanted, parameters: Parameters) -> None:
        """`topics`: those of choose_topics."""
        self._bag = bag
        self._topics = topics
        self._parameters = parameters
        self._compressed = bag.topics[topics.image].type == COMPRESSED_IMAGE

    def __call__(self, frame: Frame) -> Given | Remark:
        """What the pipeline needs, or why it can have nothing."""
        try:
            message = self._bag.deserialize(frame.image)
            picture = (bgr_from_compressed if self._compressed else bgr_from_image)(message)
        except ImageError as error:
            return Remark(error.cause, f"Refused on {self._topics.image}: {error}")
        except BagError:
            raise
        except Exception as error:  # What a corrupt message raises depends on the damage.
            return Remark(
                "corrupt message", f"Refused on {self._topics.image}: {_described(error)}"
            )
        height, width = picture.shape[:2]
        remarks: list[Remark] = []
        stamp = message.header.stamp
        return Given(
            time=frame.image.time,
            header=Header(
                stamp=Time(sec=int(stamp.sec), nanosec=int(stamp.nanosec)),
                frame_id=message.header.frame_id,
            ),
            stamp=seconds_of(message.header),
            picture=picture,
            camera=self._camera(frame.companions.get(CAMERA_INFO), width, height, remarks),
            detections=self._detections(frame.companions.get(DETECTIONS), remarks),
            depth=self._depth(frame.companions.get(DEPTH), width, height, remarks),
            remarks=remarks,
        )

    def _camera(
        self, message: Message | None, width: int, height: int, remarks: list[Remark]
    ) -> Camera:
        parameters, topics = self._parameters, self._topics
        try:
            if message is None:
                there_is = f"{topics.camera_info} has none" if topics.camera_info else "there is no"
                raise CalibrationError(f"{there_is} CameraInfo for it")
            rectified = is_rectified(
                parameters.calibration, topics.image.removesuffix("/compressed")
            )
            return camera_from_info(self._bag.deserialize(message), width, height, rectified)
        except Exception as error:  # What a corrupt message raises depends on the damage.
            remarks.append(
                Remark(
                    "no intrinsics",
                    f"No intrinsics for {topics.image}: {_described(error)}. Taking a field of "
                    f"view of {parameters.field_of_view:g} degrees instead",
                )
            )
            return Camera.from_field_of_view(width, height, parameters.field_of_view)

    def _detections(
        self, message: Message | None, remarks: list[Remark]
    ) -> Sequence[Detection] | None:
        """Who was detected; None where the pipeline is to find out itself."""
        if not self._topics.detections:
            return None
        if message is None:
            remarks.append(self._missing(DETECTIONS, self._topics.detections))
            return ()
        parameters = self._parameters
        try:
            found = self._detection_message(message)
            return people_in(found, parameters.detection_classes, parameters.detection_score)
        except Exception as error:  # What a corrupt message raises depends on the damage.
            topic = self._topics.detections
            remarks.append(Remark(f"no {DETECTIONS}", f"Refused on {topic}: {_described(error)}"))
            return ()

    def _detection_message(self, message: Message) -> Any:
        try:
            return self._bag.deserialize(message)
        except BagError as error:
            # Bags of Humble bring no definitions, and `rosbags` has none of vision_msgs.
            try:
                from vision_msgs.msg import Detection2DArray
            except ImportError:
                raise error from None
            return deserialize_message(message.data, Detection2DArray)

    def _depth(
        self, message: Message | None, width: int, height: int, remarks: list[Remark]
    ) -> Array | None:
        if not self._topics.depth:
            return None
        if message is None:
            remarks.append(self._missing(DEPTH, self._topics.depth))
            return None
        try:
            return depth_from_image(self._bag.deserialize(message), width, height)
        except Exception as error:  # What a corrupt message raises depends on the damage.
            topic = self._topics.depth
            remarks.append(Remark(f"no {DEPTH}", f"Refused on {topic}: {_described(error)}"))
            return None

    def _missing(self, kind: str, topic: str) -> Remark:
        return Remark(
            f"no {kind}",
            f"No {kind} on {topic} for an image. Do the stamps agree with those on "
            f"{self._topics.image} within {self._parameters.sync_tolerance:g} s?",
        )


def _described(error: Exception) -> str:
    known = isinstance(error, (ImageError, CalibrationError, BagError))
    return str(error) if known else f"the message is corrupt ({type(error).__name__}: {error})"
