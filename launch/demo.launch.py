# SPDX-License-Identifier: Apache-2.0
"""Plays a video as the node's camera, optionally with RViz.

ros2 launch pear_ros demo.launch.py rviz:=true
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """The video source and pear.launch.py, which receives its images."""
    launch = PathJoinSubstitution([FindPackageShare("pear_ros"), "launch", "pear.launch.py"])
    arguments = [
        DeclareLaunchArgument(
            "video",
            default_value="",
            description="Video file, or number of a camera (0 is the first); empty: the demo clip.",
        ),
        DeclareLaunchArgument(
            "rviz",
            default_value="false",
            choices=["true", "false"],
            description="Whether to start RViz.",
        ),
        DeclareLaunchArgument(
            "view",
            default_value="false",
            choices=["true", "false"],
            description="Whether to show people to web browsers (pear view).",
        ),
    ]
    source = Node(
        package="pear_ros",
        executable="video_source",
        # As text, also when it is a camera's number.
        parameters=[{"video": ParameterValue(LaunchConfiguration("video"), value_type=str)}],
        output="screen",
    )
    pear = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(launch),
        launch_arguments={
            "image_transport": "compressed",
            "rviz": LaunchConfiguration("rviz"),
            "view": LaunchConfiguration("view"),
        }.items(),
    )
    return LaunchDescription([*arguments, source, pear])
