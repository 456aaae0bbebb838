# SPDX-License-Identifier: Apache-2.0
"""CameraInfo to camera: calibrated, uncalibrated, distorted, resized and cropped."""

from __future__ import annotations

import math
from typing import Any

import pytest

sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="needs ROS 2")

from pear_ros.core.camera import IntrinsicsSource  # noqa: E402
from pear_ros.ros.conversion.intrinsics import CalibrationError, camera_from_info, is_rectified  # noqa: E402


def info(
    width: int = 640, height: int = 480, fx: float = 500.0, fy: float = 510.0, **others: Any
) -> sensor_msgs.CameraInfo:
    k = [fx, 0.0, 320.0, 0.0, fy, 240.0, 0.0, 0.0, 1.0]
    return sensor_msgs.CameraInfo(width=width, height=height, k=k, **others)


def test_calibration_is_taken_as_it_is() -> None:
    camera = camera_from_info(info(), 640, 480, rectified=False)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500.0, 510.0, 320.0, 240.0)
    assert (camera.width, camera.height) == (640, 480)
    assert camera.source is IntrinsicsSource.CAMERA_INFO


def test_size_left_out_is_the_image_size() -> None:
    assert camera_from_info(info(width=0, height=0), 640, 480, rectified=False).fx == 500.0


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_resized_image_sees_in_the_same_directions(scale: float) -> None:
    width, height = int(640 * scale), int(480 * scale)
    camera, small = (
        camera_from_info(info(), 640, 480, rectified=False),
        camera_from_info(info(), width, height, rectified=False),
    )
    # The same corner of the image, half a pixel outside the first pixel's centre.
    assert (-0.5 - camera.cx) / camera.fx == pytest.approx((-0.5 - small.cx) / small.fx)
    assert (479.5 - camera.cy) / camera.fy == pytest.approx((height - 0.5 - small.cy) / small.fy)


def test_region_of_interest_and_binning() -> None:
    message = info()
    message.roi = sensor_msgs.RegionOfInterest(x_offset=100, y_offset=40, width=320, height=240)
    message.binning_x = message.binning_y = 2
    whole, part = (
        camera_from_info(info(), 640, 480, rectified=False),
        camera_from_info(message, 160, 120, rectified=False),
    )
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
        camera_from_info(message, 640, 480, rectified=False)


RECTIFIED_P = [400.0, 0.0, 310.0, -40.0, 0.0, 410.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("plumb_bob", [-0.3, 0.1, 0.001, -0.002, 0.0]),
        ("rational_polynomial", [0.5, -2.5, 0.0, 0.0, 1.5, 0.4, -2.3, 1.4]),
        ("equidistant", [-0.01, 0.02, -0.01, 0.002]),
        ("equidistant", [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_raw_image_is_distorted_as_the_message_says(model: str, d: list[float]) -> None:
    camera = camera_from_info(
        info(p=RECTIFIED_P, distortion_model=model, d=d), 640, 480, rectified=False
    )
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500.0, 510.0, 320.0, 240.0)
    assert camera.distortion is not None
    assert (camera.distortion.model, list(camera.distortion.coefficients)) == (model, d)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("plumb_bob", []),
        ("", []),
        ("plumb_bob", [0.0] * 5),
        ("plumb_bob", [0.0] * 8),
        ("none", [0.0] * 5),
    ],
)
def test_nothing_but_zeros_is_a_pinhole(model: str, d: list[float]) -> None:
    message = info(distortion_model=model, d=d)
    assert camera_from_info(message, 640, 480, rectified=False).distortion is None


def test_rectified_image_is_a_pinholes_with_matrix_p() -> None:
    message = info(p=RECTIFIED_P, distortion_model="plumb_bob", d=[-0.3, 0.1, 0.0, 0.0, 0.0])
    camera = camera_from_info(message, 1280, 960, rectified=True)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (800.0, 820.0, 620.5, 460.5)
    assert camera.distortion is None


def test_rectified_image_without_p_has_k() -> None:
    message = info(distortion_model="plumb_bob", d=[-0.3, 0.1, 0.0, 0.0, 0.0])
    camera = camera_from_info(message, 640, 480, rectified=True)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500.0, 510.0, 320.0, 240.0)
    assert camera.distortion is None


@pytest.mark.parametrize(
    ("model", "d", "says"),
    [
        ("fov", [0.9], "D cannot be used: unknown distortion model 'fov'"),
        ("", [-0.3, 0.1, 0.0, 0.0, 0.0], "unknown distortion model ''"),
        ("plumb_bob", [-0.3, 0.1, 0.0], "plumb_bob has 4 or 5 coefficients, not 3"),
        ("equidistant", [], "equidistant has 4 coefficients, not 0"),
        ("plumb_bob", [math.nan] * 5, "not all finite"),
    ],
)
def test_useless_distortion_is_refused_for_raw_images_only(
    model: str, d: list[float], says: str
) -> None:
    message = info(distortion_model=model, d=d)
    with pytest.raises(CalibrationError, match=says):
        camera_from_info(message, 640, 480, rectified=False)
    assert camera_from_info(message, 640, 480, rectified=True).distortion is None


def test_useless_p_is_refused_by_its_name() -> None:
    with pytest.raises(CalibrationError, match="P is unusable"):
        camera_from_info(info(p=[400.0] + [0.0] * 11), 640, 480, rectified=True)


@pytest.mark.parametrize(
    ("calibration", "topic", "rectified"),
    [
        ("auto", "/camera/image_raw", False),
        ("auto", "/camera/image_rect", True),
        ("auto", "/camera/image_rect_color", True),
        ("auto", "/image_rect/image", False),
        ("auto", "image", False),
        ("raw", "/camera/image_rect", False),
        ("rectified", "/camera/image_raw", True),
    ],
)
def test_rectified_is_what_is_said_or_named_so(
    calibration: str, topic: str, rectified: bool
) -> None:
    assert is_rectified(calibration, topic) is rectified
