# SPDX-License-Identifier: Apache-2.0
"""Entry points of the ROS programs; a missing package is reported without a traceback."""

from __future__ import annotations

import importlib
import sys

from pear_ros.ros.environment import RosMissingError, missing, require_ros


def pear_node() -> int:
    """Run the node (pear_ros.ros.node.node); return the exit status."""
    return _run("pear_ros.ros.node.node")


def hri_bridge() -> int:
    """Run the bridge to ROS 4 HRI (pear_ros.ros.bridges.hri_bridge); return the exit status."""
    return _run("pear_ros.ros.bridges.hri_bridge")


def people_bridge() -> int:
    """Run the bridge to people_msgs and others (people_bridge.py); return the exit status."""
    return _run("pear_ros.ros.bridges.people_bridge")


def retarget_stream() -> int:
    """Run the node that streams to humanoids and avatars; return the exit status."""
    return _run("pear_ros.ros.bridges.retarget_stream")


def separation() -> int:
    """Run the node that publishes how near people are (separation.py); return the exit status."""
    return _run("pear_ros.ros.bridges.separation")


def video_source() -> int:
    """Run the video player (pear_ros.ros.bridges.video_source); return the exit status."""
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
