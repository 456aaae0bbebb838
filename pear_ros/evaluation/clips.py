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
from pear_ros.evaluation.calibrations import CalibratedCamera
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS
from pear_ros.evaluation.labels import Doubles, LabelError
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
    arrays = _arrays(file)
    names = [str(name) for name in arrays["names"]]
    if missing := [n for n in COCO_KEYPOINTS[5:] if n not in names]:
        raise LabelError(f"{file}: 'names' lacks {', '.join(missing)}; they are compared")
    single = arrays["K"].ndim == 2
    if single:
        for name in {"K", "R", "t", "size", "videos", "distortion"} & set(arrays):
            arrays[name] = arrays[name][None]
    joints = np.asarray(arrays["joints"], float)
    joints = joints[:, None] if joints.ndim == 3 else joints
    frames = np.asarray(arrays["frames"], np.intp)
    cameras = len(arrays["K"])
    _check(file, "joints", joints.shape, (len(frames), None, len(names), 3))
    for name, shape in {"K": (3, 3), "R": (3, 3), "t": (3,), "size": (2,), "videos": ()}.items():
        _check(file, name, arrays[name].shape, (cameras, *shape))
    if len(frames) and (np.diff(frames) <= 0).any():
        raise LabelError(f"{file}: 'frames' has to ascend")
    coco = np.full((*joints.shape[:2], len(COCO_KEYPOINTS), 3), np.nan)
    for index, name in enumerate(COCO_KEYPOINTS):
        if name in names:
            coco[:, :, index] = joints[:, :, names.index(name)]
    folder = videos or file.parent
    files = [folder / str(name) for name in arrays["videos"]]
    if lost := [str(path) for path in files if not path.is_file()]:
        raise LabelError(f"{', '.join(lost)} missing; give the folder of the videos by --images")
    return Clip(
        name=file.stem,
        cameras=[_camera(arrays, index, files[index].stem) for index in range(cameras)],
        videos=files,
        frames=frames,
        frame_rate=float(arrays["frame_rate"]),
        joints=coco,
        orientation=_people_axis(arrays.get("orientation"), 4),
        vertices=_people_axis(arrays.get("vertices"), 4),
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


def _check(file: Path, name: str, shape: tuple[int, ...], expected: tuple[int | None, ...]) -> None:
    fits = len(shape) == len(expected)
    if not fits or any(b is not None and a != b for a, b in zip(shape, expected, strict=True)):
        text = ", ".join("P" if side is None else str(side) for side in expected)
        raise LabelError(f"{file}: '{name}' has to be ({text}), not {shape}")


def _camera(arrays: Mapping[str, Any], index: int, name: str) -> CalibratedCamera:
    matrix = arrays["K"][index]
    width, height = (int(side) for side in arrays["size"][index])
    distortion = None
    if "distortion" in arrays and arrays["distortion"][index].any():
        distortion = Distortion("plumb_bob", tuple(map(float, arrays["distortion"][index])))
    intrinsics = (
        float(matrix[0, 0]),
        float(matrix[1, 1]),
        float(matrix[0, 2]),
        float(matrix[1, 2]),
    )
    camera = Camera(width, height, *intrinsics, distortion=distortion)
    return CalibratedCamera(
        name, camera, np.asarray(arrays["R"][index], float), np.asarray(arrays["t"][index], float)
    )


def _people_axis(array: Any, dimensions: int) -> Doubles | None:
    if array is None:
        return None
    values = np.asarray(array, float)
    return values[:, None] if values.ndim == dimensions - 1 else values
