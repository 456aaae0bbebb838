# SPDX-License-Identifier: Apache-2.0
"""Names of message types, and of topics that belong together by image_transport's rules.

Imports no ROS package.
"""

from __future__ import annotations

IMAGE_TYPE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE_TYPE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO_TYPE = "sensor_msgs/msg/CameraInfo"
DETECTIONS_TYPE = "vision_msgs/msg/Detection2DArray"
HUMANS_TYPE = "pear_msgs/msg/HumanArray"
BODY_MODEL_TYPE = "pear_msgs/msg/BodyModelInfo"

TF_TYPE = "tf2_msgs/msg/TFMessage"

TF, TF_STATIC = "/tf", "/tf_static"

COMPRESSED = "/compressed"
"""What image_transport appends to an image topic's name for its CompressedImage messages."""
COMPRESSED_DEPTH = "/compressedDepth"
"""What it appends for compressed depth images, which are CompressedImage messages, too."""


def camera_info_topic(image: str) -> str:
    """Return the name of the CameraInfo topic that belongs to the topic `image`.

    It is camera_info in the namespace of the image topic, without the transport's suffix.
    """
    base = image.removesuffix(COMPRESSED).removesuffix(COMPRESSED_DEPTH)
    return f"{base.rpartition('/')[0]}/camera_info"
