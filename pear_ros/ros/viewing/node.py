# SPDX-License-Identifier: Apache-2.0
"""The node of the viewer: listens for people while a browser looks, and for nothing otherwise.

Subscribes to `humans`, the camera's images (`image/compressed` where that is
published, else `image`) and transforms. It publishes nothing, and asks of publishers no more than
best effort, so that it slows none of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from pear_msgs.msg import HumanArray
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.ros.conversion.people import OtherVersionError, people_of
from pear_ros.ros.topics import COMPRESSED
from pear_ros.ros.transform_listener import TransformListener
from pear_ros.ros.viewing.image_ring import ImageRing
from pear_ros.ros.viewing.placement import Placement
from pear_ros.viewing.live import LiveFeed
from pear_ros.viewing.moment import Moment

_NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_IMAGES = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
_CHECK_SECONDS = 0.5
_SILENT_SECONDS = 2.0
"""Time without results after which those that are shown are called old."""


class ViewerNode(Node):
    """Feeds browsers with the newest people."""

    def __init__(self, feed: LiveFeed, *, frame: str = "", **node_options: Any) -> None:
        """Create the node with `node_options` of rclpy's Node. `frame`: see Placement."""
        super().__init__("pear_view", **node_options)
        self._feed = feed
        self._placement = Placement(frame)
        self._images = ImageRing()
        self._humans: Subscription[Any] | None = None
        self._image_subscription: Subscription[Any] | None = None
        self._transforms: TransformListener | None = None
        self._first: int | None = None
        self._heard = self._looked = time.monotonic()
        self._faults: tuple[str, ...] = ()
        self._viewers = 0
        self.create_timer(_CHECK_SECONDS, self._check)

    def count_viewers(self, viewers: int) -> None:
        """Take the number of browsers that look; any thread may call it."""
        self._viewers = viewers

    def _check(self) -> None:
        """Begin or end to listen, and say which topics are silent."""
        if self._viewers and not self._humans:
            self._listen()
        elif not self._viewers and self._humans:
            self._stop()
        if self._humans:
            self._follow_images()
            self._feed.warn(self._warnings())

    def _listen(self) -> None:
        self._looked = self._heard = time.monotonic()
        self._transforms = TransformListener(self)
        self._humans = self.create_subscription(HumanArray, "humans", self._on_humans, _NEWEST)

    def _stop(self) -> None:
        if self._humans:
            self.destroy_subscription(self._humans)
        self._humans = None
        self._drop_images()
        if self._transforms:
            self._transforms.destroy()
            self._transforms = None

    def _follow_images(self) -> None:
        """Subscribe to compressed images where they are published, else to raw ones."""
        compressed = self.resolve_topic_name("image") + COMPRESSED
        kinds = {"image": ImageMessage, compressed: CompressedImage}
        published = [name for name in kinds if self.count_publishers(name)]
        wanted = self.resolve_topic_name(published[-1]) if published else None
        present = self._image_subscription and self._image_subscription.topic_name
        if wanted is None or wanted == present:
            return
        self._drop_images()
        self._image_subscription = self.create_subscription(
            kinds[published[-1]], published[-1], self._images.add, _IMAGES
        )

    def _drop_images(self) -> None:
        if self._image_subscription:
            self.destroy_subscription(self._image_subscription)
        self._image_subscription = None
        self._images.clear()

    def _on_humans(self, message: HumanArray) -> None:
        self._heard = time.monotonic()
        try:
            people = people_of(message)
        except OtherVersionError as error:
            self._faults = (f"{self._topic} is of another version of pear_msgs: no {error}.",)
            return
        except Exception as error:  # What a nonsensical message raises depends on it.
            self._faults = (f"A message on {self._topic} cannot be read: {error}.",)
            return
        self._faults = ()
        stamp = nanoseconds_of(message.header)
        if self._first is None or stamp < self._first:
            self._first = stamp
        assert self._transforms is not None
        placed = self._placement(self._transforms.buffer, message.header.frame_id, stamp, people)
        moment = Moment(
            seconds=1e-9 * (stamp - self._first),
            people=people,
            camera_pose=placed.camera,
            picture=self._images.take(stamp),
            frames=placed.frames,
        )
        self._feed.put(moment, [placed.note] if placed.note else [])

    def _warnings(self) -> Sequence[str]:
        """Sentences about topics that are silent."""
        silent = time.monotonic() - self._heard
        if silent < _SILENT_SECONDS:
            return self._faults
        if not self.count_publishers("humans"):
            reason = f"Nobody publishes {self._topic}"
        else:
            reason = f"{self._topic} has been silent for {silent:.0f} s"
        shown = self._feed.newest() is not None
        return (f"{reason}.{' Shown are the last people.' if shown else ''}", *self._faults)

    @property
    def _topic(self) -> str:
        return self.resolve_topic_name("humans")
