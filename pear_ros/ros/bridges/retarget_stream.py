# SPDX-License-Identifier: Apache-2.0
"""A node that streams one person's motion to a humanoid or an avatar. This is no safety function.

Subscribes to `humans`, and to /tf if the parameter `target_frame` is set. Sends frames at a
constant rate to the `urls`: SONIC's ZeroMQ protocol, JSON over UDP or WebSocket, VMC. It publishes
its state once a second on /diagnostics.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.node import Node
from std_msgs.msg import Header

from pear_msgs.msg import Human, HumanArray
from pear_ros.core.estimate_arrays import POSE_FIELDS
from pear_ros.core.people import TrackingState
from pear_ros.core.timestamps import seconds_of
from pear_ros.ros.bridges.people_frame import NEWEST
from pear_ros.ros.bridges.stream_parameters import declare_stream_options, declare_urls
from pear_ros.ros.bridges.target_frame import TargetFrame, declare_target_frame
from pear_ros.ros.running import StartError, run
from pear_ros.streaming.body_pose import ObservedPerson
from pear_ros.streaming.live import LiveStream
from pear_ros.streaming.motion_stream import StreamState
from pear_ros.streaming.outputs import StreamError


class RetargetStream(Node):
    """Stream the person who is followed among the people of `humans`."""

    def __init__(self, **node_options: Any) -> None:
        """Create the node with `node_options` of rclpy's Node.

        Raises StartError if a parameter is wrong, a host unknown, or a package missing.
        """
        super().__init__("retarget_stream", **node_options)
        self._target = TargetFrame(self, declare_target_frame(self))
        options = declare_stream_options(self)
        try:
            self.stream = LiveStream(declare_urls(self), options, self._warn)
        except StreamError as error:
            raise StartError(f"the parameter urls: {error}") from error
        if not self._target.name:
            self.get_logger().info(
                "No target_frame: the camera is taken as level, and feet as on the floor"
            )
        self._subscription: Any = None
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(1.0 / options.rate, self._tick, clock=clock)
        self.create_timer(1.0, self._report, clock=clock)

    def destroy_node(self) -> None:
        """Free the ports, then destroy the node."""
        self.stream.close()
        super().destroy_node()

    def _warn(self, sentence: str) -> None:
        self.get_logger().warning(sentence)

    def _tick(self) -> None:
        now = time.monotonic()
        self._subscribe(self.stream.is_wanted(now))
        self.stream.tick(now)

    def _subscribe(self, wanted: bool) -> None:
        """Receive people only while somebody wants them."""
        if wanted and self._subscription is None:
            self._subscription = self.create_subscription(HumanArray, "humans", self._add, NEWEST)
        elif not wanted and self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None

    def _add(self, message: HumanArray) -> None:
        now = time.monotonic()
        to_world = self._target.lookup(message.header)
        if to_world is None and self._target.name:
            return
        persons = []
        for human in message.humans:
            with suppress(ValueError):  # a state that this version does not know
                persons.append(_observed(human))
        self.stream.add(seconds_of(message.header), now, persons, to_world)

    def _report(self) -> None:
        """Publish what is streamed and to whom, if somebody listens."""
        if self._diagnostics.get_subscription_count():
            header = Header(stamp=self.get_clock().now().to_msg())
            self._diagnostics.publish(DiagnosticArray(header=header, status=[self._status()]))

    def _status(self) -> DiagnosticStatus:
        frame = self.stream.frame
        values = {
            channel.url.text: "not open"
            if channel.output is None
            else ("sending" if channel.output.is_wanted else "no consumer")
            for channel in self.stream.channels
        }
        if frame is not None:
            left, right = frame.motion.hands_seen
            values |= {"person": frame.person_id, "frames": str(frame.index + 1)}
            values |= {"left hand seen": str(left), "right hand seen": str(right)}
        is_tracking = frame is not None and frame.state is StreamState.TRACKING
        return DiagnosticStatus(
            level=DiagnosticStatus.OK if is_tracking else DiagnosticStatus.WARN,
            name=f"{self.get_fully_qualified_name().lstrip('/')}: stream",
            message="nobody is followed" if frame is None else frame.state.value,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )


def _observed(human: Human) -> ObservedPerson:
    """Return a person of a message. Raises ValueError where the state is unknown."""
    pose = np.concatenate([getattr(human.smplx, name) for name in POSE_FIELDS])
    return ObservedPerson(
        human.id,
        TrackingState(human.tracking_state),
        pose.reshape(-1, 3),
        human.joints.reshape(-1, 3),
        human.joint_confidence,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the node until Ctrl-C; return the exit status."""
    return run(RetargetStream, arguments)


if __name__ == "__main__":
    sys.exit(main())
