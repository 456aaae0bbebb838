# SPDX-License-Identifier: Apache-2.0
"""Measurement of the time that each stage of a pipeline takes for each frame."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from pear_ros.body.submesh import SubMesh
from pear_ros.cli.bench.frames import Frames, SourceError
from pear_ros.cli.bench.parts import DECODE, MEANINGS, MESH, MESSAGES, OTHER, watch_parts
from pear_ros.cli.bench.stopwatch import Stopwatch
from pear_ros.core.estimator import Body, Estimator
from pear_ros.core.people import Array, People, Person, TrackingState
from pear_ros.pipeline import Pipeline

WARM_UP = 10
"""Frames to warm up, which are not measured; at most a quarter of a short source. In them the
detector searches the whole image, memory is allocated, code is compiled, clocks rise."""

Send = Callable[[People, Array], object]
"""Serialises people, all of them present, and their meshes (N, V, 3), metres."""

Watch = Callable[[float, People, Sequence[Person]], object]
"""Takes the stamp of a frame, seconds, its people, and those who are present."""


@dataclass(frozen=True)
class Measured:
    """Times of F frames in S stages."""

    stages: tuple[str, ...]
    """Names of the S stages, in the order of execution."""
    seconds: npt.NDArray[np.float64]
    """(F, S) times; their sum over S is the time from reading a frame to its messages."""
    people: npt.NDArray[np.int64]
    """(F,) number of people present in each frame."""
    warm_up: int
    """Number of frames processed before the measured ones, not included."""
    size: tuple[int, int]
    """Width and height of the images, pixels."""

    @property
    def totals(self) -> npt.NDArray[np.float64]:
        """(F,) time of each frame, seconds."""
        totals: npt.NDArray[np.float64] = self.seconds.sum(axis=1)
        return totals


def measure(
    pipeline: Pipeline,
    estimator: Estimator,
    frames: Frames,
    count: int,
    send: Send | None,
    watch: Watch | None = None,
) -> Measured:
    """Return the times of up to `count` frames after the warm-up.

    `estimator`: that of the pipeline. `send`: serialises messages; None omits this stage.
    `watch`: is given the people of each frame, outside of the measured time. Raises SourceError
    where there is no frame.
    """
    stopwatch = Stopwatch()
    watch_parts(pipeline, estimator, stopwatch)
    laps: list[dict[str, float]] = []
    counts: list[int] = []
    size = (0, 0)
    source = iter(frames)
    for _ in tqdm(range(count + WARM_UP), "Measuring", unit="frame", leave=False, disable=None):
        with stopwatch.stage(OTHER):
            with stopwatch.stage(DECODE):
                item = next(source, None)
            if item is None:
                break
            stamp, image = item
            size = image.shape[1], image.shape[0]
            people = pipeline(image, frames.camera(*size), stamp)
            present = [one for one in people.persons if one.state is not TrackingState.LOST]
            people = replace(people, persons=present)
            with stopwatch.stage(MESH):
                meshes = pipeline.meshes(people)
            if send:
                with stopwatch.stage(MESSAGES):
                    send(people, meshes)
        laps.append(stopwatch.lap())
        counts.append(len(present))
        if watch:
            watch(stamp, people, present)
    if not laps:
        raise SourceError(f"there is no image in {frames.name}")
    warm_up = max(min(WARM_UP, len(laps) // 4), len(laps) - count)
    kept = laps[warm_up:]
    stages = tuple(name for name in MEANINGS if any(name in lap for lap in kept))
    seconds = np.array([[lap.get(name, 0.0) for name in stages] for lap in kept])
    return Measured(stages, seconds, np.array(counts[warm_up:]), warm_up, size)


def sender(body: Body) -> Send | None:
    """Return a function that serialises people as the node does; None without ROS."""
    if importlib.util.find_spec("rclpy") is None or importlib.util.find_spec("pear_msgs") is None:
        return None
    from rclpy.serialization import serialize_message
    from std_msgs.msg import Header

    from pear_ros.core.parameters import Parameters
    from pear_ros.ros.conversion.markers import MeshMarkers
    from pear_ros.ros.conversion.messages import human_array

    header = Header(frame_id="camera_optical_frame")
    mesh = SubMesh.of(body.faces_of(Parameters.mesh_detail), body.vertex_count)
    markers = MeshMarkers(mesh.faces, mesh.vertex_count)

    def send(people: People, meshes: Array) -> None:
        serialize_message(human_array(people, header))
        ids = [person.id for person in people.persons]
        markers.serialize(header.frame_id, (0, 0), ids, mesh.take(meshes))

    return send
