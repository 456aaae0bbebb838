# SPDX-License-Identifier: Apache-2.0
"""The parameter target_frame of the bridges: a level frame, found by /tf at each image's stamp."""

from __future__ import annotations

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from std_msgs.msg import Header

from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.ros.running import StartError
from pear_ros.ros.transform_buffer import TransformError
from pear_ros.ros.transform_listener import TransformListener

_WARNING_SECONDS = 10.0


def declare_target_frame(node: Node, *, required: bool = False) -> str:
    """Declare the parameter on `node` and return its value; empty: the camera's frame is used.

    Raises StartError if it is `required` and empty.
    """
    empty = "It must be given." if required else "Empty: the camera's frame."
    descriptor = ParameterDescriptor(
        description=(
            "Fixed frame with z up and the floor at z = 0, such as odom or map, in which positions "
            f"are published. {empty}"
        ),
        read_only=True,
    )
    node.declare_parameter("target_frame", "", descriptor)
    name: str = node.get_parameter("target_frame").get_parameter_value().string_value
    if required and not name:
        raise StartError(
            "the parameter target_frame is empty: name a fixed frame with z up, such as odom"
        )
    return name


class TargetFrame:
    """Transforms from images' frames to a frame; listens to /tf only if there is one."""

    def __init__(self, node: Node, name: str) -> None:
        """Listen by `node`, if `name` is not empty."""
        self.name = name
        self._logger = node.get_logger()
        self._listener = TransformListener(node) if name else None

    def lookup(self, header: Header) -> RigidTransform | None:
        """Return the transform from an image's frame at its stamp; None: not known, with a warning.

        It does not wait: people arrive later than the transforms of their image.
        """
        if self._listener is None:
            return None
        try:
            return self._listener.lookup(self.name, header.frame_id, nanoseconds_of(header))
        except TransformError as error:
            self._logger.warning(
                f"No positions in {self.name!r}: {error}",
                throttle_duration_sec=_WARNING_SECONDS,
            )
            return None
