# SPDX-License-Identifier: Apache-2.0
"""Calibrated cameras: readers of Qualisys' `.qca.txt` and of Pose2Sim's `.toml`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.distortion import Distortion
from pear_ros.evaluation.labels import Doubles, LabelError

_QUALISYS_UNIT = 64.0
"""Qualisys gives intrinsics in 1/64 pixel."""
_FLIP = np.diag([1.0, -1.0, -1.0])
"""Qualisys' cameras have y up and look along -z, optical frames y down and look along z."""


@dataclass(frozen=True)
class CalibratedCamera:
    """One camera of a calibrated set: intrinsics, and its place in the world."""

    name: str
    """Name in the calibration file."""
    camera: Camera
    rotation: Doubles
    """(3, 3) from world axes to the optical frame."""
    translation: Doubles
    """(3,) of the world's origin in the optical frame, metres."""

    def from_world(self, points: Doubles) -> Doubles:
        """Return points (..., 3) of the world, metres, in the optical frame."""
        return points @ self.rotation.T + self.translation


def read_calibration(file: Path) -> list[CalibratedCamera]:
    """Return the cameras of a `.qca.txt` or `.toml` file, in its order. Raises LabelError."""
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{file} cannot be read: {error}") from error
    try:
        cameras = _pose2sim(text) if file.suffix == ".toml" else _qualisys(text)
        for one in cameras:
            require_usable(one.camera, one.name)
    except Exception as error:  # What damaged content raises depends on the damage.
        form = "Pose2Sim's .toml" if file.suffix == ".toml" else "Qualisys' .qca.txt"
        raise LabelError(f"{file} is not a calibration in the form of {form}: {error}") from error
    if len(cameras) < 2:
        raise LabelError(f"{file} has {len(cameras)} cameras; triangulation needs two or more")
    return cameras


def require_usable(camera: Camera, name: str) -> None:
    """Raise ValueError unless the intrinsics of the camera `name` can be those of one."""
    intrinsics = (camera.fx, camera.fy, camera.cx, camera.cy)
    if not np.isfinite(intrinsics).all() or min(camera.width, camera.height) < 1:
        raise ValueError(f"camera {name} has a size or intrinsics that no camera has")
    if min(camera.fx, camera.fy) <= 0.0:
        raise ValueError(f"camera {name} has a focal length that is not above 0")


def _qualisys(text: str) -> list[CalibratedCamera]:
    cameras: list[CalibratedCamera] = []
    for entry in ElementTree.fromstring(text).iter("camera"):
        if entry.get("active") == "0":
            continue
        if entry.get("viewrotation", "0") != "0":
            raise ValueError(f"camera {entry.get('serial')} has a view rotation, which is not read")
        place, lens, video = (
            _attributes(entry, n) for n in ("transform", "intrinsic", "fov_video")
        )
        axes = np.array([[place[f"r{row}{column}"] for column in (1, 2, 3)] for row in (1, 2, 3)])
        rotation = _FLIP @ axes
        position = np.array([place[axis] for axis in "xyz"]) / 1000.0
        coefficients = [lens["radialDistortion1"], lens["radialDistortion2"]]
        coefficients += [lens["tangentalDistortion1"], lens["tangentalDistortion2"]]
        camera = Camera(
            width=round(video["right"] - video["left"]) + 1,
            height=round(video["bottom"] - video["top"]) + 1,
            fx=lens["focalLengthU"] / _QUALISYS_UNIT,
            fy=lens["focalLengthV"] / _QUALISYS_UNIT,
            cx=lens["centerPointU"] / _QUALISYS_UNIT - video["left"],
            cy=lens["centerPointV"] / _QUALISYS_UNIT - video["top"],
            distortion=_distortion([*coefficients, lens.get("radialDistortion3", 0.0)]),
        )
        name = entry.get("serial", str(len(cameras) + 1))
        cameras.append(CalibratedCamera(name, camera, rotation, -rotation @ position))
    return cameras


def _attributes(entry: ElementTree.Element, name: str) -> dict[str, float]:
    part = entry.find(name)
    if part is None:
        raise ValueError(f"camera {entry.get('serial')} has no element <{name}>")
    return {key: float(value) for key, value in part.items() if _is_number(value)}


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", text.strip(), re.IGNORECASE) is not None


def _pose2sim(text: str) -> list[CalibratedCamera]:
    cameras = []
    for name, values in _sections(text).items():
        if "matrix" not in values:
            continue  # [metadata]
        if values.get("fisheye"):
            raise ValueError(f"camera {name} has a fisheye lens, which is not read")
        matrix = np.array(values["matrix"], float)
        width, height = map(round, values["size"])
        camera = Camera(
            *(width, height, matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]),
            distortion=_distortion(values.get("distortions", [])),
        )
        rotation: Any = cv2.Rodrigues(np.array(values["rotation"], float))[0]
        translation = np.array(values["translation"], float).ravel()
        cameras.append(CalibratedCamera(values.get("name", name), camera, rotation, translation))
    return cameras


def _sections(text: str) -> Mapping[str, dict[str, Any]]:
    """Return the values of each [section]; TOML's numbers, texts, lists, and booleans."""
    sections: dict[str, dict[str, Any]] = {}
    current: dict[str, Any] = {}
    for line in text.splitlines():
        line = line.strip()
        if header := re.fullmatch(r"\[([\w.-]+)\]", line):
            current = sections.setdefault(header.group(1), {})
        elif line and not line.startswith("#"):
            key, _, value = (part.strip() for part in line.partition("="))
            literal = {"true": "True", "false": "False"}.get(value, value)
            current[key] = ast.literal_eval(literal)
    return sections


def _distortion(coefficients: Any) -> Distortion | None:
    values = [float(value) for value in coefficients]
    return Distortion("plumb_bob", tuple(values)) if any(values) else None
