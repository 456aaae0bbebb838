# SPDX-License-Identifier: Apache-2.0
"""Launch arguments as actions of ROS 2's launch."""

from __future__ import annotations

from collections.abc import Iterable

from launch.actions import DeclareLaunchArgument

from pear_ros.ros.launch_arguments import LaunchArgument


def declare(arguments: Iterable[LaunchArgument]) -> list[DeclareLaunchArgument]:
    """Return the actions that declare `arguments`, in order."""
    return [
        DeclareLaunchArgument(
            one.name,
            default_value=one.default,
            choices=list(one.choices) or None,
            description=one.description,
        )
        for one in arguments
    ]
