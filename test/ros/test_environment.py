# SPDX-License-Identifier: Apache-2.0
"""A terminal in which ROS 2 or the messages are missing, each in a process of its own."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pear_ros.ros import environment
from pear_ros.ros.environment import missing

ROOT = Path(__file__).parents[2]
HIDDEN = """
import importlib.abc, sys
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""
PROGRAMS = ("pear_node", "hri_bridge", "video_source")
COMMANDS = ("replay bag --output out", "demo")
NODE = "from pear_ros.ros.programs import pear_node; sys.exit(pear_node())"


def run(code: str, *path: Path) -> tuple[int, str]:
    """Exit status and standard error of a program, with `path` before the modules installed."""
    inherited = os.environ.get("PYTHONPATH", "")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT, inherited)))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


def program(name: str) -> str:
    return f"from pear_ros.ros.programs import {name}; sys.exit({name}())"


def command(line: str) -> str:
    return f"from pear_ros.cli import main; sys.exit(main({line.split()}))"


@pytest.mark.parametrize("code", [*map(program, PROGRAMS), *map(command, COMMANDS)])
def test_without_ros(code: str) -> None:
    status, said = run(HIDDEN.format(hidden=["rclpy"]) + code)
    assert status == 1
    assert "ROS 2 is missing in this terminal: " in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("code", [*map(program, PROGRAMS), *map(command, COMMANDS)])
def test_without_messages(code: str) -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2")
    status, said = run(HIDDEN.format(hidden=["pear_msgs"]) + code)
    assert status == 1
    assert "The messages pear_msgs are not built" in said
    assert "ln -s pear_ros/pear_msgs src/pear_msgs" in said and "colcon build" in said
    assert len(said.splitlines()) == 1


def test_messages_built_in_part(tmp_path: Path) -> None:
    """As a build leaves them that was stopped before its extension modules were linked."""
    pytest.importorskip("rclpy", reason="needs ROS 2")
    spec = importlib.util.find_spec("pear_msgs")
    if spec is None or spec.origin is None:
        pytest.skip("needs pear_msgs")
    built = Path(spec.origin).parent
    shutil.copytree(built, tmp_path / "pear_msgs", ignore=shutil.ignore_patterns("*.so"))
    status, said = run(NODE, tmp_path)
    assert status == 1
    assert "The messages pear_msgs are built only in part" in said
    assert "colcon build --packages-select pear_msgs" in said
    assert len(said.splitlines()) == 1


def test_rclpy_of_another_python(tmp_path: Path) -> None:
    rclpy = tmp_path / "rclpy"
    rclpy.mkdir()
    (rclpy / "__init__.py").write_text("from rclpy import _rclpy_pybind11\n")
    (rclpy / "_rclpy_pybind11.cpython-36m-x86_64-linux-gnu.so").touch()
    status, said = run(NODE, tmp_path)
    assert status == 1
    assert f"rclpy in {rclpy} is not compiled for Python {sys.version.split()[0]}" in said
    assert len(said.splitlines()) == 1


def test_other_packages_are_named() -> None:
    pytest.importorskip("pear_msgs", reason="needs ROS 2 and the messages")
    status, said = run(HIDDEN.format(hidden=["visualization_msgs"]) + NODE)
    assert status == 1
    assert "The ROS package visualization_msgs cannot be imported" in said
    assert "rosdep install --from-paths src" in said
    status, said = run(HIDDEN.format(hidden=["threadpoolctl"]) + NODE)
    assert status == 1
    assert "Cannot start: The Python package threadpoolctl cannot be imported" in said
    assert "requirements/robot.txt" in said and "Traceback" not in said


def test_an_installed_distribution_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    error = ModuleNotFoundError("No module named 'rclpy'", name="rclpy")
    assert "install it" in missing(error, tmp_path)
    for name in ("humble", "jazzy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "setup.bash").touch()
    assert missing(error, tmp_path).endswith(f"source {tmp_path}/jazzy/setup.bash")
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert "jazzy is sourced, but not for Python" in missing(error, tmp_path)


def test_remedy_fits_the_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    def remedy(name: str) -> str:
        return missing(ModuleNotFoundError(f"No module named {name!r}", name=name))

    robot = (ROOT / "requirements" / "robot.txt").read_text()
    for name in ("threadpoolctl", "filelock", "rosbags"):
        assert f"\n{name}==" in robot and "requirements/robot.txt" in remedy(name)
    for name in ("numpy", "cv2"):
        assert f"\n{name}==" not in robot and "rosdep install" in remedy(f"{name}.core")
    for name in ("safetensors", "torch"):
        assert f"\n{name}==" not in robot
        assert remedy(f"{name}.torch").endswith(f"python3 -m pip install {name}")
    assert "pip install onnx-ir" in remedy("onnx_ir")


def test_optional_packages_are_those_of_the_extras() -> None:
    setup = (ROOT / "setup.py").read_text()
    extras = ast.literal_eval(re.findall(r"extras_require=(\{.*?\}),", setup, re.DOTALL)[0])
    used = set().union(*(names for extra, names in extras.items() if extra not in ("docs", "test")))
    # Quoted for a shell where they have bounds.
    assert {shlex.split(name)[0] for name in environment._OPTIONAL.values()} == used


def test_import_error_without_a_name_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    text = missing(ImportError("libGL.so.1: cannot open shared object file"))
    assert "libGL.so.1" in text and "pear doctor" in text
    assert "package  cannot" not in text and "robot.txt" not in text
