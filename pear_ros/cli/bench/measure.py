# SPDX-License-Identifier: Apache-2.0
"""Runs a pipeline over pictures and keeps how long each stage of each frame took."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from pear_ros.body.submesh import SubMesh
from pear_ros.cli.bench.frames import Frames, SourceError
from pear_ros.cli.bench.parts import DECODE, MEANINGS, MESH, MESSAGES, OTHER, watch_parts
from pear_ros.cli.bench.stopwatch import Stopwatch
from pear_ros.core.estimator import Body, Estimator
from pear_ros.core.people import Array, People, TrackingState
from pear_ros.pipeline import Pipeline

WARM_UP = 10
"""Frames that are left out, a quarter of all where there are no more than were asked for: the
detector searches all of the first one, memory is taken, code is compiled, clocks go up."""

Send = Callable[[People, Array], object]
"""What is to be done with people, all of them present, and their meshes (N, V, 3)."""


@dataclass(frozen=True)
class Measured:
    """What was measured of F frames in S stages."""

    stages: tuple[str, ...]
    """In the order of work."""
    seconds: npt.NDArray[np.float64]
    """(F, S); those of a frame add up to the time from its file to its messages."""
    people: npt.NDArray[np.int64]
    """(F,) present in each frame."""
    warm_up: int
    """Frames before them, which are left out."""
    size: tuple[int, int]
    """Width and height of the pictures, pixels."""

    @property
    def totals(self) -> npt.NDArray[np.float64]:
        """(F,) seconds of each frame."""
        totals: npt.NDArray[np.float64] = self.seconds.sum(axis=1)
        return totals


def measure(
    pipeline: Pipeline, estimator: Estimator, frames: Frames, count: int, send: Send | None
) -> Measured:
    """Measure `count` frames, or as many as there are, after the warm-up.

    `estimator`: that of the pipeline. `send`: None leaves the stage of messages away. Raises
    SourceError where there are too few frames.
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
            stamp, picture = item
            size = picture.shape[1], picture.shape[0]
            people = pipeline(picture, frames.camera(*size), stamp)
            present = [one for one in people.persons if one.state is not TrackingState.LOST]
            people = replace(people, persons=present)
            with stopwatch.stage(MESH):
                meshes = pipeline.meshes(people)
            if send:
                with stopwatch.stage(MESSAGES):
                    send(people, meshes)
        laps.append(stopwatch.lap())
        counts.append(len(present))
    if not laps:
        raise SourceError(f"there is no picture in {frames.name}")
    warm_up = max(min(WARM_UP, len(laps) // 4), len(laps) - count)
    kept = laps[warm_up:]
    stages = tuple(name for name in MEANINGS if any(name in lap for lap in kept))
    seconds = np.array([[lap.get(name, 0.0) for name in stages] for lap in kept])
    return Measured(stages, seconds, np.array(counts[warm_up:]), warm_up, size)


def sender(body: Body) -> Send | None:
    """Makes the node's messages of people, without sending them; None without ROS."""
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
