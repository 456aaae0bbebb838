# SPDX-License-Identifier: Apache-2.0
"""Image messages in every encoding and layout, and those that must be refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="needs ROS 2")

from pear_ros.ros.conversion import images  # noqa: E402
from pear_ros.ros.conversion.images import (  # noqa: E402
    ENCODINGS,
    ImageError,
    bgr_from_compressed,
    bgr_from_image,
)
from pear_ros.ros.conversion.notes import Note  # noqa: E402
from pear_ros.ros.conversion.picture_header import jpeg_end, picture_header  # noqa: E402

WIDTH, HEIGHT = 16, 12


@pytest.fixture(params=["OpenCV", "cv_bridge"], autouse=True, scope="module")
def converter(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything twice: by OpenCV, and by cv_bridge where an installed ROS 2 has it."""
    if request.param == "cv_bridge":
        if images.cv_bridge() is None:
            pytest.skip("no working cv_bridge here")
        yield
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(images, "cv_bridge", lambda: None)
            yield


COLOURS = np.array([(20, 30, 200), (40, 180, 50), (210, 60, 30), (128, 128, 128)], np.uint8)
CENTRES = [(HEIGHT * y // 4, WIDTH * x // 4) for y in (1, 3) for x in (1, 3)]


def quadrants() -> np.ndarray:
    """Red, green, blue and grey quarters: every mistake of order shows."""
    quarters = COLOURS.reshape(2, 2, 3)
    return quarters.repeat(HEIGHT // 2, axis=0).repeat(WIDTH // 2, axis=1)


def luma_and_chroma(bgr: np.ndarray) -> np.ndarray:
    """Y, Cb, Cr of ITU-R BT.601 in studio range."""
    blue, green, red = np.moveaxis(bgr / 255.0, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = 16 + 219 * luma, 128 + 112 * (blue - luma) / 0.886, 128 + 112 * (red - luma) / 0.701
    return np.stack(planes, axis=-1).round().astype(np.uint8)


def encode(bgr: np.ndarray, encoding: str) -> np.ndarray:
    """Rows of an image message, (rows, row length) of uint8 or uint16."""
    height, width = bgr.shape[:2]
    if encoding.endswith("16"):
        # The lower byte makes the byte orders differ; it is worth less than 1 of 255.
        high = encode(bgr, f"{encoding[:-2]}8").astype(np.uint16)
        return high * 256 + (255 - high)
    if encoding.startswith(("bgr", "rgb")):
        alpha = np.full((height, width, 1), 77, np.uint8)
        pixels = bgr if encoding.startswith("bgr") else bgr[..., ::-1]
        parts = [pixels, alpha] if "a" in encoding else [pixels]
        return np.concatenate(parts, axis=-1).reshape(height, -1)
    if encoding == "mono8":
        return (bgr @ np.array([0.114, 0.587, 0.299])).round().astype(np.uint8)
    if encoding.startswith("bayer"):
        channel = {"r": 2, "g": 1, "b": 0}
        mosaic = np.empty((height, width), np.uint8)
        for index, letter in enumerate(encoding[len("bayer_") :][:4]):
            y, x = divmod(index, 2)
            mosaic[y::2, x::2] = bgr[y::2, x::2, channel[letter]]
        return mosaic
    luma, blue, red = np.moveaxis(luma_and_chroma(bgr), -1, 0)
    if encoding in ("nv12", "nv21"):
        pair = (blue, red) if encoding == "nv12" else (red, blue)
        chroma = np.stack([plane[::2, ::2] for plane in pair], -1).reshape(height // 2, width)
        return np.concatenate([luma, chroma])
    chroma = np.where(np.arange(width) % 2, np.roll(red, 1, axis=1), blue)
    pair = (luma, chroma) if encoding in ("yuyv", "yuv422_yuy2") else (chroma, luma)
    return np.stack(pair, axis=-1).reshape(height, -1)


def message(
    encoding: str, rows: np.ndarray, height: int, width: int, padding: int = 0, big: bool = False
) -> sensor_msgs.Image:
    stored = rows.astype(rows.dtype.newbyteorder(">" if big else "<"))
    packed = np.ascontiguousarray(stored).view(np.uint8).reshape(len(rows), -1)
    padded = np.pad(packed, ((0, 0), (0, padding)), constant_values=99)
    return sensor_msgs.Image(
        encoding=encoding,
        height=height,
        width=width,
        step=padded.shape[1],
        is_bigendian=big,
        data=padded.tobytes(),
    )


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_the_colours(encoding: str, padding: int, big: bool) -> None:
    rows = encode(quadrants(), encoding)
    picture = bgr_from_image(message(encoding, rows, HEIGHT, WIDTH, padding, big))

    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    expected = COLOURS.astype(int)
    if encoding.startswith("mono"):
        grey = (expected @ np.array([0.114, 0.587, 0.299])).round()
        expected = np.repeat(grey[:, None], 3, axis=1)
    found = np.array([picture[centre] for centre in CENTRES], int)
    # YUV is rounded to 8 bit in the message, then again.
    tolerance = 3 if encoding[0] in "uyn" else 1 if encoding.endswith("16") else 0
    assert np.abs(found - expected).max() <= tolerance


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if not name.startswith("nv")])
def test_agrees_with_an_independent_decoder(encoding: str) -> None:
    """rosbags-image reads neither padded rows nor nv12 nor big-endian, but the rest."""
    reference = pytest.importorskip("rosbags.image")
    noise = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    sent = message(encoding, encode(noise, encoding), HEIGHT, WIDTH)
    theirs = reference.message_to_cvimage(sent, "bgr8").astype(int)
    # It cuts 16 bit off where we round, and does so after the colour conversion.
    assert np.abs(bgr_from_image(sent) - theirs).max() <= (2 if encoding.endswith("16") else 0)


def test_unpadded_bgr_is_not_copied() -> None:
    sent = message("bgr8", encode(quadrants(), "bgr8"), HEIGHT, WIDTH)
    assert np.shares_memory(bgr_from_image(sent), np.frombuffer(sent.data, np.uint8))


def test_last_row_may_lack_its_padding() -> None:
    sent = message("rgb8", encode(quadrants(), "rgb8"), HEIGHT, WIDTH, padding=8)
    sent.data = sent.data[:-8]
    assert np.array_equal(bgr_from_image(sent), quadrants())
    sent.data = sent.data[:-1]
    with pytest.raises(ImageError, match="needs 664 bytes but has 663"):
        bgr_from_image(sent)


@pytest.mark.parametrize(
    ("change", "cause", "says"),
    [
        ({"encoding": "32FC1"}, "encoding 32FC1", "'32FC1' is not supported; use bgr8, rgb8"),
        ({"encoding": ""}, "encoding ", "'' is not supported"),
        ({"width": 0}, "empty", "0 x 12 image in bgr8 has no pixels"),
        ({"height": 0}, "empty", "has no pixels"),
        ({"data": b""}, "truncated", "needs 576 bytes but has 0"),
        ({"data": bytes(575)}, "truncated", "needs 576 bytes but has 575"),
        ({"step": 47}, "step", "rows (step) of 47 bytes, needs 48"),
        ({"step": 0}, "step", "needs 48"),
        ({"width": 2**32 - 1, "step": 2**32 - 1}, "step", "4294967295 x 12"),
        ({"height": 2**32 - 1}, "truncated", "16 x 4294967295"),
        ({"encoding": "yuyv", "width": 15}, "odd size", "needs an even size"),
        ({"encoding": "nv12", "height": 11}, "odd size", "needs an even size"),
        ({"encoding": "nv12", "height": 144}, "truncated", "bytes but has 576"),
    ],
)
def test_refused_with_a_reason(change: dict[str, object], cause: str, says: str) -> None:
    sent = message("bgr8", encode(quadrants(), "bgr8"), HEIGHT, WIDTH)
    for name, value in change.items():
        setattr(sent, name, value)
    with pytest.raises(ImageError) as caught:
        bgr_from_image(sent)
    assert caught.value.cause == cause
    assert says in str(caught.value)


@given(
    encoding=st.sampled_from([*ENCODINGS, "", "8UC3", "RGB8"]),
    width=st.integers(0, 9),
    height=st.integers(0, 9),
    step=st.integers(0, 90),
    big=st.integers(0, 255),
    data=st.binary(max_size=900),
)
def test_any_message_is_read_or_refused(
    encoding: str, width: int, height: int, step: int, big: int, data: bytes
) -> None:
    sent = sensor_msgs.Image(
        encoding=encoding, width=width, height=height, step=step, is_bigendian=big, data=data
    )
    try:
        picture = bgr_from_image(sent)
    except ImageError as error:
        assert str(error)
    else:
        assert picture.shape == (height, width, 3)
        assert picture.dtype == np.uint8
        assert picture.flags.c_contiguous


def test_what_opencv_cannot_convert_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        cv2.resize(np.empty((0, 0, 3), np.uint8), (1, 1))  # raises OpenCV's error

    monkeypatch.setattr(cv2, "cvtColor", fail)
    sent = message("rgb8", encode(quadrants(), "rgb8"), HEIGHT, WIDTH)
    monkeypatch.setattr(images, "cv_bridge", lambda: None)
    with pytest.raises(ImageError, match="in rgb8 cannot be converted by OpenCV") as caught:
        bgr_from_image(sent)
    assert caught.value.cause == "conversion"


def compressed(
    data: bytes, kind: str = "bgr8; jpeg compressed bgr8"
) -> sensor_msgs.CompressedImage:
    return sensor_msgs.CompressedImage(format=kind, data=data)


def encoded(suffix: str, picture: np.ndarray) -> bytes:
    return cv2.imencode(suffix, picture)[1].tobytes()


def test_png_is_exact_and_jpeg_close() -> None:
    picture = cv2.resize(quadrants(), None, fx=8, fy=8, interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(bgr_from_compressed(compressed(encoded(".png", picture))), picture)
    decoded = bgr_from_compressed(compressed(encoded(".jpg", picture)))
    assert np.abs(decoded.astype(int) - picture).mean() < 3


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_grey_png_becomes_bgr(depth: type) -> None:
    grey = (np.arange(192, dtype=depth) * (np.iinfo(depth).max // 255)).reshape(12, 16)
    picture = bgr_from_compressed(compressed(encoded(".png", grey), "mono16; png compressed"))
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, np.repeat(np.arange(192).reshape(12, 16, 1), 3, axis=2))


def test_orientation_note_is_ignored() -> None:
    exif = bytes.fromhex("ffe1002245786966000049492a0008000000010012010300010000000600000000000000")
    jpeg = encoded(".jpg", quadrants())
    picture = bgr_from_compressed(compressed(jpeg[:2] + exif + jpeg[2:]))
    assert picture.shape == (HEIGHT, WIDTH, 3)


def test_jpeg_padded_with_zeros_is_whole() -> None:
    jpeg = encoded(".jpg", quadrants())
    padded = bgr_from_compressed(compressed(jpeg + bytes(5000)))
    assert np.array_equal(padded, bgr_from_compressed(compressed(jpeg)))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.6, 0.9, 0.99])
def test_truncated_picture_is_refused(suffix: str, share: float) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    whole = encoded(suffix, noise)
    with pytest.raises(ImageError, match="compressed image of") as caught:
        bgr_from_compressed(compressed(whole[: int(share * len(whole))]))
    # Found by us, not by OpenCV, whose older versions would fill up with grey.
    assert caught.value.cause == ("truncated" if suffix == ".jpg" and share > 0.1 else "corrupt")


@given(
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]),
    data=st.binary(max_size=200),
)
def test_rubbish_is_refused(start: bytes, data: bytes) -> None:
    with pytest.raises(ImageError, match=r"format 'bgr8; jpeg"):
        bgr_from_compressed(compressed(start + data))


def noise(height: int = 90, width: int = 120) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (height, width, 3)).astype(np.uint8)


