# SPDX-License-Identifier: Apache-2.0
"""Starts the bridge to the tools of ROS 4 HRI (REP-155), beside a running node.

ros2 launch pear_ros hri_bridge.launch.py humans:=/camera/humans
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from pear_ros.ros.launch_arguments import BESIDE_NODE
from pear_ros.ros.launch_declarations import declare

OPTIONS = ("transforms", "motion", "description", "recognition", "faces", "persons")


def generate_launch_description() -> LaunchDescription:
    """The bridge."""
    arguments = [
        *declare(BESIDE_NODE),
        DeclareLaunchArgument(
            "transforms",
            default_value="true",
            choices=["true", "false"],
            description="Whether the bridge publishes body_<id> on /tf; false if the node does.",
        ),
        DeclareLaunchArgument(
            "target_frame",
            default_value="",
            description="Fixed frame with z up and the floor at z = 0, such as odom or map: frame "
            "of positions, and the vertical of gestures and postures. Empty: the camera's frame, "
            "taken as level, without a floor.",
        ),
        DeclareLaunchArgument(
            "motion",
            default_value="false",
            choices=["true", "false"],
            description="Whether to publish position and velocity of each body.",
        ),
        DeclareLaunchArgument(
            "description",
            default_value="false",
            choices=["true", "false"],
            description="Whether to publish a URDF of each body and the frames of its links.",
        ),
        DeclareLaunchArgument(
            "recognition",
            default_value="false",
            choices=["true", "false"],
            description="Whether to publish gesture, posture, pointing and fallen of each body.",
        ),
        DeclareLaunchArgument(
            "faces",
            default_value="false",
            choices=["true", "false"],
            description="Whether to publish /humans/faces/ with facial action units.",
        ),
        DeclareLaunchArgument(
            "persons",
            default_value="false",
            choices=["true", "false"],
            description="Whether to publish /humans/persons/ with engagement, and who looks at "
            "whom.",
        ),
        DeclareLaunchArgument(
            "body_model",
            default_value="body_model",
            description="Topic of the body model, which faces needs: beside that of people.",
        ),
    ]
    bridge = Node(
        package="pear_ros",
        executable="hri_bridge",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            {"target_frame": ParameterValue(LaunchConfiguration("target_frame"), value_type=str)},
            {name: ParameterValue(LaunchConfiguration(name), value_type=bool) for name in OPTIONS},
        ],
        remappings=[(topic, LaunchConfiguration(topic)) for topic in ("humans", "body_model")],
        output="screen",
    )
    return LaunchDescription([*arguments, bridge])
