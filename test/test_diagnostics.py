# SPDX-License-Identifier: Apache-2.0
"""Statistics as a diagnostics message and back."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time

from pear_ros.ros.diagnostics import diagnostic_array, figures
from pear_ros.ros.metrics import Statistics


def test_counts_and_stages_are_key_value_pairs() -> None:
    statistics = Statistics(received=9, processed=5, dropped=4, stage_ms={"decode": 1.25})
    facts = {"runtime": "tensorrt 10.3.0 in fp16"}
    message = diagnostic_array(statistics, "pear/1a2b", facts, "/robot/pear", Time(sec=7))
    status, estimator = message.status
    assert message.header.stamp == Time(sec=7)
    assert status.name == "/robot/pear: images"
    assert status.message == "5 of 9 images processed"
    values = {pair.key: pair.value for pair in status.values}
    assert (values["received"], values["dropped"], values["decode [ms]"]) == ("9", "4", "1.25")
    assert (estimator.name, estimator.message) == ("/robot/pear: estimator", "pear/1a2b")
    assert {pair.key: pair.value for pair in estimator.values} == facts


def test_figures_are_read_back() -> None:
    statistics = Statistics(received=3, stage_ms={"decode": 1.25, "total": 100.5})
    found = figures(diagnostic_array(statistics, "tiny/1", {}, "pear", Time()))
    assert (found["received"], found["decode [ms]"], found["total [ms]"]) == (3.0, 1.25, 100.5)
