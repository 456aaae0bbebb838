# SPDX-License-Identifier: Apache-2.0
"""Images are matched with messages of other topics by their stamps."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from pear_ros.bags.matching import PATIENCE, Frame, matched, stamp_of
from pear_ros.bags.time_range import TimeRange
from pear_ros.bags.topic import Message

ALWAYS = TimeRange(-(2**62), 2**62)


def message(topic: str, time: float, stamp: float | None = None) -> Message:
    """A message recorded at `time`, with the stamp `stamp`, seconds."""
    seconds, nanoseconds = divmod(round((time if stamp is None else stamp) * 1e9), 10**9)
    data = b"\0\1\0\0" + struct.pack("<iI", seconds, nanoseconds)
    return Message(topic, round(time * 1e9), data)


def frames(messages: list[Message], **options: Any) -> list[Frame]:
    near = {kind: kind for kind in ("depth", "boxes") if any(m.topic == kind for m in messages)}
    steady = {"info": "info"} if any(m.topic == "info" for m in messages) else {}
    events = matched(messages, "image", near, steady, ALWAYS, **options)
    return [event for event in events if isinstance(event, Frame)]


def stamps(frame: Frame) -> dict[str, float]:
    return {kind: (stamp_of(m.data) or 0) * 1e-9 for kind, m in frame.companions.items()}


def test_matching_passes_messages_and_yields_frames_at_once() -> None:
    messages = [message("image", 0.1), message("other", 0.2), message("image", 0.3)]
    events = list(matched(messages, "image", {}, {}, ALWAYS))
    assert [type(event) for event in events] == [Message, Frame, Message, Message, Frame]
    assert [event for event in events if isinstance(event, Message)] == messages


def test_matching_finds_companions_before_and_after_the_image() -> None:
    late = [message("image", 0.0), message("image", 0.1), message("depth", 0.3, 0.0)]
    late += [message("depth", 0.35, 0.1), message("boxes", 0.4, 0.1), message("image", 0.5)]
    found = frames(late)
    assert [stamps(frame) for frame in found] == [{"depth": 0.0}, {"depth": 0.1, "boxes": 0.1}, {}]
    assert [frame.number for frame in found] == [0, 1, 2]


def test_matching_takes_the_nearest_stamp() -> None:
    near = [message("depth", 0.985), message("image", 1.0), message("depth", 1.01)]
    near += [message("depth", 1.04), message("image", 1.07)]
    found = frames(near, tolerance=20_000_000)
    assert [stamps(frame) for frame in found] == [{"depth": pytest.approx(1.01)}, {}]


def test_matching_does_not_wait_indefinitely() -> None:
    """Late messages are not waited for: waiting images would fill the memory."""
    patience = PATIENCE * 1e-9
    messages = [message("image", 0.0), message("image", patience + 0.1), message("depth", 5.0, 0.0)]
    events = list(matched(messages, "image", {"depth": "depth"}, {}, ALWAYS))
    assert [type(event) for event in events] == [Message, Message, Frame, Message, Frame]
    assert not frames(messages)[0].companions


def test_matching_uses_calibration_before_its_first_message() -> None:
    messages = [message("image", 0.0), message("info", 0.2), message("image", 0.3)]
    messages += [message("info", 0.4), message("image", 0.5), message("image", 9.0)]
    found = [stamps(frame)["info"] for frame in frames(messages)]
    assert found == pytest.approx([0.2, 0.2, 0.4, 0.4])


def test_matching_takes_every_third_image() -> None:
    messages = [message("image", k / 10) for k in range(8)]
    found = frames(messages, every=3)
    assert [(f.number, f.image.time) for f in found] == [(0, 0), (1, 300000000), (2, 600000000)]


def test_matching_separates_repeated_stamps() -> None:
    messages = [
        message(topic, 2.0 * turn + k / 10 + wait, k / 10)
        for turn in range(2)
        for k in range(5)
        for topic, wait in (("image", 0.0), ("depth", 0.03))
    ]
    found = frames(messages)
    assert [stamps(frame) for frame in found] == 2 * [
        {"depth": pytest.approx(k / 10)} for k in range(5)
    ]
    assert [frame.companions["depth"].time - frame.image.time for frame in found] == 10 * [30000000]


def test_matching_handles_messages_without_a_stamp() -> None:
    short = Message("image", 5, b"\0\1\0\0")
    (frame, _) = frames([short, message("depth", 0.1), message("image", 0.1)])
    assert frame.stamp is None and not frame.companions
    big_endian = b"\0\0\0\0" + struct.pack(">iI", 2, 3)
    assert stamp_of(big_endian) == 2_000_000_003
