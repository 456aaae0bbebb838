# SPDX-License-Identifier: Apache-2.0
"""Throughput of PEAR's network on the CPU when images of several threads share batches.

    python -m benchmarks.shared_runtime [ViT-S ViT-B]

As many threads as images at once, each with a picture of the demo clip that shows one man, infer
him repeatedly through one network, as a replay of that many bags does. "Shared" uses
pear_ros.pear.runtimes.shared_runtime. "One by one" infers as often by the same runtime in one
thread. Both alternate in the same run. Weights are synthetic, by the recipe of the parity tests, in
fp32.

Figures are people per second of wall time, and milliseconds of CPU time per person, which hardly
depend on other load of the machine: medians over the rounds. Ratios are medians of the rounds'
ratios, above one where sharing pays. Runtimes share batches only if that changes no bit of a result
(measured for batches of up to eight); each shared result is compared once more with that of its
image alone.

Writes benchmarks/results/shared_runtime.md; takes 2 minutes, and 4 more with ViT-B.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.report import write_report
from benchmarks.runtimes_cpu import FRAME, MAN, make_network
from pear_ros.core.people import Image
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pear.crop import Squares, squares
from pear_ros.pear.export import export_graph
from pear_ros.pear.graph import Graph
from pear_ros.pear.runtimes.runtime import CropRuntime, Runtime
from pear_ros.pear.runtimes.shared_runtime import is_batch_invariant, share_runtime
from pear_ros.pear.runtimes.with_onnxruntime import OnnxRuntime
from pear_ros.pear.runtimes.with_openvino import OpenVinoRuntime

SIZES = ("ViT-S",)
LIBRARIES = {"onnxruntime": OnnxRuntime, "OpenVINO": OpenVinoRuntime}
AT_ONCE = (1, 2, 4, 8)
"""Images, and people in a batch."""
MOST = max(AT_ONCE)
INFERENCES = 8
"""In a round, over all threads."""
ROUNDS = {"ViT-S": 5, "ViT-B": 3}


def infer_all(
    runtimes: Sequence[Runtime], images: Sequence[Image], places: Squares
) -> tuple[float, float]:
    """Return wall time and CPU time per person, seconds, of threads with a runtime each."""

    def infer_repeatedly(runtime: Runtime, image: Image) -> None:
        for _ in range(INFERENCES // len(runtimes)):
            runtime.infer(image, places)

    with ThreadPoolExecutor(len(runtimes)) as pool:
        wall, busy = time.perf_counter(), time.process_time()
        list(pool.map(infer_repeatedly, runtimes, images))
        return (time.perf_counter() - wall) / INFERENCES, (time.process_time() - busy) / INFERENCES


def same_bits(runtimes: Sequence[Runtime], images: Sequence[Image], places: Squares) -> bool:
    """Return whether concurrent images give bit by bit what each gives alone."""
    with ThreadPoolExecutor(len(runtimes)) as pool:
        together = list(pool.map(lambda one, image: one.infer(image, places), runtimes, images))
    alone = [runtimes[0].infer(image, places) for image in images]
    return all(
        one.tobytes() == other.tobytes() for one, other in zip(together, alone, strict=False)
    )


def measure(size: str, library: str, graph: Graph, images: list[Image]) -> list[list[str]]:
    """Return a table row for each number of images at once."""
    runtime: CropRuntime = LIBRARIES[library](graph)
    places = squares(MAN.box[None], images[0].shape[1], images[0].shape[0])
    start = time.perf_counter()
    assert is_batch_invariant(runtime, MOST), f"{library} depends on the batch"
    measuring = time.perf_counter() - start
    shared = {count: share_runtime(runtime, count, MOST) for count in AT_ONCE}
    assert all(same_bits(sharing, images, places) for sharing in shared.values())
    times: dict[int, list[list[tuple[float, float]]]] = {count: [] for count in AT_ONCE}
    for turn in range(ROUNDS[size] + 1):
        for count, sharing in shared.items():
            pair = [infer_all(one, images, places) for one in ([runtime], sharing)]
            if turn > 0:
                times[count].append(pair)
    rows = []
    for count, pairs in times.items():
        (wall_alone, busy_alone), (wall, busy) = np.median(pairs, axis=0)
        gains = np.median([np.divide(alone, together) for alone, together in pairs], axis=0)
        rows.append(
            [
                *(size, library, str(count), f"{1 / wall_alone:.1f}", f"{1 / wall:.1f}"),
                *(f"{gains[0]:.2f}", f"{1000 * busy_alone:.0f}", f"{1000 * busy:.0f}"),
                *(f"{gains[1]:.2f}", f"{measuring:.0f}"),
            ]
        )
    return rows


def main() -> None:
    """Measure and write the report."""
    frames = [frame for _, frame in FrameSource(str(demo_clip()))]
    images = frames[FRAME : FRAME + MOST]
    rows = []
    with tempfile.TemporaryDirectory(prefix="pear_shared_") as folder:
        for size in sys.argv[1:] or SIZES:
            graph = export_graph(make_network(size), "fp32", Path(folder))
            for library in LIBRARIES:
                rows += measure(size, library, graph, images)
                print(*rows[-len(AT_ONCE) :], sep="\n", flush=True)
    headings = [
        *("network", "library", "images at once", "one by one, people/s", "shared, people/s"),
        *("ratio", "one by one, CPU ms", "shared, CPU ms", "ratio"),
        "measuring batch invariance, s",
    ]
    table = {"The network alone, one person an image": (headings, rows)}
    write_report("shared_runtime", __doc__ or "", table)


if __name__ == "__main__":
    main()
