# SPDX-License-Identifier: Apache-2.0
"""`pear run`: people in an image, a video or a camera, without ROS."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from pear_ros.cli.results import ParameterTable, SideView
from pear_ros.cli.run_stream import StreamRequest, run_stream
from pear_ros.core.camera import Camera
from pear_ros.core.configuration import EstimatorChoice, EstimatorError
from pear_ros.core.estimator import Body, DeviceLostError
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Array, Image, People, TrackingState
from pear_ros.io.output_files import write_picture
from pear_ros.io.video import FrameSource, VideoWriter
from pear_ros.rendering.overlay import draw_overlay
from pear_ros.streaming.outputs import StreamError

Observer = Callable[[float, People], None]
"""Takes the stamp, seconds, and the people of a frame."""


class PeoplePipeline(Protocol):
    """What is needed of pear_ros.pipeline.Pipeline."""

    @property
    def body(self) -> Body:
        """The body model of the people's parameters."""

    def __call__(self, image: Image, camera: Camera, stamp: float, /) -> People:
        """Return the people in an image."""

    def meshes(self, people: People) -> Array:
        """Return the meshes (N, V, 3) of `people`, metres."""


def run(
    source: str,
    folder: Path,
    parameters: Parameters,
    streams: StreamRequest | None = None,
    *,
    view: bool = False,
) -> int:
    """Process `source`, write the results into `folder` and print where; return the exit code.

    `streams`: where one person's motion is sent to meanwhile. `view`: whether to show the results
    in a browser then.
    """
    try:
        frames = FrameSource(source)
        if streams is not None and frames.is_still:
            raise StreamError(f"{source} is an image: --stream needs a video or a camera")
        folder.mkdir(parents=True, exist_ok=True)
        from pear_ros.detection.detectors import make_detector
        from pear_ros.estimators.factory import make_estimator
        from pear_ros.pipeline import Pipeline

        estimator = make_estimator(EstimatorChoice.of(parameters))
        detector = make_detector(min_score=parameters.min_detection_score)
        pipeline = Pipeline(
            estimator, detector, parameters, reidentify_seconds=parameters.reidentify_seconds
        )
        with closing(pipeline), ExitStack() as exits:
            observe = None
            if streams is not None:
                observe = exits.enter_context(run_stream(streams, frames.is_camera)).add
            table, files = process(frames, pipeline, folder, parameters.field_of_view, observe)
    # An OSError may be an AssetError or a VideoError.
    except (OSError, EstimatorError, DeviceLostError, StreamError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if table.person_count:
        print(f"{table.person_count} {'person' if table.person_count == 1 else 'people'} found.")
    else:
        print(f"No people found in {source}.")
    print(f"Results are in {', '.join(str(file.resolve()) for file in files)}")
    if not view:
        return 0
    from pear_ros.cli.view.command import view_results

    return view_results(files[1], None if frames.is_camera else Path(source))


def process(
    frames: FrameSource,
    pipeline: PeoplePipeline,
    folder: Path,
    field_of_view: float,
    observe: Observer | None = None,
) -> tuple[ParameterTable, tuple[Path, Path]]:
    """Find people in every frame; the files written are a picture or video, and the npz.

    `observe` is called with the stamp and the people of each frame, before anything is drawn.
    Ctrl+C ends a video early and keeps what is there, which is how a camera is stopped.
    """
    table = ParameterTable(pipeline.body)
    faces = pipeline.body.faces
    side = SideView(faces)
    arrays = folder / f"{frames.name}.npz"
    suffix = "png" if frames.is_still else "mp4"
    picture_file = folder / f"{frames.name}_overlay.{suffix}"
    if frames.is_camera:
        print("Press Ctrl+C to stop.")

    def picture_of(stamp: float, image: Image) -> Image:
        height, width = image.shape[:2]
        camera = Camera.from_field_of_view(width, height, field_of_view)
        people = pipeline(image, camera, stamp)
        if observe is not None:
            observe(stamp, people)
        persons = tuple(p for p in people.persons if p.state is not TrackingState.LOST)
        table.append(stamp, people, persons)
        meshes = pipeline.meshes(dataclasses.replace(people, persons=persons))
        ids = [person.id for person in persons]
        unread = [person.id for person in persons if not person.pose_observed]
        overlay = draw_overlay(image, camera, meshes, faces, ids, faint=unread)
        return np.hstack([overlay, side.draw(meshes, ids, height)])

    if frames.is_still:
        for stamp, image in frames:
            write_picture(picture_file, picture_of(stamp, image))
    else:
        with VideoWriter(picture_file, frames.frame_rate) as writer:
            try:
                for stamp, image in tqdm(frames, total=frames.frame_count, unit="frame"):
                    writer.write(stamp, picture_of(stamp, image))
            except KeyboardInterrupt:
                if not table.frame_count:
                    raise
                print("Stopped.")
    table.save(arrays)
    return table, (picture_file, arrays)
