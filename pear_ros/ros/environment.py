# SPDX-License-Identifier: Apache-2.0
"""Check of the ROS 2 environment: what is missing for this package, in one sentence.

Imports no ROS package, so that it works without ROS 2.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sysconfig
from pathlib import Path

INSTALLED = Path("/opt/ros")
"""Folder in which apt installs ROS 2, with a folder for each distribution."""
BUILD = "colcon build, then source install/setup.bash"
_LINK = "ln -s pear_ros/pear_msgs src/pear_msgs"
_REQUIREMENTS = "python3 -m pip install --no-deps -r requirements/robot.txt"
_ROSDEP = "rosdep install --from-paths src --ignore-src -y"
_FROM_ROSDEP = ("cv2", "numpy", "scipy", "tqdm")
"""Required Python packages that requirements/robot.txt leaves to rosdep."""
_OPTIONAL = {
    **{
        name: name.replace("_", "-")
        for name in (
            *("huggingface_hub", "meshoptimizer", "ml_dtypes", "numba", "onnx", "onnx_ir"),
            *("onnxruntime", "onnxscript", "openvino", "pygltflib", "ray", "safetensors"),
            *("tensorboard", "torch", "webdataset", "websockets"),
        )
    },
    "modelopt": "nvidia-modelopt",
    "pxr": "usd-core",
    "pythonosc": "python-osc",
    "rerun": "rerun-sdk",
    "viser": "'viser>=1.1.1,<1.2'",
    "zmq": "pyzmq",
}
"""Modules of the Python packages that setup.py asks for in extras only, and the packages."""


class RosMissingError(RuntimeError):
    """A ROS program cannot run; the text says what is missing and what to do."""


def require_ros() -> None:
    """Import rclpy and pear_msgs, which every ROS program of this package needs.

    Raises RosMissingError if they cannot be used.
    """
    try:
        import rclpy  # noqa: F401
        from rclpy.type_support import check_for_type_support

        from pear_msgs.msg import BodyModelInfo, HumanArray
    except ImportError as error:
        raise RosMissingError(missing(error)) from error
    try:
        for message_type in (HumanArray, BodyModelInfo):
            check_for_type_support(message_type)
    except Exception as error:  # rosidl has an exception class of its own in each distribution
        raise RosMissingError(
            f"The messages pear_msgs are built only in part ({error}). Build them again: "
            f"colcon build --packages-select pear_msgs --cmake-clean-cache, then source "
            "install/setup.bash"
        ) from error


def missing(error: ImportError, installed: Path = INSTALLED) -> str:
    """Return what is missing after a failed import, and what to do.

    `installed`: the folder with installed distributions of ROS 2.
    """
    package = (error.name or "").partition(".")[0]
    rclpy = _folder_of("rclpy")
    if rclpy is not None and not is_compiled_for_this_python(rclpy):
        return (
            f"rclpy in {rclpy} is not compiled for Python {platform.python_version()}: use the "
            "Python of that ROS 2, mostly /usr/bin/python3, outside of virtual environments"
        )
    if package == "rclpy" and rclpy is None:
        return f"ROS 2 is missing in this terminal: {_how_to_source(installed)}"
    if package == "pear_msgs":
        return (
            "The messages pear_msgs are not built, or their workspace is not sourced. In the "
            f"workspace: {_LINK} (once), {BUILD}"
        )
    if package.endswith("_msgs") or package in ("builtin_interfaces", "rclpy", "rosidl_parser"):
        return f"The ROS package {package} cannot be imported ({error}): {_ROSDEP}"
    if not package:
        return f"A library cannot be loaded ({error}): pear doctor checks all of them"
    if package in _OPTIONAL:
        install = f"python3 -m pip install {_OPTIONAL[package]}"
        return f"The optional Python package {package} cannot be imported ({error}): {install}"
    if package in _FROM_ROSDEP:
        return f"The Python package {package} cannot be imported ({error}): {_ROSDEP}"
    return f"The Python package {package} cannot be imported ({error}): {_REQUIREMENTS}"


def is_compiled_for_this_python(rclpy: Path) -> bool:
    """Return whether the extension module in the folder `rclpy` was compiled for this Python."""
    compiled = [path.name for path in rclpy.glob("_rclpy_pybind11*.so")]
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    return not compiled or any(name.endswith(suffix) for name in compiled)


def _folder_of(package: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _how_to_source(installed: Path) -> str:
    found = sorted(installed.glob("*/setup.bash"))
    if not found:
        return "install it (docs.ros.org) and source its setup.bash"
    if distribution := os.environ.get("ROS_DISTRO"):
        return (
            f"{distribution} is sourced, but not for Python {platform.python_version()}: use "
            "/usr/bin/python3, outside of virtual environments"
        )
    return f"source {found[-1]}"
