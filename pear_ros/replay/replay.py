# SPDX-License-Identifier: Apache-2.0
"""A bag, or a chunk of it, through the node's pipeline: every image, in order, into a new bag.

Each image's regions come from the results of the one before, so within a stretch estimation cannot
run ahead: what can is all that needs no results. While one image is estimated, a thread reads and
decodes those that follow. How far the thread is ahead changes no result.
"""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pear_ros.bags.bag import Bag
from pear_ros.bags.chunks import CHUNK_NUMBER, chunk_folder
from pear_ros.bags.definitions import types_of
from pear_ros.bags.matching import PATIENCE, Frame, matched
from pear_ros.bags.parts import NewTopic
from pear_ros.bags.prefetch import prefetched
from pear_ros.bags.resumable import ResumableBag
from pear_ros.bags.stretch import Stretch, stretches
from pear_ros.bags.topic import BagError, Message
from pear_ros.bags.writing import is_latched
from pear_ros.core.parameters import DECLARATIONS, Parameters
from pear_ros.core.people import TrackingState
from pear_ros.replay.frames import CAMERA_INFO, DEPTH, DETECTIONS, FrameReader, Given, Remark
from pear_ros.replay.results import ResultMessages
from pear_ros.replay.state_classes import state_classes
from pear_ros.replay.topics import Wanted

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