def causes(sent: object, **how: int) -> tuple[np.ndarray, list[str]]:
    notes: list[Note] = []
    read = bgr_from_image if hasattr(sent, "encoding") else bgr_from_compressed
    return read(sent, notes=notes, **how), [note.cause for note in notes]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("encoding", ["mono16", "bayer_rggb16", "rgb16", "bgra16"])
def test_sensors_of_fewer_bits_are_not_black(bits: int, encoding: str) -> None:
    rows = encode(quadrants(), encoding) >> (16 - bits)
    rows[:2, :2] = 2 ** (bits - 1)  # the brightest tells the bits
    picture, noted = causes(message(encoding, rows, HEIGHT, WIDTH))
    whole = bgr_from_image(message(encoding, encode(quadrants(), encoding), HEIGHT, WIDTH))
    assert np.abs(picture[4:].astype(int) - whole[4:]).max() <= 4
    assert noted == ([] if bits == 16 else ["dark 16 bits"])


def test_a_broken_pixel_does_not_tell_the_bits() -> None:
    rows = np.full((100, 100), 2000, np.uint16)
    rows[50, 50] = 65535
    picture, _ = causes(message("mono16", rows, 100, 100))
    assert picture[0, 0, 0] == round(2000 / 4095 * 255)
    black, noted = causes(message("mono16", rows * 0, 100, 100))
    assert not black.any() and noted == []


