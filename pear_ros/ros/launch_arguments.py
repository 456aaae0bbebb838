# SPDX-License-Identifier: Apache-2.0
"""Arguments that launch files share, and those made from declarations of the node's parameters.

Free of ROS 2, so that the page about the launch files can be made without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pear_ros.core.parameters import DECLARATIONS, DEFAULTS

LAUNCH_PARAMETERS = (
    *("estimator", "model_folder", "runtime", "id_prefix", "transforms", "mesh_detail"),
    *("floor", "ground_frame", "target_frame"),
    *("rotate", "image_transport", "build_only"),
)
"""Parameters of the node that are launch arguments, too."""
_OVERRIDING = ("image_transport", "build_only")
"""Arguments whose default overrides the parameter file; an empty one of the others does not."""


@dataclass(frozen=True)
class LaunchArgument:
    """What a DeclareLaunchArgument says."""

    name: str
    """Name of the argument, as in name:=value."""
    default: str | None
    """Value if the user gives none; None: the user has to give one."""
    choices: tuple[str, ...]
    """Accepted values; empty: any value."""
    description: str
    """Sentences for `ros2 launch --show-args` and the pages."""


BESIDE_NODE = (
    LaunchArgument(
        "namespace", "", (), "Namespace of the started node, for example the camera's name."
    ),
    LaunchArgument("humans", "humans", (), "Topic on which pear_node publishes people."),
)
"""First arguments of the launch files of programs that run beside pear_node."""


def parameter_arguments() -> Iterator[LaunchArgument]:
    """Yield the argument for each of LAUNCH_PARAMETERS."""
    for name in LAUNCH_PARAMETERS:
        declaration, default = DECLARATIONS[name], DEFAULTS[name]
        choices = ("true", "false") if isinstance(default, bool) else declaration.choices
        overriding = name in _OVERRIDING
        yield LaunchArgument(
            name,
            str(default).lower() if overriding else "",
            choices if overriding or not choices else ("", *choices),
            declaration.help
            + ("" if overriding else " Overrides the parameter file unless empty."),
        )
