# SPDX-License-Identifier: Apache-2.0
"""The files in config/ agree with the node."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import yaml

from pear_ros.core.parameters import Parameters
from pear_ros.ros.conversion.camera_frames import LINK_FRAME

CONFIG = Path(__file__).parents[2] / "config"


def test_parameter_file_holds_every_parameter_with_its_default() -> None:
    values = yaml.safe_load((CONFIG / "pear.yaml").read_text())["/**"]["ros__parameters"]
    assert values == dataclasses.asdict(Parameters())
    assert {name: type(value) for name, value in values.items()} == {
        name: type(value) for name, value in dataclasses.asdict(Parameters()).items()
    }


def test_rviz_shows_the_node_upright() -> None:
    manager = yaml.safe_load((CONFIG / "pear.rviz").read_text())["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == LINK_FRAME
    topics = {d["Topic"]["Value"] for d in manager["Displays"] if "Topic" in d}
    assert topics == {"/mesh_markers", "/overlay/compressed"}


def test_foxglove_shows_the_node_upright() -> None:
    layout: Any = json.loads((CONFIG / "foxglove_layout.json").read_text())
    panels = layout["configById"]
    assert panels["3D!people"]["followTf"] == LINK_FRAME
    assert set(panels["3D!people"]["topics"]) == {"/mesh_markers"}
    assert panels["Image!overlay"]["imageMode"]["imageTopic"] == "/overlay/compressed"
    assert panels["RawMessages!humans"]["topicPath"] == "/humans"
    assert set(panels) == {layout["layout"]["first"], *_leaves(layout["layout"]["second"])}


def _leaves(node: Any) -> set[str]:
    return {node} if isinstance(node, str) else _leaves(node["first"]) | _leaves(node["second"])
