# SPDX-License-Identifier: Apache-2.0
"""Conversion of sensor_msgs/CameraInfo to a camera."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.ros.conversion.lenses import distortion_of, lens_name
from pear_ros.ros.conversion.notes import Note

_ASPECT_TOLERANCE = 0.01
"""Greatest relative difference of horizontal and vertical scale in a resized image."""
_NARROWEST, _WIDEST, _WIDEST_FISHEYE = 1.0, 140.0, 300.0
"""Fields of view in degrees, across the longer side, that lenses have: by K alone, as if there was
no distortion, and of a fisheye."""
_SQUARE = 2.5
"""Greatest ratio of fx and fy; binning of one axis makes it 2."""
_CENTRE_MARGIN = 0.02
"""Least distance of the principal point from the edge, over the side of the full image."""


class CalibrationError(ValueError):
    """A CameraInfo that does not describe this image; the text says why."""


def is_rectified(calibration: str, image_topic: str) -> bool:
    """Return whether images on `image_topic` are rectified, by the parameter `calibration`.

    With "auto" the topic's name decides: image_proc publishes rectified images on image_rect or
    image_rect_color.
    """
    if calibration == "auto":
        return image_topic.rpartition("/")[2].startswith("image_rect")
    return calibration == "rectified"


def camera_from_info(
    info: Any, width: int, height: int, rectified: bool, notes: list[Note] | None = None
) -> Camera:
    """Return the camera of an image of width x height pixels from its sensor_msgs/CameraInfo.

    A raw image has the matrix K and the distortion D. A `rectified` one has P, or K if P is not
    filled in, and no distortion. The matrices are those of the full sensor: the offset of the
    region of interest is subtracted, and the result is scaled to the size of the image, which also
    covers binning and drivers that resize.

    A distortion that cannot be used is left out; `notes` gets a note about that, and about one that
    was mended. Raises CalibrationError when the camera is not calibrated (K[0] == 0, REP-104), the
    matrix holds no usable numbers or those of a placeholder, which no camera has, or the image's
    proportions are others than the CameraInfo's.
    """
    name, matrix, row = ("P", info.p, 4) if rectified and info.p[0] != 0.0 else ("K", info.k, 3)
    fx, fy, cx, cy = (float(matrix[i]) for i in (0, row + 1, 2, row + 2))
    if fx == 0.0:
        raise CalibrationError(f"the camera is not calibrated ({name}[0] is 0)")
    if not np.isfinite([fx, fy, cx, cy]).all() or fx < 0.0 or fy <= 0.0:
        raise CalibrationError(f"{name} is unusable (fx {fx}, fy {fy}, cx {cx}, cy {cy})")
    # 0 means the full sensor in the region, and unknown in the size of the sensor.
    seen_width = info.roi.width or info.width or width
    seen_height = info.roi.height or info.height or height
    scale_x, scale_y = width / seen_width, height / seen_height
    if abs(scale_x - scale_y) > _ASPECT_TOLERANCE * scale_x:
        raise CalibrationError(
            f"it is for {seen_width} x {seen_height} pixels, the image has {width} x {height}: "
            "other proportions, so the image is cropped or from another camera"
        )
    full = (info.width or seen_width, info.height or seen_height)
    fisheye = not rectified and lens_name(info.distortion_model) == "equidistant"
    if reason := _placeholder(fx, fy, cx, cy, full, fisheye):
        raise CalibrationError(f"{name} is a placeholder: {reason}; calibrate the camera")
    return Camera(
        width,
        height,
        fx * scale_x,
        fy * scale_y,
        # Integer coordinates are pixel centres, so the image's corner is at -0.5.
        (cx - info.roi.x_offset + 0.5) * scale_x - 0.5,
        (cy - info.roi.y_offset + 0.5) * scale_y - 0.5,
        IntrinsicsSource.CAMERA_INFO,
        None
        if rectified
        else distortion_of(info.distortion_model, info.d, [] if notes is None else notes),
    )


def _placeholder(
    fx: float, fy: float, cx: float, cy: float, size: tuple[int, int], fisheye: bool
) -> str:
    """Why no camera of this `size`, width and height in pixels, has the matrix; empty if one may.

    Uncalibrated drivers send identity matrices, and the image's size with a focal length of 1.
    """
    width, height = size
    across, focal = (width, fx) if width >= height else (height, fy)
    radians = across / focal if fisheye else 2.0 * math.atan(0.5 * across / focal)
    degrees = math.degrees(radians)
    widest = _WIDEST_FISHEYE if fisheye else _WIDEST
    if not _NARROWEST <= degrees <= widest:
        return (
            f"fx {fx:g} and fy {fy:g} for {width} x {height} pixels are a field of view of "
            f"{degrees:.3g} degrees"
        )
    if not 1.0 / _SQUARE <= fx / fy <= _SQUARE:
        return f"fx {fx:g} and fy {fy:g} are no square pixels"
    for axis, centre, side in (("cx", cx, width), ("cy", cy, height)):
        if not _CENTRE_MARGIN * side <= centre <= (1.0 - _CENTRE_MARGIN) * side:
            return f"{axis} {centre:g} is at the edge of {width} x {height} pixels, or outside"
    return ""
