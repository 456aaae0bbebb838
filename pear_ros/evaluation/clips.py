# SPDX-License-Identifier: Apache-2.0
"""Clips of calibrated cameras with the joints of the people in space, and their file format."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.distortion import Distortion
from pear_ros.evaluation.arrays import ARRAYS
from pear_ros.evaluation.calibrations import CalibratedCamera, require_usable
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS
from pear_ros.evaluation.labels import Doubles, LabelError
from pear_ros.evaluation.reading import damage_of, numbers
from pear_ros.io.output_files import replaced

_OPTIONAL = {"distortion", "orientation", "vertices"}


@dataclass(frozen=True)
class Clip:
    """People who are seen by one calibrated camera or more, over time."""

    name: str
    cameras: Sequence[CalibratedCamera]
    videos: Sequence[Path]
    """File of each camera."""
    frames: npt.NDArray[np.intp]
    """(F,) numbers of the labelled frames."""
    frame_rate: float
    """Frames of the videos per second."""
    joints: Doubles
    """(F, P, 17, 3) COCO's keypoints in the world, metres; NaN: unknown."""
    orientation: Doubles | None = None
    """(F, P, 3, 3) from body axes (left, up, forward) to world axes; None: that of the torso."""
    vertices: Doubles | None = None
    """(F, P, V, 3) in the world, metres."""


def read_clip(file: Path, videos: Path | None = None) -> Clip:
    """Return the clip of an NPZ with the arrays ARRAYS; of one camera, C may be left out.

    `videos`: folder of the video files; None: that of the NPZ. Raises LabelError.
    """
    with damage_of(file):
        return _clip(_arrays(file), file, videos or file.parent)


def _clip(arrays: dict[str, Any], file: Path, folder: Path) -> Clip:
    names = [str(name) for name in arrays["names"]]
    if missing := [n for n in COCO_KEYPOINTS[5:] if n not in names]:
        raise LabelError(f"{file}: 'names' lacks {', '.join(missing)}; they are compared")
    if np.ndim(arrays["K"]) == 2:
        for name in {"K", "R", "t", "size", "videos", "distortion"} & set(arrays):
            arrays[name] = arrays[name][None]
    frames = _frames(file, arrays["frames"])
    joints = _of_people(file, "joints", arrays["joints"], (len(frames), None, len(names), 3))
    coco = np.full((*joints.shape[:2], len(COCO_KEYPOINTS), 3), np.nan)
    for index, name in enumerate(COCO_KEYPOINTS):
        if name in names:
            coco[:, :, index] = joints[:, :, names.index(name)]
    people = joints.shape[:2]
    optional: dict[str, Doubles] = {
        name: _of_people(file, name, arrays[name], (*people, *shape))
        for name, shape in (("orientation", (3, 3)), ("vertices", (None, 3)))
        if name in arrays
    }
    frame_rate = float(numbers(file, "frame_rate", np.squeeze(arrays["frame_rate"]), ()))
    if frame_rate <= 0.0:
        raise LabelError(f"{file}: 'frame_rate' has to be above 0, not {frame_rate:g}")
    files = [folder / str(name) for name in np.atleast_1d(arrays["videos"])]
    cameras = _cameras(file, arrays, [path.stem for path in files])
    if lost := [str(path) for path in files if not path.is_file()]:
        raise LabelError(f"{', '.join(lost)} missing; give the folder of the videos by --images")
    return Clip(
        name=file.stem,
        cameras=cameras,
        videos=files,
        frames=frames,
        frame_rate=frame_rate,
        joints=coco,
        orientation=optional.get("orientation"),
        vertices=optional.get("vertices"),
    )


def write_clip(file: Path, clip: Clip) -> None:
    """Write a clip as an NPZ; the videos are named relative to the file's folder where within."""
    cameras = [one.camera for one in clip.cameras]
    arrays: dict[str, Any] = {
        "K": np.array([[[c.fx, 0, c.cx], [0, c.fy, c.cy], [0, 0, 1]] for c in cameras]),
        "R": np.array([one.rotation for one in clip.cameras]),
        "t": np.array([one.translation for one in clip.cameras]),
        "size": np.array([[c.width, c.height] for c in cameras]),
        "videos": np.array([path.name for path in clip.videos]),
        "frames": clip.frames,
        "frame_rate": clip.frame_rate,
        "names": np.array(COCO_KEYPOINTS),
        "joints": clip.joints,
        "orientation": clip.orientation,
        "vertices": clip.vertices,
    }
    coefficients = np.zeros((len(cameras), 5))
    for row, camera in zip(coefficients, cameras, strict=True):
        if camera.distortion is not None:
            row[: len(camera.distortion.coefficients)] = camera.distortion.coefficients
    if coefficients.any():
        arrays["distortion"] = coefficients
    with replaced(file) as content:
        np.savez_compressed(
            content, **{name: value for name, value in arrays.items() if value is not None}
        )


def _arrays(file: Path) -> dict[str, Any]:
    try:
        with np.load(file, allow_pickle=False) as data:
            arrays = dict(data)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise LabelError(f"{file} cannot be read as an NPZ: {error}") from error
    if missing := set(ARRAYS) - _OPTIONAL - set(arrays):
        raise LabelError(
            f"{file} lacks {', '.join(sorted(missing))}; `pear evaluate --help` lists the arrays"
        )
    return arrays


def _frames(file: Path, values: Any) -> npt.NDArray[np.intp]:
    found = numbers(file, "frames", values, (None,))
    frames = found.astype(np.intp)
    if (frames != found).any() or (np.diff(frames, prepend=-1) <= 0).any():
        raise LabelError(f"{file}: 'frames' has to ascend, in whole numbers from 0 on")
    return frames


def _of_people(file: Path, name: str, values: Any, shape: tuple[int | None, ...]) -> Doubles:
    """Return an array of `shape`, F and P first; of one person, P may be left out in the file."""
    array = np.asarray(values)
    return numbers(
        file, name, array[:, None] if array.ndim == len(shape) - 1 else array, shape, finite=False
    )


def _cameras(file: Path, arrays: Mapping[str, Any], names: Sequence[str]) -> list[CalibratedCamera]:
    """Return the cameras of the arrays; `names`: what they are called."""
    count = len(names)
    matrices, rotations, translations, sizes = (
        numbers(file, name, arrays[name], (count, *shape))
        for name, shape in (("K", (3, 3)), ("R", (3, 3)), ("t", (3,)), ("size", (2,)))
    )
    lenses = [None] * count if "distortion" not in arrays else list(arrays["distortion"])
    cameras = []
    for name, matrix, (width, height), lens, rotation, translation in zip(
        names, matrices, sizes, lenses, rotations, translations, strict=True
    ):
        fx, fy, cx, cy = map(float, (matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]))
        bent = Distortion("plumb_bob", tuple(map(float, lens))) if np.any(lens) else None
        camera = Camera(int(width), int(height), fx, fy, cx, cy, distortion=bent)
        require_usable(camera, name)
        cameras.append(CalibratedCamera(name, camera, rotation, translation))
    return cameras
