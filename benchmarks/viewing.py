# SPDX-License-Identifier: Apache-2.0
"""`pear view` beside the node: bytes, CPU, and the node's rate with 0, 1 and 5 browsers.

    python -m benchmarks.viewing [--rate 10] [--images 100] [--rounds 3]

The node with the open default pipeline and the viewer run in processes of their own; a third
publishes the demo clip's images (JPEG) on real DDS at a rate that the node can process, and takes
its results. Browsers are connections that answer as a page does and read everything, or, if slow,
sleep for a second after each read; what a browser itself takes for drawing is not part of it. The
cases alternate in each round. Latency is the time from before an image is published to the
reception of its HumanArray; CPU is that of a process over time, 100 % for one core. Writes
benchmarks/results/viewing.md.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rclpy
from rclpy.node import Node
from websockets.exceptions import ConnectionClosed

from benchmarks.flood import Client, node_process
from benchmarks.report import Table, write_report
from pear_ros.cli.demo.command import spinning
from testing.viewer_client import ViewerClient, _unpacked

CASES = {"none": (0, 0.0), "1": (1, 0.0), "5": (5, 0.0), "5 slow ones": (5, 1.0)}
"""Number of browsers, and seconds for which each sleeps after each read."""
SETTLE_SECONDS = 5.0
START_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Browser(ViewerClient):
    """Answers as a page does while it is opened; then it counts bytes, and decodes nothing."""

    delay = 0.0
    """Seconds to sleep after each read."""
    settled = False
    """Whether the page has been opened and answered."""

    def _listen(self) -> None:
        try:
            for data in self._socket:
                self.received.append(len(data))
                if self.settled:
                    time.sleep(self.delay)
                    continue
                assert isinstance(data, bytes)
                for message in _unpacked(data):
                    self._take(message)
        except ConnectionClosed:
            pass
        except Exception as error:
            self._failed = error


@dataclass
class Measured:
    """One case in one round."""

    rate: float
    """Results a second."""
    latency_ms: Sequence[float]
    node: float
    """CPU of the node, cores."""
    viewer: float
    """CPU of the viewer, cores."""
    bytes_per_second: float
    """Of each browser."""


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description="The viewer beside the node")
    parser.add_argument("--rate", type=float, default=10.0, help="images a second")
    parser.add_argument("--images", type=int, default=100, help="of each case in a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # of connections that end
    rclpy.init()
    node = Node("camera")
    client = Client(node)
    found: dict[str, list[Measured]] = defaultdict(list)
    with TemporaryDirectory() as folder, spinning(node):
        log = Path(folder) / "node.log"
        with node_process(log) as process, viewer_process(Path(folder)) as (viewer, url):
            possible = client.rate()
            for _ in range(options.rounds):
                for name, (count, pause) in CASES.items():
                    with browsers(url, count, pause) as opened:
                        pids = (process, viewer)
                        found[name].append(measure(client, options, pids, opened))
    rclpy.shutdown()
    heading = (
        f"{options.rate:g} images a second, of which the node can process {possible:.1f}; "
        f"{options.rounds} rounds of {options.images} images"
    )
    write_report("viewing", __doc__ or "", {heading: table(found)})


@contextmanager
def viewer_process(folder: Path) -> Iterator[tuple[int, str]]:
    """Run `pear view`; yield its process id and the address of its page."""
    log = folder / "viewer.log"
    command = [sys.executable, "-u", "-m", "pear_ros.cli", "view", "--port", "0"]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + START_SECONDS
        while not (address := re.search(r"http://\S+", log.read_text())):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"pear view did not start: {log.read_text()}")
            time.sleep(0.1)
        yield process.pid, address.group()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def browsers(url: str, count: int, pause: float) -> Iterator[list[Browser]]:
    """Open `count` pages, and wait until they and the viewer have settled."""
    with ExitStack() as stack:
        opened = [Browser(url) for _ in range(count)]
        for browser in opened:
            stack.enter_context(browser)
        time.sleep(SETTLE_SECONDS)
        for browser in opened:
            browser.delay, browser.settled = pause, True
        yield opened


def measure(
    client: Client, options: argparse.Namespace, pids: tuple[int, int], opened: list[Browser]
) -> Measured:
    """Publish images at the rate, and count."""
    for _ in range(round(options.rate)):  # The viewer subscribes for browsers alone.
        client.publish()
        time.sleep(1.0 / options.rate)
    client.arrived.clear()
    before = [len(browser.received) for browser in opened]
    cpu = [seconds_of(pid) for pid in pids]
    sent: dict[int, float] = {}
    start = time.perf_counter()
    for number in range(options.images):
        time.sleep(max(0.0, start + number / options.rate - time.perf_counter()))
        now = time.perf_counter()
        sent[client.publish()] = now
    time.sleep(1.0 / options.rate)
    seconds = time.perf_counter() - start
    used = [(seconds_of(pid) - first) / seconds for pid, first in zip(pids, cpu, strict=True)]
    arrived = [(sent[stamp], came) for stamp, came in client.arrived if stamp in sent]
    sizes = [sum(one.received[first:]) for one, first in zip(opened, before, strict=True)]
    return Measured(
        rate=len(arrived) / seconds,
        latency_ms=[1e3 * (came - begun) for begun, came in arrived],
        node=used[0],
        viewer=used[1],
        bytes_per_second=float(np.mean(sizes)) / seconds if sizes else 0.0,
    )


def seconds_of(pid: int) -> float:
    """Return the CPU time of a process and all of its threads, seconds."""
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / _TICKS


def table(found: dict[str, list[Measured]]) -> Table:
    """Return a table with a row for each case; medians of the rounds, and their range."""
    rows = []
    for name, rounds in found.items():
        latency = np.concatenate([one.latency_ms for one in rounds])
        rows.append(
            [
                name,
                _spread([one.rate for one in rounds], "{:.1f}"),
                f"{np.median(latency):.0f} / {np.percentile(latency, 95):.0f}",
                _spread([100.0 * one.node for one in rounds], "{:.0f}"),
                _spread([100.0 * one.viewer for one in rounds], "{:.0f}"),
                _spread([1e-3 * one.bytes_per_second for one in rounds], "{:.0f}"),
            ]
        )
    headings = [
        "browsers",
        "results a second",
        "latency, ms: median / 95 %",
        "node, % of a core",
        "viewer, % of a core",
        "kB a second to each browser",
    ]
    return headings, rows


def _spread(values: Sequence[float], form: str) -> str:
    low, middle, high = (form.format(v) for v in (min(values), np.median(values), max(values)))
    return f"{middle} ({low} to {high})"


if __name__ == "__main__":
    main()
