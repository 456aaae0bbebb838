# SPDX-License-Identifier: Apache-2.0
"""Throughput of `pear replay`: one piece at a time, several at once, and on Ray.

    python -m benchmarks.replay

It replays the demo clip as a bag (JPEG, 640 x 360) with the open default, in chunks of two seconds.
The baseline is the pipeline alone on the same images, decoded beforehand, in chunks, too: the
difference from 1 is the share of reading, decoding, writing and the start of each chunk. Loading of
models and the start of Ray are not included. The variants alternate; values are medians. All
variants must write the same bytes.

It writes benchmarks/results/replay.md and takes 4 minutes.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.report import write_report
from pear_ros.core.camera import Camera
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Image
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pipeline import Pipeline
from pear_ros.replay.events import Advanced, Begun, Event, Failed, Piece
from pear_ros.replay.in_threads import replay_in_threads
from pear_ros.replay.job import Job, conclude, plan
from pear_ros.replay.on_ray import replay_by_ray
from pear_ros.replay.options import ReplayOptions
from pear_ros.ros.conversion.images import bgr_from_compressed
from testing.image_bags import jpeg, write_bag

CHUNK = 2.0
ROUNDS = 5
RATE = 30
"""Frame rate of a robot's camera, Hz."""
ROBOT_HOURS = 1000
JOB = Job(ReplayOptions(chunk=CHUNK), Parameters(estimator="landmarks"))

Replay = Callable[[Sequence[Piece], Job], Generator[Event, None, None]]
WAYS: dict[str, Replay] = {
    "`pear replay --chunk 2`": replay_in_threads,
    "the same, `--batch 2`": partial(replay_in_threads, count=2),
    "the same, `--ray local --workers 2`": partial(replay_by_ray, address="local", workers=2),
}


def pipeline_rate(clip: Sequence[tuple[float, Image]]) -> float:
    """Return the throughput of the pipeline alone, images per second."""
    pipeline = Pipeline()
    height, width = clip[0][1].shape[:2]
    camera = Camera.from_field_of_view(width, height, JOB.parameters.field_of_view)
    began, end = time.perf_counter(), CHUNK
    for stamp, image in clip:
        if stamp >= end:
            pipeline.reset()
            end += CHUNK
        pipeline(image, camera, stamp)
    seconds = time.perf_counter() - began
    pipeline.close()
    return len(clip) / seconds


def replay_rate(replay: Replay, bag: Path, folder: Path) -> tuple[float, str]:
    """Return the throughput, images per second, and a hash of the output."""
    task = plan(bag, folder, JOB)
    images, began = 0, 0.0
    for event in replay(task.pieces, JOB):
        assert not isinstance(event, Failed), event.text
        if isinstance(event, Begun):
            began = began or time.perf_counter()
        elif isinstance(event, Advanced):
            images += event.images
            seconds = time.perf_counter() - began
    conclude(task, JOB, None)
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.mcap")):
        digest.update(file.read_bytes())
    return images / seconds, digest.hexdigest()


def _small(image: Image) -> Image:
    return np.asarray(cv2.resize(image, (640, 360), interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    """Measure all variants and write the report."""
    messages = [
        (
            "/camera/image_raw/compressed",
            round(1e9 * stamp),
            jpeg(_small(image), round(1e9 * stamp)),
        )
        for stamp, image in FrameSource(str(demo_clip()))
    ]
    decoded = [(1e-9 * at, bgr_from_compressed(message)) for _, at, message in messages]
    rates: dict[str, list[float]] = {"pipeline alone": [], **{name: [] for name in WAYS}}
    written = set()
    with tempfile.TemporaryDirectory() as scratch:
        bag = write_bag(Path(scratch) / "clip", messages)
        for turn in range(ROUNDS):
            rates["pipeline alone"].append(pipeline_rate(decoded))
            for number, (name, replay) in enumerate(WAYS.items()):
                rate, content = replay_rate(replay, bag, Path(scratch) / f"{turn}_{number}")
                rates[name].append(rate)
                written.add(content)
    assert len(written) == 1, "results depend on the variant"
    base = np.array(rates["pipeline alone"])
    hours = ROBOT_HOURS * RATE
    rows = [
        [
            name,
            f"{np.median(found):.1f}",
            f"{np.median(np.array(found) / base):.2f}",
            f"{hours / np.median(found):.0f}",
        ]
        for name, found in rates.items()
    ]
    headings = ["", "images/s", "relative to the pipeline alone", "hours of this machine"]
    about = (__doc__ or "") + (
        f"\nThe last column: for {ROBOT_HOURS} hours of a camera with {RATE} Hz, with "
        "as many people as in the clip (1.8)."
    )
    write_report("replay", about, {"Speed": (headings, rows)})


if __name__ == "__main__":
    main()
