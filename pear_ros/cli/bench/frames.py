# SPDX-License-Identifier: Apache-2.0
"""Images to measure with: of a video file, or of one topic of a bag (MCAP or sqlite3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from pear_ros.bags.bag import Bag, find_bags
from pear_ros.bags.topic import BagError, Message
from pear_ros.core.camera import Camera
from pear_ros.core.people import Image
from pear_ros.core.timestamps import seconds_of
from pear_ros.io.video import FrameSource
from pear_ros.replay.topics import TopicSelection, select_topics
from pear_ros.ros.conversion.images import ImageError, bgr_from_compressed, bgr_from_image
from pear_ros.ros.conversion.intrinsics import CalibrationError, camera_from_info, is_rectified
from pear_ros.ros.topics import COMPRESSED, COMPRESSED_IMAGE_TYPE, IMAGE_TYPE

_READERS = {IMAGE_TYPE: bgr_from_image, COMPRESSED_IMAGE_TYPE: bgr_from_compressed}


class SourceError(ValueError):
    """A source that cannot be measured; the text gives the reason and says what to do."""


class Frames(Protocol):
    """Images of one camera."""

    name: str
    """Description of the frames' source, such as a file name."""

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        """Iterate over stamps, ascending seconds, and images (height, width, 3) uint8 BGR."""
        ...

    def camera(self, width: int, height: int) -> Camera:
        """Return the camera of images of this size, pixels."""
        ...


def open_frames(source: str, topic: str | None = None) -> Frames:
    """Open the images of a video file, or of a bag: a folder, or a file of it (.mcap, .db3).

    `topic`: needed only where several have images. Raises SourceError where the source is not
    suitable; OSError where a file cannot be read.
    """
    path = Path(source)
    if path.is_dir() or path.suffix in (".mcap", ".db3"):
        return BagFrames(path, topic)
    if topic is not None:
        raise SourceError(f"{source} is not a bag, so it has no topic {topic}")
    return VideoFrames(source)


class VideoFrames:
    """Images of a video file."""

    def __init__(self, source: str) -> None:
        """Open a video. Raises SourceError for cameras and stills, VideoError for other files."""
        self._frames = FrameSource(source)
        self.name = f"video {Path(source).name}"
        if self._frames.is_camera or self._frames.is_still:
            raise SourceError(f"{source} is no video: its own rate limits the measurement")

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        """Return the only iterator over stamps and images."""
        return iter(self._frames)

    def camera(self, width: int, height: int) -> Camera:
        """Return a camera with a common field of view, since a video has no calibration."""
        return Camera.from_field_of_view(width, height)


class BagFrames:
    """Images of one topic of a bag."""

    def __init__(self, path: Path, topic: str | None) -> None:
        """Open a bag; `topic`: None where one alone has images. Raises SourceError otherwise."""
        try:
            bags = find_bags(path)
            if len(bags) > 1:
                raise SourceError(f"{path} holds {len(bags)} bags; give one, such as {bags[0]}")
            self._bag = Bag(bags[0])
            chosen = select_topics(self._bag, TopicSelection(image=topic or ""))
        except BagError as error:
            raise SourceError(str(error)) from error
        self.topic = chosen.image
        self.name = f"{self.topic} of bag {path.name}"
        self._read = _READERS[self._bag.topics[self.topic].type]
        infos = self._bag.messages([chosen.camera_info] if chosen.camera_info else [])
        self._info = next(self._readable(infos), None)

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        """Iterate over stamps and images; those that cannot be decoded are skipped."""
        last = float("-inf")
        for message in self._readable(self._bag.messages([self.topic])):
            try:
                image = self._read(message)
            except ImageError:
                continue
            stamp = seconds_of(message.header)
            last = max(stamp, last + 1e-6)
            yield last, image

    def _readable(self, messages: Iterable[Message]) -> Iterator[Any]:
        """Yield the messages, deserialised, without corrupt ones."""
        for item in messages:
            try:
                message = self._bag.deserialize(item)
            except Exception:  # What a corrupt message raises depends on the damage.
                continue
            yield message

    def camera(self, width: int, height: int) -> Camera:
        """Return the bag's calibrated camera, else one with a common field of view."""
        try:
            if self._info is None:
                raise CalibrationError("the bag has none")
            rectified = is_rectified("auto", self.topic.removesuffix(COMPRESSED))
            return camera_from_info(self._info, width, height, rectified)
        except CalibrationError:
            return Camera.from_field_of_view(width, height)
