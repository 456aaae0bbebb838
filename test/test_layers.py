# SPDX-License-Identifier: Apache-2.0
"""No module reaches up: the core knows neither ROS nor what is built upon it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "pear_ros"
BUILT_UPON_THE_CORE = {"bags", "bench", "cli", "doctor", "export", "ros"}
ROS = {"rclpy", "launch", "tf2_ros", "rosbags", "builtin_interfaces", "rcl_interfaces"}


@cache
def imports() -> list[tuple[str, str]]:
    """Part of the package, such as body or ros, and what it imports, wherever in its modules."""
    return [
        (file.relative_to(PACKAGE).parts[0].removesuffix(".py"), name)
        for file in PACKAGE.rglob("*.py")
        for name in imported(ast.parse(file.read_text()))
    ]


def imported(tree: ast.Module) -> Iterator[str]:
    """Names of modules, in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module and not node.level
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def is_ros(module: str) -> bool:
    top = module.split(".")[0]
    return top in ROS or top.endswith("_msgs")


def parts_of(module: str) -> set[str]:
    return set(module.split(".")[1:2]) if module.startswith("pear_ros.") else set()


def test_the_core_knows_no_ros_and_nothing_that_is_built_upon_it() -> None:
    core = [(part, name) for part, name in imports() if part not in BUILT_UPON_THE_CORE]
    assert len(core) > 200
    assert not [one for one in core if is_ros(one[1]) or parts_of(one[1]) & BUILT_UPON_THE_CORE]


def test_what_knows_ros_does_not_know_the_commands() -> None:
    upwards = {"bench", "cli", "doctor", "export"}
    assert not [
        one for one in imports() if one[0] in {"ros", "bags"} and parts_of(one[1]) & upwards
    ]


def test_only_the_command_line_knows_itself() -> None:
    assert not [one for one in imports() if one[0] != "cli" and "cli" in parts_of(one[1])]


def test_bags_need_no_ros() -> None:
    used = {name.split(".")[0] for part, name in imports() if part == "bags" and is_ros(name)}
    assert used == {"rosbags"}


def test_choices_import_nothing_of_the_package() -> None:
    found = [one for one in imports() if one[0] in {"choice", "settings"}]
    assert found and not [name for _, name in found if name.startswith("pear_ros")]
