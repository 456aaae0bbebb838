# SPDX-License-Identifier: Apache-2.0
"""A bag, or a chunk of it, through the node's pipeline: every image, in order, into a new bag."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pear_ros.bags.bag import Bag
from pear_ros.bags.chunks import CHUNK_NUMBER, chunk_folder
from pear_ros.bags.resumable import ResumableBag
from pear_ros.bags.snapshot import SnapshotError
from pear_ros.bags.topic import BagError, Message
from pear_ros.bags.unfinished import ResumeError
from pear_ros.core.bounded_counts import count
from pear_ros.core.estimator import DeviceLostError
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import TrackingState
from pear_ros.core.quoting import plain
from pear_ros.replay.frames import Refusal, ReplayFrame
from pear_ros.replay.options import ReplayOptions, fingerprint_of, versions_of
from pear_ros.replay.reader import OneByOne, TimeRangeReader, copied_topics
from pear_ros.replay.results import ResultSerializer
from pear_ros.replay.state_classes import state_classes
from pear_ros.replay.statistics import ReplayStatistics
from pear_ros.ros.conversion.frame_input import Issue
from pear_ros.ros.conversion.input_watch import InputWatch

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

FRAMES_PER_PART = 100
"""Images after which what is written is safe from a kill."""


@dataclass
class _State:
    """All that the results of an image depend on beside the image."""

    pipeline: dict[str, Any]
    """State of the pipeline, as Pipeline.state() returns it."""
    statistics: ReplayStatistics = field(default_factory=ReplayStatistics)
    watch: InputWatch = field(default_factory=InputWatch)
    marked: list[str] = field(default_factory=list)
    """Ids that have a marker."""
    ended: bool = False
    """Whether everything has been written, what follows the last image included."""


@dataclass(frozen=True)
class Source:
    """A bag, or one of its chunks, and what to replay of it."""

    bag: Bag
    options: ReplayOptions
    """Options that `resolve` has returned for the bag."""
    parameters: Parameters
    chunk: int = 0
    """Number of the chunk; 0 if there is one piece."""


class Replay:
    """Replay one bag, or one chunk of it: call `start`, then iterate over `run`."""

    def __init__(
        self,
        source: Source,
        folder: Path,
        pipeline: Pipeline,
        warn: Callable[[str], None],
        frames_per_part: int = FRAMES_PER_PART,
    ) -> None:
        """Replay `source` into the bag `folder`.

        `pipeline`: new, or restored to its state when it was new. `warn` is called with the first
        warning of each cause.
        """
        self._source = source
        self._folder = folder
        self._resumed = False
        self._options = source.options
        self._pipeline = pipeline
        self._warn = warn
        self._frames_per_part = frames_per_part
        pipeline.id_prefix = self._options.id_prefix(source.parameters, source.chunk)
        self._state = _State(pipeline.state())
        self._results = ResultSerializer(pipeline, source.parameters, self._options.markers)
        results = self._results.topics()
        copied = (
            copied_topics(source.bag, {topic.name for topic in results}, warn)
            if self._options.with_inputs
            else []
        )
        self._topics = [*results, *copied]
        self._time_range = self._options.time_ranges(source.bag)[source.chunk]
        self._reader = TimeRangeReader(
            source.bag, self._options, source.parameters, self._time_range, copied
        )
        self._whole, self._output = _outputs(source, folder, pipeline)
        self._warned: set[str] = set()
        self.seconds = 0.0
        """Seconds of the time range that are done."""

    @property
    def statistics(self) -> ReplayStatistics:
        """Statistics of all images so far, those of an earlier, interrupted run included."""
        return self._state.statistics

    def finished(self) -> str | None:
        """Return the statistics as text if an earlier run has finished this replay, else None.

        The text is empty if they are no longer known. Raises ResumeError if the folder has other
        content.
        """
        if self._output.is_complete():
            return self._output.summary()
        return "" if self._whole.is_complete() else None

    def start(self) -> int:
        """Start, or resume an interrupted run; return the number of images already done.

        Raises ResumeError if the folder has other content.
        """
        state = self._output.resume()
        if state is None:
            return self.statistics.images
        self._resumed = True
        try:
            if not isinstance(state, _State) or not state.statistics.is_sound:
                raise TypeError("it holds something else")
            self._restore(state)
        except Exception as error:
            self._output.abandon()
            raise self._unusable(error) from error
        return self.statistics.images

    def run(self, one_by_one: OneByOne | None = None) -> Generator[int, None, None]:
        """Replay what is left, yielding the number of each image when it is done.

        `one_by_one`: how to read images that may have killed an earlier run, which left its mark.
        Raises BagError if there is no image, OSError if the bag cannot be written, ResumeError if
        the state of an interrupted run cannot be used, DeviceLostError if only another process can
        resume it.
        """
        whole = self._options.chunk is None
        try:
            if not self._state.ended:
                yield from self._process_all(one_by_one)
                self._state.ended = True
                self._end_part()
            if not self.statistics.images and whole:
                topic = self._options.topics.image
                raise BagError(f"{self._source.bag.path} has no image on {topic} to replay")
            if not self._output.is_empty or not whole:
                self._output.complete(self.statistics.dumps())
        except (BagError, ResumeError, SnapshotError, OSError, DeviceLostError):
            raise
        except Exception as error:
            if not self._resumed:
                raise
            raise self._unusable(error) from error
        finally:
            self._output.abandon()

    def _unusable(self, error: Exception) -> ResumeError:
        """What to raise where a resumed replay fails, as with a snapshot that others changed."""
        return ResumeError(
            f"{self._folder} cannot be resumed: the state of its earlier run leads to "
            f"{type(error).__name__}: {plain(error)}. Give --overwrite to start again"
        )

    def _process_all(self, one_by_one: OneByOne | None) -> Iterator[int]:
        if one_by_one is None:
            self._output.mark(self.statistics.images)
        with closing(self._reader.read(self.statistics.images, one_by_one)) as events:
            for event in events:
                if isinstance(event, Message):
                    self._write(event)
                    continue
                number, frame = event
                if isinstance(frame, Refusal):
                    self._count(self.statistics.refused, frame.cause, frame.text)
                else:
                    self._process(frame)
                self.statistics.images += 1
                if (number + 1) % self._frames_per_part == 0:
                    self._end_part()
                if one_by_one is None:
                    self._output.mark(self.statistics.images)
                yield number

    def _process(self, frame: ReplayFrame) -> None:
        found = frame.input
        self.seconds = 1e-9 * (frame.time - self._time_range.first)
        topics, parameters = self._options.topics, self._source.parameters
        watch = self._state.watch
        tick, odd = watch(found, frame.time, (topics.image, topics.detections), parameters)
        for issue in (*found.issues, *odd):
            self._count_issue(issue)
        if tick.reset:
            self.statistics.resets += 1
            self._pipeline.reset()
        try:
            people = self._pipeline(
                found.image,
                found.camera,
                tick.time,
                detections=found.detections,
                depth=found.depth,
                camera_pose=found.camera_pose,
                ground=found.ground,
                settings=parameters,
            )
        except DeviceLostError:
            raise
        except Exception as error:
            cause = f"failure: {type(error).__name__}"
            text = f"An image failed: {traceback.format_exc()}"
            self._count(self.statistics.refused, cause, text)
            return
        for issue in watch.found(found.image, people.persons, topics.image, parameters):
            self._count_issue(issue)
        results = self._results.serialize(people, frame.header, found.camera_pose)
        for topic, data in results:
            self._write(Message(topic, frame.time, data))
        self.statistics.add_people(
            [one.id for one in people.persons if one.state is not TrackingState.LOST]
        )

    def _count_issue(self, issue: Issue) -> None:
        counts = self.statistics.odd if issue.used else self.statistics.incomplete
        self._count(counts, issue.name, issue.text)

    def _count(self, counts: dict[str, int], cause: str, text: str) -> None:
        """Count an image by `cause`, and warn with `text` if it is the first."""
        counted = count(counts, cause)
        if counted not in self._warned:
            self._warned.add(counted)
            self._warn(text)

    def _write(self, message: Message) -> None:
        if self._output.write(message, self._topics):
            # In each part, so that each can be read alone.
            topic, data = self._results.body_model()
            self._output.write((topic, message.time, data), self._topics)

    def _end_part(self) -> None:
        self._state.pipeline = self._pipeline.state()
        self._state.marked = self._results.marked
        self._restore(self._output.end_part(self._state))

    def _restore(self, state: _State) -> None:
        self._state = state
        self._results.marked = state.marked
        self._pipeline.restore(state.pipeline)


def _outputs(source: Source, folder: Path, pipeline: Pipeline) -> tuple[ResumableBag, ResumableBag]:
    """The whole bag that is written, and the one of the chunk; the same for a single piece."""
    options = source.options
    fingerprint = {
        **fingerprint_of(source.bag, options, source.parameters),
        **versions_of(pipeline),
    }
    classes = (*state_classes(pipeline.components().values()), _State, ReplayStatistics, InputWatch)
    whole = ResumableBag(folder, "humans", fingerprint, options.storage, classes)
    if options.chunk is None:
        return whole, whole
    chunk = ResumableBag(
        chunk_folder(folder, source.chunk),
        f"humans_{source.chunk}",
        {**fingerprint, CHUNK_NUMBER: str(source.chunk)},
        options.storage,
        classes,
    )
    return whole, chunk
