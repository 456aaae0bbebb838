# SPDX-License-Identifier: Apache-2.0
"""Publish the distance of the nearest person, and when to slow down and to stop.

    python3 docs/examples/distance_keeping.py --ros-args -r humans:=/camera/humans

In:  humans (pear_msgs/HumanArray)
Out, for every image and at 10 Hz:
     nearest_person (std_msgs/Float64)  metres from the camera; inf: no person, NaN: unknown
     warning, stop (std_msgs/Bool)      a person is in the zone, or this is unknown

NOT A SAFETY FUNCTION. A camera does not see every person, and nothing here is certified: protect
people with certified devices, such as a safety laser scanner. It fails to the safe side: without
fresh images `stop` is true. Treat silence on the topics as a stop, too.
"""

import contextlib
import math
import time

import numpy as np
import rclpy
from rclpy import executors, node, qos
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from std_msgs.msg import Bool, Float64

from pear_msgs.msg import Human, HumanArray

ZONES = {"warning": 2.0, "stop": 1.0}  # metres; joints lie within the body, up to 0.15 m deep
HYSTERESIS = 0.2  # metres between entering and leaving a zone
TIMEOUT = 0.5  # seconds since the image was taken
METRIC = (Human.DEPTH_BODY_HEIGHT, Human.DEPTH_MEASURED, Human.DEPTH_FLOOR)
# With depth ASSUMED, each person counts as an average adult, and smaller people are nearer than
# published: a child of 1.05 m at 0.6 of the distance. So each person is treated as such a child.
ASSUMED = 0.6


def distance(human: Human) -> float:
    """Return metres from the camera to the nearest known joint; NaN if none is known.

    Unobserved joints count, too: the prior puts them where they are likely to be.
    """
    joints = human.joints.reshape(55, 3)
    nearest = float(np.fmin.reduce(np.linalg.norm(joints, axis=1)))  # fmin passes over NaN
    return nearest if human.depth_source in METRIC else ASSUMED * nearest


class DistanceKeeper(node.Node):
    """Monitors the nearest joint of all people, PREDICTED ones included."""

    def __init__(self) -> None:
        super().__init__("distance_keeper")
        for zone, metres in ZONES.items():
            self.declare_parameter(f"{zone}_distance", metres)
        self.inside = dict.fromkeys(ZONES, True)
        self.nearest, self.taken = math.nan, -math.inf
        self.distances = self.create_publisher(Float64, "nearest_person", 1)
        self.alarms = {zone: self.create_publisher(Bool, zone, 1) for zone in ZONES}
        self.create_subscription(HumanArray, "humans", self.on_humans, qos.qos_profile_sensor_data)
        # A steady clock: paused simulated time must not stop the output.
        self.create_timer(0.1, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def on_humans(self, message: HumanArray) -> None:
        """Compute the distance of the nearest person in an image."""
        there = [human for human in message.humans if human.tracking_state != Human.LOST]
        # Unlike Python's min, NumPy's is NaN if one value is: a person at an unknown position.
        self.nearest = float(np.min([math.inf, *map(distance, there)]))
        stamp = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        age = self.get_clock().now().nanoseconds / 1e9 - stamp
        self.taken = time.monotonic() - abs(age)  # a clock ahead is as wrong as one behind
        self.publish()

    def publish(self) -> None:
        """Publish distance and zones."""
        fresh = time.monotonic() - self.taken < TIMEOUT
        nearest = self.nearest if fresh else math.nan
        self.distances.publish(Float64(data=nearest))
        for zone, publisher in self.alarms.items():
            edge = self.get_parameter(f"{zone}_distance").value
            edge += HYSTERESIS if self.inside[zone] else 0.0
            self.inside[zone] = not nearest > edge  # also where it is NaN
            publisher.publish(Bool(data=self.inside[zone]))


if __name__ == "__main__":
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, executors.ExternalShutdownException):
        rclpy.spin(DistanceKeeper())
