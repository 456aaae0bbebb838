# SPDX-License-Identifier: Apache-2.0
"""Bags through the node's pipeline: every image, in order, into a new bag.

Each image's regions come from the results of the one before, so estimation cannot run ahead: what
can is all that needs no results. While one image is estimated, a thread reads and decodes those
that follow; the people in one image are a batch. How far the thread is ahead changes no result.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pear_ros.bags.bag import Bag
from pear_ros.bags.definitions import types_of
from pear_ros.bags.matching import Frame, matched
from pear_ros.bags.parts import NewTopic
from pear_ros.bags.prefetch import prefetched
from pear_ros.bags.resumable import ResumableBag
from pear_ros.bags.topic import BagError, Message
from pear_ros.people import TrackingState
from pear_ros.ros.parameters import Parameters
from pear_ros.ros.replay_frames import CAMERA_INFO, DEPTH, DETECTIONS, FrameReader, Given, Remark
from pear_ros.ros.replay_topics import Wanted
from pear_ros.ros.results_bag import ResultMessages

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

FRAMES_PER_PART = 100
_AHEAD = 6
"""Images decoded beforehand."""
_NOT_OF_RESULTS = frozenset(
    ("autostart", "build_only", "image_transport", "sync_timeout", "transforms", "model_folder")
)
"""Parameters that change no result: where models are is not what they are."""


@dataclass(frozen=True)
class Choice:
    """What is to be made of a bag."""

    topics: Wanted
    """Those of choose_topics."""
    start: float = 0.0
    """Seconds from the bag's beginning."""
    end: float | None = None
    """Likewise; None: to its end."""
    every: int = 1
    """Of how many images one is taken."""
    with_inputs: bool = False
    """Whether the bag's own topics are written, too."""
    markers: bool = False
    """Whether meshes are written, too."""


@dataclass
class Tally:
    """What became of the images."""

    frames: int = 0
    """Images, those refused among them."""
    humans: int = 0
    """Images with results."""
    people: int = 0
    """Over all images."""
    most: int = 0
    """In one image."""
    ids: list[str] = field(default_factory=list)
    """In the order in which they came."""
    restarts: int = 0
    """How often stamps went back, so that everybody began anew."""
    refused: dict[str, int] = field(default_factory=dict)
    """Images without results, by cause."""
    lacking: dict[str, int] = field(default_factory=dict)
    """Images with results to which something was missing, by cause."""


@dataclass
class _State:
    """What the replay of an image depends on beside the image."""

    pipeline: dict[str, Any]
    """Pipeline.state()."""
    tally: Tally = field(default_factory=Tally)
    last_stamp: float = float("-inf")
    shown: list[str] = field(default_factory=list)
    """See ResultMessages."""


