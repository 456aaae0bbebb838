# SPDX-License-Identifier: Apache-2.0
"""Starts the node on a camera's topics, optionally with RViz.

ros2 launch pear_ros pear.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from pear_ros.core.parameters import DEFAULTS
from pear_ros.ros.launch_arguments import LAUNCH_PARAMETERS, parameter_arguments
from pear_ros.ros.launch_declarations import declare

_RESPAWN_SECONDS = 5.0


def generate_launch_description() -> LaunchDescription:
    """The node, and RViz in the same namespace."""
    config = PathJoinSubstitution([FindPackageShare("pear_ros"), "config"])
    arguments = [
        DeclareLaunchArgument(
            "namespace",
            default_value="",
            description="Namespace of the node and its topics, for example the camera's name.",
        ),
        DeclareLaunchArgument(
            "image",
            default_value="image",
            description="Image topic, without /compressed.",
        ),
        DeclareLaunchArgument(
            "camera_info",
            default_value="camera_info",
            description="CameraInfo topic of the same camera.",
        ),
        DeclareLaunchArgument(
            "detections",
            default_value="",
            description="Topic of vision_msgs/Detection2DArray with the people in the image; "
            "empty: as in the parameter file, by default the built-in detector.",
        ),
        DeclareLaunchArgument(
            "depth",
            default_value="",
            description="Topic of depth images aligned with the image, for true distances; "
            "empty: as in the parameter file, by default none.",
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([config, "pear.yaml"]),
            description="Parameter file; the default explains every parameter.",
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error"],
            description="Minimum severity of the node's log; debug includes its statistics.",
        ),
        DeclareLaunchArgument(
            "respawn",
            default_value="false",
            choices=["true", "false"],
            description="Whether to start the node again, 5 s after it ended by itself, as after "
            "a failure of the GPU.",
        ),
        DeclareLaunchArgument(
            "rviz",
            default_value="false",
            choices=["true", "false"],
            description="Whether to start RViz.",
        ),
        DeclareLaunchArgument(
            "rviz_config",
            default_value=PathJoinSubstitution([config, "pear.rviz"]),
            description="Configuration of RViz.",
        ),
        DeclareLaunchArgument(
            "view",
            default_value="false",
            choices=["true", "false"],
            description="Whether to show people to web browsers (pear view), on this computer's "
            "port 8080.",
        ),
        *declare(parameter_arguments()),
    ]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["--display-config", LaunchConfiguration("rviz_config")],
        # RViz needs absolute names in its configuration; these are the node's.
        remappings=[
            ("/mesh_markers", "mesh_markers"),
            ("/overlay/compressed", "overlay/compressed"),
        ],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    view = Node(
        package="pear_ros",
        executable="pear",
        namespace=LaunchConfiguration("namespace"),
        arguments=["view"],
        remappings=[("image", LaunchConfiguration("image"))],
        output="screen",
        condition=IfCondition(LaunchConfiguration("view")),
    )
    return LaunchDescription([*arguments, OpaqueFunction(function=_pear), rviz, view])


def _pear(context: LaunchContext) -> list[Node]:
    """The node. An empty argument leaves its parameter to the parameter file."""
    values = {name: LaunchConfiguration(name).perform(context) for name in LAUNCH_PARAMETERS}
    inputs = {name: LaunchConfiguration(name).perform(context) for name in ("detections", "depth")}
    respawn = LaunchConfiguration("respawn").perform(context)
    return [
        Node(
            package="pear_ros",
            executable="pear_node",
            namespace=LaunchConfiguration("namespace"),
            parameters=[
                LaunchConfiguration("params_file"),
                {
                    # A substitution: ParameterValue does not take the text of a boolean.
                    name: ParameterValue(LaunchConfiguration(name), value_type=type(DEFAULTS[name]))
                    for name, value in values.items()
                    if value
                },
                {"detector": "topic"} if inputs["detections"] else {},
                {"depth": True} if inputs["depth"] else {},
            ],
            remappings=[
                ("image", LaunchConfiguration("image")),
                ("camera_info", LaunchConfiguration("camera_info")),
                *((name, topic) for name, topic in inputs.items() if topic),
            ],
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
            output="screen",
            # With build_only it would be built for ever.
            respawn=respawn == "true" and values["build_only"] != "true",
            respawn_delay=_RESPAWN_SECONDS,
        )
    ]
