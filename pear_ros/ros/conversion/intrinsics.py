# SPDX-License-Identifier: Apache-2.0
"""Conversion of sensor_msgs/CameraInfo to a camera."""

from __future__ import annotations

from typing import Any

import numpy as np

from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.distortion import Distortion

_ASPECT_TOLERANCE = 0.01
"""Greatest relative difference of horizontal and vertical scale in a resized image."""


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


def camera_from_info(info: Any, width: int, height: int, rectified: bool) -> Camera:
    """Return the camera of an image of width x height pixels from its sensor_msgs/CameraInfo.

    A raw image has the matrix K and the distortion D. A `rectified` one has P, or K if P is not
    filled in, and no distortion. The matrices are those of the full sensor: the offset of the
    region of interest is subtracted, and the result is scaled to the size of the image, which also
    covers binning and drivers that resize.

    Raises CalibrationError when the camera is not calibrated (K[0] == 0, REP-104), the matrix holds
    no usable numbers, the distortion is unknown, or the image's proportions are others than the
    CameraInfo's.
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
    return Camera(
        width,
        height,
        fx * scale_x,
        fy * scale_y,
        # Integer coordinates are pixel centres, so the image's corner is at -0.5.
        (cx - info.roi.x_offset + 0.5) * scale_x - 0.5,
        (cy - info.roi.y_offset + 0.5) * scale_y - 0.5,
        IntrinsicsSource.CAMERA_INFO,
        None if rectified else _distortion(info),
    )


def _distortion(info: Any) -> Distortion | None:
    """None for a pinhole camera."""
    # Simulators and rectifying drivers leave D empty or zero, and often the model's name, too.
    # Only of a fisheye zeros do not make a pinhole.
    if info.distortion_model != "equidistant" and not any(info.d):
        return None
    try:
        return Distortion(info.distortion_model, tuple(map(float, info.d)))
    except ValueError as error:
        raise CalibrationError(f"D cannot be used: {error}") from error
