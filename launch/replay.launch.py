# SPDX-License-Identifier: Apache-2.0
"""Plays a bag into the node as live input, with the bag's clock, optionally in a loop.

ros2 launch pear_ros replay.launch.py bag:=walk image:=/camera/image_raw

Images that arrive while the node is busy are dropped, as live ones; `pear replay` processes all.
After a loop or a jump of the clock the node resets all tracks. The arguments of pear.launch.py are
arguments of this file, too.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import SetParameter

_NODE = Path(__file__).with_name("pear.launch.py")


def generate_launch_description() -> LaunchDescription:
    """`ros2 bag play`, and pear.launch.py on the bag's clock."""
    arguments = [
        DeclareLaunchArgument("bag", description="Bag: a folder, or a file (.mcap or .db3)."),
        DeclareLaunchArgument(
            "rate",
            default_value="1.0",
            description="Playback rate; below 1 a slow machine processes more images.",
        ),
        DeclareLaunchArgument(
            "loop",
            default_value="false",
            choices=["true", "false"],
            description="Whether to start again at the end.",
        ),
        DeclareLaunchArgument(
            "start_offset",
            default_value="0.0",
            description="Seconds of the bag to skip at its beginning.",
        ),
        DeclareLaunchArgument(
            "delay",
            default_value="5.0",
            description="Seconds before playback starts, for the node to load its models.",
        ),
        DeclareLaunchArgument(
            "qos_overrides",
            default_value="",
            description="File with the QoS of the topics, for --qos-profile-overrides-"
            "path of `ros2 bag play`; empty: as recorded.",
        ),
    ]
    source = PythonLaunchDescriptionSource(str(_NODE))
    of_node = source.get_launch_description(LaunchContext()).get_launch_arguments()
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(_NODE)),
        launch_arguments=[
            (argument.name, LaunchConfiguration(argument.name)) for argument in of_node
        ],
    )
    on_bag_time = GroupAction([SetParameter("use_sim_time", True), node])
    return LaunchDescription([*arguments, *of_node, on_bag_time, OpaqueFunction(function=_player)])


def _player(context: LaunchContext) -> list[ExecuteProcess]:
    """`ros2 bag play` with --clock."""
    names = ("bag", "rate", "loop", "start_offset", "delay", "qos_overrides")
    values = {name: LaunchConfiguration(name).perform(context) for name in names}
    command = ["ros2", "bag", "play", values["bag"], "--clock", "--rate", values["rate"]]
    for option in ("start_offset", "delay"):
        if not _is_zero(values[option]):  # which `ros2 bag play` refuses for --delay
            command += [f"--{option.replace('_', '-')}", values[option]]
    if values["loop"] == "true":
        command.append("--loop")
    if values["qos_overrides"]:
        command += ["--qos-profile-overrides-path", values["qos_overrides"]]
    return [ExecuteProcess(cmd=command, output="screen")]


def _is_zero(text: str) -> bool:
    """Whether `text` is the number 0. What is no number is for `ros2 bag play` to refuse."""
    try:
        return float(text) == 0.0
    except ValueError:
        return False