def test_a_png_of_fewer_bits_is_not_black() -> None:
    grey = np.arange(192, dtype=np.uint16).reshape(12, 16) * 21
    picture, noted = causes(compressed(encoded(".png", grey), "mono16; png compressed "))
    assert noted == ["dark 16 bits"] and picture.max() > 240


@pytest.mark.parametrize(
    ("sent", "means"),
    [("8UC1", "mono8"), ("8UC3", "bgr8"), ("8UC4", "bgra8"), ("RGB8", "rgb8"), (" bgr", "bgr8")],
)
def test_other_names_of_encodings_are_taken_for_known_ones(sent: str, means: str) -> None:
    rows = encode(quadrants(), means)
    picture, noted = causes(message(sent, rows, HEIGHT, WIDTH))
    assert np.array_equal(picture, bgr_from_image(message(means, rows, HEIGHT, WIDTH)))
    assert noted == [f"taken for {means}"]


def test_the_cause_of_a_refusal_is_short() -> None:
    for name in ("x" * 2000, "\x1b[2J"):
        with pytest.raises(ImageError) as caught:
            bgr_from_image(message(name, quadrants()[..., 0], HEIGHT, WIDTH))
        assert caught.value.cause == "unknown encoding"
        assert len(str(caught.value)) < 500 and str(caught.value).isprintable()


