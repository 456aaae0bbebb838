# SPDX-License-Identifier: Apache-2.0
"""nvImageCodec's pictures are OpenCV's; what it cannot read, and where it is missing, OpenCV reads.

Its own decoder for CPUs stands in for the GPU's.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from pear_ros.core.device_image import DeviceImage, on_cpu
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Image, TrackingState
from pear_ros.ros.conversion import gpu_jpeg
from pear_ros.ros.conversion.frame_input import IMAGE, FrameAssembler
from pear_ros.ros.conversion.gpu_jpeg import GpuJpegDecoder, GpuJpegError, chosen_jpeg_decoder
from pear_ros.ros.conversion.images import ImageError, bgr_from_compressed, image_from_compressed
from pear_ros.ros.conversion.input_watch import InputWatch
from pear_ros.ros.conversion.pixels import Pixels

PERSON: Any = SimpleNamespace(state=TrackingState.TRACKED, pose_observed=True)


def picture() -> Image:
    """Return a picture with slow and fast changes of colour."""
    noise = np.random.default_rng(0).integers(0, 256, (97, 130, 3), np.uint8)
    return np.asarray(cv2.resize(cv2.GaussianBlur(noise, (0, 0), 3), (260, 194)), np.uint8)


def message(data: bytes, format: str = "bgr8; jpeg compressed bgr8") -> Any:
    return SimpleNamespace(data=data, format=format)


def jpeg(image: Image, *options: int) -> bytes:
    return cv2.imencode(".jpg", image, options)[1].tobytes()


class Counting:
    """Counts the pictures that a decoder reads and those that it leaves to OpenCV."""

    def __init__(self, decode: GpuJpegDecoder) -> None:
        self.read = self.left = 0
        self._decode = decode

    def __call__(self, data: bytes) -> Pixels | DeviceImage | None:
        found = self._decode(data)
        self.read += found is not None
        self.left += found is None
        return found


@pytest.fixture(scope="module")
def decoder() -> GpuJpegDecoder:
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is not there")
    return GpuJpegDecoder(use_cpu=True)


def test_pictures_are_those_of_opencv(decoder: GpuJpegDecoder) -> None:
    counting = Counting(decoder)
    for sampling in ("444", "422", "420"):
        factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
        data = jpeg(picture(), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor)
        for format in ("bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed rgb8", "jpeg"):
            found = bgr_from_compressed(message(data, format), decode_jpeg=counting)
            expected = bgr_from_compressed(message(data, format))
            assert found.dtype == expected.dtype and found.shape == expected.shape
            np.testing.assert_allclose(found.astype(int), expected, atol=3)
    assert (counting.read, counting.left) == (9, 0)


def test_pictures_outlive_the_next_one(decoder: GpuJpegDecoder) -> None:
    first = decoder(jpeg(picture()))
    assert isinstance(first, np.ndarray)
    kept = first.copy()
    decoder(jpeg(255 - picture()))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("kind", ["progressive", "grey", "png", "mosaic"])
def test_other_pictures_are_left_to_opencv(decoder: GpuJpegDecoder, kind: str) -> None:
    format = "jpeg"
    if kind == "progressive":
        data = jpeg(picture(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    elif kind == "png":
        data = cv2.imencode(".png", picture())[1].tobytes()
    else:
        data = jpeg(picture()[:, :, 0])
        format = "bayer_rggb8; jpeg compressed bayer_rggb8" if kind == "mosaic" else format
    counting = Counting(decoder)
    found = bgr_from_compressed(message(data, format), decode_jpeg=counting)
    np.testing.assert_array_equal(found, bgr_from_compressed(message(data, format)))
    assert counting.read == 0


def test_damage_is_reported_as_by_opencv(decoder: GpuJpegDecoder) -> None:
    data = jpeg(picture())
    for damaged in (b"", data[: len(data) // 2], b"\xff\xd8\xff\xd9", data[:40] + data[-40:]):
        with pytest.raises(ImageError) as expected:
            bgr_from_compressed(message(damaged))
        with pytest.raises(ImageError) as found:
            bgr_from_compressed(message(damaged), decode_jpeg=decoder)
        assert str(found.value) == str(expected.value)


@pytest.fixture(scope="module")
def keeping() -> GpuJpegDecoder:
    """A decoder whose pictures stay on what stands in for the GPU."""
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is not there")
    return GpuJpegDecoder(use_cpu=True, keep_on_device=True)


def test_pictures_that_stay_on_the_gpu_are_the_same(
    decoder: GpuJpegDecoder, keeping: GpuJpegDecoder
) -> None:
    kept = []
    for n in range(3):
        image = np.roll(picture(), 20 * n, axis=1)
        found = image_from_compressed(message(jpeg(image)), decode_jpeg=keeping)
        assert isinstance(found, DeviceImage) and not found.is_downloaded
        assert found.shape == image.shape
        kept.append((found, decoder(jpeg(image))))
    for found, expected in kept:
        np.testing.assert_array_equal(np.asarray(found.owner), expected)
        np.testing.assert_array_equal(found.numpy(), expected)
        assert found.numpy() is on_cpu(found)


@pytest.mark.parametrize("kind", ["colours swapped", "progressive", "grey"])
def test_pictures_that_need_opencv_come_to_the_cpu(keeping: GpuJpegDecoder, kind: str) -> None:
    format = "rgb8; jpeg compressed rgb8" if kind == "colours swapped" else "jpeg"
    options = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1) if kind == "progressive" else ()
    data = jpeg(picture()[:, :, 0] if kind == "grey" else picture(), *options)
    found = image_from_compressed(message(data, format), decode_jpeg=keeping)
    assert isinstance(found, np.ndarray)
    expected = bgr_from_compressed(message(data, format))
    np.testing.assert_allclose(found.astype(int), expected, atol=3)


def test_crops_of_pictures_on_the_gpu(keeping: GpuJpegDecoder) -> None:
    """Through DLPack, as torch reads them, against those of the same picture on the CPU."""
    torch = pytest.importorskip("torch", reason="PEAR by torch")
    if not hasattr(np.ndarray, "__dlpack__"):
        pytest.skip("this NumPy, which stands in for the GPU, has no DLPack")
    from pear_ros.pear.torch_crop import copy_bordered, covered, crop_people, room, warp

    image = keeping(jpeg(picture()))
    assert isinstance(image, DeviceImage)
    places = np.array([[-20.0, 10.5, 150.0], [100.0, 60.0, 96.5]])
    piece, geometry = covered(torch.utils.dlpack.from_dlpack(image.owner), places)
    pixels = torch.empty((room(piece), 3), dtype=torch.uint8)
    copy_bordered(piece, pixels)
    found = warp(pixels, torch.from_numpy(geometry)).flip(-1).permute(0, 3, 1, 2) / 255.0
    assert not image.is_downloaded
    expected = crop_people(image.numpy(), places, torch.device("cpu"))
    np.testing.assert_array_equal(found, expected)


def test_pictures_with_gaps_between_rows_come_to_the_cpu(
    keeping: GpuJpegDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which the kernel that crops could not read."""
    padded = SimpleNamespace(shape=picture().shape, strides=(1024, 3, 1))
    monkeypatch.setattr(keeping, "_downloaded", lambda image: "downloaded")
    assert keeping._kept(padded) == "downloaded"


