# SPDX-License-Identifier: Apache-2.0
"""A worker that annotates sources, one after the other, and writes their shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice

from pear_ros.annotation.annotator import Annotated, Annotator
from pear_ros.annotation.default_modules import default_modules
from pear_ros.annotation.encoding import members_of
from pear_ros.annotation.frames import Frame, Source, Unreadable
from pear_ros.annotation.job import Job
from pear_ros.annotation.modules import exchanged
from pear_ros.annotation.shards import Shard, read_record, write_shard
from pear_ros.annotation.sources import LabelledSource
from pear_ros.annotation.statistics import Statistics
from pear_ros.bags.topic import BagError
from pear_ros.core.blas import OneBlasThread
from pear_ros.evaluation.labels import LabelError
from pear_ros.io.video import VideoError


class LostSourceError(Exception):
    """A source that cannot be read to its end; the text names its file and says why."""


class OutputError(Exception):
    """A shard that could not be written; the text names its file and says why."""


@dataclass(frozen=True)
class Ended:
    """How a source ended."""

    name: str
    shards: tuple[str, ...]
    """Names of its shards, in order."""
    statistics: Statistics
    failure: str = ""
    """Why the source could not be read, or not to its end; empty: it could."""
    earlier: int = 0
    """Shards that an earlier run had finished."""


class Worker:
    """Annotates sources with one set of modules."""

    def __init__(self, job: Job, threads: int = 1) -> None:
        """Load the modules, their networks for `threads` threads.

        Raises pear_ros.io.downloads.AssetError, and ModuleError of pear_ros.annotation.modules.
        """
        self._job = job
        parameters = job.parameters
        modules = default_modules(threads, parameters.landmarks, parameters.min_detection_score)
        self._annotate = Annotator(exchanged(modules, job.modules))

    def __call__(self, one: LabelledSource, progress: Callable[[int], None]) -> Ended:
        """Annotate a source; `progress` is called with a number of images that are done.

        Raises OutputError.
        """
        statistics, shards, earlier, failure = Statistics(), [], 0, ""
        try:
            frames = _images(one.source, self._job)
            for number in count():
                name = f"{one.source.name}-{number:05d}"
                shard = Shard(self._job.output, name)
                images = islice(frames, self._job.per_shard)
                record = read_record(shard)
                if record is not None:
                    # Decoded all the same: videos cannot be entered in the middle.
                    done = sum(1 for _ in images)
                    progress(done)
                    earlier += 1
                    found = Statistics.loads(record["statistics"])
                else:
                    with OneBlasThread():
                        made = self._shard(shard, one, images, progress)
                    if made is None:
                        break
                    found = made
                shards.append(name)
                statistics = statistics + found
                if found.images < self._job.per_shard:
                    break
        except (VideoError, BagError, LabelError, LostSourceError) as error:
            failure = str(error)
        return Ended(one.source.name, tuple(shards), statistics, failure, earlier)

    def _shard(
        self,
        shard: Shard,
        one: LabelledSource,
        images: Iterator[Frame | Unreadable],
        progress: Callable[[int], None],
    ) -> Statistics | None:
        """Annotate the images of one shard and write it; None: there are no images."""
        self._annotate.reset()
        statistics = Statistics()
        samples = []
        for image in images:
            progress(1)
            if isinstance(image, Unreadable):
                statistics.add_unreadable(image)
                continue
            if not one.source.continuous:
                self._annotate.reset()
            known = None if one.labels is None else one.labels.of(image)
            outcomes = self._annotate(image, known, one.source.name)
            statistics.add_image(outcomes)
            samples += [
                (outcome.person.key, members_of(outcome.person))
                for outcome in outcomes
                if isinstance(outcome, Annotated)
            ]
        if not statistics.images:
            return None
        try:
            write_shard(shard, samples, statistics.dumps())
        except OSError as error:
            raise OutputError(f"{error.filename or shard.tar}: {error.strerror}") from error
        return statistics


def _images(source: Source, job: Job) -> Iterator[Frame | Unreadable]:
    """Yield the images of a source that the job takes.

    Raises LostSourceError where its files cannot be read, as after a disk was unplugged; VideoError
    and BagError.
    """
    try:
        yield from source.frames(job.parameters, job.every)
    except VideoError:
        raise
    except OSError as error:
        file = error.filename or source.paths[0]
        raise LostSourceError(f"{file} cannot be read to its end: {error.strerror}") from error
