# SPDX-License-Identifier: Apache-2.0
"""Checks of the topics on the ROS network: images, their calibration, clocks and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import asdict

from pear_ros.cli.doctor.findings import Finding, fail, ok, warn
from pear_ros.cli.doctor.network_report import (
    ClockReport,
    DetectionsReport,
    NetworkReport,
    Oddity,
    TopicReport,
)
from pear_ros.ros.topics import HUMANS_TYPE

_MAX_AGE = 1.0
"""Seconds by which a stamp may differ from this machine's clock without a warning."""


def check_topics(report: NetworkReport, seconds: float) -> Iterator[Finding]:
    """Yield the findings about `report`, which was observed for so many `seconds`."""
    humans = [topic for topic in report.topics if topic.type == HUMANS_TYPE]
    estimators = {publisher.node for topic in humans for publisher in topic.publishers}
    images = [topic for topic in report.topics if _is_camera_image(topic, estimators)]
    if not report.failures and not any(topic.publishers for topic in images):
        nodes = len(report.nodes)
        text = f"no image was published within {seconds:g} s; {nodes} other nodes were discovered"
        start = "start the camera's driver"
        settings = (
            "compare ROS_DOMAIN_ID, RMW_IMPLEMENTATION, FASTDDS_BUILTIN_TRANSPORTS and the "
            "discovery range with its own"
        )
        advice = start if nodes else f"{start}, or {settings}"
        yield warn("topics.images", text, advice, nodes=nodes)
    for topic in images:
        yield from _check_image(topic, report)
    for topic in humans:
        yield _check_humans(topic)
    for detections in report.detections:
        yield from _check_detections(detections)
    for failure in report.failures:
        text = f"cannot be observed: {failure.reason}"
        advice = "are its publishers of the same ROS 2 distribution, with the same messages?"
        yield fail(f"topics.{failure.topic}", text, advice)
    yield from _check_clock(report.clock)
    for conflict in report.conflicts:
        yield fail("topics.qos", conflict.text, conflict.advice)


def _is_camera_image(topic: TopicReport, estimators: Set[str]) -> bool:
    """Return whether a topic has images that are not overlays by nodes that publish people."""
    publishers = {publisher.node for publisher in topic.publishers}
    return topic.type != HUMANS_TYPE and not (publishers and publishers <= estimators)


def _check_image(topic: TopicReport, report: NetworkReport) -> Iterator[Finding]:
    id, details = f"topics.{topic.topic}", asdict(topic)
    if not topic.publishers:
        if topic.subscribers:
            text = f"{topic.subscribers} nodes subscribe, no node publishes"
            advice = "remap it to the camera's topic: image:=TOPIC of the launch file"
            yield warn(id, text, advice, **details)
        return
    if not topic.messages:
        text = f"{_sources(topic)}, but no message was received"
        advice = (
            "is the driver running well (its log)? In containers both need --net=host --ipc=host; "
            f"for large images {report.loss_remedy}"
        )
        yield fail(id, text, advice, **details)
        return
    for level, text, advice in _problems(topic, report):
        yield level(id, text, advice, **details)
        break
    else:
        yield ok(id, _description(topic), **details)
    yield from _odd(id, topic.oddities)
    if topic.readable and topic.problem is None:
        yield _check_calibration(topic, report.camera_infos)
        if topic.camera_info:
            yield from _odd(f"{id}:camera_info", topic.camera_info.oddities)


def _problems(
    topic: TopicReport, report: NetworkReport
) -> Iterator[tuple[Callable[..., Finding], str, str]]:
    """Yield level, text and advice of each problem of an image topic, the worst first."""
    text, age = _description(topic), topic.age or 0.0
    if topic.problem:
        yield fail, f"{text}: {topic.problem}", "check the driver's settings"
    if not topic.readable and not topic.depth:
        advice = "let the driver send rgb8 or bgr8, or convert with image_proc"
        yield fail, f"{text}: this encoding is not supported", advice
    if len(topic.publishers) > 1:
        yield warn, f"{text}: several nodes publish it", "stop all but one of them, or remap"
    if topic.lost:
        advice = f"{report.loss_remedy}; or use compressed images"
        yield warn, f"{text}: {topic.lost} messages were lost", advice
    if abs(age) > _MAX_AGE and not report.clock.publishers:
        older = "older" if age > 0 else "newer"
        advice = (
            "set the machines' clocks by chrony or NTP; play bags with --clock, and use_sim_time"
        )
        yield warn, f"{text}: stamps are {abs(age):.1f} s {older} than this clock", advice


