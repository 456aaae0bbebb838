# SPDX-License-Identifier: Apache-2.0
"""Crops of several people on the CPU: one after the other, or in threads.

    python -m benchmarks.crops

Times of all crops of an image of 1920 x 1080 pixels, whose squares have a side of 700 pixels, for
PEAR's network. OpenCV warps one crop in threads of its own, one for each core: that is what
pear_ros.pear.crop does, one person after the other. In threads: one person in each, as many as
there are cores, with OpenCV's own and without them. Arms take turns; medians of 200 rounds.

Where threads over people gain less than a fifth against OpenCV's own, they are not worth their
code: pear_ros has none. On more cores than here the answer may be another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from benchmarks.report import Table, write_report
from pear_ros.core.people import Image
from pear_ros.pear.crop import INPUT_SIZE, Crops, Squares, crop_pixels

PEOPLE = (1, 2, 3, 5, 8)
SIDE = 700.0
ROUNDS = 200
WARM_UP = 10


def main() -> None:
    """Measure and write the report."""
    image = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        rows = [row(image, people, threads) for people in PEOPLE]
    headings = ["people", "one by one, ms", "threads, ms", "threads, OpenCV's off, ms", "gain"]
    tables: dict[str, Table] = {"Crops of all people": (headings, rows)}
    write_report("crops", f"{__doc__}\n{_priority()}", tables)


def _priority() -> str:
    """Return a sentence with the process's priority over others, which keeps their load away."""
    group = Path("/proc/self/autogroup")
    text = group.read_text().split("nice")[-1].strip() if group.exists() else "0"
    return f"The process ran with a nice value of {text} among others.\n"


def row(image: Image, people: int, threads: ThreadPoolExecutor) -> list[str]:
    """Return the medians of all arms, and the best gain of threads over one by one."""
    places = np.random.default_rng(people).uniform(0, 350, (people, 3))
    places[:, 2] = SIDE
    out = np.empty((people, INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
    own = cv2.getNumThreads()
    arms: list[tuple[int, Callable[[], object]]] = [
        (own, lambda: crop_pixels(image, places, out)),
        (own, lambda: crop_in_threads(image, places, out, threads)),
        (1, lambda: crop_in_threads(image, places, out, threads)),
    ]
    times: list[list[float]] = [[] for _ in arms]
    for turn in range(WARM_UP + ROUNDS):
        for (opencv_threads, crop), found in zip(arms, times, strict=True):
            cv2.setNumThreads(opencv_threads)
            start = time.perf_counter()
            crop()
            if turn >= WARM_UP:
                found.append(1e3 * (time.perf_counter() - start))
    cv2.setNumThreads(own)
    medians = [float(np.median(found)) for found in times]
    gain = medians[0] / min(medians[1:])
    return [str(people), *(f"{median:.2f}" for median in medians), f"{gain:.2f} x"]


def crop_in_threads(image: Image, places: Squares, out: Crops, threads: ThreadPoolExecutor) -> None:
    """Write the crops of `places` to `out`, each in a thread."""
    calls = [
        threads.submit(crop_pixels, image, places[n : n + 1], out[n : n + 1])
        for n in range(len(places))
    ]
    for call in calls:
        call.result()


if __name__ == "__main__":
    main()
