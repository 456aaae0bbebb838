# SPDX-License-Identifier: Apache-2.0
"""The node under four times as many images as it can process: latency, memory, log.

    python -m benchmarks.overload [--images 20000]

The node with the open default pipeline runs in a separate process; another one publishes the demo
clip's images (JPEG, repeatedly) on real DDS and subscribes to `humans`. First each image is sent
after the results of the last one, which gives the rate that the node can process; then at half that
rate, the baseline; then at four times that rate.

Latency is the time from before an image is published to the reception of its HumanArray. Its bound
is the image's own processing time, as the node publishes it, plus one period of the images; the
transport over DDS is not part of it. The camera is not calibrated, which the log may repeat once a
minute. Writes benchmarks/results/overload.md and overload.svg.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rclpy
from rclpy.node import Node

from benchmarks.chart import chart
from benchmarks.flood import Client, Run, Values, node_process
from benchmarks.report import RESULTS, Table, write_report
from pear_ros.cli.demo.command import spinning

BASELINE, OVERLOAD = 0.5, 4.0
"""Input rate as a multiple of the rate that the node can process."""
BASELINE_IMAGES, IMAGES = 200, 2000
SETTLED = 0.1
"""Fraction of the run after which memory should no longer grow."""
BINS = 100
"""Number of bins of the chart."""


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description="The node under more images than it can process")
    parser.add_argument(
        "--images", type=int, default=IMAGES, help="number of images in the overload"
    )
    images = parser.parse_args().images
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    rclpy.init()
    node = Node("camera")
    client = Client(node)
    with TemporaryDirectory() as folder, spinning(node):
        log = Path(folder) / "node.log"
        with node_process(log) as process:
            rate = client.rate()
            baseline = client.run(BASELINE * rate, BASELINE_IMAGES, process, log)
            overload = client.run(OVERLOAD * rate, images, process, log)
    rclpy.shutdown()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "overload.svg").write_text(plot(overload))
    picture = "![Memory and latency over the run](overload.svg)"
    tables = {
        f"Latency (the node can process {rate:.1f} images per second)": latencies(
            baseline, overload
        ),
        f"Memory of the node at {OVERLOAD:g} times that rate": memory(overload),
        "Log messages during the run": log_lines(overload),
    }
    write_report("overload", f"{__doc__}\n{picture}", tables)


def latencies(baseline: Run, overload: Run) -> Table:
    """Return a table with a column for each run."""
    # Without overload no image waits: the remaining latency is that of DDS.
    way = float(np.percentile(baseline.other_ms, 95))
    columns = [
        [
            f"{len(run.sent)}, {(len(run.sent) - 1) / run.seconds:.1f} per second",
            f"{run.counts['processed']:.0f}",
            f"{run.counts['dropped']:.0f}",
            f"{len(run.sent) - run.counts['received']:.0f}",
            _spread(run.latency_ms),
            _spread(run.processing_ms),
            _spread(run.other_ms),
            f"{run.period_ms:.1f}",
            f"{100 * np.mean(run.beyond_ms <= 0):.1f} %",
            f"{100 * np.mean(run.beyond_ms <= way):.1f} %",
            _spread(np.maximum(run.beyond_ms, 0.0)),
        ]
        for run in (baseline, overload)
    ]
    names = (
        "images sent",
        "processed",
        "dropped by the node for a newer one",
        "dropped by DDS for a newer one, or lost",
        "latency, ms: median / 95 % / 99 % / maximum",
        "processing of the image itself",
        "remainder: waiting, and DDS",
        "period of the images, ms",
        "latency within the bound",
        f"within the bound and {way:.1f} ms for DDS, its 95 % at {BASELINE:g} times the rate",
        "beyond the bound, ms: median / 95 % / 99 % / maximum",
    )
    head = ["", f"{BASELINE:g} times the rate", f"{OVERLOAD:g} times the rate"]
    return head, list(zip(names, *columns, strict=True))


def memory(run: Run) -> Table:
    """Return a table of the node's memory over the run."""
    sent, kilobytes = np.array(run.memory, float).T
    settled = sent >= SETTLED * len(run.sent)
    slope, _ = np.polyfit(sent[settled], kilobytes[settled], 1)
    tenths = [f"{part.mean() / 1e3:.1f}" for part in np.array_split(kilobytes, 10)]
    rows = [
        ["images sent", f"{len(run.sent)} in {run.seconds / 60:.1f} minutes"],
        ["images processed", f"{run.counts['processed']:.0f}"],
        ["resident MB, mean of each tenth of the run", " ".join(tenths)],
        ["maximum", f"{kilobytes.max() / 1e3:.1f}"],
        ["growth in kB per 1000 images sent, after the first tenth", f"{1000 * slope:+.1f}"],
    ]
    return ["", ""], rows


def log_lines(run: Run) -> Table:
    """Return a table of log messages with their numbers."""
    texts = Counter(line.partition("]: ")[2] or line for line in run.log) or {"nothing": 0}
    return ["lines", "text"], [[str(count), text] for text, count in texts.items()]


def plot(run: Run) -> str:
    """Return a chart of memory, and of latency with its bound, over the images sent."""
    images = len(run.sent)
    curves: dict[str, list[tuple[float, float]]] = {"median": [], "longest": [], "bound": []}
    for low, high in pairwise(np.linspace(0, images, BINS + 1)):
        inside = (run.which >= low) & (run.which < high)
        if inside.any():
            middle, latency = (low + high) / 2, run.latency_ms[inside]
            bound = np.median(run.processing_ms[inside]) + run.period_ms
            for name, value in zip(curves, (np.median(latency), latency.max(), bound), strict=True):
                curves[name].append((middle, float(value)))
    resident = {"resident": [(float(sent), kilobytes / 1e3) for sent, kilobytes in run.memory]}
    title = f"latency by images sent, ms: of every {images / BINS:.0f}, with their median bound"
    return chart({"memory of the node by images sent, MB": resident, title: curves}, images)


def _spread(values: Values) -> str:
    return " / ".join(f"{np.percentile(values, part):.1f}" for part in (50, 95, 99, 100))


if __name__ == "__main__":
    main()
