# SPDX-License-Identifier: Apache-2.0
"""Starts a node for each of several cameras, in its namespace; all share one GPU.

ros2 launch pear_ros cameras.launch.py cameras:=front,rear image:=image_raw

Topics are relative names below the camera's namespace, here /front/image_raw and /rear/image_raw,
or patterns: {camera} in any argument stands for the camera's name, as in image:=/color_{camera}.

Each node is a process, as Python's threads would not run in parallel, and loads its own model: of
ViT-H in fp16, 1.4 GB of GPU memory for each camera. An engine that several nodes need is built by
one of them while the others wait; a graph is best made beforehand, by pear.launch.py with
build_only:=true.

People's ids begin with the camera's name (front_h1), so that their frames in /tf and their topics
below /humans differ.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

_ONE_CAMERA = Path(__file__).with_name("pear.launch.py")


def generate_launch_description() -> LaunchDescription:
    """pear.launch.py for each camera, with its arguments; RViz shows the first camera."""
    source = PythonLaunchDescriptionSource(str(_ONE_CAMERA))
    of_one = source.get_launch_description(LaunchContext()).get_launch_arguments()
    shared = [argument for argument in of_one if argument.name != "namespace"]
    cameras = DeclareLaunchArgument(
        "cameras",
        description="Names of the cameras, separated by commas, such as front,rear: namespaces of "
        "their nodes. {camera} in another argument stands for the name.",
    )
    names = [argument.name for argument in shared]
    return LaunchDescription([cameras, *shared, OpaqueFunction(function=_nodes, args=[names])])


def _nodes(context: LaunchContext, names: list[str]) -> list[GroupAction]:
    """Each camera in a scope of its own."""
    cameras = [name.strip() for name in LaunchConfiguration("cameras").perform(context).split(",")]
    if not all(cameras) or len(set(cameras)) < len(cameras):
        raise RuntimeError(
            f"the argument cameras is {','.join(cameras)!r}: it has to be different names, "
            "separated by commas, such as front,rear"
        )
    values = {name: LaunchConfiguration(name).perform(context) for name in names}
    groups = []
    for camera in cameras:
        own = {name: value.replace("{camera}", camera) for name, value in values.items()}
        own["namespace"] = camera
        own["id_prefix"] = own["id_prefix"] or f"{camera}_h"
        if camera != cameras[0]:
            own["rviz"] = own["view"] = "false"
        source = PythonLaunchDescriptionSource(str(_ONE_CAMERA))
        include = IncludeLaunchDescription(source, launch_arguments=own.items())
        groups.append(GroupAction([include]))
    return groups
