# SPDX-License-Identifier: Apache-2.0
"""A node that plays a video like a camera driver, for trials without a camera.

Publishes `image/compressed` (JPEG), `camera_info` and the camera's static transform on `tf_static`,
at the video's frame rate, in a loop. The CameraInfo is that of an uncalibrated camera.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pear_ros.core.people import Image
from pear_ros.io.downloads import AssetError, demo_clip
from pear_ros.io.video import FrameSource, VideoError
from pear_ros.ros.conversion.camera_frames import OPTICAL_FRAME, optical_transform
from pear_ros.ros.conversion.messages import jpeg_message
from pear_ros.ros.running import StartError, run

_DEFAULT_RATE = 30.0
_LATE = Duration(seconds=0.1)


class VideoSource(Node):
    """Publish the frames of a video, or of a camera of this machine."""

    def __init__(self) -> None:
        """Open the video of the parameter `video`. Raises StartError if it cannot be read."""
        super().__init__("video_source")
        description = "Video file, or number of a camera (0 is the first); empty: the demo clip."
        self.declare_parameter("video", "", ParameterDescriptor(description=description))
        video = self.get_parameter("video").get_parameter_value().string_value
        try:
            self._video = video or str(demo_clip())
            source = FrameSource(self._video)
        except (AssetError, VideoError) as error:
            raise StartError(str(error)) from error

        newest = QoSProfile(depth=1)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._images = self.create_publisher(CompressedImage, "image/compressed", newest)
        self._camera_infos = self.create_publisher(CameraInfo, "camera_info", newest)
        # Transforms concern the whole system, so their topic has no namespace.
        self._transforms = self.create_publisher(TFMessage, "/tf_static", latched)
        self._behind = Duration()
        begin = self.get_clock().now()
        self._transforms.publish(TFMessage(transforms=[optical_transform(begin.to_msg())]))
        self._frames = self._play(source, begin)
        self.create_timer(1.0 / (source.frame_rate or _DEFAULT_RATE), self._publish_next)
        self.get_logger().info(f"Playing {self._video}")

    def _play(self, source: FrameSource, begin: Time) -> Iterator[tuple[Time, Image]]:
        """Frames in an endless loop, with stamps that continue when the video starts again."""
        while True:
            seconds = 0.0
            for seconds, image in source:
                yield begin + Duration(seconds=seconds), image
            begin += Duration(seconds=seconds + 1.0 / (source.frame_rate or _DEFAULT_RATE))
            source = FrameSource(self._video)

    def _publish_next(self) -> None:
        time, image = next(self._frames)
        now = self.get_clock().now()
        if now - (time + self._behind) > _LATE:
            self._behind = (
                now - time
            )  # a machine that is too slow plays slower, with current stamps
        time += self._behind
        header = Header(stamp=time.to_msg(), frame_id=OPTICAL_FRAME)
        height, width = image.shape[:2]
        self._camera_infos.publish(CameraInfo(header=header, height=height, width=width))
        self._images.publish(jpeg_message(image, header))


def main(arguments: list[str] | None = None) -> int:
    """Play until Ctrl-C; return the exit status."""
    return run(VideoSource, arguments)


if __name__ == "__main__":
    sys.exit(main())
