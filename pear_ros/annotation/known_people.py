# SPDX-License-Identifier: Apache-2.0
"""Annotations that a user already has: of recordings in SMPL-X's layout, and of COCO-WholeBody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pear_ros.annotation.bodies import Bodies
from pear_ros.annotation.fit import Fitted, joints_of
from pear_ros.annotation.frames import Frame, Source
from pear_ros.annotation.wholebody import points_of_labels
from pear_ros.bags.storage import is_storage_file
from pear_ros.body.array_files import Arrays, read_npz
from pear_ros.core.camera import Camera
from pear_ros.core.estimate_arrays import ESTIMATE_ARRAYS
from pear_ros.core.people import (
    MEASURED_STATES,
    NUM_JOINTS,
    Array,
    DepthSource,
    FlameParams,
    SmplxParams,
    TrackingState,
)
from pear_ros.evaluation.labels import LabelError, LabelledPictures
from pear_ros.export.arrays import FLAME_ARRAYS
from pear_ros.export.bag import read_bag
from pear_ros.export.run_file import read_run_file
from pear_ros.export.tracks import Recording, ResultsError, Track, check_id

_NEEDED = ("poses", "trans", "betas", "camera")
_OPTIONAL = (
    *("frame", "stamps_ns", "tracking_state", "scale", "betas_by_frame", "expression"),
    *("id", "model_id", "body_model", *ESTIMATE_ARRAYS, *FLAME_ARRAYS),
)


@dataclass(frozen=True)
class KnownPerson:
    """What a user's annotation says of one person in one image; None: nothing."""

    source: str
    """Name of the annotation, for provenance."""
    box: Array | None = None
    """(4,) x0 y0 x1 y1, pixels."""
    points: Array | None = None
    """(133, 3) x, y, confidence."""
    fitted: Fitted | None = None
    camera: Camera | None = None
    """Camera that the parameters are for; None: the image's."""
    body_sha256: str = ""
    track: str = ""
    measured: bool = True
    """Whether the person was seen in this image; False: predicted, or only detected."""


class Labels(Protocol):
    """Annotations of the images of a source."""

    def of(self, frame: Frame) -> list[KnownPerson]:
        """Return the people annotated in an image. Raises LabelError where they do not fit it."""
        ...


class PictureLabels:
    """People of a file in COCO's format."""

    def __init__(self, labelled: LabelledPictures) -> None:
        """Take the people of `labelled`, without regions of crowds."""
        self._name = labelled.name
        self._people = {one.path: one.people for one in labelled.pictures}

    def of(self, frame: Frame) -> list[KnownPerson]:
        """Return the people labelled in a picture."""
        return [
            KnownPerson(
                self._name,
                box=person.box.astype(np.float32),
                points=points_of_labels(person) if person.labelled.any() else None,
            )
            for person in self._people[frame.file]
            if not person.crowd
        ]


class TrackLabels:
    """People of recordings in SMPL-X's layout."""

    def __init__(self, recordings: Sequence[Recording], source: Source, bodies: Bodies) -> None:
        """Prepare the people of `recordings` for the images of `source`.

        Images and people belong together by stamp where images are stamped, else by number. Raises
        LabelError where recordings have no stamps, but need them.
        """
        self._bodies, self._stamped = bodies, source.stamped
        self._rows: dict[int, list[tuple[Recording, Track, int]]] = {}
        for recording in recordings:
            for track in recording.tracks:
                keys = track.frames
                if source.stamped:
                    keys = recording.stamps_ns[track.frames]
                    if (keys < 0).any():
                        raise LabelError(
                            f"{recording.source} has no stamps_ns, by which people belong to the "
                            f"images of {source.paths[0]}"
                        )
                for row, key in enumerate(keys.tolist()):
                    self._rows.setdefault(key, []).append((recording, track, row))

    def of(self, frame: Frame) -> list[KnownPerson]:
        """Return the people annotated in an image. Raises LabelError."""
        key = frame.stamp_ns if self._stamped else frame.number
        return [self._person(*row, frame) for row in self._rows.get(key, [])]

    def _person(self, recording: Recording, track: Track, row: int, frame: Frame) -> KnownPerson:
        smplx = SmplxParams(
            track.pose[row], track.betas[row], track.expression[row], track.transl[row]
        )
        scale = float(track.scale[row])
        body = self._bodies.of(track.body_model, track.betas.shape[1], track.expression.shape[1])
        joints = track.arrays["joints"][row]
        if body is not None and np.isnan(joints).any():
            joints = joints_of(body, smplx, scale)
        confidence = track.arrays["joint_confidence"][row]
        flame = None
        if track.flame is not None:
            rows = {one.name: getattr(track.flame, one.name)[row] for one in fields(FlameParams)}
            flame = FlameParams(**rows)
        return KnownPerson(
            source=f"{recording.source.name}: {track.model_id}",
            fitted=Fitted(smplx, scale, body, track.body_model, joints, confidence, flame=flame),
            camera=None if self._stamped else _camera(track, row, frame, recording.source),
            body_sha256=recording.body_hashes.get(track.body_model, body.sha256 if body else ""),
            track=track.id,
            measured=int(track.states[row]) in MEASURED_STATES,
        )


