# SPDX-License-Identifier: Apache-2.0
"""CameraInfo to pinhole camera: calibrated, uncalibrated, resized and cropped."""

from __future__ import annotations

import math

import pytest

sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="needs ROS 2")

from pear_ros.camera import IntrinsicsSource  # noqa: E402
from pear_ros.ros.intrinsics import CalibrationError, camera_from_info  # noqa: E402


def info(
    width: int = 640, height: int = 480, fx: float = 500.0, fy: float = 510.0
) -> sensor_msgs.CameraInfo:
    return sensor_msgs.CameraInfo(
        width=width, height=height, k=[fx, 0.0, 320.0, 0.0, fy, 240.0, 0.0, 0.0, 1.0]
    )


def test_calibration_is_taken_as_it_is() -> None:
    camera = camera_from_info(info(), 640, 480)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500.0, 510.0, 320.0, 240.0)
    assert (camera.width, camera.height) == (640, 480)
    assert camera.source is IntrinsicsSource.CAMERA_INFO


def test_size_left_out_is_the_image_size() -> None:
    assert camera_from_info(info(width=0, height=0), 640, 480).fx == 500.0


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_resized_image_sees_in_the_same_directions(scale: float) -> None:
    width, height = int(640 * scale), int(480 * scale)
    camera, small = camera_from_info(info(), 640, 480), camera_from_info(info(), width, height)
    # The same corner of the image, half a pixel outside the first pixel's centre.
    assert (-0.5 - camera.cx) / camera.fx == pytest.approx((-0.5 - small.cx) / small.fx)
    assert (479.5 - camera.cy) / camera.fy == pytest.approx((height - 0.5 - small.cy) / small.fy)


def test_region_of_interest_and_binning() -> None:
    message = info()
    message.roi = sensor_msgs.RegionOfInterest(x_offset=100, y_offset=40, width=320, height=240)
    message.binning_x = message.binning_y = 2
    whole, part = camera_from_info(info(), 640, 480), camera_from_info(message, 160, 120)
    # The sensor's pixel (100, 40) is the first in the region; its corner is the image's corner.
    assert (99.5 - whole.cx) / whole.fx == pytest.approx((-0.5 - part.cx) / part.fx)
    assert (39.5 - whole.cy) / whole.fy == pytest.approx((-0.5 - part.cy) / part.fy)
    assert part.fx == pytest.approx(250.0)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (info(fx=0.0), r"K\[0\] is 0"),
        (info(fx=math.nan), "unusable"),
        (info(fy=0.0), "unusable"),
        (info(fx=-500.0), "unusable"),
        (info(fx=math.inf), "unusable"),
        (info(width=640, height=640), "640 x 640 pixels, the image has 640 x 480"),
    ],
)
def test_useless_calibration_is_refused(message: sensor_msgs.CameraInfo, says: str) -> None:
    with pytest.raises(CalibrationError, match=says):
        camera_from_info(message, 640, 480)
