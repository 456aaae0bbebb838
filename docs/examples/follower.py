# SPDX-License-Identifier: Apache-2.0
"""Follow a person: turn towards them and keep a distance.

    python3 docs/examples/follower.py --ros-args -r humans:=/camera/humans -p distance:=2.0

In:  humans (pear_msgs/HumanArray) from a level camera that looks in the driving direction
Out: cmd_vel (geometry_msgs/TwistStamped) at 20 Hz, zero while no person is observed

With `depth_source` ASSUMED, each person counts as an average adult: the robot approaches a child
of two thirds of that height to two thirds of `distance`. Leave a margin, or use depth images.
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
    """Follows one track until it is lost, then the nearest observed person."""

    def __init__(self) -> None:
        super().__init__("follower")
        self.declare_parameters("", [*GAINS.items(), *LIMITS.items()])
        self.followed, self.seen, self.command = "", 0.0, TwistStamped()
        self.publisher = self.create_publisher(TwistStamped, "cmd_vel", 1)
        self.create_subscription(HumanArray, "humans", self.on_humans, qos.qos_profile_sensor_data)
        self.create_timer(0.05, self.drive)

    def on_humans(self, message: HumanArray) -> None:
        """Compute the command, if the followed person is observed."""
        there = {h.id for h in message.humans if h.tracking_state != h.LOST}
        # Not PREDICTED ones: the robot must not drive to a guess.
        seen = {h.id: h.root_pose.position for h in message.humans if h.tracking_state == h.TRACKED}
        # In the optical frame x is right and z forward; positive yaw is to the left.
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
        """Publish the command, or zero if its image is too old."""
        now = self.get_clock().now()
        if abs(now.nanoseconds / 1e9 - self.seen) > self.get_parameter("timeout").value:
            self.command = TwistStamped()
        self.command.header.frame_id, self.command.header.stamp = "base_link", now.to_msg()
        self.publisher.publish(self.command)


if __name__ == "__main__":
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, executors.ExternalShutdownException):
        rclpy.spin(Follower())
