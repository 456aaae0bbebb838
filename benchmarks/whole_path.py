# SPDX-License-Identifier: Apache-2.0
"""Latency from image to messages on the demo clip, against MediaPipe Holistic alone, and by people.

    python -m benchmarks.whole_path

Ours: image in to serialised HumanArray and mesh markers out, for all visible people. MediaPipe:
Holistic's landmarks of the one person that it detects, without fit and messages. Both process the
same images in the same run, alternating, after a warm-up; MediaPipe runs in a virtual environment
of its own (it requires an older NumPy), made on the first run.

One person: images with one of the two people alone, where both do the same.

By people: pieces of the clip with a walking woman or a waving man, or with neither, side by side in
images of one size. Writes benchmarks/results/whole_path.md.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from tempfile import TemporaryDirectory

import numpy as np
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from tqdm import tqdm

from benchmarks.report import write_report
from pear_ros.core.camera import Camera
from pear_ros.core.people import Image, People
from pear_ros.evaluation.mediapipe import mediapipe_python
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource, VideoWriter
from pear_ros.pipeline import Pipeline
from pear_ros.ros.conversion.markers import MeshMarkers
from pear_ros.ros.conversion.messages import human_array

WARM_UP = 10
MOST_PEOPLE = 8
IMAGES = 60
"""Length of the video of a number of people, with the warm-up."""
PIECE = (320, 480)
"""Width and height of a person's piece of the clip, pixels."""

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

    def __init__(self, video: FilePath) -> None:
        """Start the process, in a virtual environment that is made on the first run."""
        self._process = subprocess.Popen(
            [mediapipe_python(), "-c", WORKER, video],
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


class Path:
    """The whole path, from image to serialised messages."""

    def __init__(self) -> None:
        """Load the models."""
        self._pipeline = Pipeline()
        self._markers = MeshMarkers(self._pipeline.body.faces, self._pipeline.body.vertex_count)

    def reset(self) -> None:
        """End all tracks, before another video."""
        self._pipeline.reset()

    def __call__(self, image: Image, stamp: float) -> tuple[float, People]:
        """Return milliseconds for an image, and the people in it."""
        start = time.perf_counter()
        header = Header(frame_id="camera_optical_frame")
        camera = Camera.from_field_of_view(image.shape[1], image.shape[0])
        people = self._pipeline(image, camera, stamp)
        serialize_message(human_array(people, header))
        ids = [person.id for person in people.persons]
        self._markers.serialize(header.frame_id, (0, 0), ids, self._pipeline.meshes(people))
        return 1000 * (time.perf_counter() - start), people


@dataclass(frozen=True)
class Comparison:
    """Times of both for the same images, milliseconds, and how many people they found in all."""

    ours: list[float]
    theirs: list[float]
    people: int
    their_people: int

    @property
    def ratio(self) -> float:
        """Mean time of Holistic over ours."""
        return float(np.mean(self.theirs) / np.mean(self.ours))

    @property
    def ratio_by_person(self) -> float:
        """The same, of the time for each person who is found."""
        return self.ratio * self.people / max(1, self.their_people)

    @property
    def rows(self) -> list[list[str]]:
        """Rows of the report."""
        return [
            _row("pear_ros, image to messages", self.ours, self.people),
            _row("MediaPipe Holistic, landmarks alone", self.theirs, self.their_people),
        ]


def compare(path: Path, video: FilePath) -> Comparison:
    """Measure both on the images of a video, alternating."""
    path.reset()
    holistic = Holistic(video)
    found = Comparison([], [], 0, 0)
    for number, (stamp, image) in enumerate(tqdm(list(FrameSource(str(video))), unit="frame")):
        milliseconds, is_found = holistic()
        spent, people = path(image, stamp)
        if number >= WARM_UP:
            found.ours.append(spent)
            found.theirs.append(milliseconds)
            found = replace(
                found,
                people=found.people + len(people.persons),
                their_people=found.their_people + is_found,
            )
    holistic.close()
    return found


def main() -> None:
    """Measure and write the report."""
    path, clip = Path(), list(FrameSource(str(demo_clip())))
    whole = compare(path, demo_clip())
    with TemporaryDirectory() as folder:
        video = FilePath(folder) / "one.mp4"
        with VideoWriter(video, 30.0) as writer:
            for number, image in enumerate(side_by_side(clip, 1)):
                writer.write(number / 30.0, image)
        single = compare(path, video)
    head = ["path", "frames", "people a frame", "mean ms", "median", "95 %", "frames a second"]
    compared = [
        ["demo clip", f"{whole.ratio:.2f}"],
        ["demo clip, time for each person who is found", f"{whole.ratio_by_person:.2f}"],
        ["one person", f"{single.ratio:.2f}"],
    ]
    by_people = [_row_of_people(path, clip, count) for count in range(1, MOST_PEOPLE + 1)]
    write_report(
        "whole_path",
        __doc__ or "",
        {
            "Demo clip": (head, whole.rows),
            "One person": (head, single.rows),
            "Mean time, Holistic / ours": (["", ""], compared),
            "By people": (
                ["people", "found a frame", "mean ms", "median", "ms a person"],
                by_people,
            ),
        },
    )


def side_by_side(clip: Sequence[tuple[float, Image]], count: int) -> Iterator[Image]:
    """Yield images of `count` people, two rows of four pieces of the clip; the rest is empty."""
    width, height = PIECE
    for n in range(IMAGES):
        pieces = []
        for place in range(MOST_PEOPLE):
            number, left, top = n, 900, 505  # Nobody is there yet.
            if place < count and place % 2:
                number, left, top = 60 + n + 2 * place, 490, 30
            elif place < count:
                number = 60 + n + 2 * place
                # She walks 9.5 pixels an image.
                left = round(1390 - 9.5 * (number - 60)) - width // 2
            pieces.append(clip[number][1][top : top + height, left : left + width])
        yield np.vstack([np.hstack(pieces[:4]), np.hstack(pieces[4:])])


def _row_of_people(path: Path, clip: Sequence[tuple[float, Image]], count: int) -> list[str]:
    path.reset()
    times, found = [], 0
    for number, image in enumerate(side_by_side(clip, count)):
        spent, people = path(image, clip[number][0])
        if number >= WARM_UP:
            times.append(spent)
            found += len(people.persons)
    mean = float(np.mean(times))
    return [
        *(str(count), f"{found / len(times):.2f}", f"{mean:.0f}", f"{np.median(times):.0f}"),
        f"{mean / count:.1f}",
    ]


def _row(name: str, times: list[float], people: int) -> list[str]:
    mean = float(np.mean(times))
    return [
        *(name, str(len(times)), f"{people / len(times):.2f}", f"{mean:.0f}"),
        *(f"{np.median(times):.0f}", f"{np.percentile(times, 95):.0f}", f"{1000 / mean:.1f}"),
    ]


if __name__ == "__main__":
    main()
