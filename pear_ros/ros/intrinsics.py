# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo to the core's pinhole camera."""

from __future__ import annotations

from typing import Any

import numpy as np

from pear_ros.camera import Camera, IntrinsicsSource

_ASPECT_TOLERANCE = 0.01
"""Greatest relative difference of horizontal and vertical scale taken for a resized image."""


class CalibrationError(ValueError):
    """A CameraInfo that says nothing about this image; the text says why."""


def camera_from_info(info: Any, width: int, height: int) -> Camera:
    """Pinhole camera of an image of width x height pixels from its sensor_msgs/CameraInfo.

    The matrix K serves; lens distortion is not undone. K is for the whole sensor, so the region of
    interest is subtracted and the rest scaled to the image's size, which also covers binning and
    drivers that resize.

    Raises CalibrationError when the camera is not calibrated (K[0] == 0, REP-104), K holds no
    usable numbers, or the image's proportions are others than the CameraInfo's.
    """
    fx, fy, cx, cy = (float(info.k[i]) for i in (0, 4, 2, 5))
    if fx == 0.0:
        raise CalibrationError("the camera is not calibrated (K[0] is 0)")
    if not np.isfinite([fx, fy, cx, cy]).all() or fx < 0.0 or fy <= 0.0:
        raise CalibrationError(f"K is unusable (fx {fx}, fy {fy}, cx {cx}, cy {cy})")
    # 0 means: for the region, that it is the whole sensor; for the sensor, that nobody said.
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
    )