def test_too_many_pixels_are_refused_before_decoding() -> None:
    def never(data: bytes) -> Pixels | None:
        raise AssertionError("decoded")

    with pytest.raises(ImageError, match="pixels"):
        bgr_from_compressed(message(jpeg(picture())), 1000, decode_jpeg=never)


def test_a_picture_of_another_size_is_not_taken() -> None:
    wrong = bgr_from_compressed(
        message(jpeg(picture())), decode_jpeg=lambda data: np.zeros((2, 2, 3), np.uint8)
    )
    assert wrong.shape == picture().shape


def test_without_a_gpu_the_reason_is_named(decoder: GpuJpegDecoder) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there is a driver")
    with pytest.raises(GpuJpegError, match="is there an NVIDIA GPU"):
        GpuJpegDecoder()


def test_without_nvimagecodec_opencv_decodes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", None)
    with pytest.raises(GpuJpegError, match="pip install nvidia-nvimgcodec"):
        GpuJpegDecoder()
    caplog.set_level(logging.WARNING)
    assert chosen_jpeg_decoder(Parameters(jpeg_decoder="gpu"), False) is None
    assert not caplog.records, "raw images need no decoder"
    compressed = Parameters(jpeg_decoder="gpu", image_transport="compressed")
    assert chosen_jpeg_decoder(compressed, False) is None
    assert "jpeg_decoder: gpu is not available, OpenCV decodes images" in caplog.text


@pytest.mark.parametrize("keep", [True, False])
def test_the_log_says_where_pictures_are(
    decoder: GpuJpegDecoder,
    keep: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(gpu_jpeg, "GpuJpegDecoder", partial(GpuJpegDecoder, use_cpu=True))
    caplog.set_level(logging.INFO)
    compressed = Parameters(jpeg_decoder="gpu", image_transport="compressed")
    decode = chosen_jpeg_decoder(compressed, keep)
    assert decode is not None
    assert isinstance(decode(jpeg(picture())), DeviceImage) == keep
    text = "stay there" if keep else "copied to the CPU, as the estimator crops them there"
    assert f"JPEGs are decoded on the GPU, and {text}" in caplog.text


def test_frames_are_assembled_and_watched_without_a_download(keeping: GpuJpegDecoder) -> None:
    """While nobody was found yet, pixels are compared from image to image."""
    header = SimpleNamespace(frame_id="camera", stamp=SimpleNamespace(sec=1, nanosec=0))
    compressed = SimpleNamespace(data=jpeg(picture()), format="jpeg", header=header)
    assemble = FrameAssembler({IMAGE: "/image"}, decode_jpeg=keeping)
    watch = InputWatch()
    for persons, downloaded in (((), True), ((PERSON,), False), ((), False)):
        frame = assemble(compressed, {}, Parameters())
        assert isinstance(frame.image, DeviceImage)
        height, width = picture().shape[:2]
        assert (frame.camera.width, frame.camera.height) == (width, height)
        watch(frame, 1, ("/image", ""), Parameters())
        watch.found(frame.image, persons, "/image", Parameters())
        assert frame.image.is_downloaded == downloaded