def _check_calibration(topic: TopicReport, camera_infos: Sequence[str]) -> Finding:
    """Check the CameraInfo of an image; `camera_infos`: the topics on which one was received."""
    id, info = f"topics.{topic.topic}:camera_info", topic.camera_info
    if info is None:
        text = "none was received beside the image: the field of view is assumed"
        found = f", one of {', '.join(camera_infos)}" if camera_infos else ""
        return warn(id, text, f"pass it to the launch file: camera_info:=TOPIC{found}")
    details = asdict(info)
    if info.problem:
        advice = "calibrate the camera (camera_calibration), or set the parameter field_of_view"
        return warn(id, info.problem, advice, **details)
    if info.frame_id != topic.frame_id:
        text = f"is of the frame {info.frame_id}, the image of {topic.frame_id}"
        return warn(id, text, "is it this camera's? Only the image's frame is used", **details)
    return ok(id, f"calibrated, {info.model or 'no lens model'}", **details)


def _check_detections(detections: DetectionsReport) -> Iterator[Finding]:
    id = f"topics.{detections.topic}"
    if detections.messages:
        text = (
            f"{detections.people} people in {detections.boxes} boxes of {detections.messages} "
            "messages"
        )
        yield ok(id, text, **asdict(detections))
        yield from _odd(id, detections.oddities)


def _odd(id: str, oddities: Sequence[Oddity]) -> Iterator[Finding]:
    """Yield a warning for each of `oddities` of a topic, under its `id` and the cause."""
    for one in oddities:
        yield warn(f"{id}:{one.cause.replace(' ', '_')}", one.text, one.remedy)


def _check_humans(topic: TopicReport) -> Finding:
    id, details = f"topics.{topic.topic}", asdict(topic)
    if not topic.publishers:
        return warn(id, "no node publishes it", "start the node: pear.launch.py")
    if len(topic.publishers) > 1:
        text = f"{_sources(topic)}: several nodes"
        return warn(id, text, "stop all but one of them, or give them namespaces", **details)
    if not topic.messages:
        text = f"{_sources(topic)}, but no message was received"
        return warn(id, text, "the node receives no image: ros2 topic echo /diagnostics", **details)
    return ok(id, f"{_rate(topic)}, {_sources(topic)}", **details)


def _check_clock(clock: ClockReport) -> Iterator[Finding]:
    id = "topics.clock"
    if not clock.publishers:
        yield ok(id, "/clock is not published: time is this machine's", simulated=False)
    elif clock.backwards:
        advice = "all tracks are reset each time; play without --loop to avoid it"
        yield warn(id, "/clock jumped backwards", advice, simulated=True)
    elif not clock.messages:
        advice = "nodes with use_sim_time stand still: is the player or simulator paused?"
        text = "/clock has a publisher, but no message was received"
        yield warn(id, text, advice, simulated=True)
    elif len(clock.publishers) > 1:
        text = f"{len(clock.publishers)} nodes publish /clock"
        yield fail(id, text, "stop all but one of them", simulated=True)
    else:
        yield ok(id, "time is that of /clock: set use_sim_time:=true in all nodes", simulated=True)


def _description(topic: TopicReport) -> str:
    size = f" {topic.width} x {topic.height}" if topic.width is not None else ""
    depth = " depth" if topic.depth else ""
    frame = topic.frame_id or "(none)"
    return f"{topic.encoding}{size}{depth}, {_rate(topic)}, {_sources(topic)}, frame {frame}"


def _rate(topic: TopicReport) -> str:
    if topic.rate is None or topic.bytes is None:
        return f"{topic.messages} message"
    return f"{topic.rate:.1f} Hz, {1e-6 * topic.rate * topic.bytes:.1f} MB/s"


def _sources(topic: TopicReport) -> str:
    """Return the publishing nodes and their QoS."""
    return f"from {' and '.join(publisher.description for publisher in topic.publishers)}"
