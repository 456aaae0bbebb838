# SPDX-License-Identifier: Apache-2.0
"""Entry points of the ROS programs. What is missing is said in a sentence, without a traceback."""

from __future__ import annotations

import importlib
import sys

from pear_ros.ros.environment import RosMissingError, missing, require_ros


def pear_node() -> int:
    """Run the node (pear_ros.ros.node.node). Returns the exit status."""
    return _run("pear_ros.ros.node.node")


def hri_bridge() -> int:
    """Run the bridge to ROS 4 HRI (pear_ros.ros.bridges.hri_bridge). Returns the exit status."""
    return _run("pear_ros.ros.bridges.hri_bridge")


def video_source() -> int:
    """Run the node that plays a video (pear_ros.ros.bridges.video_source). Returns the exit
    status."""
    return _run("pear_ros.ros.bridges.video_source")


def _run(module: str) -> int:
    try:
        require_ros()
        program = importlib.import_module(module)
    except RosMissingError as error:
        print(f"Cannot start: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        print(f"Cannot start: {missing(error)}", file=sys.stderr)
        return 1
    status: int = program.main()
    return status
