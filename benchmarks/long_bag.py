# SPDX-License-Identifier: Apache-2.0
"""Bags of results of six minutes and of an hour in `pear view`: time to read, memory, time to seek.

    python -m benchmarks.long_bag

Bags have two people in ten images a second, without pictures. Reading is the scan of all messages
for presence and plots, in the background, while the page is open already. Seeking is the reading
of the people of one image, of 60 by chance. Memory is what the process has more than before the bag
was opened, after all of that. Writes benchmarks/results/long_bag.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.report import write_report
from pear_ros.cli.view.bag_recording import BagRecording
from pear_ros.core.people import People
from testing.open_people import CAMERA, open_body, person, t_pose
from testing.results_bag import ResultsBag

MINUTES = (6, 60)
SEEKS = 60
_SECOND = 1_000_000_000
_RATE = 10


def images(number: int) -> Iterator[tuple[int, People]]:
    """Yield the times, nanoseconds, and the people of images: two who sway in the T-pose."""
    for index in range(number):
        x = 0.5 * np.sin(index / 50)
        persons = tuple(
            person(t_pose(), (x + beside, 0.0, 4.0), name)
            for beside, name in ((0.0, "h1"), (1.0, "h2"))
        )
        stamp = (1 + index) * _SECOND // _RATE
        yield stamp, People(CAMERA, "benchmark/1", open_body().name, persons)


def memory() -> float:
    """Return the memory of this process, MB."""
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmRSS:")[2].split()[0]) / 1024


def row(folder: Path, minutes: int) -> list[str]:
    """Write a bag, read it, and return its row of the report."""
    path = folder / f"{minutes}_minutes"
    number = 60 * minutes * _RATE
    with ResultsBag(path) as bag:
        bag.add_body(open_body())
        bag.add_images(images(number))
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
    before, start = memory(), time.perf_counter()
    with closing(BagRecording(path)) as recording:
        while len(recording.seconds) < number:
            time.sleep(0.01)
        read = time.perf_counter() - start
        seeks = []
        for index in np.random.default_rng(0).integers(0, number, SEEKS):
            start = time.perf_counter()
            recording.moment(int(index))
            seeks.append(1000 * (time.perf_counter() - start))
        more = memory() - before
    figures = (f"{size:.0f}", f"{read:.1f}", f"{more:.0f}", f"{np.median(seeks):.1f}")
    return [str(minutes), str(number), *figures, f"{max(seeks):.1f}"]


def main() -> None:
    """Measure and write the report."""
    heads = ["minutes", "images", "bag, MB", "reading, s", "memory, MB", "seek, ms", "greatest, ms"]
    with TemporaryDirectory() as folder:
        rows = [row(Path(folder), minutes) for minutes in MINUTES]
    write_report("long_bag", __doc__ or "", {"Bags of results": (heads, rows)})


if __name__ == "__main__":
    main()
