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
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "modelopt": "nvidia-modelopt",
    "pxr": "usd-core",
    "pythonosc": "python-osc",
    "rerun": "rerun-sdk",
    "ruamel": "ruamel.yaml",
    "zmq": "pyzmq",
}
"""Names of distributions that are not those of their modules."""
EXTRAS = {
    "pear": ("pear/", "body/packed_skin.py", "cli/import_model.py"),
    "annotate": ("annotation/shards.py",),
    "calibration": ("pear/calibration.py",),
    "fast": ("fitting/compiled_solver.py", "body/compiled_kinematics.py"),
    "openvino": ("pear/runtimes/with_openvino.py",),
    "export": ("export/glb.py", "export/gltf_buffer.py", "export/rrd.py", "export/usd.py"),
    "mesh-detail": ("body/mesh_reduction.py",),
    "ray": ("replay/on_ray.py", "annotation/on_ray.py"),
    "train": ("training/", "cli/train.py"),
    "view": ("viewing/", "cli/view/command.py"),
    "stream": ("streaming/",),
}
"""Extras of setup.py, and the modules of pear_ros, or folders, that each of them is for."""
UNDECLARED = {
    "tensorrt": tuple(
        f"pear/runtimes/{name}.py"
        for name in ("engine", "engine_layers", "tensorrt_batch", "with_tensorrt")
    ),
    "hri-msgs": ("ros/bridges/",),
    "people-msgs": ("ros/bridges/",),
    "moveit-msgs": ("ros/conversion/collision_objects.py",),
    "shape-msgs": ("ros/conversion/collision_objects.py",),
}
"""TensorRT comes with JetPack or from NVIDIA; not every ROS 2 distribution has the messages."""


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
    assert programs == {
        *("hri_bridge", "pear", "pear_node", "people_bridge", "retarget_stream", "separation"),
        "video_source",
    }
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


def requirements(prefix: Path) -> dict[str, set[str]]:
    """Distributions that setup.py asks for by extra; "": always, as packages of package.xml are."""
    (requires,) = packages_in(prefix).glob("*.egg-info/requires.txt")
    manifest = (ROOT / "package.xml").read_text()
    found = {"": set(re.findall(r"<(?:exec_)?depend>([\w.]+)</", manifest))}
    extra = ""
    for line in filter(None, requires.read_text().splitlines()):
        if line.startswith("["):
            extra = line.strip("[]").partition(":")[0]  # After the colon: of which Python.
        else:
            found.setdefault(extra, set()).add(re.split(r"[<>=;\s]", line)[0].lower())
    return {key: {name.replace("_", "-") for name in names} for key, names in found.items()}


def imported(source: str) -> set[str]:
    """Distributions from which a module's source imports, at the top or in a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "backports":
            found |= {f"backports.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    tops = {name if name.startswith("backports.") else name.split(".")[0] for name in found}
    newer = {"compression"}  # In the standard library from Python 3.14 on.
    names = tops - {"pear_ros"} - set(sys.stdlib_module_names) - newer
    return {DISTRIBUTIONS.get(name, name).replace("_", "-").lower() for name in names}


def undeclared(module: str, source: str, required: dict[str, set[str]]) -> set[str]:
    """Distributions that `module`, a path in pear_ros, imports though they may be missing there."""
    extras = [extra for extra, places in EXTRAS.items() if module.startswith(places)]
    return imported(source) - set().union(*(required[extra] for extra in ["", *extras]))


def test_requirements_declare_every_import(prefix: Path) -> None:
    required, package = requirements(prefix), ROOT / "pear_ros"
    missing = {
        (path, name)
        for file in package.rglob("*.py")
        for path in [file.relative_to(package).as_posix()]
        for name in undeclared(path, file.read_text(), required)
    }
    assert {name for _, name in missing} == set(UNDECLARED)
    assert not [one for one in missing if not one[0].startswith(UNDECLARED[one[1]])]


@pytest.mark.parametrize(
    ("module", "line", "missing"),
    [
        ("pear/network.py", "import torch", set()),
        ("fitting/solver.py", "import torch", {"torch"}),
        ("pipeline.py", "def f():\n    from ray.util import queue", {"ray"}),
        ("replay/on_ray.py", "import ray, numpy", set()),
        ("core/people.py", "import pytest", {"pytest"}),
    ],
)
def test_imports_of_an_extra_are_refused_elsewhere(
    prefix: Path, module: str, line: str, missing: set[str]
) -> None:
    assert undeclared(module, line, requirements(prefix)) == missing
