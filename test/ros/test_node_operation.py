# SPDX-License-Identifier: Apache-2.0
"""The node in operation, over real DDS: enabled and disabled, diagnostics, live parameters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Float64
from std_srvs.srv import SetBool

from pear_msgs.msg import HumanArray
from pear_ros.core import blas
from pear_ros.core.log import get_logger
from pear_ros.core.parameters import Parameters
from pear_ros.ros.node import reporter
from testing.ros_bench import Bench, image

MakeBench = Callable[..., Bench]


def enable(bench: Bench, on: bool) -> SetBool.Response:
    client = bench.client.create_client(SetBool, "/pear/enable")
    bench.wait(client.service_is_ready)
    answer = client.call_async(SetBool.Request(data=on))
    bench.wait(answer.done)
    return answer.result()


def status(bench: Bench, name: str, until: Callable[[DiagnosticStatus], bool]) -> DiagnosticStatus:
    """The first status of this name for which the condition holds."""
    arrived: list[DiagnosticArray] = []
    subscription = bench.client.create_subscription(
        DiagnosticArray, "/diagnostics", arrived.append, 10
    )

    def found() -> list[DiagnosticStatus]:
        return [s for a in arrived for s in a.status if s.name == f"/pear: {name}" and until(s)]

    bench.wait(found)
    bench.client.destroy_subscription(subscription)
    return found()[0]


def values(one: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in one.values}


def test_work_is_switched_off_and_on_with_models_loaded(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(image(1, 0))
    bench.wait_for(1, humans)

    assert enable(bench, False).success
    bench.wait(lambda: bench.node.count_subscribers("image") == 0)
    assert status(bench, "topics", lambda s: "disabled" in s.message).level == DiagnosticStatus.OK
    bench.client.destroy_publisher(bench.publishers.pop("image"))

    resets = bench.pipeline.resets
    assert enable(bench, True).message == "enabled"
    bench.publish(image(2, 0))
    bench.wait_for(2, humans)
    assert bench.pipeline.resets == resets + 1, "all tracks are reset"
    assert not bench.pipeline.closed


def test_what_is_disabled_stays_so_through_the_life_cycle(make_bench: MakeBench) -> None:
    bench = make_bench(autostart=False)
    enable(bench, False)
    bench.node.trigger_configure()
    bench.node.trigger_activate()
    assert bench.node.count_subscribers("image") == 0
    enable(bench, True)
    assert bench.node.count_subscribers("image") == 1
    bench.node.trigger_deactivate()
    enable(bench, True)
    assert bench.node.count_subscribers("image") == 0, "it is not active"


def test_a_transition_that_fails_leaves_a_node_that_can_be_configured_again(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(autostart=False)
    bench.node.trigger_configure()
    with monkeypatch.context() as patch:
        patch.setattr(bench.pipeline, "reset", lambda: 1 / 0)
        bench.node.trigger_activate()
    assert bench.pipeline.closed
    assert bench.node.count_publishers("humans") == 0

    bench.node.trigger_configure()
    bench.node.trigger_activate()
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(image(1))
    bench.wait_for(1, humans)


def test_settings_change_between_two_images(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    changes: dict[str, Any] = {"max_humans": 3, "smoothing": False, "body_height": 1.8}
    results = bench.node.set_parameters([Parameter(n, value=v) for n, v in changes.items()])
    assert all(result.successful for result in results)
    bench.publish(image(1))
    bench.wait_for(1, humans)
    settings = bench.pipeline.settings[-1]
    assert (settings.max_humans, settings.smoothing, settings.body_height) == (3, False, 1.8)
    bench.node.set_parameters([Parameter("body_height", value=0.0)])
    bench.publish(image(2))
    bench.wait_for(2, humans)
    assert bench.pipeline.settings[-1].body_height == 0.0


def test_times_for_plots(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    arrived: dict[str, list[Float64]] = {}
    for name in ("pipeline_latency_ms", "processing_time_ms", "cyclic_time_ms"):
        arrived[name] = []
        bench.client.create_subscription(Float64, f"debug/{name}", arrived[name].append, 10)
    bench.wait(lambda: bench.node.get_publishers_info_by_topic("/debug/cyclic_time_ms"))

    second = 0

    def all_came() -> bool:
        nonlocal second
        if len(humans) == second:
            second += 1
            bench.publish(image(second))
        return all(arrived.values())

    bench.wait(all_came)
    processing, cyclic = arrived["processing_time_ms"][-1].data, arrived["cyclic_time_ms"][-1].data
    assert 0.0 < processing < 1e4
    assert 0.0 < cyclic < 2e4
    latency = arrived["pipeline_latency_ms"][-1].data
    now = bench.node.get_clock().now().nanoseconds * 1e-6
    assert latency == pytest.approx(now, rel=1e-3), "stamps of this test are of 1970"


def test_silence_of_the_camera_is_a_warning(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "_SILENCE_SECONDS", 0.5)
    bench = make_bench()
    silent = status(bench, "topics", lambda s: s.level == DiagnosticStatus.WARN)
    assert "/image, 0 publishers" in silent.message
    assert values(silent) == {"image": "/image, 0 publishers, requested RELIABLE"}


def test_rates_are_those_of_the_last_seconds(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    second = 0

    def steady(one: DiagnosticStatus) -> bool:
        nonlocal second
        second += 1
        bench.publish(image(second))
        bench.wait_for(second, humans)
        return float(values(one).get("processing rate [Hz]", "0")) > 0.0

    found = values(status(bench, "images", steady))
    assert 0.0 < float(found["processing rate [Hz]"]) <= float(found["image rate [Hz]"]) + 1.0


def test_incompatible_quality_of_service_is_a_warning(bench: Bench) -> None:
    late_joiner = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    bench.client.create_subscription(HumanArray, "humans", [].append, late_joiner)
    found = status(bench, "topics", lambda s: "humans" in s.message)
    assert found.level == DiagnosticStatus.WARN
    assert "/client receives nothing from /pear on /humans" in found.message
    assert "transient local" in found.message and "request less" in found.message


def test_diagnostics_without_an_estimator(make_bench: MakeBench) -> None:
    bench = make_bench(autostart=False)
    assert status(bench, "estimator", lambda s: True).message == "not loaded"
    assert status(bench, "topics", lambda s: True).message == "unconfigured"
    bench.node.trigger_configure()
    assert status(bench, "estimator", lambda s: "tiny" in s.message)


def test_life_cycle_state_after_an_error(make_bench: MakeBench) -> None:
    bench = make_bench(autostart=False)
    state = LifecycleState("active", State.PRIMARY_STATE_ACTIVE)
    bench.node.trigger_configure()
    assert bench.node.on_error(state) == TransitionCallbackReturn.SUCCESS
    assert bench.pipeline.closed


class LoggerOfRos:
    """Records what is logged, by severity."""

    def __init__(self) -> None:
        self.logged: list[tuple[str, str]] = []

    def __getattr__(self, severity: str) -> Callable[[str], None]:
        return lambda text: self.logged.append((severity, text))


def test_core_logs_reach_the_nodes_logger_until_it_is_destroyed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node's logger is what /rosout has; the node is active, not being configured."""
    ros = LoggerOfRos()
    monkeypatch.setattr(bench.node._core_logs, "_logger", ros)
    core = get_logger("pear_ros.pear.follower")
    core.debug("details")
    core.info("a step")
    core.warning("a %s", "fault")
    core.error("an error")
    assert ros.logged == [("info", "a step"), ("warning", "a fault"), ("error", "an error")]
    bench.executor.remove_node(bench.node)
    bench.node.destroy_node()
    core.warning("later")
    assert len(ros.logged) == 3


