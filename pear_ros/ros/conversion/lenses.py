# SPDX-License-Identifier: Apache-2.0
"""The lens distortion of a sensor_msgs/CameraInfo, whatever its driver calls it.

Drivers pad D with zeros, cut it off, and use names of their own for ROS's models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pear_ros.core.distortion import LARGEST, MODELS, Distortion
from pear_ros.core.quoting import quoted
from pear_ros.ros.conversion.notes import Note

PINHOLE_NAMES = (
    *("", "none", "pinhole", "perfect_pinhole", "ideal", "no_distortion", "undistorted"),
    "rectified",
)
"""Names of cameras without distortion."""
ALIASES = {
    "brown_conrady": "plumb_bob",
    "radtan": "plumb_bob",
    "radial_tangential": "plumb_bob",
    "plumbbob": "plumb_bob",
    "opencv": "plumb_bob",
    "rational": "rational_polynomial",
    "fisheye": "equidistant",
    "opencv_fisheye": "equidistant",
    "kannala_brandt": "equidistant",
    "kannala_brandt4": "equidistant",
    "kb4": "equidistant",
    "equi": "equidistant",
}
"""Other names of ROS's models, as lens_name spells them, with ROS's name."""


def lens_name(model: str) -> str:
    """Return the name of a model in ROS's spelling: lower case, with underscores."""
    name = "_".join(model.lower().replace("-", " ").replace("_", " ").split())
    return ALIASES.get(name, name)


def distortion_of(model: str, d: Sequence[float], notes: list[Note]) -> Distortion | None:
    """Return the distortion of `distortion_model` and D of a CameraInfo; None: a pinhole camera.

    Names in other spellings and aliases are known; zeros are appended, or removed from the end,
    until the number of coefficients is one of the model's. What cannot be used is left out.
    `notes` gets a note about whatever was changed.
    """
    name, coefficients = lens_name(model), np.asarray(d, np.float64)
    # Simulators and rectifying drivers leave D empty or zero, and often the model's name, too.
    # Only of a fisheye zeros do not make a pinhole.
    if name != "equidistant" and not coefficients.any():
        return None
    reason = _unusable(name, model, coefficients)
    if reason:
        text = f"D of CameraInfo is left out and K is used alone, as {reason}"
        notes.append(Note("distortion left out", text, "calibrate the camera (camera_calibration)"))
        return None
    used = _resized(coefficients, MODELS[name])
    if len(used) != len(coefficients):
        text = (
            f"D of CameraInfo has {len(coefficients)} numbers for {quoted(model)}, which has "
            f"{_counts(name)}; the first {min(len(used), len(coefficients))} are used, others are 0"
        )
        remedy = f"let the driver send {len(used)} numbers"
        notes.append(Note("distortion resized", text, remedy))
    elif name != model:
        text = f"distortion_model {quoted(model)} of CameraInfo is taken for {name!r}"
        notes.append(Note("distortion renamed", text, "let the driver use ROS's name"))
    return Distortion(name, tuple(map(float, used)))


def _unusable(name: str, model: str, coefficients: np.ndarray[Any, Any]) -> str:
    """Why the coefficients cannot be used; empty if they can."""
    if name in PINHOLE_NAMES:
        return f"distortion_model {quoted(model)} has none"
    if name not in MODELS:
        known = ", ".join(MODELS)
        return f"distortion_model {quoted(model)} is unknown (known: {known})"
    if not np.isfinite(coefficients).all():
        return f"coefficients of {name} are not all finite numbers"
    if np.abs(coefficients).max(initial=0.0) > LARGEST:
        return f"coefficients of {name} up to {np.abs(coefficients).max():g} belong to no lens"
    significant = _significant(coefficients)
    # Of three numbers nobody knows whether the third is OpenCV's p1 or the radial k3.
    ambiguous = name == "plumb_bob" and len(coefficients) == 3 and significant == 3
    if significant > MODELS[name][-1] or ambiguous:
        return f"{name} has {_counts(name)} coefficients, not {len(coefficients)}"
    return ""


def _resized(coefficients: np.ndarray[Any, Any], counts: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if len(coefficients) in counts:
        return coefficients
    significant = _significant(coefficients)
    count = next(count for count in counts if count >= significant)
    used = np.zeros(count)
    used[:significant] = coefficients[:significant]
    return used


def _significant(coefficients: np.ndarray[Any, Any]) -> int:
    """Number of coefficients without the zeros at the end."""
    return int(np.flatnonzero(coefficients).max(initial=-1)) + 1


def _counts(name: str) -> str:
    return " or ".join(map(str, MODELS[name]))
