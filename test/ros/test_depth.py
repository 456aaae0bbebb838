# SPDX-License-Identifier: Apache-2.0
"""Depth images in both encodings and all layouts, and those that must be refused."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="needs ROS 2")

from pear_ros.ros.conversion.depth import depth_from_image  # noqa: E402
from pear_ros.ros.conversion.images import ImageError  # noqa: E402
from pear_ros.ros.conversion.notes import Note  # noqa: E402

WIDTH, HEIGHT = 5, 3
UNKNOWN = (0, 2), (2, 4)


def metres() -> np.ndarray:
    depth = np.linspace(0.5, 60.0, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).round(3)
    depth[tuple(zip(*UNKNOWN, strict=True))] = np.nan
    return depth.astype(np.float32)


def message(
    encoding: str, depth: np.ndarray, padding: int = 0, big: bool = False
) -> sensor_msgs.Image:
    if encoding == "16UC1":
        values = np.nan_to_num(depth * 1000.0).round().astype(">u2" if big else "<u2")
    else:
        values = depth.astype(">f4" if big else "<f4")
    packed = np.ascontiguousarray(values).view(np.uint8).reshape(len(depth), -1)
    padded = np.pad(packed, ((0, 0), (0, padding)), constant_values=99)
    return sensor_msgs.Image(
        encoding=encoding,
        height=depth.shape[0],
        width=depth.shape[1],
        step=padded.shape[1],
        is_bigendian=big,
        data=padded.tobytes(),
    )


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 3, 8])
@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_metres_are_read(encoding: str, padding: int, big: bool) -> None:
    depth = depth_from_image(message(encoding, metres(), padding, big), WIDTH, HEIGHT)
    assert depth.dtype == np.float32
    assert depth.dtype.isnative
    np.testing.assert_allclose(depth, metres(), rtol=1e-6)


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf, 0.0, -1.0])
def test_all_that_is_no_distance_is_unknown(nothing: float) -> None:
    sent = message("32FC1", np.array([[nothing, 2.0]], np.float32))
    before = bytes(sent.data)
    np.testing.assert_array_equal(depth_from_image(sent, 2, 1), [[np.nan, 2.0]])
    assert bytes(sent.data) == before, "the message is not changed"


@pytest.mark.parametrize("padding", [0, 4])
def test_metres_are_not_copied(padding: int) -> None:
    sent = message("32FC1", metres(), padding)
    depth = depth_from_image(sent, WIDTH, HEIGHT)
    assert np.shares_memory(depth, np.frombuffer(sent.data, np.uint8))


def test_an_image_without_any_depth() -> None:
    nothing = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    for encoding in ("16UC1", "32FC1"):
        assert np.isnan(depth_from_image(message(encoding, nothing), WIDTH, HEIGHT)).all()


@pytest.mark.parametrize(
    ("change", "cause", "says"),
    [
        ({"encoding": "rgb8"}, "depth encoding rgb8", "'rgb8'; REP-118 has 16UC1"),
        ({"data": bytes(29)}, "truncated", "needs 30 bytes but has 29"),
        ({"step": 9}, "step", "rows (step) of 9 bytes, needs 10"),
        ({"width": 4}, "depth size", "4 x 3 pixels for a picture of 5 x 3: it must be aligned"),
        ({"height": 2}, "depth size", "5 x 2 pixels"),
    ],
)
def test_refused_with_a_reason(change: dict[str, object], cause: str, says: str) -> None:
    sent = message("16UC1", metres())
    for name, value in change.items():
        setattr(sent, name, value)
    with pytest.raises(ImageError) as caught:
        depth_from_image(sent, WIDTH, HEIGHT)
    assert caught.value.cause == cause
    assert says in str(caught.value)


def test_no_pixels_are_no_depth() -> None:
    with pytest.raises(ImageError, match="0 x 3 image in 16UC1 has no pixels"):
        depth_from_image(sensor_msgs.Image(encoding="16UC1", height=3), 0, 3)


@given(
    encoding=st.sampled_from(["16UC1", "32FC1", "mono16", ""]),
    width=st.integers(0, 6),
    height=st.integers(0, 6),
    step=st.integers(0, 30),
    big=st.integers(0, 255),
    data=st.binary(max_size=200),
)
def test_any_message_is_read_or_refused(
    encoding: str, width: int, height: int, step: int, big: int, data: bytes
) -> None:
    sent = sensor_msgs.Image(
        encoding=encoding, width=width, height=height, step=step, is_bigendian=big, data=data
    )
    try:
        depth = depth_from_image(sent, width, height)
    except ImageError as error:
        assert str(error)
    else:
        assert depth.shape == (height, width)
        assert depth.dtype == np.float32
        assert (np.isnan(depth) | ((depth > 0.0) & np.isfinite(depth))).all()


def png(values: np.ndarray, kind: str, header: bytes = b"") -> sensor_msgs.CompressedImage:
    data = header + cv2.imencode(".png", values)[1].tobytes()
    return sensor_msgs.CompressedImage(format=kind, data=data)


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("16UC1; compressedDepth png", struct.pack("<iff", 0, 0, 0)),
        ("16UC1; compressedDepth", struct.pack("<iff", 0, 0, 0)),
        ("16UC1; png compressed ", b""),
        ("png", b""),
    ],
)
def test_compressed_millimetres_are_read(kind: str, header: bytes) -> None:
    millimetres = np.nan_to_num(metres() * 1000.0).round().astype(np.uint16)
    depth = depth_from_image(png(millimetres, kind, header), WIDTH, HEIGHT)
    np.testing.assert_allclose(depth, metres(), rtol=1e-6)


def test_compressed_inverse_depth_is_read() -> None:
    """image_transport's quantisation: number = A / metres + B."""
    a, b = 100.0 * 101.0, 1.0 - 100.0 * 101.0 / 100.0
    numbers = np.nan_to_num(a / metres() + b).round().astype(np.uint16)
    sent = png(numbers, "32FC1; compressedDepth png", struct.pack("<iff", 0, a, b))
    np.testing.assert_allclose(depth_from_image(sent, WIDTH, HEIGHT), metres(), rtol=0.01)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (sensor_msgs.CompressedImage(format="16UC1; compressedDepth rvl", data=bytes(40)), "png"),
        (png(np.zeros((3, 5), np.uint8), "mono8; png compressed "), "no PNG of 16 bits"),
        (png(np.zeros((4, 5), np.uint16), "png"), "depth image of 5 x 4 pixels"),
        (sensor_msgs.CompressedImage(format="png", data=b""), "no PNG of 16 bits"),
    ],
)
def test_other_compressed_depth_is_refused(sent: sensor_msgs.CompressedImage, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        depth_from_image(sent, WIDTH, HEIGHT)


def test_a_damaged_png_is_refused() -> None:
    sent = png(np.zeros((HEIGHT, WIDTH), np.uint16), "png")
    sent.data = sent.data[:40]
    with pytest.raises(ImageError, match="corrupt"):
        depth_from_image(sent, WIDTH, HEIGHT)


def test_metres_that_are_millimetres_are_converted() -> None:
    notes: list[Note] = []
    sent = message("32FC1", metres() * 1000.0)
    np.testing.assert_allclose(depth_from_image(sent, WIDTH, HEIGHT, notes), metres(), rtol=1e-6)
    assert [note.cause for note in notes] == ["depth in millimetres"]
    notes.clear()
    one_far = metres()
    one_far[0, 0] = 5000.0
    depth_from_image(message("32FC1", one_far), WIDTH, HEIGHT, notes)
    assert notes == []