class Replay:
    """Replays one bag: `start` it, then `run` it."""

    def __init__(
        self,
        bag: Bag,
        folder: Path,
        choice: Choice,
        parameters: Parameters,
        pipeline: Pipeline,
        versions: dict[str, str],
        *,
        tell: Callable[[str], None] = print,
        frames_per_part: int = FRAMES_PER_PART,
    ) -> None:
        """`folder`: the bag to be written; `pipeline`: one that has seen no image, or was restored
        to when it had not; `versions`: what results depend on beside the others given here. `tell`
        is given the first sentence of each kind of trouble.
        """
        self._bag = bag
        self._choice = choice
        self._parameters = parameters
        self._pipeline = pipeline
        self._tell = tell
        self._frames_per_part = frames_per_part
        self._state = _State(pipeline.state())
        self._messages = ResultMessages(
            pipeline, vertices=parameters.publish_vertices, markers=choice.markers
        )
        own = self._messages.topics()
        self._inputs = self._input_topics({topic.name for topic in own})
        self._topics = [*own, *self._inputs]
        fingerprint = {**_fingerprint(bag, choice, parameters), **versions}
        self.output = ResumableBag(folder, "humans", fingerprint)
        self._start = bag.start + round(choice.start * 1e9)
        self._end = bag.end if choice.end is None else bag.start + round(choice.end * 1e9)
        self._told: set[str] = set()
        self.seconds = 0.0
        """Of the bag, done by now."""

    @property
    def tally(self) -> Tally:
        """What became of the images so far, those before a resumption among them."""
        return self._state.tally

    @property
    def length(self) -> float:
        """Seconds of the bag that are to be replayed."""
        return max(1e-9 * (min(self._end, self._bag.end) - self._start), 0.0)

    def start(self) -> int:
        """Begin, or go on where an earlier run was stopped; how many images are done already.

        Raises ResumeError when the folder holds something else.
        """
        state = self.output.resume()
        if state is not None:
            self._take_up(state)
        return self.tally.frames

    def run(self) -> Iterator[int]:
        """Replay what is left; the number of each image when it is done.

        Raises BagError where there is no image, OSError where the bag cannot be written.
        """
        events = prefetched(self._events(), self._decoder(self.tally.frames), _AHEAD)
        try:
            for event in events:
                if isinstance(event, Message):
                    self._write(event)
                elif event is not None:
                    number, given = event
                    self._process(given)
                    self.tally.frames += 1
                    if (number + 1) % self._frames_per_part == 0:
                        self._end_part()
                    yield number
            self._end_part()
            if not self.tally.frames:
                raise BagError(
                    f"{self._bag.path} has no image on {self._choice.topics.image} to replay"
                )
            if not self.output.is_empty:
                self.output.complete()
        finally:
            events.close()
            self.output.abandon()

    def _events(self) -> Iterator[Message | Frame]:
        topics, choice = self._choice.topics, self._choice
        near = {DEPTH: topics.depth, DETECTIONS: topics.detections}
        steady = {CAMERA_INFO: topics.camera_info}
        names = {topics.image, topics.camera_info, topics.depth, topics.detections} - {""}
        return matched(
            self._bag.messages(None if choice.with_inputs else names, self._start, self._end),
            topics.image,
            {kind: topic for kind, topic in near.items() if topic},
            {kind: topic for kind, topic in steady.items() if topic},
            every=choice.every,
            tolerance=round(self._parameters.sync_tolerance * 1e9),
        )

    def _decoder(
        self, done: int
    ) -> Callable[[Message | Frame], Message | tuple[int, Given | Remark] | None]:
        """For the thread: reads what comes after the frames that are done; None for the others."""
        read = FrameReader(self._bag, self._choice.topics, self._parameters)
        copied = {topic.name for topic in self._inputs}
        passed = 0

        def decode(event: Message | Frame) -> Message | tuple[int, Given | Remark] | None:
            nonlocal passed
            if isinstance(event, Frame):
                passed = event.number + 1
                return (event.number, read(event)) if event.number >= done else None
            return event if event.topic in copied and passed >= done else None

        return decode

    def _input_topics(self, own: set[str]) -> list[NewTopic]:
        """Those to be copied."""
        found = []
        for topic in self._bag.topics.values() if self._choice.with_inputs else ():
            types = types_of(topic)
            if topic.name in own:
                self._tell(f"{topic.name} of {self._bag.path} is not copied: results have its name")
            elif types is None:
                self._tell(f"{topic.name} is not copied: no definition of {topic.type} is known")
            else:
                found.append(NewTopic(topic.name, topic.type, types, topic.qos))
        return found

    def _process(self, given: Given | Remark) -> None:
        tally = self.tally
        if isinstance(given, Remark):
            self._remark(given, tally.refused)
            return
        self.seconds = 1e-9 * (given.time - self._start)
        for remark in given.remarks:
            self._remark(remark, tally.lacking)
        if given.stamp < self._state.last_stamp:
            tally.restarts += 1
            self._pipeline.reset()
        self._state.last_stamp = given.stamp
        try:
            people = self._pipeline(
                given.picture,
                given.camera,
                given.stamp,
                detections=given.detections,
                depth=given.depth,
            )
        except Exception as error:
            cause = f"failure: {type(error).__name__}"
            self._remark(Remark(cause, f"An image failed: {traceback.format_exc()}"), tally.refused)
            return
        for topic, data in self._messages.of(people, given.header):
            self._write(Message(topic, given.time, data))
        present = [p.id for p in people.persons if p.state is not TrackingState.LOST]
        tally.humans += 1
        tally.people += len(present)
        tally.most = max(tally.most, len(present))
        tally.ids += [name for name in present if name not in tally.ids]

    def _remark(self, remark: Remark, counts: dict[str, int]) -> None:
        counts[remark.cause] = counts.get(remark.cause, 0) + 1
        if remark.cause not in self._told:
            self._told.add(remark.cause)
            self._tell(remark.text)

    def _write(self, message: Message) -> None:
        if self.output.write(message, self._topics):
            # In each part, so that each can be read alone.
            topic, data = self._messages.body_model()
            self.output.write((topic, message.time, data), self._topics)

    def _end_part(self) -> None:
        self._state.pipeline = self._pipeline.state()
        self._state.shown = self._messages.shown
        self._take_up(self.output.end_part(self._state))

    def _take_up(self, state: _State) -> None:
        self._state = state
        self._messages.shown = state.shown
        self._pipeline.restore(state.pipeline)


def _fingerprint(bag: Bag, choice: Choice, parameters: Parameters) -> dict[str, str]:
    """What results depend on, by names that tell."""
    values = {
        **{f"topic {kind}": name for kind, name in vars(choice.topics).items()},
        **{name: value for name, value in vars(choice).items() if name != "topics"},
        **{name: value for name, value in vars(parameters).items() if name not in _NOT_OF_RESULTS},
    }
    return {"input": bag.fingerprint(), **{name: str(value) for name, value in values.items()}}
