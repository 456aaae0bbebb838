# SPDX-License-Identifier: Apache-2.0
"""A camera and a subscriber, each in a separate process, for benchmarks.image_transport.

    python -m benchmarks.image_endpoints camera WIDTH HEIGHT RELIABILITY RATE COUNT
    python -m benchmarks.image_endpoints subscriber RELIABILITY

The camera waits for a subscriber, then publishes raw images. The subscriber prints the latency of
each image in milliseconds, until its standard input is closed.
"""

from __future__ import annotations

import select
import sys
import time

import rclpy
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.ros.node.subscription import FollowingSubscription

TOPIC = "image"
MATCH_SECONDS = 10.0
SETTLE_SECONDS = 0.5
DEPTH = 5
"""Queue depth of camera and subscriber, as in the node."""


def camera(width: int, height: int, reliability: str, rate: float, count: int) -> None:
    """Publish `count` images, stamped with the time of sending."""
    node = Node("camera")
    profile = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy[reliability.upper()])
    publisher = node.create_publisher(Image, TOPIC, profile)
    image = Image(height=height, width=width, encoding="bgr8", step=3 * width)
    image.data = bytes(3 * width * height)
    end = time.monotonic() + MATCH_SECONDS
    while publisher.get_subscription_count() == 0 and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(SETTLE_SECONDS)
    due = time.monotonic()
    for _ in range(count):
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        image.header.stamp = Time(sec=seconds, nanosec=nanoseconds)
        publisher.publish(image)
        due += 1.0 / rate
        time.sleep(max(0.0, due - time.monotonic()))
    time.sleep(SETTLE_SECONDS)
    node.destroy_node()


def subscriber(reliability: str) -> None:
    """Subscribe as the node does, and print latencies."""
    node = Node("subscriber")

    def receive(message: Image) -> None:
        print((time.time_ns() - nanoseconds_of(message.header)) / 1e6, flush=True)

    subscription = FollowingSubscription(node, Image, TOPIC, receive, DEPTH, reliability)
    while not select.select([sys.stdin], [], [], 0.0)[0]:
        subscription.follow(reliability)
        for _ in range(10):
            rclpy.spin_once(node, timeout_sec=0.02)
    node.destroy_node()


def main(arguments: list[str]) -> None:
    """Run the camera or the subscriber."""
    rclpy.init()
    if arguments[0] == "camera":
        width, height, reliability, rate, count = arguments[1:]
        camera(int(width), int(height), reliability, float(rate), int(count))
    else:
        subscriber(*arguments[1:])
    rclpy.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
