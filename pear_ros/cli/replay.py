# SPDX-License-Identifier: Apache-2.0
"""`pear replay`: recorded bags through the node's pipeline, every image."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from tqdm import tqdm

from pear_ros import __version__
from pear_ros.bags.bag import Bag, find_bags
from pear_ros.bags.resumable import ResumeError
from pear_ros.bags.snapshot import dumps, loads
from pear_ros.bags.topic import BagError
from pear_ros.choice import EstimatorError
from pear_ros.cli.replay_options import Range, parameters_from
from pear_ros.cli.replay_table import replay_table
from pear_ros.ros.node import build_pipeline
from pear_ros.ros.parameters import Parameters
from pear_ros.ros.replay import FRAMES_PER_PART, Choice, Replay
from pear_ros.ros.replay_topics import Wanted, choose_topics

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

_INTERRUPTED = 130


def replay(options: argparse.Namespace) -> int:
    """Replay what the command line asks for; returns the exit code."""
    wanted = Wanted(options.image, options.camera_info, options.depth, options.detections)
    job = Job(
        wanted,
        Range(options.start, options.end, options.every),
        parameters_from(options),
        options.with_inputs,
        options.markers,
        options.overwrite,
    )
    return replay_all(options.bags, options.output, job)


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be made of each bag."""

    topics: Wanted
    range: Range
    parameters: Parameters
    with_inputs: bool = False
    markers: bool = False
    overwrite: bool = False


def replay_all(
    sources: Sequence[Path],
    output: Path,
    job: Job,
    build: Callable[[Parameters], Pipeline] = build_pipeline,
    frames_per_part: int = FRAMES_PER_PART,
) -> int:
    """Replay all bags at `sources` into `output`, one after the other; returns the exit code.

    One bag that was named itself becomes the bag `output`; otherwise each becomes a bag of its name
    in the folder `output`. What is wrong with one bag does not keep the others from being replayed.
    """
    try:
        bags = _outputs(sources, output)
        pipeline = build(job.parameters)
    except (BagError, OSError, EstimatorError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    fresh = dumps(pipeline.state())
    failed = False
    try:
        for source, folder in bags:
            pipeline.restore(loads(fresh))
            try:
                failed |= not _replay_one(source, folder, job, pipeline, frames_per_part)
            except (BagError, ResumeError, OSError) as error:
                print(f"error: {error}", file=sys.stderr)
                failed = True
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from what is kept.")
        return _INTERRUPTED
    finally:
        pipeline.close()
    return 1 if failed else 0


def _outputs(sources: Sequence[Path], output: Path) -> list[tuple[Path, Path]]:
    """Each bag and where its results go."""
    found = [bag for source in sources for bag in find_bags(source, leave_out=output)]
    if len(sources) == 1 and found == list(sources):
        return [(found[0], output)]
    names = [bag.name.partition(".")[0] if bag.is_file() else bag.name for bag in found]
    for name in names:
        if names.count(name) > 1:
            alike = ", ".join(
                str(bag) for bag, own in zip(found, names, strict=True) if own == name
            )
            raise BagError(f"bags of the same name would be one in {output}: {alike}")
    return [(bag, output / name) for bag, name in zip(found, names, strict=True)]


def _replay_one(
    source: Path, folder: Path, job: Job, pipeline: Pipeline, frames_per_part: int
) -> bool:
    """Whether every image has results."""
    bag = Bag(source)
    for damage in bag.damage:
        print(f"warning: {damage}", file=sys.stderr)
    known = len(bag.damage)
    choice = Choice(
        choose_topics(bag, job.topics),
        **vars(job.range),
        with_inputs=job.with_inputs,
        markers=job.markers,
    )
    work = Replay(
        bag,
        folder,
        choice,
        job.parameters,
        pipeline,
        _versions(pipeline),
        tell=lambda text: tqdm.write(f"warning: {text}", sys.stderr),
        frames_per_part=frames_per_part,
    )
    if job.overwrite:
        work.output.clear()
    elif work.output.is_complete():
        print(f"{folder} is complete already.")
        return True
    done = work.start()
    print(f"{source}: looking for people in {choice.topics.image}")
    if done:
        print(f"Going on after {done} images that are done already.")
    began = time.monotonic()
    try:
        for _ in _with_bar(work, bag, choice, done):
            pass
    except KeyboardInterrupt:
        kept = work.tally.frames // frames_per_part * frames_per_part
        print(f"{folder}: {work.tally.frames} images were done, {kept} of them are kept.")
        raise
    for damage in bag.damage[known:]:
        print(f"warning: {damage}", file=sys.stderr)
    speed = (work.tally.frames - done) / max(time.monotonic() - began, 1e-9)
    print(f"\n{replay_table(work.tally, bag.damage, speed)}\n\nResults are in {folder.resolve()}")
    return not work.tally.refused


def _with_bar(work: Replay, bag: Bag, choice: Choice, done: int) -> Iterator[int]:
    """Each image that is done, with a bar of how far it is and how fast; none without terminal."""
    length = max(1e-9 * (bag.end - bag.start), 1e-9)
    share = min(work.length / length, 1.0)
    total = -(-round(share * bag.topics[choice.topics.image].count) // choice.every)
    began: tuple[float, float] | None = None
    with tqdm(total=total, initial=done, unit="image", disable=None) as bar:
        for number in work.run():
            now = time.monotonic()
            began = began or (now, work.seconds)
            if now > began[0]:
                speed = (work.seconds - began[1]) / (now - began[0])
                bar.set_postfix_str(f"{len(work.tally.ids)} ids, {speed:.2f} x real time", False)
            bar.update()
            yield number


def _versions(pipeline: Pipeline) -> dict[str, str]:
    """What results depend on beside the bag and what was asked for."""
    facts = pipeline.facts
    return {
        "pear_ros": __version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "rosbags": version("rosbags"),
        "model": pipeline.model_id,
        "body": f"{pipeline.body.name} {pipeline.body.sha256}",
        **{name: facts[name] for name in ("runtime", "device") if name in facts},
    }
