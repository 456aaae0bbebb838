# SPDX-License-Identifier: Apache-2.0
"""The transforms of the running system: a node's subscriptions to /tf and /tf_static."""

from __future__ import annotations

from functools import partial

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.ros.transform_buffer import TransformBuffer

# Those of tf2_ros.
_TF_QOS = QoSProfile(depth=100)
_STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformListener:
    """Fill a buffer from /tf and /tf_static while it exists."""

    def __init__(self, node: Node) -> None:
        """Subscribe on `node`; /tf and /tf_static can be remapped as always.

        Messages arrive in the node's executor: a callback of a single-threaded one must look up
        with a timeout of 0.
        """
        self._node = node
        self.buffer = TransformBuffer()
        """The transforms."""
        group = ReentrantCallbackGroup()
        self._subscriptions = [
            node.create_subscription(
                TFMessage,
                topic,
                partial(self.buffer.add, static=static),
                profile,
                callback_group=group,
            )
            for topic, static, profile in (
                ("/tf", False, _TF_QOS),
                ("/tf_static", True, _STATIC_QOS),
            )
        ]

    def lookup(
        self, target: str, source: str, nanoseconds: int, timeout: float = 0.0
    ) -> RigidTransform:
        """Return the transform from `source` to `target` at a time: see TransformBuffer.lookup."""
        return self.buffer.lookup(target, source, nanoseconds, timeout)

    def forget(self) -> None:
        """Drop what /tf said, not what /tf_static said: time has jumped backwards."""
        self.buffer.forget()

    def destroy(self) -> None:
        """Remove the subscriptions from the node."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