def read_recording(path: Path) -> Recording:
    """Return the people of a bag of results or an npz file.

    The file is of `pear run`, `pear export` or AMASS. AMASS's need an array `camera`, (6,) or
    (T, 6): width, height, fx, fy, cx, cy in pixels, and poses in its optical frame. Raises
    LabelError, OSError where the file cannot be read.
    """
    try:
        if path.is_dir() or is_storage_file(path):
            return read_bag(path)
        if path.suffix != ".npz":
            raise LabelError(
                f"{path} is no annotation: give an npz file, a bag of results, or COCO's JSON as "
                "the input"
            )
        if not path.is_file():
            raise LabelError(f"{path} does not exist")
        return read_run_file(path) if _is_run_file(path) else read_smplx_file(path)
    except ResultsError as error:
        raise LabelError(str(error)) from error


def read_smplx_file(path: Path) -> Recording:
    """Return the person of an npz file in AMASS's layout, as `pear export` writes it.

    Raises LabelError.
    """
    what = "an npz file with poses of SMPL-X and a camera"
    try:
        found = read_npz(path, (*_NEEDED, *_OPTIONAL), what, optional=_OPTIONAL)
        return _recording(path, found)
    except (ValueError, TypeError, IndexError) as error:
        text = str(error)
        raise LabelError(text if str(path) in text else f"{path} is damaged: {text}") from error


def _is_run_file(path: Path) -> bool:
    try:
        with np.load(path, allow_pickle=False) as data:
            return "frame_stamp" in data.files
    except (OSError, ValueError):
        return False


def _recording(path: Path, found: Mapping[str, Any]) -> Recording:
    poses = np.asarray(found["poses"], np.float32)
    count = len(poses)
    if poses.shape != (count, 3 * NUM_JOINTS):
        raise ValueError(f"{path}: poses is {poses.shape}, not (T, 165): SMPL-X with hands is read")
    frames = np.asarray(found.get("frame", np.arange(count)), np.int64)
    if count == 0 or frames.shape != (count,) or frames.min() < 0 or frames.max() > 10**8:
        raise ValueError(f"{path}: frame has to be {count} numbers from 0 on")
    stamps = np.full(int(frames.max()) + 1, -1, np.int64)
    if "stamps_ns" in found:
        stamps[frames] = found["stamps_ns"]
    name = str(found.get("id", "p1"))
    check_id(name)
    track = Track(
        id=name,
        model_id=str(found.get("model_id", "given")),
        body_model=str(found.get("body_model", "smplx")),
        frames=frames,
        states=np.asarray(
            found.get("tracking_state", np.full(count, TrackingState.TRACKED)), np.uint8
        ),
        pose=poses.reshape(count, NUM_JOINTS, 3),
        betas=_rows(found.get("betas_by_frame", found["betas"]), count),
        expression=_rows(found.get("expression", np.zeros(10)), count),
        transl=_rows(found["trans"], count),
        scale=np.asarray(found.get("scale", np.ones(count)), np.float32),
        depth_source=np.full(count, DepthSource.ASSUMED, np.uint8),
        arrays={
            key: np.asarray(found.get(key, np.full((count, *one.shape), np.nan)), np.float32)
            for key, one in ESTIMATE_ARRAYS.items()
        },
        camera=_rows(found["camera"], count).astype(np.float64),
        flame=_flame(found) if "flame_shape" in found else None,
    )
    return Recording(path, stamps, "", (track,))


def _rows(values: Any, count: int) -> Array:
    """Return (T, N) from (N,), which holds for all rows, or (T, N)."""
    array = np.asarray(values, np.float32)
    if array.ndim == 1:
        array = np.tile(array, (count, 1))
    if array.ndim != 2 or len(array) != count:
        raise ValueError(f"an array has shape {array.shape}; (N,) or ({count}, N) is read")
    return array


def _flame(found: Arrays | Mapping[str, Any]) -> FlameParams:
    return FlameParams(
        **{one.name: np.asarray(found[f"flame_{one.name}"]) for one in fields(FlameParams)}
    )


def _camera(track: Track, row: int, frame: Frame, source: Path) -> Camera:
    values: npt.NDArray[np.float64] = track.camera[row]
    width, height = frame.camera.width, frame.camera.height
    if not np.isfinite(values).all() or tuple(values[:2]) != (width, height):
        raise LabelError(
            f"{source}: its camera has {values[0]:g} x {values[1]:g} pixels, the images of "
            f"{frame.file} have {width} x {height}"
        )
    fx, fy, cx, cy = values[2:].tolist()
    return Camera(width, height, fx, fy, cx, cy)
