# SPDX-License-Identifier: Apache-2.0
"""Write the golden bag of a release: results as its code writes them, and their export.

    python -m testing.golden_bag

Replays four small images through a pipeline with random people, one with a FLAME head, into
test/data/golden/VERSION/bag, and exports them to test/data/golden/VERSION/export. Later releases
have to read both bag and values: test/project/test_golden_bags.py. Needs ROS 2's Python packages.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pear_ros import __version__
from pear_ros.cli import main as pear
from pear_ros.core.people import FlameParams, People, Person
from pear_ros.replay.in_threads import replay_in_threads
from testing.image_bags import write_bag
from testing.replaying import recorded, replayed
from testing.tiny_pipeline import TinyPipeline

GOLDEN = Path(__file__).parents[1] / "test" / "data" / "golden"
SQUARES = [(0,), (0, 1), (0, 1), (1,)]
"""People present in each image."""


class RandomPeople(TinyPipeline):
    """Fills every array of the tiny pipeline's people with random numbers; h2 has a FLAME head."""

    def __init__(self) -> None:
        super().__init__()
        self._rng = np.random.default_rng(1)

    def __call__(self, *arguments: Any, **more: Any) -> People:
        people = super().__call__(*arguments, **more)
        return replace(people, persons=tuple(map(self._filled, people.persons)))

    def _filled(self, person: Person) -> Person:
        smplx = {name: self._like(values) for name, values in vars(person.smplx).items()}
        sizes = {"shape": 3, "expression": 2, "jaw": 3, "eyes": 6, "eyelids": 2, "head_scale": 3}
        head = FlameParams(**{name: self._like(np.zeros(size)) for name, size in sizes.items()})
        confidence = np.abs(self._like(person.joint_confidence))
        confidence[5] = np.nan
        return replace(
            person,
            smplx=replace(person.smplx, **smplx),
            joints=self._like(person.joints),
            joint_confidence=confidence,
            keypoints=self._like(person.keypoints),
            flame=head if person.id == "h2" else None,
            scale=1.25,
        )

    def _like(self, array: Any) -> Any:
        return self._rng.uniform(-1.0, 1.0, array.shape).astype(np.float32)


def main() -> None:
    """Write the golden bag of this version."""
    folder = GOLDEN / ".".join(__version__.split(".")[:2])
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        images = write_bag(temporary / "images", recorded(SQUARES))
        run = partial(
            replay_in_threads, build=lambda _, count: [RandomPeople() for _ in range(count)]
        )
        bag, arrays = temporary / "bag", temporary / "export"
        assert replayed([images], bag, run).code == 0
        assert pear(["export", str(bag), "--format", "npz", "--output", str(arrays)]) == 0
        shutil.rmtree(folder, ignore_errors=True)
        for made in (bag, arrays):
            shutil.copytree(made, folder / made.name)
    print(f"written: {folder}")


if __name__ == "__main__":
    main()
