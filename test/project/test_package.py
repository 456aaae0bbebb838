# SPDX-License-Identifier: Apache-2.0
"""The package as colcon installs it, with the installed setuptools."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "ruamel": "ruamel.yaml"}
"""Names of distributions that are not those of their modules."""
UNDECLARED = {"tensorrt", "hri-msgs"}
"""TensorRT comes with JetPack or from NVIDIA; hri_msgs is not in every ROS 2 distribution."""


def setup_py(*arguments: str | Path) -> None:
    command = [sys.executable, "-W", "ignore", "setup.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the package is installed, as by `colcon build`."""
    build = tmp_path_factory.mktemp("build")
    prefix = tmp_path_factory.mktemp("install")
    setup_py(
        *("egg_info", "--egg-base", build, "build", "--build-base", build / "build"),
        *("install", "--prefix", prefix, "--record", build / "install.log"),
        "--single-version-externally-managed",
    )
    return prefix


def packages_in(prefix: Path) -> Path:
    (package,) = prefix.rglob("pear_ros/__init__.py")
    return package.parents[1]


def test_package_installs_programs_and_files_for_ros(prefix: Path) -> None:
    programs = {path.name for path in (prefix / "lib" / "pear_ros").iterdir()}
    assert programs == {"hri_bridge", "pear", "pear_node", "video_source"}
    share = prefix / "share"
    assert (share / "ament_index" / "resource_index" / "packages" / "pear_ros").exists()
    assert (share / "pear_ros" / "package.xml").exists()
    for folder in ("launch", "config"):
        expected = {path.name for path in (ROOT / folder).iterdir() if path.is_file()}
        assert {path.name for path in (share / "pear_ros" / folder).iterdir()} == expected


def test_package_installs_modules_and_data(prefix: Path) -> None:
    def files(folder: Path) -> set[Path]:
        kept = (path for path in folder.rglob("*") if path.parent.name != "__pycache__")
        return {path.relative_to(folder) for path in kept if path.is_file()}

    assert files(packages_in(prefix) / "pear_ros") == files(ROOT / "pear_ros")


def test_package_programs_run(prefix: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(packages_in(prefix))}
    program = prefix / "lib" / "pear_ros" / "pear"
    done = subprocess.run(
        [program, "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: pear ")


def test_requirements_have_the_oldest_tested_versions(prefix: Path) -> None:
    (requires,) = packages_in(prefix).glob("*.egg-info/requires.txt")
    bounds = dict(
        line.split(">=") for line in requires.read_text().split("\n\n")[0].split() if line
    )
    pins: dict[str, str] = {}
    for name in ("ubuntu-22.04", "robot"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        pins.update(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
    assert len(bounds) > 5
    for name, bound in bounds.items():
        assert f"{pins[name]}.".startswith(f"{bound}."), f"{name} is tested as {pins[name]}"


def declared(prefix: Path) -> set[str]:
    """Distributions that setup.py asks for, extras included, and packages of package.xml."""
    (requires,) = packages_in(prefix).glob("*.egg-info/requires.txt")
    lines = [line for line in requires.read_text().splitlines() if not line.startswith("[")]
    names = {re.split(r"[<>=;\s]", line)[0].lower() for line in lines if line}
    manifest = (ROOT / "package.xml").read_text()
    return names | set(re.findall(r"<(?:exec_|test_)?depend>([\w.]+)</", manifest))


def imported() -> set[str]:
    """Modules outside the standard library that pear_ros imports, by the first part of a name."""
    found: set[str] = set()
    for file in (ROOT / "pear_ros").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module == "backports":
                found |= {f"backports.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    tops = {name if name.startswith("backports.") else name.split(".")[0] for name in found}
    newer = {"compression"}  # In the standard library from Python 3.14 on.
    return tops - {"pear_ros"} - set(sys.stdlib_module_names) - newer


def test_requirements_declare_every_import(prefix: Path) -> None:
    names = {DISTRIBUTIONS.get(name, name).replace("_", "-").lower() for name in imported()}
    known = {name.replace("_", "-") for name in declared(prefix)}
    assert len(names) > 20
    assert names - known == UNDECLARED
