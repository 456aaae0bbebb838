# SPDX-License-Identifier: Apache-2.0
"""Fuzzed messages of cameras and detectors are read, or refused as documented."""

from __future__ import annotations

import math
import struct
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="conversion of messages needs ROS 2")

from pear_ros.core.frame_clock import FrameClock
from pear_ros.core.parameters import Parameters
from pear_ros.ros.conversion.encodings import ENCODINGS
from pear_ros.ros.conversion.frame_input import (
    CAMERA_INFO,
    DEPTH,
    DETECTIONS,
    IMAGE,
    FrameAssembler,
)
from pear_ros.ros.conversion.images import ImageError
from pear_ros.ros.conversion.lenses import lens_name
from testing.fuzzed import FUZZED, PICTURE, named, refused_with
from testing.mutations import mutated

STAMP = SimpleNamespace(sec=1, nanosec=0)
FLOATS = st.one_of(
    st.floats(), st.sampled_from((0.0, 1.0, 0.5, 24.0, 16.0, 1e39, -1e308, math.nan, math.inf))
)
SIZES = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))
TEXTS = st.text(max_size=20)
NUMBERS = st.integers(-(2**31), 2**31 - 1)

HEADERS = named(
    stamp=named(sec=NUMBERS, nanosec=st.integers(0, 2**32 - 1)),
    frame_id=st.one_of(st.just("camera"), TEXTS),
)
RAW = named(
    header=HEADERS,
    width=SIZES,
    height=SIZES,
    step=SIZES,
    encoding=st.one_of(st.sampled_from((*ENCODINGS, "8UC3", "16UC1", "32FC1")), TEXTS),
    is_bigendian=st.integers(0, 255),
    data=st.binary(max_size=4000),
)


@st.composite
def images_of_right_size(draw: Any) -> SimpleNamespace:
    """Images whose sizes agree, so that they reach the conversion."""
    width, height, bytes_per_pixel = (draw(st.integers(1, most)) for most in (40, 40, 12))
    data = draw(st.binary(min_size=1, max_size=64))
    size = width * height * bytes_per_pixel
    return SimpleNamespace(
        header=draw(HEADERS),
        width=width,
        height=height,
        step=width * bytes_per_pixel,
        encoding=draw(st.sampled_from((*ENCODINGS, "8UC1", "8UC3", "16UC1", "32FC1"))),
        is_bigendian=draw(st.integers(0, 1)),
        data=(data * size)[:size],
    )


def encoded(suffix: str, picture: Any = PICTURE) -> bytes:
    return bytes(cv2.imencode(suffix, picture)[1].tobytes())


DEEP = PICTURE[..., 0].astype(np.uint16) * 257
PICTURES = (
    *(encoded(suffix) for suffix in (".jpg", ".png", ".webp", ".bmp", ".tiff")),
    *(encoded(suffix, DEEP) for suffix in (".png", ".tiff")),
    encoded(".jpg", PICTURE[..., 0]),
    struct.pack("<iff", 0, 10.0, 0.1) + encoded(".png", DEEP),
)
COMPRESSED = named(
    header=HEADERS,
    format=st.one_of(
        st.sampled_from(
            (
                "jpeg",
                "rgb8; jpeg compressed rgb8",
                "bayer_rggb8; jpeg compressed",
                "16UC1; compressedDepth png",
                "32FC1; compressedDepth png",
            )
        ),
        TEXTS,
    ),
    data=st.one_of(mutated(*PICTURES), st.sampled_from(PICTURES), st.binary(max_size=64)),
)
IMAGES = st.one_of(RAW, images_of_right_size(), COMPRESSED)


def assembled(image: SimpleNamespace, **companions: Any) -> Any:
    """Return the input of the pipeline; None where the image is refused."""
    topics = {IMAGE: "/image", CAMERA_INFO: "/camera_info", DETECTIONS: "/found", DEPTH: "/depth"}
    found = None
    with refused_with(ImageError):
        found = FrameAssembler(topics)(image, companions, Parameters())
        assert found.image.dtype == np.uint8 and found.image.shape[2:] == (3,)
        assert found.image.size and (found.camera.width, found.camera.height) == (
            found.image.shape[1],
            found.image.shape[0],
        )
        assert not any("MemoryError" in one.text for one in found.issues)
    return found


