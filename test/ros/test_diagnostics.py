# SPDX-License-Identifier: Apache-2.0
"""Statistics as a diagnostics message and back."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from pear_ros.ros.node.diagnostics import Report, diagnostic_array, figures
from pear_ros.ros.node.image_statistics import Statistics


def test_counts_and_stages_are_key_value_pairs() -> None:
    statistics = Statistics(received=9, processed=5, dropped=4, stage_ms={"decode": 1.25})
    diagnostics = {"runtime": "tensorrt 10.3.0 in fp16"}
    report = Report(
        state="active",
        statistics=statistics,
        rates={"image rate": 29.97},
        topics={"image": "/camera/image, 1 publishers"},
        model_id="pear/1a2b",
        diagnostics=diagnostics,
    )
    message = diagnostic_array(report, "/robot/pear", Time(sec=7))
    status, topics, estimator = message.status
    assert message.header.stamp == Time(sec=7)
    assert status.name == "/robot/pear: images"
    assert status.message == "5 of 9 images processed"
    values = {pair.key: pair.value for pair in status.values}
    assert (values["received"], values["dropped"], values["decode [ms]"]) == ("9", "4", "1.25")
    assert values["image rate [Hz]"] == "29.97"
    assert (topics.name, topics.message) == ("/robot/pear: topics", "active")
    assert topics.values == [KeyValue(key="image", value="/camera/image, 1 publishers")]
    assert {one.level for one in message.status} == {DiagnosticStatus.OK}
    assert (estimator.name, estimator.message) == ("/robot/pear: estimator", "pear/1a2b")
    assert {pair.key: pair.value for pair in estimator.values} == diagnostics


def test_warnings_set_the_level() -> None:
    report = Report("active", Statistics(), warnings=["nothing on /image", "lost"])
    images, topics, estimator = diagnostic_array(report, "pear", Time()).status
    assert (topics.level, topics.message) == (DiagnosticStatus.WARN, "nothing on /image; lost")
    assert images.level == estimator.level == DiagnosticStatus.OK
    assert estimator.message == "not loaded"


def test_failure_of_the_estimator_is_an_error() -> None:
    report = Report("active", Statistics(), model_id="pear/1a2b", failure="the GPU is lost")
    *others, estimator = diagnostic_array(report, "pear", Time()).status
    assert (estimator.level, estimator.message) == (DiagnosticStatus.ERROR, "the GPU is lost")
    assert {one.level for one in others} == {DiagnosticStatus.OK}


def test_figures_are_read_back() -> None:
    statistics = Statistics(received=3, stage_ms={"decode": 1.25, "total": 100.5})
    found = figures(diagnostic_array(Report("active", statistics), "pear", Time()))
    assert (found["received"], found["decode [ms]"], found["total [ms]"]) == (3.0, 1.25, 100.5)
