# SPDX-License-Identifier: Apache-2.0
"""Transport of raw images from a camera to the node: losses and latency.

    python -m benchmarks.image_transport [--images 50] [--rate 10] [--name image_transport]

A camera and a subscriber are separate processes on one machine. Each row is an image size, the
reliability that the camera offers and the one that the subscriber requests: best_effort is the
baseline, auto is the node's default, which requests what is offered. Columns are the middleware's
transports and the kernel's receive buffers (net.core.rmem_max and rmem_default), which only root
can change: otherwise the columns of large buffers are omitted. A cell has the number of received
images and the median latency from before publishing to the callback. UDPv4, without shared memory,
is what two machines use.

The middleware is that of RMW_IMPLEMENTATION; transports other than the default are Fast DDS's.
Writes benchmarks/results/NAME.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rclpy.utilities import get_rmw_implementation_identifier
from tqdm import tqdm

from benchmarks.report import write_report

SIZES = ((640, 480), (1280, 720), (1920, 1080))
POLICIES = (("reliable", "best_effort"), ("reliable", "auto"), ("best_effort", "auto"))
"""Reliability that the camera offers and the subscriber requests."""
TRANSPORTS = ("DEFAULT", "UDPv4", "LARGE_DATA")
KERNEL = Path("/proc/sys/net/core")
BUFFERS = {"208 kB buffers": 212_992, "32 MB buffers": 33_554_432}
"""Sizes of receive buffers: the kernel's default, and DDS vendors' recommendation for images."""


class Condition(NamedTuple):
    """The conditions of one cell of the table."""

    size: tuple[int, int]
    offered: str
    requested: str
    transport: str


def measure(condition: Condition, rate: float, count: int) -> str:
    """Return the number of received images and their median latency, as text."""
    environment = {**os.environ, "FASTDDS_BUILTIN_TRANSPORTS": condition.transport}
    command = [sys.executable, "-m", "benchmarks.image_endpoints"]
    width, height = map(str, condition.size)
    with subprocess.Popen(
        [*command, "subscriber", condition.requested],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as subscriber:
        camera = [*command, "camera", width, height, condition.offered, str(rate), str(count)]
        subprocess.run(camera, env=environment, check=True)
        output, _ = subscriber.communicate("end\n")
    latencies = [float(line) for line in output.split()]
    late = f", {statistics.median(latencies):.0f} ms" if latencies else ""
    return f"{len(latencies)}{late}"


@contextlib.contextmanager
def receive_buffers(size: int) -> Iterator[None]:
    """Set the size of the kernel's receive buffers, bytes. Raises OSError without permission."""
    files = [KERNEL / "rmem_max", KERNEL / "rmem_default"]
    before = [file.read_text() for file in files]
    try:
        for file in files:
            file.write_text(str(size))
        yield
    finally:
        for file, text in zip(files, before, strict=True):
            with contextlib.suppress(OSError):
                file.write_text(text)


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description="Raw images from a camera to the node")
    parser.add_argument("--images", type=int, default=50, help="number of images for each cell")
    parser.add_argument("--rate", type=float, default=10.0, help="frame rate, Hz")
    parser.add_argument("--name", default="image_transport", help="name of the result file")
    arguments = parser.parse_args()
    # rmw_fastrtps ignores FASTDDS_BUILTIN_TRANSPORTS where this is set.
    os.environ.pop("ROS_AUTOMATIC_DISCOVERY_RANGE", None)
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    middleware = get_rmw_implementation_identifier()
    transports = TRANSPORTS if "fastrtps" in middleware else TRANSPORTS[:1]
    rows = [(size, *policies) for size in SIZES for policies in POLICIES]
    cells: dict[tuple[Condition, str], str] = {}
    with tqdm(total=len(rows) * len(transports) * len(BUFFERS), unit="cell") as bar:
        for buffers, size in BUFFERS.items():
            try:
                with receive_buffers(size):
                    for row in rows:
                        for transport in transports:
                            condition = Condition(*row, transport)
                            cells[condition, buffers] = measure(
                                condition, arguments.rate, arguments.images
                            )
                            bar.update()
            except OSError as error:
                print(f"{buffers} omitted: {error}", file=sys.stderr)
    columns = [(t, b) for b in BUFFERS for t in transports if any(k[1] == b for k in cells)]
    headings = ["image", "offered", "requested", *(f"{t}, {b}" for t, b in columns)]
    table = [
        [
            "{} x {}, {:.1f} MB".format(*row[0], 3e-6 * row[0][0] * row[0][1]),
            *row[1:],
            *(cells[Condition(*row, t), b] for t, b in columns),
        ]
        for row in rows
    ]
    heading = f"{middleware}: of {arguments.images} images at {arguments.rate:g} Hz were received"
    write_report(arguments.name, __doc__ or "", {heading: (headings, table)})


if __name__ == "__main__":
    main()
