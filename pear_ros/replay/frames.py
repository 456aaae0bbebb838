# SPDX-License-Identifier: Apache-2.0
"""The images of a bag as inputs of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header

from pear_ros.bags.bag import Bag
from pear_ros.bags.matching import Frame
from pear_ros.bags.time_range import TimeRange
from pear_ros.bags.topic import BagError, Message
from pear_ros.core.parameters import Parameters
from pear_ros.replay.topics import TopicSelection
from pear_ros.replay.transforms import BagTransforms
from pear_ros.ros.conversion.camera_placement import needs_transforms
from pear_ros.ros.conversion.frame_input import (
    FrameAssembler,
    FrameInput,
    UnreadableError,
    describe,
)
from pear_ros.ros.conversion.images import ImageError


@dataclass(frozen=True)
class Refusal:
    """An image that cannot be used."""

    cause: str
    """Short name of the fault, the same for all faults alike."""
    text: str
    """A sentence for the user, without its full stop."""


@dataclass(frozen=True)
class ReplayFrame:
    """An image of a bag with the input of the pipeline."""

    time: int
    """Recording time of the image, nanoseconds."""
    header: Header
    """Header of the image."""
    input: FrameInput


class FrameReader:
    """Read frames of a bag in their order; keeps nothing but transforms from frame to frame."""

    def __init__(
        self, bag: Bag, topics: TopicSelection, parameters: Parameters, time_range: TimeRange
    ) -> None:
        """Read the `topics` that select_topics has returned for `bag`, in a `time_range` of it."""
        self._bag = bag
        self._topics = topics
        self._parameters = parameters
        needed = needs_transforms(parameters)
        self._transforms = BagTransforms(bag, time_range) if needed else None
        lookup = self._transforms.lookup if self._transforms else None
        self._assemble = FrameAssembler(vars(topics), self._read, lookup=lookup)

    def __call__(self, frame: Frame) -> ReplayFrame | Refusal:
        """Return the input of the pipeline, or why the image cannot be used.

        Raises BagError if no image of this topic can be read.
        """
        if self._transforms is not None:
            self._transforms.advance(frame.image.time)
        try:
            message = self._bag.deserialize(frame.image)
            found = self._assemble(message, frame.companions, self._parameters)
        except ImageError as error:
            return Refusal(error.cause, f"Refused on {self._topics.image}: {error}")
        except BagError:
            raise
        except Exception as error:  # A corrupt message may raise anything.
            return Refusal("corrupt message", f"Refused on {self._topics.image}: {describe(error)}")
        stamp = message.header.stamp
        header = Header(
            stamp=Time(sec=int(stamp.sec), nanosec=int(stamp.nanosec)),
            frame_id=found.frame_id,
        )
        return ReplayFrame(frame.image.time, header, found)

    def _read(self, message: Message) -> Any:
        """A companion message of an image."""
        try:
            return self._bag.deserialize(message)
        except BagError as error:
            if message.topic != self._topics.detections:
                raise UnreadableError(str(error)) from error
            # Bags of Humble contain no definitions, and `rosbags` has none of vision_msgs.
            try:
                from vision_msgs.msg import Detection2DArray
            except ImportError:
                raise UnreadableError(str(error)) from error
            return deserialize_message(message.data, Detection2DArray)
