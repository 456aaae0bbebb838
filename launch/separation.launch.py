# SPDX-License-Identifier: Apache-2.0
"""Starts the node that publishes how near people are to frames of a robot, beside a running node.

ros2 launch pear_ros separation.launch.py target_frame:=odom robot_frames:="['tool0:0.15']"

This is no safety function (ISO/TS 15066, ISO 13482).
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
            "target_frame",
            description="Fixed frame of the results, with z up, such as odom or map.",
        ),
        DeclareLaunchArgument(
            "robot_frames",
            description="List of the robot's frames on /tf, each with the radius in metres of a "
            "sphere around it: ['tool0:0.15', 'elbow:0.1'].",
        ),
    ]
    node = Node(
        package="pear_ros",
        executable="separation",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            {
                "target_frame": ParameterValue(LaunchConfiguration("target_frame"), value_type=str),
                "robot_frames": ParameterValue(
                    LaunchConfiguration("robot_frames"),
                    value_type=List[str],  # noqa: UP006
                ),
            }
        ],
        remappings=[("humans", LaunchConfiguration("humans"))],
        output="screen",
    )
    return LaunchDescription([*arguments, node])
