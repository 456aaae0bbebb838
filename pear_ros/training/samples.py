# SPDX-License-Identifier: Apache-2.0
"""The samples of a training, by number: rendered and annotated people, in given shares.

A sample is a function of seed and number alone, whichever process makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pear_ros.annotation.shard_index import ShardIndex
from pear_ros.pear.body import PearBody
from pear_ros.training.annotated_samples import AnnotatedSamples
from pear_ros.training.bodies import load_training_body
from pear_ros.training.config import Data
from pear_ros.training.rendered_samples import RenderedSamples
from pear_ros.training.sample import Sample


class SampleMaker:
    """Makes the samples of a configuration."""

    def __init__(
        self, data: Data, size: int, load: Callable[[], PearBody] = load_training_body
    ) -> None:
        """`size`: pixels of a side of mask, parts and normals, a divisor of 256.

        `load` returns the body, by default the open one. Raises what it raises, and ShardsError or
        ValueError where shards or backgrounds hold nothing.
        """
        self._seed = data.seed
        self._annotated_share = data.annotated if data.shards else 0.0
        backgrounds = Path(data.backgrounds).expanduser() if data.backgrounds else None
        body = load()
        self._rendered = RenderedSamples(body, size, backgrounds)
        if data.shards:
            shards = ShardIndex(Path(data.shards).expanduser())
            self._annotated = AnnotatedSamples(shards, body, size)

    def __call__(self, index: int) -> Sample:
        """Return a sample. Raises SampleError where it cannot be made."""
        rng = np.random.default_rng([self._seed, index])
        if self._annotated_share and rng.random() < self._annotated_share:
            return self._annotated(rng)
        return self._rendered(rng)
