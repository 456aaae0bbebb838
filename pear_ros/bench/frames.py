# SPDX-License-Identifier: Apache-2.0
"""Pictures to measure with: of a video file, or of one topic of a bag (MCAP or sqlite3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.rosbag2 import ReaderError
from rosbags.typesys import Stores, get_typestore

from pear_ros.camera import Camera
from pear_ros.people import Image
from pear_ros.ros.images import ImageError, bgr_from_compressed, bgr_from_image
from pear_ros.ros.intrinsics import CalibrationError, camera_from_info, is_rectified
from pear_ros.video import FrameSource

_READERS = {
    "sensor_msgs/msg/Image": bgr_from_image,
    "sensor_msgs/msg/CompressedImage": bgr_from_compressed,
}
_CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


class SourceError(ValueError):
    """A source that cannot be measured with; the text says why, and what to do."""


class Frames(Protocol):
    """Pictures of one camera."""

    name: str
    """What they are of, for people."""

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        """Seconds, ascending, and the picture (height, width, 3) uint8 BGR."""
        ...

    def camera(self, width: int, height: int) -> Camera:
        """Of pictures of that size."""
        ...


def open_frames(source: str, topic: str | None = None) -> Frames:
    """Pictures of a video file, or of a bag: a folder, or a file of it (.mcap, .db3).

    `topic` is not needed where one alone has pictures. Raises SourceError; OSError where a file
    cannot be read.
    """
    path = Path(source)
    if path.is_dir() or path.suffix in (".mcap", ".db3"):
        return BagFrames(path, topic)
    if topic is not None:
        raise SourceError(f"{source} is not a bag, so it has no topic {topic}")
    return VideoFrames(source)


class VideoFrames:
    """Pictures of a video file."""

    def __init__(self, source: str) -> None:
        """Raises SourceError; pear_ros.video.VideoError where it cannot be read."""
        self._frames = FrameSource(source)
        self.name = f"video {Path(source).name}"
        if self._frames.is_camera or self._frames.is_still:
            raise SourceError(f"{source} is no video: how fast it comes says nothing")

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        """See Frames; once."""
        return iter(self._frames)

    def camera(self, width: int, height: int) -> Camera:
        """See Frames: a usual field of view, as a video says nothing."""
        return Camera.from_field_of_view(width, height)


class BagFrames:
    """Pictures of one topic of a bag."""

    def __init__(self, path: Path, topic: str | None) -> None:
        """See open_frames."""
        if not path.exists():
            raise SourceError(f"{path} does not exist")
        # Bags before Iron bring no definitions.
        types = get_typestore(Stores.ROS2_HUMBLE)
        try:
            self._reader = AnyReader([path], default_typestore=types)
            self._reader.open()
        except (AnyReaderError, ReaderError, OSError) as error:
            raise SourceError(f"{path} cannot be read as a bag of rosbag2: {error}") from error
        self.topic = self._choose(path, topic)
        self.name = f"{self.topic} of bag {path.name}"
        self._info = self._camera_info()

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        """See Frames. Pictures that cannot be read are left out."""
        wanted = [c for c in self._reader.connections if c.topic == self.topic]
        last = float("-inf")
        for connection, _, data in self._reader.messages(wanted):
            message: Any = self._reader.deserialize(data, connection.msgtype)
            stamp = message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec
            try:
                picture = _READERS[connection.msgtype](message)
            except ImageError:
                continue
            last = max(stamp, last + 1e-6)
            yield last, picture

    def camera(self, width: int, height: int) -> Camera:
        """See Frames: that of the bag, where it is calibrated."""
        try:
            if self._info is None:
                raise CalibrationError("the bag has none")
            rectified = is_rectified("auto", self.topic.removesuffix("/compressed"))
            return camera_from_info(self._info, width, height, rectified)
        except CalibrationError:
            return Camera.from_field_of_view(width, height)

    def _choose(self, path: Path, topic: str | None) -> str:
        topics = sorted({c.topic for c in self._reader.connections if c.msgtype in _READERS})
        if not topics:
            raise SourceError(f"{path} has no topic with images")
        if topic is None and len(topics) > 1:
            told = ", ".join(topics)
            raise SourceError(f"{path} has several topics with images; choose by --topic: {told}")
        if topic is not None and topic not in topics:
            told = ", ".join(topics)
            raise SourceError(f"{path} has no images on {topic}; there are {told}")
        return topic or topics[0]

    def _camera_info(self) -> Any:
        """The first CameraInfo beside the images; None where there is none."""
        beside = f"{self.topic.removesuffix('/compressed').rpartition('/')[0]}/camera_info"
        found = [
            connection
            for connection in self._reader.connections
            if connection.topic == beside and connection.msgtype == _CAMERA_INFO
        ]
        for connection, _, data in self._reader.messages(found) if found else ():
            return self._reader.deserialize(data, connection.msgtype)
        return None
