# SPDX-License-Identifier: Apache-2.0
"""What to replay of a bag and what to write, and what the results depend on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pear_ros import __version__
from pear_ros.bags.bag import Bag
from pear_ros.bags.time_range import TimeRange
from pear_ros.bags.topic import BagError
from pear_ros.core.parameters import DECLARATIONS, Parameters
from pear_ros.replay.topics import TopicSelection, select_topics

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline


_MAX_CHUNKS = 10_000


@dataclass(frozen=True)
class ReplayOptions:
    """What to replay of a bag, and what to write."""

    topics: TopicSelection = field(default_factory=TopicSelection)
    start: float = 0.0
    """First second of the bag that is replayed."""
    end: float | None = None
    """Last second of the bag that is replayed; None: to its end."""
    every: int = 1
    """Take every Nth image."""
    chunk: float | None = None
    """Length in seconds of chunks that are replayed independently; None: one piece."""
    with_inputs: bool = False
    """Whether the topics of the bag are copied."""
    markers: bool = False
    """Whether meshes are written as markers."""
    storage: str = "mcap"
    """Format of the bag that is written: one of pear_ros.core.configuration.STORAGES."""

    def resolve(self, bag: Bag) -> ReplayOptions:
        """Return these options with the topics that are read of `bag`.

        Raises BagError if a topic is missing.
        """
        return replace(self, topics=select_topics(bag, self.topics))

    def time_ranges(self, bag: Bag) -> list[TimeRange]:
        """Return the time ranges of `bag` that are replayed, one for each chunk.

        Raises BagError where there would be more than _MAX_CHUNKS.
        """
        first = bag.start + round(self.start * 1e9)
        end = bag.end if self.end is None else bag.start + round(self.end * 1e9)
        last = min(end, bag.end)
        if self.chunk is not None and last - first > _MAX_CHUNKS * round(self.chunk * 1e9):
            raise BagError(
                f"{bag.path} would be replayed in more than {_MAX_CHUNKS} chunks, as its recording "
                f"times go over {(last - first) / 86400e9:.0f} days; if some are wrong, give "
                "--start and --end, else a longer --chunk"
            )
        return TimeRange(first, last).split(self.chunk)

    def id_prefix(self, parameters: Parameters, chunk: int) -> str:
        """Return the prefix of ids: another one in each chunk, as tracks do not continue."""
        prefix = parameters.id_prefix
        return prefix if self.chunk is None else f"c{chunk}_{prefix}"


def fingerprint_of(bag: Bag, options: ReplayOptions, parameters: Parameters) -> dict[str, str]:
    """Return all that the results depend on beside the models, by name.

    `options`: those that `resolve` has returned for this bag.
    """
    values = {
        **{f"topic {kind}": name for kind, name in vars(options.topics).items()},
        **{name: value for name, value in vars(options).items() if name != "topics"},
        **{
            name: value
            for name, value in vars(parameters).items()
            if DECLARATIONS[name].affects_results
        },
    }
    return {"input": bag.fingerprint(), **{name: str(value) for name, value in values.items()}}


def versions_of(pipeline: Pipeline) -> dict[str, str]:
    """Return the models and libraries that the results of `pipeline` depend on, by name."""
    found = pipeline.diagnostics
    return {
        "pear_ros": __version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "numba": _version_if_installed("numba"),
        "rosbags": version("rosbags"),
        "model": pipeline.model_id,
        "body": f"{pipeline.body.name} {pipeline.body.sha256}",
        **{name: found[name] for name in ("runtime", "device") if name in found},
    }


def _version_if_installed(library: str) -> str:
    """Return the version of a library without which results are computed in another way."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
