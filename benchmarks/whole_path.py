# SPDX-License-Identifier: Apache-2.0
"""Latency from image to messages on the demo clip, against MediaPipe Holistic alone.

    python -m benchmarks.whole_path

Ours: image in to serialised HumanArray and mesh markers out, for all visible people. MediaPipe:
Holistic's landmarks of the one person that it detects, without fit and messages. Both process the
same images in the same run, alternating, after a warm-up; MediaPipe runs in a virtual environment
of its own (it requires an older NumPy), made on the first run. Writes
benchmarks/results/whole_path.md.
"""

from __future__ import annotations

import subprocess
import time

import numpy as np
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from tqdm import tqdm

from benchmarks.report import write_report
from pear_ros.core.camera import Camera
from pear_ros.evaluation.mediapipe import mediapipe_python
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pipeline import Pipeline
from pear_ros.ros.conversion.markers import MeshMarkers
from pear_ros.ros.conversion.messages import human_array

WARM_UP = 10

# Run by the other Python: a frame of the clip for every line of input, its milliseconds as answer.
WORKER = """
import sys, time
import cv2
from mediapipe.python.solutions.holistic import Holistic

holistic, clip = Holistic(model_complexity=1), cv2.VideoCapture(sys.argv[1])
for _ in sys.stdin:
    found, image = clip.read()
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    start = time.perf_counter()
    result = holistic.process(image)
    spent = 1000 * (time.perf_counter() - start)
    print("TIME", spent, result.pose_landmarks is not None, flush=True)
"""


class Holistic:
    """MediaPipe Holistic in a process of its own."""

    def __init__(self) -> None:
        """Start the process, in a virtual environment that is made on the first run."""
        self._process = subprocess.Popen(
            [mediapipe_python(), "-c", WORKER, demo_clip()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self) -> tuple[float, bool]:
        """Return milliseconds for the clip's next image, and whether a person was found in it."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("next\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("TIME"):
                _, milliseconds, found = line.split()
                return float(milliseconds), found == "True"
        raise SystemExit("MediaPipe stopped; run the printed WORKER by hand to see why")

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


def main() -> None:
    """Measure and write the report."""
    pipeline, holistic = Pipeline(), Holistic()
    markers = MeshMarkers(pipeline.body.faces, pipeline.body.vertex_count)
    header = Header(frame_id="camera_optical_frame")
    ours, theirs, people_seen, theirs_seen = [], [], 0, 0
    for number, (stamp, image) in enumerate(tqdm(FrameSource(str(demo_clip())), unit="frame")):
        milliseconds, found = holistic()
        start = time.perf_counter()
        camera = Camera.from_field_of_view(image.shape[1], image.shape[0])
        people = pipeline(image, camera, stamp)
        serialize_message(human_array(people, header))
        ids = [person.id for person in people.persons]
        markers.serialize(header.frame_id, (0, 0), ids, pipeline.meshes(people))
        spent = 1000 * (time.perf_counter() - start)
        if number >= WARM_UP:
            ours.append(spent)
            theirs.append(milliseconds)
            people_seen += len(people.persons)
            theirs_seen += found
    holistic.close()
    rows = [
        _row("pear_ros, image to messages", ours, people_seen),
        _row("MediaPipe Holistic, landmarks alone", theirs, theirs_seen),
    ]
    head = ["path", "frames", "people a frame", "mean ms", "median", "95 %", "frames a second"]
    ratio = np.mean(theirs) / np.mean(ours)
    compared = [["mean time, Holistic / ours", f"{ratio:.2f}"]]
    write_report(
        "whole_path",
        __doc__ or "",
        {"Demo clip": (head, rows), "Ratio": (["", ""], compared)},
    )


def _row(name: str, times: list[float], people: int) -> list[str]:
    mean = float(np.mean(times))
    return [
        *(name, str(len(times)), f"{people / len(times):.2f}", f"{mean:.0f}"),
        *(f"{np.median(times):.0f}", f"{np.percentile(times, 95):.0f}", f"{1000 / mean:.1f}"),
    ]


if __name__ == "__main__":
    main()