@FUZZED
@given(IMAGES)
def test_image(image: SimpleNamespace) -> None:
    assembled(image)


GOOD = SimpleNamespace(
    header=SimpleNamespace(stamp=STAMP, frame_id="camera"),
    width=24,
    height=16,
    step=72,
    encoding="bgr8",
    is_bigendian=0,
    data=PICTURE.tobytes(),
)
MODELS = ("plumb_bob", "rational_polynomial", "equidistant", "fisheye", "radtan", "none", "")


@st.composite
def matrices(draw: Any, columns: int) -> list[float]:
    fx, fy, cx, cy = (draw(st.one_of(near, FLOATS)) for near in map(st.just, (20.0, 20.0, 12, 8)))
    values = [0.0] * 3 * columns
    values[0], values[2], values[columns + 1], values[columns + 2] = fx, cx, fy, cy
    return values


INFOS = named(
    header=HEADERS,
    width=st.one_of(st.just(24), SIZES),
    height=st.one_of(st.just(16), SIZES),
    distortion_model=st.one_of(st.sampled_from(MODELS), TEXTS),
    d=st.lists(st.one_of(st.floats(-1.0, 1.0), FLOATS), max_size=15),
    k=matrices(3),
    p=matrices(4),
    roi=named(
        **{
            name: st.one_of(st.just(0), SIZES)
            for name in ("x_offset", "y_offset", "width", "height")
        },
        do_rectify=st.booleans(),
    ),
)


@FUZZED
@given(INFOS)
def test_camera_info(info: SimpleNamespace) -> None:
    camera = assembled(GOOD, camera_info=info).camera
    assert np.isfinite([camera.fx, camera.fy, camera.cx, camera.cy]).all()
    assert camera.fx > 0.0 and camera.fy > 0.0
    if camera.distortion is not None:
        assert np.isfinite(camera.distortion.coefficients).all()
        assert lens_name(info.distortion_model)
    rays = camera.rays(np.array([[0.0, 0.0], [12.0, 8.0], [23.0, 15.0]], np.float32))
    assert rays.shape[0] == 3
    camera.project(np.array([[0.0, 0.0, 2.0], [1.0, -1.0, 0.1], [5.0, 5.0, 1e-3]], np.float32))


DETECTED = named(
    header=HEADERS,
    detections=st.lists(
        named(
            bbox=named(
                center=named(position=named(x=FLOATS, y=FLOATS), theta=FLOATS),
                size_x=FLOATS,
                size_y=FLOATS,
            ),
            results=st.lists(
                named(
                    hypothesis=named(
                        class_id=st.one_of(st.sampled_from(("person", "0")), TEXTS), score=FLOATS
                    )
                ),
                max_size=3,
            ),
        ),
        max_size=5,
    ),
)


@FUZZED
@given(DETECTED)
def test_detections(found: SimpleNamespace) -> None:
    detected = assembled(GOOD, detections=found).detected
    for one in detected.people:
        assert one.box.dtype == np.float32 and np.isfinite(one.box).all()
        assert np.isfinite((one.box[2:] - one.box[:2]).prod())
    detected.misses(24, 16)


@FUZZED
@given(IMAGES)
def test_depth(image: SimpleNamespace) -> None:
    metres = assembled(GOOD, depth=image).depth
    if metres is not None:
        assert metres.shape == (16, 24) and metres.dtype == np.float32
        assert not (metres <= 0.0).any() and not np.isinf(metres).any()


STAMPS = st.builds(lambda s, ns: s * 10**9 + ns, NUMBERS, st.integers(0, 2**32 - 1))


@FUZZED
@given(st.lists(st.tuples(STAMPS, st.integers(0, 2**62)), max_size=20))
def test_times(times: list[tuple[int, int]]) -> None:
    clock, last = FrameClock(), -math.inf
    for stamp, arrival in times:
        tick = clock(stamp, arrival)
        assert math.isfinite(tick.time)
        assert tick.reset or tick.time > last
        last = tick.time


@pytest.mark.parametrize("content", PICTURES[:5])
def test_good_pictures_are_read(content: bytes) -> None:
    """The property starts from them, or it would test little."""
    image = SimpleNamespace(header=GOOD.header, format="jpeg", data=content)
    assert assembled(image).image.shape == PICTURE.shape
