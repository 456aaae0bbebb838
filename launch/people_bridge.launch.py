# SPDX-License-Identifier: Apache-2.0
"""Starts the bridge to people_msgs, PoseArray and Detection3DArray, beside a running node.

ros2 launch pear_ros people_bridge.launch.py humans:=/camera/humans target_frame:=odom
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from pear_ros.ros.launch_arguments import BESIDE_NODE
from pear_ros.ros.launch_declarations import declare


def generate_launch_description() -> LaunchDescription:
    """The bridge."""
    arguments = [
        *declare(BESIDE_NODE),
        DeclareLaunchArgument(
            "target_frame",
            default_value="",
            description="Fixed frame of the results, with z up, such as odom or map. Empty: the "
            "camera's frame, in which velocity is relative to the camera.",
        ),
    ]
    bridge = Node(
        package="pear_ros",
        executable="people_bridge",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            {"target_frame": ParameterValue(LaunchConfiguration("target_frame"), value_type=str)}
        ],
        remappings=[("humans", LaunchConfiguration("humans"))],
        output="screen",
    )
    return LaunchDescription([*arguments, bridge])
