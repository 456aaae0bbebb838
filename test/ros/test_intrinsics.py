# SPDX-License-Identifier: Apache-2.0
"""CameraInfo to camera: calibrated, uncalibrated, distorted, resized and cropped."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="needs ROS 2")

from pear_ros.core.camera import Camera, IntrinsicsSource  # noqa: E402
from pear_ros.core.distortion import MODELS  # noqa: E402
from pear_ros.ros.conversion.intrinsics import CalibrationError, camera_from_info, is_rectified  # noqa: E402
from pear_ros.ros.conversion.lenses import ALIASES  # noqa: E402
from pear_ros.ros.conversion.notes import Note  # noqa: E402


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


def lens(model: str, d: list[float], **others: Any) -> tuple[Camera, list[Note]]:
    notes: list[Note] = []
    message = info(distortion_model=model, d=d, **others)
    return camera_from_info(message, 640, 480, rectified=False, notes=notes), notes


@pytest.mark.parametrize(
    ("model", "d", "says"),
    [
        ("fov", [0.9], "distortion_model 'fov' is unknown"),
        ("none", [-0.3, 0.1, 0.0, 0.0, 0.0], "distortion_model 'none' has none"),
        ("plumb_bob", [-0.3, 0.1, 0.1], "plumb_bob has 4 or 5 coefficients, not 3"),
        ("plumb_bob", [0.1] * 8, "plumb_bob has 4 or 5 coefficients, not 8"),
        ("equidistant", [0.1] * 5, "equidistant has 4 coefficients, not 5"),
        ("rational_polynomial", [0.1] * 15, "not 15"),
        ("plumb_bob", [math.nan] * 5, "not all finite"),
        ("plumb_bob", [1e39] * 5, "1e+39 belong to no lens"),
        ("x\x1b[2J" * 500, [1.0], "...' is unknown"),
    ],
)
def test_useless_distortion_leaves_k(model: str, d: list[float], says: str) -> None:
    camera, (note,) = lens(model, d)
    assert (camera.fx, camera.source) == (500.0, IntrinsicsSource.CAMERA_INFO)
    assert camera.distortion is None
    assert note.cause == "distortion left out"
    assert says.replace("...' is", "'... is") in note.text
    assert note.text.isprintable() and len(note.text) < 300


@pytest.mark.parametrize(
    ("model", "count", "used", "total"),
    [
        ("plumb_bob", 8, 5, 5),
        ("plumb_bob", 14, 4, 4),
        ("plumb_bob", 2, 2, 4),
        ("plumb_bob", 6, 5, 5),
        ("plumb_bob", 12, 3, 4),
        ("rational_polynomial", 5, 5, 8),
        ("rational_polynomial", 6, 6, 8),
        ("rational_polynomial", 20, 13, 14),
        ("equidistant", 5, 4, 4),
        ("equidistant", 8, 2, 4),
        ("equidistant", 0, 0, 4),
    ],
)
def test_zeros_are_cut_or_padded(model: str, count: int, used: int, total: int) -> None:
    numbers = [0.01 * (n + 1) for n in range(used)]
    camera, (note,) = lens(model, numbers + [0.0] * (count - used))
    assert camera.distortion is not None
    assert list(camera.distortion.coefficients) == numbers + [0.0] * (total - used)
    assert note.cause == "distortion resized"


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("fisheye", "equidistant"),
        ("Kannala-Brandt", "equidistant"),
        ("radtan", "plumb_bob"),
        ("brown_conrady", "plumb_bob"),
        ("Brown Conrady", "plumb_bob"),
        ("PLUMB_BOB", "plumb_bob"),
        (" Equidistant ", "equidistant"),
    ],
)
def test_other_names_of_a_model_are_known(model: str, known: str) -> None:
    camera, (note,) = lens(model, [0.1, 0.01, 0.001, 0.002])
    assert camera.distortion is not None and camera.distortion.model == known
    assert note.cause == "distortion renamed" and known in note.text


@pytest.mark.parametrize("model", ["none", "pinhole", "", "Plumb_Bob", "anything"])
def test_zeros_of_any_model_are_a_pinhole(model: str) -> None:
    camera, notes = lens(model, [0.0] * 5)
    assert camera.distortion is None and notes == []


def test_zeros_of_a_fisheye_are_none() -> None:
    camera, _ = lens("fisheye", [0.0] * 4)
    assert camera.distortion is not None and camera.distortion.model == "equidistant"


@given(
    model=st.sampled_from([*MODELS, *ALIASES, "none", "", "FOV"]) | st.text(max_size=20),
    d=st.lists(st.floats() | st.just(0.0), max_size=20),
)
def test_whatever_d_is_k_is_used(model: str, d: list[float]) -> None:
    camera, notes = lens(model, d)
    assert (camera.fx, camera.source) == (500.0, IntrinsicsSource.CAMERA_INFO)
    kept = camera.distortion
    if kept is None:
        assert not any(d) or notes
    else:
        assert len(kept.coefficients) in MODELS[kept.model]
        assert sum(map(bool, kept.coefficients)) == sum(map(bool, d)), "nothing but zeros is lost"


@pytest.mark.parametrize(
    ("k", "says"),
    [
        ([1.0, 0, 320, 0, 1, 180, 0, 0, 1], "field of view of 180 degrees"),
        ([1.0, 0, 0, 0, 1, 0, 0, 0, 1], "field of view"),
        ([10.0, 0, 320, 0, 10, 180, 0, 0, 1], "fx 10 and fy 10 for 640 x 360"),
        ([75.0, 0, 320, 0, 75, 180, 0, 0, 1], "field of view of 154 degrees"),
        ([1e6, 0, 320, 0, 1e6, 180, 0, 0, 1], "field of view of 0.0367 degrees"),
        ([1e39, 0, 320, 0, 1e39, 180, 0, 0, 1], "field of view of 3.67e-35"),
        ([500.0, 0, 320, 0, 5.0, 180, 0, 0, 1], "no square pixels"),
        ([500.0, 0, 0, 0, 500, 0, 0, 0, 1], "cx 0 is at the edge of 640 x 360"),
        ([500.0, 0, 320, 0, 500, 9000, 0, 0, 1], "cy 9000 is at the edge"),
    ],
)
@pytest.mark.parametrize("rectified", [False, True])
def test_a_placeholder_is_no_calibration(k: list[float], says: str, rectified: bool) -> None:
    message = sensor_msgs.CameraInfo(
        width=640, height=360, k=list(map(float, k)), d=[0.0] * 5, distortion_model="plumb_bob"
    )
    with pytest.raises(CalibrationError, match="K is a placeholder") as raised:
        camera_from_info(message, 640, 360, rectified)
    assert says in str(raised.value)


@pytest.mark.parametrize(("focal", "usable"), [(200.0, True), (150.0, True), (75.0, False)])
def test_a_fisheye_may_see_behind_itself(focal: float, usable: bool) -> None:
    message = info(fx=focal, fy=focal, distortion_model="fisheye", d=[0.0] * 4)
    if usable:
        assert camera_from_info(message, 640, 480, rectified=False).fx == focal
    else:
        with pytest.raises(CalibrationError, match="field of view of 489 degrees"):
            camera_from_info(message, 640, 480, rectified=False)


def test_lenses_from_wide_to_tele_are_calibrations() -> None:
    for degrees in (3.0, 60.0, 120.0, 135.0):
        focal = 320.0 / math.tan(math.radians(degrees / 2.0))
        assert camera_from_info(info(fx=focal, fy=focal), 640, 480, rectified=False).fx == focal


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
