# SPDX-License-Identifier: Apache-2.0
"""`pear doctor` on ROS 2: distribution, middleware, network and messages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pear_ros.cli.doctor import formatting, ros
from pear_ros.cli.doctor.findings import Level
from testing.doctor_answers import FAIL, OK, WARN, Answers, by_id, levels


def test_distribution_without_ros_says_what_to_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (none,) = ros.check_distribution({}, tmp_path)
    assert none.level is WARN and "pear run" in none.text
    (tmp_path / "jazzy").mkdir()
    (tmp_path / "jazzy" / "setup.bash").touch()
    (unsourced,) = ros.check_distribution({}, tmp_path)
    assert unsourced.level is WARN and unsourced.advice.endswith("jazzy/setup.bash")
    (other_python,) = ros.check_distribution({"ROS_DISTRO": "jazzy"}, tmp_path)
    assert other_python.level is FAIL and "--system-site-packages" in other_python.advice


class Spec:
    def __init__(self, folder: Path) -> None:
        self.origin = str(folder / "__init__.py")


@pytest.mark.parametrize(
    ("compiled", "prefixes", "level"),
    [
        (None, ["humble"], OK),
        ("_rclpy_pybind11.cpython-399-x86_64-linux-gnu.so", ["humble"], FAIL),
        (None, ["humble", "jazzy"], WARN),
    ],
)
def test_distribution_that_is_sourced(
    compiled: str | None,
    prefixes: list[str],
    level: Level,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if compiled:
        (tmp_path / compiled).touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec(tmp_path))
    paths = os.pathsep.join(["/my/workspace", *(f"/opt/ros/{name}" for name in prefixes)])
    environment = {"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": paths}
    (finding,) = ros.check_distribution(environment)
    assert finding.level is level
    assert finding.details["distribution"] == "humble" and finding.details["source"] == "sourced"


@pytest.mark.parametrize(
    ("environment", "answer", "level"),
    [
        ({}, {"rmw": "rmw_fastrtps_cpp"}, OK),
        ({"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}, {"rmw": "rmw_zenoh_cpp"}, OK),
        ({"RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}, {"rmw": "rmw_fastrtps_cpp"}, FAIL),
        ({"RMW_IMPLEMENTATION": "rmw_x"}, {"error": "failed to load librmw_x.so"}, FAIL),
    ],
)
def test_middleware(environment: dict[str, str], answer: dict[str, Any], level: Level) -> None:
    found = levels(ros.check_rmw(Answers({("rclpy",): answer}), environment))
    assert found["ros.rmw"] is level


@pytest.mark.parametrize(
    ("environment", "id", "level"),
    [
        ({}, "ros.domain", OK),
        ({"ROS_DOMAIN_ID": "42"}, "ros.domain", OK),
        ({"ROS_DOMAIN_ID": "150"}, "ros.domain", WARN),
        ({"ROS_DOMAIN_ID": "233"}, "ros.domain", FAIL),
        ({"ROS_DOMAIN_ID": "robot"}, "ros.domain", FAIL),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, "ros.discovery", OK),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, "ros.discovery", WARN),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "subnet"}, "ros.discovery", FAIL),
    ],
)
def test_domain_and_discovery(environment: dict[str, str], id: str, level: Level) -> None:
    assert levels(ros.check_domain(environment))[id] is level


def test_discovery_counts_peers_without_names() -> None:
    environment = {"ROS_STATIC_PEERS": "192.168.7.9;robot.local"}
    found = by_id(ros.check_domain(environment))["ros.discovery"]
    assert "2 machines" in found.text
    assert "192.168" not in formatting.as_json([found])


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        ({}, OK),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, OK),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA?max_msg_size=1MB"}, OK),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "BIG"}, WARN),
        (
            {
                "FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA",
                "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            },
            WARN,
        ),
    ],
)
def test_transports(environment: dict[str, str], level: Level) -> None:
    assert levels(ros.check_transports("rmw_fastrtps_cpp", environment)) == {
        "ros.transports": level
    }
    assert not levels(ros.check_transports("rmw_cyclonedds_cpp", environment))


def test_missing_profiles_of_dds_fail(tmp_path: Path) -> None:
    (tmp_path / "there.xml").touch()
    for value, expected in {
        f"file://{tmp_path}/there.xml": {},
        "<CycloneDDS/>": {},
        f"{tmp_path}/absent.xml": {"ros.CYCLONEDDS_URI": FAIL},
    }.items():
        assert levels(ros.check_transports("rmw_x", {"CYCLONEDDS_URI": value})) == expected


def test_messages_of_another_version_fail() -> None:
    well = Answers({("node",): {}, ("pear_msgs",): {}})
    assert set(levels(ros.check_node(well)).values()) == {OK}
    old = Answers({("node",): {}, ("pear_msgs",): {"error": "AssertionError: no field scale"}})
    assert levels(ros.check_node(old)) == {"ros.node": OK, "ros.pear_msgs": FAIL}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("answer", "level"),
    [
        ({"works": True}, OK),
        ({"works": False, "reason": "compiled for NumPy 1"}, WARN),
        ({"error": "crashed with SIGSEGV", "crashed": True}, FAIL),
    ],
)
def test_cv_bridge(answer: dict[str, Any], level: Level) -> None:
    assert levels(ros.check_cv_bridge(Answers({("cv_bridge",): answer}))) == {
        "ros.cv_bridge": level
    }
