# SPDX-License-Identifier: Apache-2.0
"""Latency of a live stream from image to packet, and its CPU time.

    python -m benchmarks.stream_latency

The demo clip as a camera: at each moment the pipeline takes the newest image that is due, as a node
does; images that it has no time for are left out. Packets are JSON over UDP on this machine. Age:
time from the image's stamp, or from the moment that an interpolated motion belongs to, to the
arrival of its packet. `direct` sends each result at once, without interpolation and limits;
`stream` sends 50 frames a second with the look-ahead `delay`. Both have the same images, in one run
for each delay; `people` is the time from the stamp to the result of the pipeline. Held: frames for
whose moment there was no result yet. Greatest step: of a joint from one packet to the next, the
first second left out. SONIC's controller adds its own look-ahead: it plays packets of 10 frames 180
ms behind the newest, packets of 4 frames 60 ms.

CPU time: medians, alternating, one thread, of one frame of a stream and of its packets. Baseline of
VMC: every message built anew by python-osc. Writes benchmarks/results/stream_latency.md.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.body_model import medians
from benchmarks.report import Table, write_report
from pear_ros.core import quaternions
from pear_ros.core.camera import Camera
from pear_ros.core.people import Image, People
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pipeline import Pipeline
from pear_ros.streaming.body_pose import Float64, ObservedPerson, motion_of
from pear_ros.streaming.json_frames import encode_json
from pear_ros.streaming.live import LiveStream
from pear_ros.streaming.motion_stream import MotionFrame, MotionStream, StreamState
from pear_ros.streaming.options import StreamOptions
from pear_ros.streaming.selection import PersonSelector
from pear_ros.streaming.sonic import SonicEncoder
from pear_ros.streaming.udp import UdpOutput
from pear_ros.streaming.urls import parse_stream_url
from pear_ros.streaming.vmc import VmcEncoder
from testing.open_people import t_pose
from testing.streamed_people import observed

DELAYS = (0.0, 0.1, 0.2)
FIELD_OF_VIEW = 60.0


class Packet(NamedTuple):
    """A packet that arrived."""

    arrival: float
    """Seconds since the first image."""
    stamp: float
    is_held: bool
    """Whether there was no motion yet for its moment, so that the last one was sent."""
    rotations: Float64
    """(54, 4) w x y z of the joints but the root."""


class Receiver:
    """Receives JSON over UDP in a thread."""

    def __init__(self, begin: float) -> None:
        self._begin = begin
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self._arrived: list[tuple[float, bytes]] = []
        self._open = True
        self._thread = threading.Thread(target=self._receive)
        self._thread.start()

    @property
    def port(self) -> int:
        """Port on which it listens."""
        return int(self._socket.getsockname()[1])

    def _receive(self) -> None:
        while self._open:
            try:
                packet = self._socket.recv(65536)
            except TimeoutError:
                continue
            self._arrived.append((time.monotonic() - self._begin, packet))

    def close(self) -> list[Packet]:
        """Stop; return what arrived."""
        self._open = False
        self._thread.join()
        self._socket.close()
        packets = []
        for arrival, packet in self._arrived:
            message = json.loads(packet)
            rotations = np.array(list(message["rotations"].values()))[1:]
            packets.append(
                Packet(arrival, message["stamp"], message["state"] != "tracking", rotations)
            )
        return packets


def images_when_due(
    images: list[tuple[float, Image]], begin: float
) -> Iterator[tuple[float, Image]]:
    """Yield the newest image that is due whenever one is asked for, until the clip is over."""
    stamps = [stamp for stamp, _ in images]
    last = -1
    while (now := time.monotonic() - begin) < stamps[-1]:
        index = int(np.searchsorted(stamps, now, "right")) - 1
        if index == last:
            time.sleep(0.001)
            continue
        last = index
        yield images[index]


def people_of(people: People) -> list[ObservedPerson]:
    """Return people as streams take them."""
    return [
        ObservedPerson(one.id, one.state, one.smplx.pose, one.joints, one.joint_confidence)
        for one in people.persons
    ]


def ticking(stream: LiveStream, stop: threading.Event) -> None:
    """Send 50 frames a second until `stop`."""
    due = time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        stream.tick(time.monotonic())
        due = max(due + 0.02, time.monotonic() - 0.02)


def measure(
    images: list[tuple[float, Image]], delay: float
) -> tuple[list[Packet], list[Packet], list[float]]:
    """Return the packets sent directly and those of a stream, and times from stamp to people."""
    pipeline = Pipeline()
    height, width = images[0][1].shape[:2]
    camera = Camera.from_field_of_view(width, height, FIELD_OF_VIEW)
    for n, (_, image) in enumerate(images[:5]):
        pipeline(image, camera, n / 30)
    pipeline.reset()
    begin = time.monotonic()
    direct, streamed = Receiver(begin), Receiver(begin)
    url = parse_stream_url(f"json+udp://127.0.0.1:{streamed.port}")
    select, ages, count = PersonSelector("nearest"), [], 0
    stop = threading.Event()
    with (
        closing(pipeline),
        closing(UdpOutput("127.0.0.1", direct.port)) as output,
        closing(LiveStream([url], StreamOptions(delay=delay), print)) as stream,
    ):
        thread = threading.Thread(target=ticking, args=(stream, stop))
        thread.start()
        for stamp, image in images_when_due(images, begin):
            persons = people_of(pipeline(image, camera, stamp))
            now = time.monotonic()
            ages.append(now - begin - stamp)
            stream.add(stamp, now, persons, None)
            person = select(persons, stamp)
            if person is not None and person.is_measured:
                motion = motion_of(person, None)
                frame = MotionFrame(count, stamp, StreamState.TRACKING, person.id, motion)
                output.send(encode_json(frame)[0])
                count += 1
        stop.set()
        thread.join()
    return direct.close(), streamed.close(), ages


def row(name: str, packets: list[Packet]) -> list[str]:
    """Return a row about packets."""
    ages = [1000 * (one.arrival - one.stamp) for one in packets]
    later = [one for one in packets if one.arrival > packets[0].arrival + 1.0]
    rotations = np.array([one.rotations[:, [1, 2, 3, 0]] for one in later])
    turns = quaternions.to_vectors(quaternions.difference(rotations[:-1], rotations[1:]))
    angles = np.linalg.norm(turns, axis=-1).max(axis=1)
    rate = len(packets) / (packets[-1].arrival - packets[0].arrival)
    return [
        name,
        f"{rate:.1f}",
        *(f"{np.percentile(ages, share):.0f}" for share in (5, 50, 95, 99)),
        f"{100 * np.mean([one.is_held for one in packets]):.0f} %",
        f"{np.degrees(angles.max()):.0f}",
    ]


def latency() -> Table:
    """Return the table of ages and steps."""
    images = list(FrameSource(str(demo_clip())))
    rows = []
    for delay in DELAYS:
        direct, streamed, ages = measure(images, delay)
        people = [f"{1000 * np.percentile(ages, share):.0f}" for share in (5, 50, 95, 99)]
        rows.append(["people", f"{len(ages) / images[-1][0]:.1f}", *people, "", ""])
        rows.append(row("direct", direct))
        rows.append(row(f"stream, delay {delay:g} s", streamed))
    headings = ("packets", "a second", "age 5 %, ms", "50 %", "95 %", "99 %", "held")
    return (*headings, "greatest step, degrees"), rows


def cpu() -> Table:
    """Return the table of CPU times."""
    stream, options = MotionStream(StreamOptions()), StreamOptions()
    poses = [t_pose(left_elbow=(0.0, -0.01 * n, 0.0)) for n in range(100)]
    people = [[observed(pose)] for pose in poses]
    for n, persons in enumerate(people):
        stream.add(n / 15, persons, None)
    times = iter(np.linspace(0.0, 6.5, 100_000))
    frames = [stream.step(float(next(times))) for _ in range(3)]
    numbers = iter(range(3, 10_000_000))
    sonic = {count: SonicEncoder(3, count, 10.0, 50.0) for count in (4, 10)}
    vmc = VmcEncoder()

    def fresh() -> MotionFrame:
        frame = frames[-1]
        assert frame is not None
        return MotionFrame(next(numbers), 1.0, frame.state, "h1", frame.motion)

    jobs: dict[str, Callable[[], Any]] = {
        "motion from a person (each image)": lambda: motion_of(people[50][0], None),
        "frame: interpolation, blend, limits": lambda: stream.step(float(next(times))),
        "JSON": lambda: encode_json(fresh()),
        "SONIC, packets of 10 frames": lambda: sonic_packet(sonic[10], fresh()),
        "SONIC, packets of 4 frames": lambda: sonic_packet(sonic[4], fresh()),
        "VMC": lambda: vmc(fresh()),
        "VMC, every message built anew": VmcEncoder,
    }
    with threadpool_limits(1):
        found = medians(*jobs.values())
    share = options.rate / 10.0  # per cent of a core for each millisecond
    return ("", "ms", "of a core at 50 Hz"), [
        [name, f"{milliseconds:.2f}", f"{milliseconds * share:.1f} %"]
        for name, milliseconds in zip(jobs, found, strict=True)
    ]


def sonic_packet(encode: SonicEncoder, frame: MotionFrame) -> list[bytes]:
    """Return the packet of a frame that follows the last one."""
    encode._next = frame.index  # the numbers are shared with the other encoders
    return encode(frame)


def main() -> None:
    """Measure and write the result file."""
    tables = {"From image to packet": latency(), "CPU time": cpu()}
    write_report("stream_latency", __doc__ or "", tables)


if __name__ == "__main__":
    main()
