# SPDX-License-Identifier: Apache-2.0
"""Starts the node that streams a person's motion to a humanoid or an avatar, beside a running node.

ros2 launch pear_ros retarget_stream.launch.py urls:="['sonic://127.0.0.1:5556']" target_frame:=odom

"""

from typing import List  # noqa: UP035 - launch does not know list[str]

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from pear_ros.ros.launch_arguments import BESIDE_NODE
from pear_ros.ros.launch_declarations import declare


def generate_launch_description() -> LaunchDescription:
    """The node."""
    arguments = [
        *declare(BESIDE_NODE),
        DeclareLaunchArgument(
            "urls",
            description="List of streams: ['sonic://127.0.0.1:5556', 'vmc://127.0.0.1:39539'].",
        ),
        DeclareLaunchArgument(
            "target_frame",
            default_value="",
            description="Fixed frame of the motion, with z up, such as odom or map. Empty: the "
            "camera is taken as level, and the lowest foot as on the floor.",
        ),
        DeclareLaunchArgument(
            "person",
            default_value="nearest",
            description="Who is followed: nearest, raised_hand, or the id of a person.",
        ),
        DeclareLaunchArgument(
            "delay",
            default_value="0.1",
            description="Look-ahead in seconds: motion is sent later by it, to be interpolated.",
        ),
    ]
    texts = ("target_frame", "person")
    node = Node(
        package="pear_ros",
        executable="retarget_stream",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            {
                "urls": ParameterValue(
                    LaunchConfiguration("urls"),
                    value_type=List[str],  # noqa: UP006
                ),
                "delay": ParameterValue(LaunchConfiguration("delay"), value_type=float),
                **{
                    name: ParameterValue(LaunchConfiguration(name), value_type=str)
                    for name in texts
                },
            }
        ],
        remappings=[("humans", LaunchConfiguration("humans"))],
        output="screen",
    )
    return LaunchDescription([*arguments, node])
