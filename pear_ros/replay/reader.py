# SPDX-License-Identifier: Apache-2.0
"""Messages and decoded images of a time range of a bag, read ahead in a thread.

The regions in an image come from the results of the image before, so estimation itself cannot run
ahead. While one image is estimated, a thread reads and decodes those that follow. How far it is
ahead changes no result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

from pear_ros.bags.bag import Bag
from pear_ros.bags.definitions import types_of
from pear_ros.bags.matching import PATIENCE, Frame, matched
from pear_ros.bags.parts import NewTopic
from pear_ros.bags.prefetch import prefetched
from pear_ros.bags.time_range import TimeRange
from pear_ros.bags.topic import Message
from pear_ros.bags.writing import is_latched
from pear_ros.core.device_image import on_cpu
from pear_ros.core.parameters import Parameters
from pear_ros.replay.frames import FrameReader, Refusal, ReplayFrame
from pear_ros.replay.options import ReplayOptions
from pear_ros.ros.conversion.frame_input import CAMERA_INFO, DEPTH, DETECTIONS

IMAGES_AHEAD = 6
"""Images that are decoded ahead."""
_MAX_BYTES_AHEAD = 256_000_000
"""Bytes of decoded images and depth images after which no further one is decoded ahead."""


@dataclass(frozen=True)
class OneByOne:
    """How to read images that may end the process: each is decoded when those before are done."""

    begin: Callable[[int, float], None]
    """Called before an image is decoded, with its number and its second of the recording."""
    leave_out: Collection[int] = ()
    """Numbers of images that are refused without being decoded."""


class TimeRangeReader:
    """Read a time range of a bag: frames for the pipeline, and messages to be copied."""

    def __init__(
        self,
        bag: Bag,
        options: ReplayOptions,
        parameters: Parameters,
        time_range: TimeRange,
        copied: Sequence[NewTopic],
    ) -> None:
        """Read the topics in `options`, resolved for `bag`; `copied`: those of copied_topics."""
        self._bag = bag
        self._options = options
        self._parameters = parameters
        self._time_range = time_range
        self._copied = copied

    def read(
        self, done: int, one_by_one: OneByOne | None = None
    ) -> Generator[Message | tuple[int, ReplayFrame | Refusal], None, None]:
        """Yield the messages to be copied and the frames with their numbers, in order.

        Frames 0 to `done` - 1 and the messages before the next frame are left out. `one_by_one`:
        nothing is read ahead.
        """
        decode = self._decoder(done, one_by_one)
        decoded = (
            prefetched(self._events(), decode, IMAGES_AHEAD, _size_of, _MAX_BYTES_AHEAD)
            if one_by_one is None
            else (decode(event) for event in self._events())
        )
        with closing(decoded) as events:
            for event in events:
                if event is not None:
                    yield event

    def _events(self) -> Iterator[Message | Frame]:
        topics, options = self._options.topics, self._options
        near = {DEPTH: topics.depth, DETECTIONS: topics.detections}
        steady = {CAMERA_INFO: topics.camera_info}
        names = {topics.image, topics.camera_info, topics.depth, topics.detections} - {""}
        begin = self._time_range.first - PATIENCE
        messages = self._bag.messages(
            None if options.with_inputs else names, begin, self._time_range.last + PATIENCE
        )
        held = (self._bag.last_before(topic, begin) for topic in steady.values() if topic)
        return matched(
            chain(filter(None, held), self._latched(), messages),
            topics.image,
            {kind: topic for kind, topic in near.items() if topic},
            {kind: topic for kind, topic in steady.items() if topic},
            self._time_range,
            every=options.every,
            tolerance=round(self._parameters.sync_tolerance * 1e9),
        )

    def _latched(self) -> Iterator[Message]:
        """Messages latched when the replay begins, such as /tf_static, as if recorded then."""
        first = self._time_range.first
        latched = {topic.name for topic in self._copied if is_latched(topic.qos)}
        # Those that are inputs are read at their own times.
        names = latched - set(vars(self._options.topics).values())
        if names and first == self._options.time_ranges(self._bag)[0].first:
            for message in self._bag.messages(names, end=first - 1):
                yield message._replace(time=first)

    def _decoder(
        self, done: int, one_by_one: OneByOne | None
    ) -> Callable[[Message | Frame], Message | tuple[int, ReplayFrame | Refusal] | None]:
        """Function that decodes an event; it returns None for those before frame `done`."""
        topics = self._options.topics
        reader = FrameReader(self._bag, topics, self._parameters, self._time_range)
        copied = {topic.name for topic in self._copied}
        passed = 0

        def read(frame: Frame) -> ReplayFrame | Refusal:
            if one_by_one is not None:
                seconds = 1e-9 * (frame.image.time - self._bag.start)
                one_by_one.begin(frame.number, seconds)
                if frame.number in one_by_one.leave_out:
                    where = f"image {frame.number} ({seconds:.3f} s)"
                    return Refusal("ends the process", f"Left out on {topics.image}: {where}")
            return reader(frame)

        def decode(event: Message | Frame) -> Message | tuple[int, ReplayFrame | Refusal] | None:
            nonlocal passed
            if isinstance(event, Frame):
                passed = event.number + 1
                return (event.number, read(event)) if event.number >= done else None
            return event if event.topic in copied and passed >= done else None

        return decode


def _size_of(event: Message | tuple[int, ReplayFrame | Refusal] | None) -> int:
    """Bytes of a message, or of a decoded image with its depth image."""
    if isinstance(event, Message):
        return len(event.data)
    if event is None or isinstance(event[1], Refusal):
        return 0
    frame = event[1].input
    return on_cpu(frame.image).nbytes + (0 if frame.depth is None else frame.depth.nbytes)


def copied_topics(bag: Bag, results: set[str], warn: Callable[[str], None]) -> list[NewTopic]:
    """Return the topics of `bag` that can be copied beside those of the `results`.

    `warn` is called with a sentence about each of the others.
    """
    copied = []
    for topic in bag.topics.values():
        types = types_of(topic)
        if topic.name in results:
            warn(f"{topic.name} of {bag.path} is not copied: results have its name")
        elif types is None:
            warn(f"{topic.name} is not copied: no definition of {topic.type} is known")
        else:
            copied.append(NewTopic(topic.name, topic.type, types, topic.qos))
    return copied
