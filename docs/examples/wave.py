# SPDX-License-Identifier: Apache-2.0
"""Say who starts to wave: an upright person, a hand above the shoulder, a forearm that swings.

    python3 docs/examples/wave.py --ros-args -r humans:=/camera/humans

In:  humans (pear_msgs/HumanArray) from a roughly level camera, at 10 Hz or more
Out: waving (std_msgs/String), the id of a person, once each time they start to wave
"""

import contextlib

import numpy as np
import rclpy
from rclpy import executors, node, qos
from std_msgs.msg import String

from pear_msgs.msg import Human, HumanArray
from pear_ros.hri.waving import Waving


class WaveDetector(node.Node):
    """Follows the arms of each person."""

    def __init__(self) -> None:
        super().__init__("wave_detector")
        self.tracks: dict[str, Waving] = {}
        self.waving: set[str] = set()
        self.publisher = self.create_publisher(String, "waving", 10)
        self.create_subscription(HumanArray, "humans", self.on_humans, qos.qos_profile_sensor_data)

    def on_humans(self, message: HumanArray) -> None:
        """Publish the ids of people who have started to wave."""
        now = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        humans = [human for human in message.humans if human.tracking_state != Human.LOST]
        # A track of its own for each person; people who are gone are dropped.
        self.tracks = {human.id: self.tracks.get(human.id) or Waving() for human in humans}
        waving = {human.id for human in humans if self.waves(now, human)}
        for person in sorted(waving - self.waving):
            self.publisher.publish(String(data=person))
        self.waving = waving

    def waves(self, now: float, human: Human) -> bool:
        """Return whether a person waves."""
        joints = human.joints.reshape(55, 3)
        if human.tracking_state == Human.PREDICTED:  # not observed in this image
            joints = np.full_like(joints, np.nan)
        return self.tracks[human.id].update(now, joints, human.joint_confidence)


if __name__ == "__main__":
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, executors.ExternalShutdownException):
        rclpy.spin(WaveDetector())
