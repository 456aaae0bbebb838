# SPDX-License-Identifier: Apache-2.0
"""Starts the bridge to the tools of ROS 4 HRI (REP-155), beside a running node.

ros2 launch pear_ros hri_bridge.launch.py humans:=/camera/humans
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue


def generate_launch_description() -> LaunchDescription:
    """The bridge."""
    arguments = [
        DeclareLaunchArgument(
            "namespace",
            default_value="",
            description="Namespace of the bridge, for example the camera's name.",
        ),
        DeclareLaunchArgument(
            "humans",
            default_value="humans",
            description="Topic on which the node publishes people.",
        ),
        DeclareLaunchArgument(
            "transforms",
            default_value="true",
            choices=["true", "false"],
            description="Whether the bridge publishes body_<id> on /tf; false if the node does.",
        ),
    ]
    bridge = Node(
        package="pear_ros",
        executable="hri_bridge",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            {"transforms": ParameterValue(LaunchConfiguration("transforms"), value_type=bool)}
        ],
        remappings=[("humans", LaunchConfiguration("humans"))],
        output="screen",
    )
    return LaunchDescription([*arguments, bridge])
