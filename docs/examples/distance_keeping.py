# SPDX-License-Identifier: Apache-2.0
"""Tells how near people are, and when to slow down and to stop.

    python3 docs/examples/distance_keeping.py --ros-args -r humans:=/camera/humans

In:  humans (pear_msgs/HumanArray)
Out, for every image and ten times a second:
     nearest_person (std_msgs/Float64)  metres from the camera; inf: nobody, NaN: not known
     warning, stop (std_msgs/Bool)      somebody is in the zone, or it is not known whether

NOT A SAFETY FUNCTION. A camera does not see everybody, and nothing here is certified: protect
people by what is made for it, such as a safety laser scanner. It does fail to the safe side:
without fresh images `stop` is true. Whoever listens must take silence for a stop, too.
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
HYSTERESIS = 0.2  # metres further away, and a zone is left
TIMEOUT = 0.5  # seconds, from when the image was taken
METRIC = (Human.DEPTH_BODY_HEIGHT, Human.DEPTH_MEASURED)
# Where depth is ASSUMED, everyone is taken to be an average adult, and who is smaller stands nearer
# than it seems: a child of 1.05 m at 0.6 of the distance. So everyone counts as a child there.
ASSUMED = 0.6


def distance(human: Human) -> float:
    """Metres from the camera to the nearest joint that is known; NaN where none is.

    Joints that are not seen count, too: the body's prior puts them where they are likely to be.
    """
    joints = human.joints.reshape(55, 3)
    nearest = float(np.fmin.reduce(np.linalg.norm(joints, axis=1)))  # fmin passes over NaN
    return nearest if human.depth_source in METRIC else ASSUMED * nearest


class DistanceKeeper(node.Node):
    """Watches the nearest point of anybody, also of those who are only PREDICTED."""

    def __init__(self) -> None:
        super().__init__("distance_keeper")
        for zone, metres in ZONES.items():
            self.declare_parameter(f"{zone}_distance", metres)
        self.inside = dict.fromkeys(ZONES, True)
        self.nearest, self.taken = math.nan, -math.inf
        self.distances = self.create_publisher(Float64, "nearest_person", 1)
        self.alarms = {zone: self.create_publisher(Bool, zone, 1) for zone in ZONES}
        self.create_subscription(HumanArray, "humans", self.look, qos.qos_profile_sensor_data)
        # Its own clock: simulated time, which may stand still, must not keep it from telling.
        self.create_timer(0.1, self.tell, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def look(self, message: HumanArray) -> None:
        """Measures the distance of the nearest person in an image."""
        there = [human for human in message.humans if human.tracking_state != Human.LOST]
        # Unlike Python's min, NumPy's is NaN as soon as one is: somebody is there, who knows where.
        self.nearest = float(np.min([math.inf, *map(distance, there)]))
        stamp = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        age = self.get_clock().now().nanoseconds / 1e9 - stamp
        self.taken = time.monotonic() - abs(age)  # a clock that is ahead is as wrong as one behind
        self.tell()

    def tell(self) -> None:
        """Publishes distance and zones as they are now."""
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