def test_parameters_that_are_refused_by_rclpy_are_not_applied(bench: Bench) -> None:
    """Values take effect after they are set, and all or none of an atomic request."""

    def refuse(_: list[Parameter]) -> SetParametersResult:
        return SetParametersResult(successful=False, reason="by another callback")

    changes = [Parameter("max_humans", value=3), Parameter("smoothing", value=False)]
    bench.node.add_on_set_parameters_callback(refuse)
    assert not bench.node.set_parameters_atomically(changes).successful
    bench.node.remove_on_set_parameters_callback(refuse)
    mixed = [*changes, Parameter("max_humans", value=99)]
    assert "from 1 to 32, not 99" in bench.node.set_parameters_atomically(mixed).reason
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(image(1))
    bench.wait_for(1, humans)
    assert bench.pipeline.settings[-1] == Parameters()
    assert bench.node.set_parameters_atomically(changes).successful
    bench.publish(image(2))
    bench.wait_for(2, humans)
    assert bench.pipeline.settings[-1] == Parameters(max_humans=3, smoothing=False)


def test_blas_libraries_are_found_in_the_thread_that_imports(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere, threadpoolctl and an import of an extension module could block each other."""
    threads: list[str] = []
    find = blas.ThreadpoolController

    def record() -> Any:
        threads.append(threading.current_thread().name)
        return find()

    monkeypatch.setattr(blas, "ThreadpoolController", record)
    bench.node.trigger_deactivate()
    bench.node.trigger_activate()
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(image(1))
    bench.wait_for(1, humans)
    assert set(threads) == {threading.current_thread().name}
