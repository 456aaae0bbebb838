# SPDX-License-Identifier: Apache-2.0
"""Checks of Python and its libraries: installed, working and compatible."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from pear_ros.cli.doctor.findings import Finding, fail, ok, warn
from pear_ros.cli.doctor.probe_process import Probe

_OLDEST, _NEWEST = (3, 10), (3, 14)


@dataclass(frozen=True)
class _Library:
    """A Python library to check."""

    name: str
    """Name of the module."""
    package: str
    """Name of the distribution, for pip."""
    purpose: str
    """What pear_ros uses it for."""
    required: bool = False


LIBRARIES = (
    _Library("numpy", "numpy", "all arrays", required=True),
    _Library("scipy", "scipy", "rotations and fits", required=True),
    _Library("cv2", "opencv-python-headless", "pictures", required=True),
    _Library("ai_edge_litert", "ai-edge-litert", "landmark models", required=True),
    _Library("av", "av", "reading and writing video", required=True),
    _Library("rosbags", "rosbags", "reading and writing bags", required=True),
    _Library("array_api_compat", "array-api-compat", "body models", required=True),
    _Library("threadpoolctl", "threadpoolctl", "threads of NumPy", required=True),
    _Library("tqdm", "tqdm", "progress bars", required=True),
    _Library("tensorrt", "tensorrt", "PEAR on an NVIDIA GPU"),
    _Library("torch", "torch", "PEAR on a GPU, and the export of its graphs"),
    _Library("onnxruntime", "onnxruntime", "PEAR on the processor"),
    _Library("openvino", "openvino", "PEAR on the processor"),
    _Library(
        "numba",
        "numba",
        "faster fits, and PEAR's meshes without torch on a GPU",
    ),
    _Library("meshoptimizer", "meshoptimizer", "lighter meshes of PEAR's bodies"),
    _Library("onnx", "onnx", "the export of PEAR's graphs"),
    _Library("onnxscript", "onnxscript", "the export of PEAR's graphs"),
    _Library("safetensors", "safetensors", "PEAR's weights as safetensors"),
)


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Iterator[Finding]:
    """Check the version of the interpreter."""
    virtual = " in a virtual environment" if sys.prefix != sys.base_prefix else ""
    text = f"{platform.python_version()}{virtual}, {sys.executable}"
    details = {"version": platform.python_version(), "executable": sys.executable}
    if _OLDEST <= version <= _NEWEST:
        yield ok("python.version", text, **details)
    else:
        range_text = f"{_OLDEST[0]}.{_OLDEST[1]} to {_NEWEST[0]}.{_NEWEST[1]}"
        yield fail("python.version", text, f"use Python {range_text}", **details)


def check_library(library: _Library, probe: Probe) -> Iterator[Finding]:
    """Check that a library can be imported."""
    id = f"library.{library.name}"
    bad = fail if library.required else warn
    install = f"python3 -m pip install {library.package}"
    if importlib.util.find_spec(library.name) is None:
        text = f"not installed; for {library.purpose}"
        yield (fail(id, text, install) if library.required else ok(id, text, version=None))
        return
    answer = probe("library", library.name)
    if reason := answer.get("error"):
        crash = "its import crashes: " if answer.get("crashed") else "does not work: "
        yield bad(id, f"{crash}{reason}", _advice(str(reason), install))
        return
    answer["version"] = answer["version"] or _installed_version(library.package)
    if reason := answer.pop("unsupported", None):
        yield warn(id, str(reason), "PEAR uses its other runtimes", **answer)
        return
    yield ok(id, f"{answer['version']}{_extra(answer)}", **answer)


def check_opencv() -> Iterator[Finding]:
    """Check for several packages of OpenCV, which overwrite each other's files."""
    names = ("opencv-python", "opencv-contrib-python")
    found = [
        name
        for name in (*names, *(f"{name}-headless" for name in names))
        if _installed_version(name)
    ]
    if len(found) > 1:
        yield warn(
            "library.cv2_packages",
            f"{', '.join(found)} are installed, and write to the same folder",
            f"python3 -m pip uninstall {' '.join(found)}, then install one of them",
            packages=found,
        )


def _extra(answer: dict[str, Any]) -> str:
    """Return further details of a library for the text of a finding."""
    if "cuda" in answer:
        built = f"for CUDA {answer['cuda']}" if answer["cuda"] else "without CUDA"
        return f", built {built}"
    for key in ("providers", "devices"):
        if key in answer:
            return f", {', '.join(answer[key])}"
    return ""


def _advice(reason: str, install: str) -> str:
    """Return advice for the most frequent reasons of a failed import."""
    if "libGL" in reason or "libgthread" in reason:
        return "install opencv-python-headless instead, or apt install libgl1 libglib2.0-0"
    if "numpy" in reason.lower() or "_ARRAY_API" in reason:
        return (
            "it was built for another NumPy: install a version of it that fits the NumPy here, or "
            "'numpy<2' where it comes with the system"
        )
    return f"reinstall it: {install}"


def _installed_version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
