# SPDX-License-Identifier: Apache-2.0
"""The folders of pear_ros are floors: none imports from a floor above its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "pear_ros"
FLOORS = (
    {"core"},
    {"io", "body"},
    {"landmarks", "rendering", "hri"},
    {"detection", "fitting", "tracking", "smoothing", "scale", "pear", "bags"},
    {"estimators", "reidentification", "motion", "streaming"},
    {"pipeline"},
    {"evaluation", "viewing"},
    {"ros"},
    {"replay", "export"},
    {"annotation"},
    {"training"},
    {"cli"},
)
"""From the lowest to the highest; folders of one floor do not import each other."""
ROS = {"rosbags"} | {
    name
    for name in re.findall(r"depend>([\w.-]+)<", (PACKAGE.parent / "package.xml").read_text())
    if not name.startswith("python3-")
}
"""Top-level ROS packages: those that package.xml names; beside them all that end in _msgs."""
WITH_ROS = {"bags", "ros", "replay", "export", "cli"}
"""Folders that may import ROS packages, or `rosbags`."""
TOP = {"__init__.py", "pipeline.py"}


@cache
def imports() -> list[tuple[str, str]]:
    """Folders (or modules) of the package, with the full names of modules that they import."""
    return [
        (file.relative_to(PACKAGE).parts[0].removesuffix(".py"), name)
        for file in PACKAGE.rglob("*.py")
        for name in imported(ast.parse(file.read_text()))
    ]


def imported(tree: ast.Module) -> Iterator[str]:
    """Full names of the imported modules."""
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


def folder_of(module: str) -> str | None:
    """Folder or module at the top of the package that `module` is in."""
    parts = module.split(".")
    return parts[1] if parts[0] == "pear_ros" and len(parts) > 1 else None


def floor_of(folder: str) -> int:
    (number,) = (number for number, folders in enumerate(FLOORS) if folder in folders)
    return number


def test_every_folder_has_a_floor() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders | {"pipeline"} == set().union(*FLOORS)
    assert {path.name for path in PACKAGE.glob("*.py")} == TOP


def test_no_folder_imports_from_above() -> None:
    folders = set().union(*FLOORS)
    upwards = {
        (folder, other)
        for folder, module in imports()
        if (other := folder_of(module)) in folders
        and folder in folders
        and folder != other
        and floor_of(other) >= floor_of(folder)
    }
    assert not upwards
    assert len(imports()) > 1000


def test_only_commands_import_training() -> None:
    users = {folder for folder, module in imports() if folder_of(module) == "training"}
    assert users <= {"training", "cli"}


def test_only_the_upper_floors_know_ros() -> None:
    assert not [one for one in imports() if one[0] not in WITH_ROS and is_ros(one[1])]


def test_names_of_ros_packages_are_known() -> None:
    assert {"rclpy", "launch_ros", "cv_bridge", "sensor_msgs_py", "std_srvs", "tf2_ros"} <= ROS
    assert is_ros("sensor_msgs_py.point_cloud2") and is_ros("hri_msgs.msg")
    assert not is_ros("numpy") and not is_ros("pear_ros.ros")


def test_bags_need_no_ros_installation() -> None:
    used = {name.split(".")[0] for folder, name in imports() if folder == "bags" and is_ros(name)}
    assert used == {"rosbags"}


def test_parameters_and_estimate_arrays_import_nothing_but_declarations() -> None:
    for name, others in (
        ("declaration", ()),
        ("estimate_arrays", ()),
        ("parameters", ("pear_ros.core.declaration",)),
    ):
        tree = ast.parse((PACKAGE / "core" / f"{name}.py").read_text())
        of_package = [module for module in imported(tree) if module.startswith("pear_ros")]
        assert all(module.startswith(others) for module in of_package), of_package
