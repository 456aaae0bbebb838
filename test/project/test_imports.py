# SPDX-License-Identifier: Apache-2.0
"""Imports never crash: without its libraries, a module raises an ImportError that names one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    *("tensorrt", "torch", "onnx", "onnx_ir", "onnxscript", "onnxruntime", "openvino", "numba"),
    *("rclpy", "safetensors"),
)
PROGRAM = """
import importlib, importlib.abc, json, pkgutil, sys

blocked = set(sys.argv[1:])

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
import pear_ros
found = {}
for module in pkgutil.walk_packages(pear_ros.__path__, "pear_ros."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
            found[module.name] = None
        except ImportError as error:
            found[module.name] = (error.name or "").split(".")[0]
print(json.dumps(found))
"""


def imported(*blocked: str) -> dict[str, str | None]:
    """All modules of pear_ros, with the library that each is missing, or None."""
    command = [sys.executable, "-c", PROGRAM, *blocked]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def without_all() -> dict[str, str | None]:
    return imported(*HEAVY)


def test_without_tensorrt() -> None:
    found = imported("tensorrt")
    lost = {name.rsplit(".", 1)[-1] for name, missing in found.items() if missing == "tensorrt"}
    assert lost == {"engine", "engine_layers", "with_tensorrt"}


def test_without_anything_heavy(without_all: dict[str, str | None]) -> None:
    assert {missing for missing in without_all.values() if missing in HEAVY} > {"torch", "tensorrt"}
    assert {name for name, missing in without_all.items() if missing is None} > {
        *("pear_ros.pear.runtimes.cuda", "pear_ros.pear.runtimes.engine_cache"),
        *("pear_ros.pear.graph", "pear_ros.pear.crop", "pear_ros.pear.prediction"),
    }


def test_the_robots_path_needs_tensorrt_alone() -> None:
    """It also needs NumPy and OpenCV; TensorRT is replaced by a fake."""
    program = """
import sys
from testing.fakes import fake_tensorrt
sys.modules["tensorrt"] = fake_tensorrt
import pear_ros.pear.runtimes.with_tensorrt
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.split()) & {*HEAVY} - {"tensorrt"}
