# SPDX-License-Identifier: Apache-2.0
"""Images to annotate: of pictures, videos and bags, in one form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from pear_ros.bags.bag import Bag
from pear_ros.bags.matching import Frame as BagFrame
from pear_ros.bags.matching import matched
from pear_ros.bags.time_range import TimeRange
from pear_ros.core.camera import Camera
from pear_ros.core.device_image import on_cpu
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Image
from pear_ros.io.pictures import PictureError, read_picture
from pear_ros.io.video import FrameSource
from pear_ros.replay.topics import TopicSelection, select_topics
from pear_ros.ros.conversion.frame_input import CAMERA_INFO, FrameAssembler
from pear_ros.ros.conversion.images import ImageError


@dataclass(frozen=True)
class Frame:
    """One image with its camera."""

    image: Image
    """(height, width, 3) uint8 BGR."""
    camera: Camera
    number: int
    """Number of the image in its source, from 0 on."""
    stamp_ns: int
    """Nanoseconds: of the header in a bag, since the beginning of a video, 0 for pictures."""
    file: Path
    """The picture, video or bag."""


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be used."""

    number: int
    file: Path
    reason: str
    """Why, in words for a report, without a full stop."""


class Source(Protocol):
    """Images in order."""

    @property
    def name(self) -> str:
        """Name of its shards: letters, digits, - and _."""
        ...

    @property
    def continuous(self) -> bool:
        """Whether images follow each other in time."""
        ...

    @property
    def stamped(self) -> bool:
        """Whether labels belong to images by stamps, instead of numbers."""
        ...

    @property
    def paths(self) -> list[Path]:
        """The files that are read."""
        ...

    def frames(self, parameters: Parameters, every: int) -> Iterator[Frame | Unreadable]:
        """Yield every `every`-th image; raises OSError or BagError where none can be read."""
        ...


@dataclass(frozen=True)
class Pictures:
    """Pictures that have nothing to do with each other."""

    name: str
    paths: list[Path]
    first: int = 0
    """Number of the first."""
    continuous: bool = field(default=False, init=False)
    stamped: bool = field(default=False, init=False)

    def frames(self, parameters: Parameters, every: int) -> Iterator[Frame | Unreadable]:
        """Yield every `every`-th picture, counted over all of a folder."""
        for number, path in enumerate(self.paths, self.first):
            if number % every == 0:
                yield _picture(path, number, parameters)


@dataclass(frozen=True)
class Video:
    """A video file."""

    name: str
    path: Path
    continuous: bool = field(default=True, init=False)
    stamped: bool = field(default=False, init=False)

    @property
    def paths(self) -> list[Path]:
        """The video alone."""
        return [self.path]

    def frames(self, parameters: Parameters, every: int) -> Iterator[Frame | Unreadable]:
        """Yield every `every`-th frame. Raises pear_ros.io.video.VideoError."""
        frames = enumerate(FrameSource(str(self.path)))
        for number, (stamp, image) in islice(frames, 0, None, every):
            camera = _assumed_camera(image, parameters)
            yield Frame(image, camera, number, round(stamp * 1e9), self.path)


@dataclass(frozen=True)
class Recorded:
    """A bag with a topic of images."""

    name: str
    path: Path
    topic: str = ""
    """Topic of images; empty: the only one."""
    continuous: bool = field(default=True, init=False)
    stamped: bool = field(default=True, init=False)

    @property
    def paths(self) -> list[Path]:
        """The bag alone."""
        return [self.path]

    def frames(self, parameters: Parameters, every: int) -> Iterator[Frame | Unreadable]:
        """Yield every `every`-th image. Raises pear_ros.bags.topic.BagError."""
        bag = Bag(self.path)
        topics = select_topics(bag, TopicSelection(image=self.topic))
        assemble = FrameAssembler(vars(topics), bag.deserialize)
        steady = {CAMERA_INFO: topics.camera_info} if topics.camera_info else {}
        messages = bag.messages({topics.image, *steady.values()})
        whole = TimeRange(bag.start, bag.end)
        for found in matched(messages, topics.image, {}, steady, whole, every=every):
            if isinstance(found, BagFrame):
                yield self._frame(bag, assemble, found, parameters, found.number * every)

    def _frame(
        self,
        bag: Bag,
        assemble: FrameAssembler,
        found: BagFrame,
        parameters: Parameters,
        number: int,
    ) -> Frame | Unreadable:
        try:
            message: Any = bag.deserialize(found.image)
            read = assemble(message, found.companions, parameters)
        except ImageError as error:
            return Unreadable(number, self.path, error.cause)
        except Exception as error:  # A corrupt message may raise anything.
            return Unreadable(number, self.path, f"corrupt message ({type(error).__name__})")
        return Frame(on_cpu(read.image), read.camera, number, read.nanoseconds, self.path)


def _picture(path: Path, number: int, parameters: Parameters) -> Frame | Unreadable:
    try:
        image = read_picture(path)
    except PictureError as error:
        return Unreadable(number, path, str(error))
    return Frame(image, _assumed_camera(image, parameters), number, 0, path)


def _assumed_camera(image: Image, parameters: Parameters) -> Camera:
    height, width = image.shape[:2]
    return Camera.from_field_of_view(width, height, parameters.field_of_view)
