# SPDX-License-Identifier: Apache-2.0
"""Follows a person: turns towards them and keeps a distance.

    python3 docs/examples/follower.py --ros-args -r humans:=/camera/humans -p distance:=2.0

In:  humans (pear_msgs/HumanArray), seen by a level camera that looks where the robot drives
Out: cmd_vel (geometry_msgs/TwistStamped), 20 times a second, all zero while nobody is seen

Where `depth_source` is ASSUMED, everyone is taken to be an average adult: a child of two thirds
of that height is approached to two thirds of `distance`. Leave a margin, or give pear_ros depth.
"""

import contextlib
import math

import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy import executors, node, qos

from pear_msgs.msg import HumanArray

GAINS = {"distance": 1.5, "turn_gain": 1.5, "drive_gain": 0.8}  # m, 1/s, 1/s
LIMITS = {"max_turn": 1.0, "max_speed": 0.5, "max_reverse": 0.2, "timeout": 0.5}  # rad/s, m/s, s


class Follower(node.Node):
    """Keeps to one id as long as it is there, else takes the nearest person who is seen."""

    def __init__(self) -> None:
        super().__init__("follower")
        self.declare_parameters("", [*GAINS.items(), *LIMITS.items()])
        self.followed, self.seen, self.command = "", 0.0, TwistStamped()
        self.publisher = self.create_publisher(TwistStamped, "cmd_vel", 1)
        self.create_subscription(HumanArray, "humans", self.look, qos.qos_profile_sensor_data)
        self.create_timer(0.05, self.drive)

    def look(self, message: HumanArray) -> None:
        """Decides how to drive, if the person is seen."""
        there = {h.id for h in message.humans if h.tracking_state != h.LOST}
        # Not those who are PREDICTED: the robot must not drive to where somebody may be.
        seen = {h.id: h.root_pose.position for h in message.humans if h.tracking_state == h.TRACKED}
        # In the optical frame x is right and z forward; the robot's yaw counts to the left.
        places = {id: (math.hypot(p.x, p.z), -math.atan2(p.x, p.z)) for id, p in seen.items()}
        places = {id: place for id, place in places.items() if math.isfinite(sum(place))}
        if self.followed not in there and places:
            self.followed = min(places, key=lambda id: places[id])
        if self.followed in places:
            distance, left = places[self.followed]
            p = {name: self.get_parameter(name).value for name in (*GAINS, *LIMITS)}
            turn, drive = p["turn_gain"] * left, p["drive_gain"] * (distance - p["distance"])
            self.command.twist.angular.z = max(-p["max_turn"], min(turn, p["max_turn"]))
            self.command.twist.linear.x = max(-p["max_reverse"], min(drive, p["max_speed"]))
            self.seen = message.header.stamp.sec + message.header.stamp.nanosec / 1e9

    def drive(self) -> None:
        """Drives as decided, or stops where the image that says so is too old."""
        now = self.get_clock().now()
        if abs(now.nanoseconds / 1e9 - self.seen) > self.get_parameter("timeout").value:
            self.command = TwistStamped()
        self.command.header.frame_id, self.command.header.stamp = "base_link", now.to_msg()
        self.publisher.publish(self.command)


if __name__ == "__main__":
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, executors.ExternalShutdownException):
        rclpy.spin(Follower())
