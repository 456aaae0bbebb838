# SPDX-License-Identifier: Apache-2.0
"""Judges what pear_ros.cli.doctor.look has seen: cameras, their calibration, clocks and results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from pear_ros.cli.doctor.findings import Finding, fail, ok, warn

_HUMANS = "pear_msgs/msg/HumanArray"
_OLD = 1.0
"""Seconds: a stamp further from this machine's clock is worth a word."""

Seen = Mapping[str, Any]


def check_topics(seen: Seen, seconds: float) -> Iterator[Finding]:
    """All that is to be said of `seen`, the report of a look of so many `seconds`."""
    humans = [topic for topic in seen["topics"] if topic["type"] == _HUMANS]
    makers = {publisher["node"] for topic in humans for publisher in topic["publishers"]}
    images = [topic for topic in seen["topics"] if _is_of_camera(topic, makers)]
    if not any(topic["publishers"] for topic in images):
        nodes = len(seen["nodes"])
        text = f"nobody published an image within {seconds:g} s; {nodes} other nodes were seen"
        start = "start the camera's driver"
        meet = (
            "compare ROS_DOMAIN_ID, RMW_IMPLEMENTATION, FASTDDS_BUILTIN_TRANSPORTS and the "
            "discovery range with its own"
        )
        yield warn("topics.images", text, start if nodes else f"{start}, or {meet}", nodes=nodes)
    for topic in images:
        yield from _check_image(topic, seen)
    for topic in humans:
        yield _judge_humans(topic)
    yield from _check_clock(seen["clock"])
    for clash in seen["clashes"]:
        yield fail("topics.qos", clash["text"], clash["advice"])


def _is_of_camera(topic: dict[str, Any], makers: Set[str]) -> bool:
    """Whether a topic is of images, and not of overlays by those who publish humans."""
    publishers = {publisher["node"] for publisher in topic["publishers"]}
    return topic["type"] != _HUMANS and not (publishers and publishers <= makers)


def _check_image(topic: dict[str, Any], seen: Seen) -> Iterator[Finding]:
    name, publishers = topic["topic"], topic["publishers"]
    id = f"topics.{name}"
    if not publishers:
        if topic["subscribers"]:
            text = f"awaited by {topic['subscribers']} nodes, published by nobody"
            advice = "remap it to the camera's topic: image:=TOPIC of the launch file"
            yield warn(id, text, advice, **topic)
        return
    if not topic["messages"]:
        text = f"{_source(topic)}, but nothing came"
        advice = (
            "is the driver running well (its log)? In containers both need --net=host --ipc=host; "
            f"for large images {seen['loss_remedy']}"
        )
        yield fail(id, text, advice, **topic)
        return
    for level, text, advice in _faults(topic, seen):
        yield level(id, text, advice, **topic)
        break
    else:
        yield ok(id, _description(topic), **topic)
    if topic.get("readable"):
        yield _judge_calibration(topic, seen["camera_infos"])


def _faults(topic: dict[str, Any], seen: Seen) -> Iterator[tuple[Any, str, str]]:
    """The worst first."""
    text, age = _description(topic), topic["age"]
    simulated = bool(seen["clock"]["publishers"])
    if topic["problem"]:
        yield fail, f"{text}: {topic['problem']}", "look at the driver's settings"
    if not topic["readable"] and not topic["depth"]:
        advice = "let the driver send rgb8 or bgr8, or convert with image_proc"
        yield fail, f"{text}: this encoding is not read", advice
    if len(topic["publishers"]) > 1:
        yield warn, f"{text}: several publish it", "end all but one of them, or remap"
    if topic["lost"]:
        advice = f"{seen['loss_remedy']}; or take compressed images"
        yield warn, f"{text}: {topic['lost']} were lost on the way", advice
    if abs(age) > _OLD and not simulated:
        older = "older" if age > 0 else "newer"
        advice = (
            "set the machines' clocks by chrony or NTP; play bags with --clock, and use_sim_time"
        )
        yield warn, f"{text}: stamps are {abs(age):.1f} s {older} than this clock", advice


def _judge_calibration(topic: dict[str, Any], others: Sequence[str]) -> Finding:
    """`others`: where a CameraInfo came."""
    id, info = f"topics.{topic['topic']}:camera_info", topic["camera_info"]
    if info is None:
        text = "none came beside the image: an assumed field of view serves"
        found = f", one of {', '.join(others)}" if others else ""
        return warn(id, text, f"name it to the launch file: camera_info:=TOPIC{found}")
    if info["problem"]:
        advice = "calibrate the camera (camera_calibration), or set the parameter field_of_view"
        return warn(id, info["problem"], advice, **info)
    if info["frame_id"] != topic["frame_id"]:
        text = f"is of the frame {info['frame_id']}, the image of {topic['frame_id']}"
        return warn(id, text, "is it this camera's? Only the image's frame counts", **info)
    return ok(id, f"calibrated, {info['model'] or 'no lens model'}", **info)


def _judge_humans(topic: dict[str, Any]) -> Finding:
    id = f"topics.{topic['topic']}"
    if not topic["publishers"]:
        return warn(id, "awaited, published by nobody", "start the node: pear.launch.py")
    if len(topic["publishers"]) > 1:
        text = f"{_source(topic)}: several nodes"
        return warn(id, text, "end all but one of them, or give them namespaces", **topic)
    if not topic["messages"]:
        text = f"{_source(topic)}, but nothing came"
        return warn(id, text, "no image reaches the node: ros2 topic echo /diagnostics", **topic)
    return ok(id, f"{_rate(topic)}, {_source(topic)}", **topic)


def _check_clock(clock: Mapping[str, Any]) -> Iterator[Finding]:
    id = "topics.clock"
    if not clock["publishers"]:
        yield ok(id, "nobody publishes /clock: time is this machine's", simulated=False)
    elif clock["backwards"]:
        advice = "the tracker begins anew each time; play without --loop to avoid it"
        yield warn(id, "/clock went backwards", advice, simulated=True)
    elif not clock["messages"]:
        advice = "nodes with use_sim_time stand still: is the player or simulator paused?"
        yield warn(id, "/clock is published, but nothing came", advice, simulated=True)
    elif len(clock["publishers"]) > 1:
        text = f"{len(clock['publishers'])} publish /clock"
        yield fail(id, text, "end all but one of them", simulated=True)
    else:
        yield ok(id, "time is that of /clock: set use_sim_time:=true in all nodes", simulated=True)


def _description(topic: dict[str, Any]) -> str:
    size = f" {topic['width']} x {topic['height']}" if "width" in topic else ""
    kind = f"{topic['encoding']}{size}"
    depth = " depth" if topic["depth"] else ""
    return f"{kind}{depth}, {_rate(topic)}, {_source(topic)}, frame {topic['frame_id'] or '(none)'}"


def _rate(topic: dict[str, Any]) -> str:
    if topic["rate"] is None:
        return f"{topic['messages']} message"
    return f"{topic['rate']:.1f} Hz, {1e-6 * topic['rate'] * topic['bytes']:.1f} MB/s"


def _source(topic: dict[str, Any]) -> str:
    """Who publishes, in which quality."""
    told = [
        f"{publisher['node']} ({publisher['reliability'].lower().replace('_', ' ')}, "
        f"{publisher['durability'].lower().replace('_', ' ')})"
        for publisher in topic["publishers"]
    ]
    return f"from {' and '.join(told)}"
