# SPDX-License-Identifier: Apache-2.0
"""A tool of ROS 4 HRI that listens to the bridge."""

from __future__ import annotations

from typing import Any

from hri_msgs.msg import IdsList

from pear_msgs.msg import HumanArray
from pear_ros.ros.bridges.hri_bridge import HriBridge
from testing.bridge_listener import BridgeListener


class HriListener(BridgeListener):
    """The bridge and a tool of ROS 4 HRI."""

    def __init__(self, executor: Any, **values: Any) -> None:
        super().__init__(executor, HriBridge, **values)
        self.tracked = self.listen(IdsList, "/humans/bodies/tracked")

    def send(self, message: HumanArray) -> None:
        """Publish; return once the bridge has passed it on."""
        before = len(self.tracked)
        self.publisher.publish(message)
        self.wait(lambda: len(self.tracked) > before)
