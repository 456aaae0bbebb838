# SPDX-License-Identifier: Apache-2.0
"""Checks of ROS 2: distribution, middleware, discovery, and whether the node can start."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from pear_ros.cli.doctor.findings import Finding, fail, ok, warn
from pear_ros.cli.doctor.probe_process import Probe
from pear_ros.ros.environment import INSTALLED, is_compiled_for_this_python

_OF_WHEELS = {7: "jazzy", 9: "kilted"}
"""Distributions by the major version of rclpy's wheel."""
_RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
_TRANSPORTS = (
    *("NONE", "DEFAULT", "DEFAULTv6", "SHM", "UDPv4", "UDPv6", "LARGE_DATA", "LARGE_DATAv6"),
    "P2P",
)
_LARGEST_DOMAIN, _SAFE_DOMAIN = 232, 101
"""Ports of domains above the second may be taken by other programs on Linux."""
_PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "CYCLONEDDS_URI")

Environment = Mapping[str, str]
"""Environment variables."""


def has_rclpy() -> bool:
    """Return whether this Python finds rclpy."""
    return importlib.util.find_spec("rclpy") is not None


def check_distribution(
    environment: Environment = os.environ, installed: Path = INSTALLED
) -> Iterator[Finding]:
    """Check where ROS 2 is installed, and that it is compiled for this Python."""
    id, sourced = "ros.distribution", environment.get("ROS_DISTRO", "")
    spec = importlib.util.find_spec("rclpy")
    here = sorted(setup.parent.name for setup in installed.glob("*/setup.bash"))
    if spec is None or spec.origin is None:
        if sourced:
            advice = (
                "run it with the Python of the system, python3, or in a virtual environment made "
                "with --system-site-packages"
            )
            text = f"{sourced} is sourced, but Python {platform.python_version()} has no rclpy"
            yield fail(id, text, advice, distribution=sourced, source=None)
        elif here:
            text = f"{', '.join(here)} installed, but not sourced"
            advice = f"source {installed / here[-1] / 'setup.bash'}"
            yield warn(id, text, advice, distribution=None, source=None)
        else:
            text = "none: `pear run` works without, the node does not"
            yield warn(id, text, "install ROS 2 and source it", distribution=None, source=None)
        return
    folder = Path(spec.origin).parent
    wheel = _wheel_of_rclpy(folder)
    name = _OF_WHEELS.get(int(wheel.split(".")[0]), "unknown") if wheel else sourced or "unknown"
    source = "wheels" if wheel else "sourced"
    details = {"distribution": name, "source": source, "path": str(folder)}
    if not is_compiled_for_this_python(folder):
        text = f"rclpy in {folder} is not compiled for Python {platform.python_version()}"
        advice = "run it with the Python that ROS 2 is made for, the system's python3"
        yield fail(id, text, advice, **details)
        return
    text = f"{name}, rclpy {wheel} from Python wheels" if wheel else f"{name}, sourced, {folder}"
    if wheel and sourced and sourced != name:
        advice = "use one of them: uninstall the wheels, or do not source"
        yield warn(id, f"{text}, while {sourced} is sourced", advice, **details)
    elif len(several := _distributions(environment, installed)) > 1:
        advice = "open a new shell and source one alone"
        yield warn(id, f"{text}; sourced together: {', '.join(several)}", advice, **details)
    else:
        yield ok(id, text, **details)


def check_rmw(probe: Probe, environment: Environment = os.environ) -> Iterator[Finding]:
    """Check the RMW implementation and its transports."""
    requested = environment.get("RMW_IMPLEMENTATION", "")
    asked = f"RMW_IMPLEMENTATION={requested}" if requested else "RMW_IMPLEMENTATION is not set"
    answer = probe("rclpy")
    if reason := answer.get("error"):
        advice = "unset RMW_IMPLEMENTATION, or install it" if requested else "see its message"
        text = f"rclpy does not start ({asked}): {reason}"
        yield fail("ros.rmw", text, advice, requested=requested, used=None)
        return
    used = answer["rmw"]
    details = {"requested": requested, "used": used}
    if requested and requested != used:
        advice = f"install ros-<distribution>-{requested.replace('_', '-')}, on every machine"
        yield fail("ros.rmw", f"{used}, though {asked}", advice, **details)
    else:
        yield ok("ros.rmw", f"{used} ({asked})", **details)
    yield from check_transports(used, environment)


def check_transports(rmw: str, environment: Environment = os.environ) -> Iterator[Finding]:
    """Check Fast DDS's transports for large messages, and that the profiles of DDS exist."""
    for name in _PROFILES:
        value = environment.get(name, "")
        for part in () if "<" in value else filter(None, value.split(",")):
            if not Path(part.removeprefix("file://")).is_file():
                yield fail(f"ros.{name}", f"{part} does not exist", f"unset {name}, or correct it")
    if not rmw.startswith("rmw_fastrtps"):
        return
    id, value = "ros.transports", environment.get("FASTDDS_BUILTIN_TRANSPORTS", "")
    text = f"FASTDDS_BUILTIN_TRANSPORTS={value}" if value else "FASTDDS_BUILTIN_TRANSPORTS not set"
    # LARGE_DATA may have options behind a question mark.
    if value and value.partition("?")[0] not in _TRANSPORTS:
        yield warn(id, f"{text} is no valid value", f"one of {', '.join(_TRANSPORTS)}", value=value)
    elif value and environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE") == "LOCALHOST":
        advice = "set a ROS_DOMAIN_ID of your own instead of the discovery range"
        text = f"{text} is ignored, as ROS_AUTOMATIC_DISCOVERY_RANGE is LOCALHOST"
        yield warn(id, text, advice, value=value)
    elif value:
        yield ok(id, text, value=value)
    else:
        text = f"{text}: images and meshes above half a megabyte may be lost on the way"
        advice = "if so, set FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA for all communicating nodes"
        yield Finding(id, ok(id, "").level, text, advice, {"value": None})


