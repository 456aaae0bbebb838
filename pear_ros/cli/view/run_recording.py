# SPDX-License-Identifier: Apache-2.0
"""The NPZ of `pear run` as a recording for the viewer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pear_ros.cli.view.pictures import Pictures
from pear_ros.cli.view.track_summary import track_summary
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.people import (
    DepthSource,
    People,
    Person,
    SmplxParams,
    TrackingState,
)
from pear_ros.export.run_file import read_run_file
from pear_ros.export.tracks import Track
from pear_ros.viewing.assumed_camera import assumed_camera
from pear_ros.viewing.moment import Moment, TrackSummary

_UNKNOWN_CAMERA = Camera.from_field_of_view(640, 480)
_ASSUMED = "How the camera stands is assumed, so that people are upright on one floor."
_FLOOR_PERSONS = 2000
"""Number of persons from whom the height of the floor is taken."""


class RunRecording:
    """People in a video, whose camera is taken to be level."""

    def __init__(self, path: Path, pictures: Pictures) -> None:
        """Read the file. Raises pear_ros.export.tracks.ResultsError where it is no such file."""
        recording = read_run_file(path)
        self.name = path.stem
        stamps = (recording.stamps_ns * 1e-9).astype(np.float64)
        self.start = float(stamps[0]) if len(stamps) else 0.0
        self.seconds: npt.NDArray[np.float64] = stamps - self.start
        self.notes: Sequence[str] = (_ASSUMED,) if recording.tracks else ()
        self._pictures = pictures
        self._tracks = recording.tracks
        self._rows: dict[int, list[tuple[Track, int]]] = defaultdict(list)
        for track in self._tracks:
            for row, frame in enumerate(track.frames.tolist()):
                self._rows[frame].append((track, row))
        self._summary = {
            track.id: track_summary(track.frames, track.pose, track.arrays["joints"])
            for track in self._tracks
        }
        joints = [track.arrays["joints"] for track in self._tracks]
        every = max(1, sum(map(len, joints)) // _FLOOR_PERSONS)
        self._pose = assumed_camera(
            np.concatenate(joints)[::every] if joints else np.empty((0, 55, 3), np.float32)
        )

    def moment(self, index: int) -> Moment:
        """Return the people of an image, with its picture."""
        rows = self._rows.get(index, [])
        # All images of a run have one camera, which images without people do not tell.
        one = rows[0][0] if rows else next(iter(self._tracks), None)
        people = People(
            camera=_camera(one) if one else _UNKNOWN_CAMERA,
            model_id=one.model_id if one else "",
            body_model=one.body_model if one else "",
            persons=tuple(_person(track, row) for track, row in rows),
        )
        seconds = float(self.seconds[index])
        return Moment(seconds, people, self._pose, self._pictures.at(seconds))

    def summary(self) -> Mapping[str, TrackSummary]:
        """Return all people by id."""
        return self._summary

    def close(self) -> None:
        """Close the video."""
        self._pictures.close()


def _camera(track: Track) -> Camera:
    width, height, fx, fy, cx, cy = track.camera[0].tolist()
    return Camera(round(width), round(height), fx, fy, cx, cy, IntrinsicsSource.FIELD_OF_VIEW)


def _person(track: Track, row: int) -> Person:
    arrays = {name: values[row] for name, values in track.arrays.items()}
    state = TrackingState(int(track.states[row]))
    return Person(
        id=track.id,
        state=state,
        score=float(arrays["score"]),
        box=np.full(4, np.nan, np.float32),
        smplx=SmplxParams(
            pose=track.pose[row],
            betas=track.betas[row],
            expression=track.expression[row],
            transl=track.transl[row],
        ),
        joints=arrays["joints"],
        joint_confidence=arrays["joint_confidence"],
        keypoints=arrays["keypoints"],
        pose_observed=state is not TrackingState.DETECTED,
        scale=float(track.scale[row]),
        depth_source=DepthSource(int(track.depth_source[row])),
    )
