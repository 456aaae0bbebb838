# SPDX-License-Identifier: Apache-2.0
"""The node in a separate process, and a client that publishes images and records the results."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import numpy as np
import numpy.typing as npt
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Float64, Header
from tqdm import tqdm

from pear_msgs.msg import HumanArray
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.ros.conversion.messages import jpeg_message
from pear_ros.ros.node.diagnostics import figures

WARM_UP, IN_TURNS = 20, 100
PATIENCE = 60.0

Values = npt.NDArray[np.float64]


@dataclass
class Run:
    """Results of publishing images at one rate."""

    period_ms: float
    sent: list[float] = field(default_factory=list)
    """Latency of each image, seconds."""
    latency_ms: Values = field(default_factory=lambda: np.empty(0))
    """Of each image that was processed."""
    processing_ms: Values = field(default_factory=lambda: np.empty(0))
    """Processing times that the node published, of the same images."""
    which: Values = field(default_factory=lambda: np.empty(0))
    """Indices of these images among those sent."""
    memory: list[tuple[int, int]] = field(default_factory=list)
    """Numbers of images sent, with the node's resident memory then, kB."""
    counts: dict[str, float] = field(default_factory=dict)
    """Counts that the node published."""
    log: list[str] = field(default_factory=list)
    """Lines that the node logged during the run."""

    @property
    def other_ms(self) -> Values:
        """Latency without processing, ms."""
        return self.latency_ms - self.processing_ms

    @property
    def beyond_ms(self) -> Values:
        """Latency minus its bound, ms; negative where it is within the bound."""
        return self.other_ms - self.period_ms

    @property
    def seconds(self) -> float:
        """Time from the first to the last image, seconds."""
        return self.sent[-1] - self.sent[0]


class Client:
    """Publishes images and collects the results."""

    def __init__(self, node: Node) -> None:
        """Create the client; another thread spins `node`."""
        self._images = node.create_publisher(CompressedImage, "image/compressed", 1)
        self.arrived: list[tuple[int, float]] = []
        """Reception time of each HumanArray, by stamp."""
        self._processing: list[tuple[float, float]] = []
        self._diagnostics: list[DiagnosticArray] = []
        node.create_subscription(HumanArray, "humans", self._take, 10)
        node.create_subscription(Float64, "debug/processing_time_ms", self._take_time, 10)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnostics.append, 1)
        pictures = (jpeg_message(image, Header()) for _, image in FrameSource(str(demo_clip())))
        self._messages = cycle(list(pictures))

    def _take(self, message: HumanArray) -> None:
        self.arrived.append((_nanoseconds(message.header), time.perf_counter()))

    def _take_time(self, message: Float64) -> None:
        self._processing.append((time.perf_counter(), message.data))

    def counts(self) -> dict[str, float]:
        """Return the node's newest counts."""
        seen = len(self._diagnostics)
        _wait_until(lambda: len(self._diagnostics) >= seen + 2, "reports")
        return figures(self._diagnostics[-1])

    def publish(self) -> int:
        """Publish the next image; return its stamp, nanoseconds."""
        message, now = next(self._messages), time.time_ns()
        message.header.frame_id = "camera_optical_frame"
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 1_000_000_000)
        self._images.publish(message)
        return now

    def rate(self) -> float:
        """Return the rate, Hz, at which each image is sent after the last one's results."""
        while not self.arrived:  # The node discovers the subscription after a while.
            self.publish()
            time.sleep(1.0)
        for count in (WARM_UP, IN_TURNS):
            start = time.perf_counter()
            for _ in range(count):
                self._exchange()
        return IN_TURNS / (time.perf_counter() - start)

    def _exchange(self) -> None:
        seen = len(self.arrived)
        self.publish()
        _wait_until(lambda: len(self.arrived) > seen, "results")

    def run(self, rate: float, images: int, process: int, log: Path) -> Run:
        """Publish `images` at `rate` Hz to the node with the id `process`, which writes `log`."""
        run, before, lines = Run(1e3 / rate), self.counts(), len(_lines(log))
        self.arrived.clear()
        self._processing.clear()
        stamps: dict[int, int] = {}
        start = sampled = time.perf_counter()
        for number in tqdm(range(images), f"{rate:.0f} images a second", mininterval=1.0):
            time.sleep(max(0.0, start + number / rate - time.perf_counter()))
            run.sent.append(time.perf_counter())
            stamps[self.publish()] = number
            if run.sent[-1] - sampled > 1.0:
                sampled = run.sent[-1]
                run.memory.append((number, _resident(process)))
        after = self.counts()
        run.counts = {name: after[name] - before[name] for name in after}
        run.log = _lines(log)[lines:]
        numbers = [stamps[stamp] for stamp, _ in self.arrived]
        came = np.array([moment for _, moment in self.arrived])
        run.which = np.array(numbers, float)
        run.latency_ms = 1e3 * (came - np.array(run.sent)[numbers])
        # An image's time comes with its results; the next image's are many milliseconds away.
        moments, spent = np.array(self._processing).T
        run.processing_ms = spent[np.abs(moments - came[:, None]).argmin(axis=1)]
        return run


@contextmanager
def node_process(log: Path) -> Iterator[int]:
    """Run the node, which writes `log`, and yield its process id."""
    options = ("image_transport:=compressed", "estimator:=landmarks")
    arguments = [argument for option in options for argument in ("-p", option)]
    command = [sys.executable, "-m", "pear_ros.ros.node.node", "--ros-args", *arguments]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait until the condition holds; `what`: its name for an error."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"timed out waiting for {what}")
        time.sleep(0.0005)


def _resident(process: int) -> int:
    """Return the resident memory of a process, kB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1])


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines()


def _nanoseconds(header: Header) -> int:
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