def check_domain(environment: Environment = os.environ) -> Iterator[Finding]:
    """Check the ROS domain and the discovery range."""
    text = environment.get("ROS_DOMAIN_ID", "")
    domain = int(text) if text.isdecimal() else None
    if not text:
        yield ok("ros.domain", "0, as ROS_DOMAIN_ID is not set", domain=0)
    elif domain is None or domain > _LARGEST_DOMAIN:
        text = f"ROS_DOMAIN_ID={text} is no valid domain"
        yield fail("ros.domain", text, f"a number from 0 to {_SAFE_DOMAIN}", domain=None)
    elif domain > _SAFE_DOMAIN:
        text = f"ROS_DOMAIN_ID={domain}: its ports may be taken by other programs"
        yield warn("ros.domain", text, f"a number from 0 to {_SAFE_DOMAIN}", domain=domain)
    else:
        yield ok("ros.domain", f"ROS_DOMAIN_ID={domain}", domain=domain)

    id, requested = "ros.discovery", environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    peers = len([peer for peer in environment.get("ROS_STATIC_PEERS", "").split(";") if peer])
    known = f", and {peers} machines of ROS_STATIC_PEERS" if peers else ""
    details = {"range": requested, "static_peers": peers}
    if requested and requested not in _RANGES:
        text = f"ROS_AUTOMATIC_DISCOVERY_RANGE={requested} is no valid value"
        yield fail(id, text, f"one of {', '.join(_RANGES)}", **details)
    elif requested == "OFF":
        text = f"ROS_AUTOMATIC_DISCOVERY_RANGE=OFF: no node is discovered{known}"
        yield warn(id, text, "set SUBNET or LOCALHOST to discover other nodes", **details)
    elif requested == "LOCALHOST":
        yield ok(id, f"ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST: this machine{known}", **details)
    elif environment.get("ROS_LOCALHOST_ONLY", "0") == "1":
        yield ok(id, "ROS_LOCALHOST_ONLY=1: this machine", **details)
    else:
        yield ok(id, f"{requested or 'not set'}: this machine and its network{known}", **details)


def check_node(probe: Probe) -> Iterator[Finding]:
    """Check that the node and its messages are installed and compatible."""
    if reason := probe("node").get("error"):
        advice = (
            "source the workspace in which pear_ros and pear_msgs are built; for other packages: "
            "rosdep install --from-paths src --ignore-src"
        )
        yield fail("ros.node", f"the node cannot be imported: {reason}", advice)
    else:
        yield ok("ros.node", "can be imported")
    if reason := probe("pear_msgs").get("error"):
        advice = "build and source those of this pear_ros: colcon build --packages-select pear_msgs"
        yield fail("ros.pear_msgs", f"do not match this pear_ros: {reason}", advice)
    else:
        yield ok("ros.pear_msgs", "match this pear_ros")


def check_cv_bridge(probe: Probe) -> Iterator[Finding]:
    """Check that cv_bridge works with this NumPy; the node works without it."""
    id = "ros.cv_bridge"
    if importlib.util.find_spec("cv_bridge") is None:
        yield ok(id, "not installed: the node converts images itself", works=None)
        return
    answer = probe("cv_bridge")
    if answer.get("works"):
        yield ok(id, "works", works=True)
    elif answer.get("crashed"):
        text = f"crashes every program that uses it: {answer['error']}"
        advice = "remove it, or install the NumPy that it was compiled for (apt's python3-numpy)"
        yield fail(id, text, advice, works=False)
    else:
        text = f"does not work: {answer.get('reason') or answer.get('error')}"
        advice = "the node converts images itself; other nodes need the NumPy it was compiled for"
        yield warn(id, text, advice, works=False)


def check_optional() -> Iterator[Finding]:
    """Check packages of optional messages."""
    for name, purpose in (
        ("vision_msgs", "detector: topic"),
        ("hri_msgs", "hri_bridge"),
    ):
        there = importlib.util.find_spec(name) is not None
        text = "installed" if there else "not installed"
        yield ok(f"ros.{name}", f"{text}; for {purpose}", installed=there)


def _wheel_of_rclpy(folder: Path) -> str:
    """Return the version of rclpy's wheel; empty where it is not from a wheel."""
    try:
        wheel = metadata.distribution("ros-rclpy")
    except metadata.PackageNotFoundError:
        return ""
    own = Path(str(wheel.locate_file("rclpy")))
    return wheel.version if own.resolve() == folder.resolve() else ""


def _distributions(environment: Environment, installed: Path) -> list[str]:
    paths = map(Path, filter(None, environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)))
    return sorted({path.name for path in paths if path.parent == installed})