def test_more_than_max_pixels_are_refused() -> None:
    sent = message("mono8", np.zeros((101, 100), np.uint8), 101, 100)
    for read in (sent, compressed(encoded(".png", np.zeros((101, 100), np.uint8)))):
        with pytest.raises(ImageError, match="100 x 101 pixels: more than max_pixels = 10000"):
            causes(read, max_pixels=10_000)
        assert causes(read, max_pixels=10_100)[0].shape == (101, 100, 3)


def with_size(suffix: str, width: int, height: int) -> bytes:
    """A small picture that declares another size."""
    data = bytearray(encoded(suffix, noise(8, 8)))
    if suffix == ".jpg":
        at = data.index(b"\xff\xc0") + 5
        struct.pack_into(">HH", data, at, height, width)
    elif suffix == ".png":
        struct.pack_into(">II", data, 16, width, height)
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    elif suffix == ".bmp":
        struct.pack_into("<ii", data, 18, width, height)
    return bytes(data)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (65_000, 1), (1, 40_000)])
def test_a_picture_that_declares_a_huge_size_is_not_decoded(
    suffix: str, width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(ImageError, match=f"{width} x {height} pixels: more than") as caught:
        bgr_from_compressed(compressed(with_size(suffix, width, height)))
    assert caught.value.cause == "too large"


def test_a_size_hidden_behind_a_marker_without_length_is_found() -> None:
    data = with_size(".jpg", 30_000, 30_000)
    for marker in (b"\xff\xd0", b"\xff\x01", b"\xff" * 9 + b"\xd7"):
        with pytest.raises(ImageError, match="30000 x 30000"):
            bgr_from_compressed(compressed(data[:2] + marker + data[2:]))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
@given(width=st.integers(1, 70), height=st.integers(1, 70), grey=st.booleans())
def test_the_size_is_read_before_decoding(suffix: str, width: int, height: int, grey: bool) -> None:
    assume(suffix != ".tiff" or width > 1)  # OpenCV 4.5 cannot write it.
    data = encoded(suffix, noise(height, width)[..., 0] if grey else noise(height, width))
    header = picture_header(data)
    assert header is not None and (header.width, header.height) == (width, height)
    assert bgr_from_compressed(compressed(data)).shape == (height, width, 3)


def test_red_and_blue_are_swapped_as_image_transport_does() -> None:
    """Its reader swaps what it did not swap as a writer: format "rgb8; jpeg compressed rgb8"."""
    picture = cv2.resize(quadrants(), None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    for kind in (".jpg", ".png"):
        name = kind[1:].replace("jpg", "jpeg")
        straight = encoded(kind, picture)
        swapped = encoded(kind, picture[..., ::-1])
        for format, data in (
            (f"rgb8; {name} compressed bgr8", straight),
            (f"rgb8; {name} compressed rgb8", swapped),
            (f"bgr8; {name} compressed rgb8", swapped),
            (name, straight),
            ("", straight),
        ):
            found = bgr_from_compressed(compressed(data, format))
            assert np.abs(found.astype(int) - picture).mean() < 3, format


def test_a_mosaic_in_a_picture_has_colours() -> None:
    mosaic = encode(quadrants(), "bayer_rggb8")
    found = bgr_from_compressed(compressed(encoded(".png", mosaic), "bayer_rggb8; png compressed "))
    assert np.array_equal(found, bgr_from_image(message("bayer_rggb8", mosaic, HEIGHT, WIDTH)))
    colours = compressed(encoded(".png", quadrants()), "bayer_rggb8; png compressed bgr8")
    assert np.array_equal(bgr_from_compressed(colours), quadrants())


PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]


@pytest.mark.parametrize("flags", [[], PROGRESSIVE])
def test_a_jpeg_without_its_end_marker_is_whole(flags: list[int]) -> None:
    whole = cv2.imencode(".jpg", noise(), flags)[1].tobytes()
    picture, noted = causes(compressed(whole[:-2]))
    assert np.array_equal(picture, bgr_from_compressed(compressed(whole)))
    assert noted == ["no end marker"]


@pytest.mark.parametrize("size", [(90, 120), (16, 16), (17, 33)])
@pytest.mark.parametrize("cut", [3, 4, 8, 40])
def test_a_jpeg_that_lacks_more_is_refused(size: tuple[int, int], cut: int) -> None:
    with pytest.raises(ImageError, match="ends before its picture does"):
        bgr_from_compressed(compressed(encoded(".jpg", noise(*size))[:-cut]))


@pytest.mark.parametrize("more", [b"\xff\xda", b"\xff\xd8\xff\xda", bytes(99) + b"\xff\xda\0"])
def test_what_follows_a_jpeg_does_not_matter(more: bytes) -> None:
    whole = encoded(".jpg", noise())
    assert np.array_equal(causes(compressed(whole + more))[0], causes(compressed(whole))[0])


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    data = cv2.imencode(".jpg", noise(), PROGRESSIVE)[1].tobytes()
    at = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="more scans than an encoder makes"):
        bgr_from_compressed(compressed(data[:at] + data[at:-2] * 1000 + data[-2:]))


@given(
    st.binary(max_size=300),
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0"]),
)
def test_any_header_is_read_or_not(data: bytes, start: bytes) -> None:
    picture_header(start + data)
    jpeg_end(start + data)