FRAMES_PER_PART = 100
_AHEAD = 6
"""Images decoded beforehand."""


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
    chunk: float | None = None
    """Seconds after which everybody begins anew, so that chunks can be replayed side by side; None:
    not at all."""
    with_inputs: bool = False
    """Whether the bag's own topics are written, too."""
    markers: bool = False
    """Whether meshes are written, too."""
    storage: str = "mcap"
    """Of the bag that is written: one of pear_ros.core.choice.STORAGES."""

    def stretches(self, bag: Bag) -> list[Stretch]:
        """Those of `bag` that are replayed, each by a Replay of its own."""
        first = bag.start + round(self.start * 1e9)
        end = bag.end if self.end is None else bag.start + round(self.end * 1e9)
        return stretches(Stretch(first, min(end, bag.end)), self.chunk)


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

    def __add__(self, other: Tally) -> Tally:
        """That of two stretches, one after the other."""
        return Tally(
            self.frames + other.frames,
            self.humans + other.humans,
            self.people + other.people,
            max(self.most, other.most),
            self.ids + other.ids,
            self.restarts + other.restarts,
            dict(Counter(self.refused) + Counter(other.refused)),
            dict(Counter(self.lacking) + Counter(other.lacking)),
        )

    def dumps(self) -> str:
        """As text, for `loads`."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Tally:
        """The tally that the text is of."""
        return cls(**json.loads(text))


@dataclass
class _State:
    """What the replay of an image depends on beside the image."""

    pipeline: dict[str, Any]
    """Pipeline.state()."""
    tally: Tally = field(default_factory=Tally)
    last_stamp: float = float("-inf")
    shown: list[str] = field(default_factory=list)
    """See ResultMessages."""
    ended: bool = False
    """Whether all has been written, what comes after the last image, too."""


class Replay:
    """Replays one bag, or a chunk of it: `start` it, then `run` it."""

    def __init__(
        self,
        bag: Bag,
        folder: Path,
        choice: Choice,
        parameters: Parameters,
        pipeline: Pipeline,
        versions: dict[str, str],
        *,
        chunk: int = 0,
        tell: Callable[[str], None] = print,
        frames_per_part: int = FRAMES_PER_PART,
    ) -> None:
        """`folder`: the bag to be written; `pipeline`: one that has seen no image, or was restored
        to when it had not; `versions`: what results depend on beside the others given here;
        `chunk`: the number of the chunk, where there are several. `tell` is given the first
        sentence of each kind of trouble.
        """
        self._bag = bag
        self._choice = choice
        self._parameters = parameters
        self._pipeline = pipeline
        self._tell = tell
        self._frames_per_part = frames_per_part
        pipeline.id_prefix = id_prefix(parameters, choice, chunk)
        self._state = _State(pipeline.state())
        self._messages = ResultMessages(
            pipeline,
            vertices=parameters.publish_vertices,
            markers=choice.markers,
            mesh_detail=parameters.mesh_detail,
        )
        own = self._messages.topics()
        self._inputs = self._input_topics({topic.name for topic in own})
        self._topics = [*own, *self._inputs]
        self._stretch = choice.stretches(bag)[chunk]
        fingerprint = {**fingerprint_of(bag, choice, parameters), **versions}
        classes = (*state_classes(), _State, Tally)
        self._output = self._whole = ResumableBag(
            folder, "humans", fingerprint, choice.storage, classes
        )
        if choice.chunk is not None:
            fingerprint = {**fingerprint, CHUNK_NUMBER: str(chunk)}
            self._output = ResumableBag(
                chunk_folder(folder, chunk),
                f"humans_{chunk}",
                fingerprint,
                choice.storage,
                classes,
            )
        self._told: set[str] = set()
        self.seconds = 0.0
        """Of the stretch, done by now."""

    @property
    def tally(self) -> Tally:
        """What became of the images so far, those before a resumption among them."""
        return self._state.tally

    def finished(self) -> str | None:
        """The tally as text where it was replayed to its end earlier, else None; empty where that
        is not known any more.

        Raises ResumeError when the folder holds something else.
        """
        if self._output.is_complete():
            return self._output.summary()
        return "" if self._whole.is_complete() else None

    def start(self) -> int:
        """Begin, or go on where an earlier run was stopped; how many images are done already.

        Raises ResumeError when the folder holds something else.
        """
        state = self._output.resume()
        if state is not None:
            self._take_up(state)
        return self.tally.frames

    def run(self) -> Generator[int, None, None]:
        """Replay what is left; the number of each image when it is done.

        Raises BagError where there is no image, OSError where the bag cannot be written.
        """
        try:
            if not self._state.ended:
                yield from self._write_rest()
                self._state.ended = True
                self._end_part()
            if not self.tally.frames and self._choice.chunk is None:
                raise BagError(
                    f"{self._bag.path} has no image on {self._choice.topics.image} to replay"
                )
            if not self._output.is_empty or self._choice.chunk is not None:
                self._output.complete(self.tally.dumps())
        finally:
            self._output.abandon()

    def _write_rest(self) -> Iterator[int]:
        with closing(
            prefetched(self._events(), self._decoder(self.tally.frames), _AHEAD)
        ) as events:
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

    def _events(self) -> Iterator[Message | Frame]:
        topics, choice = self._choice.topics, self._choice
        near = {DEPTH: topics.depth, DETECTIONS: topics.detections}
        steady = {CAMERA_INFO: topics.camera_info}
        names = {topics.image, topics.camera_info, topics.depth, topics.detections} - {""}
        begin = self._stretch.first - PATIENCE
        messages = self._bag.messages(
            None if choice.with_inputs else names, begin, self._stretch.last + PATIENCE
        )
        held = (self._bag.last_before(topic, begin) for topic in steady.values() if topic)
        return matched(
            chain(filter(None, held), self._latched(), messages),
            topics.image,
            {kind: topic for kind, topic in near.items() if topic},
            {kind: topic for kind, topic in steady.items() if topic},
            self._stretch,
            every=choice.every,
            tolerance=round(self._parameters.sync_tolerance * 1e9),
        )

    def _latched(self) -> Iterator[Message]:
        """What is latched when the replay begins, such as /tf_static, as if recorded then."""
        first = self._stretch.first
        latched = {topic.name for topic in self._inputs if is_latched(topic.qos)}
        names = latched - set(vars(self._choice.topics).values())  # Those are of their time.
        if names and first == self._choice.stretches(self._bag)[0].first:
            for message in self._bag.messages(names, end=first - 1):
                yield message._replace(time=first)

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
        self.seconds = 1e-9 * (given.time - self._stretch.first)
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
                settings=self._parameters,
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
        if self._output.write(message, self._topics):
            # In each part, so that each can be read alone.
            topic, data = self._messages.body_model()
            self._output.write((topic, message.time, data), self._topics)

    def _end_part(self) -> None:
        self._state.pipeline = self._pipeline.state()
        self._state.shown = self._messages.shown
        self._take_up(self._output.end_part(self._state))

    def _take_up(self, state: _State) -> None:
        self._state = state
        self._messages.shown = state.shown
        self._pipeline.restore(state.pipeline)


def id_prefix(parameters: Parameters, choice: Choice, chunk: int) -> str:
    """What ids begin with: they are different in each chunk, as people are not known again."""
    return parameters.id_prefix if choice.chunk is None else f"c{chunk}_{parameters.id_prefix}"


def fingerprint_of(bag: Bag, choice: Choice, parameters: Parameters) -> dict[str, str]:
    """What results depend on beside the models, by names that tell."""
    values = {
        **{f"topic {kind}": name for kind, name in vars(choice.topics).items()},
        **{name: value for name, value in vars(choice).items() if name != "topics"},
        **{
            name: value
            for name, value in vars(parameters).items()
            if DECLARATIONS[name].affects_results
        },
    }
    return {"input": bag.fingerprint(), **{name: str(value) for name, value in values.items()}}
