# SPDX-License-Identifier: Apache-2.0
"""Squares around people, and what is cut out of the image for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from testing.parity import recipe

torch = pytest.importorskip("torch", reason="PEAR needs torch: pip install torch")

from pear_ros.pear.crop import squares  # noqa: E402  (needs torch)
from pear_ros.pear.torch_crop import crop_people  # noqa: E402  (needs torch)

CPU = torch.device("cpu")
WIDTH, HEIGHT = 100, 60

places = st.tuples(st.floats(-150, 150), st.floats(-150, 150), st.floats(1, 300))
coordinates = st.floats(-50, 200, width=32)


def picture() -> npt.NDArray[np.uint8]:
    return recipe.synthetic_image(5, (HEIGHT, WIDTH, 3))


def reference(image: npt.NDArray[np.uint8], place: tuple[float, float, float]) -> Any:
    """One crop by SciPy, (3, 256, 256) red, green, blue."""
    x0, y0, side = place
    v, u = np.mgrid[:256, :256] * (side / 256)
    return [
        map_coordinates(
            image[..., channel] / 255.0, [y0 + v, x0 + u], order=1, mode="grid-constant"
        )
        for channel in (2, 1, 0)
    ]


@settings(max_examples=30)
@given(st.lists(places, min_size=1, max_size=3))
def test_crops_are_bilinear_and_black_outside(where: list[tuple[float, float, float]]) -> None:
    image = picture()
    crops = crop_people(image, np.array(where), CPU)
    assert crops.shape == (len(where), 3, 256, 256)
    assert crops.dtype == torch.float32
    for crop, place in zip(crops, where, strict=True):
        np.testing.assert_allclose(crop.numpy(), reference(image, place), atol=2e-4)


def test_images_that_are_views_or_must_not_be_written_to() -> None:
    image, place = picture(), np.array([[10.0, 5.0, 40.0]])
    expected = crop_people(image, place, CPU)
    padded = np.zeros((HEIGHT, WIDTH + 7, 3), np.uint8)
    padded[:, :WIDTH] = image
    view = padded[:, :WIDTH]
    view.setflags(write=False)
    assert torch.equal(crop_people(view, place, CPU), expected)
    mirrored = np.ascontiguousarray(image[::-1])[::-1]
    assert torch.equal(crop_people(mirrored, place, CPU), expected)


def test_crop_of_zero_people() -> None:
    assert squares(np.zeros((0, 4), np.float32), WIDTH, HEIGHT).shape == (0, 3)
    assert crop_people(picture(), np.zeros((0, 3)), CPU).shape == (0, 3, 256, 256)


def test_squares_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to crop"):
        crop_people(picture(), np.full((1, 3), np.nan), CPU)


@pytest.mark.parametrize(
    "box",
    [
        (10, 10, 10, 40),
        (10, 10, 40, 10),
        (WIDTH, 10, WIDTH + 30, 40),
        (10, HEIGHT + 1, 40, HEIGHT + 40),
        (np.nan, 10, 30, 40),
        (10, 10, 30, np.nan),
    ],
)
def test_boxes_without_anything_to_see_have_no_square(box: tuple[float, ...]) -> None:
    good = (10.0, 10.0, 31.0, 51.0)
    found = squares(np.array([good, box], np.float32), WIDTH, HEIGHT)
    np.testing.assert_allclose(found[0], [20.0 - 25.0, 30.0 - 25.0, 50.0])
    assert np.isnan(found[1]).all()


@given(st.tuples(*[coordinates] * 4))
def test_a_square_holds_what_its_box_has_of_the_image(box: tuple[float, ...]) -> None:
    (x, y, side) = squares(np.array([box], np.float32), WIDTH, HEIGHT)[0]
    if np.isnan(side):
        return
    # Boxes left of the image or above it are moved in, with their width and height.
    x0, y0 = max(box[0], 0.0), max(box[1], 0.0)
    x1 = min(x0 + abs(box[2] - box[0]) - 1.0, WIDTH - 1.0)
    y1 = min(y0 + abs(box[3] - box[1]) - 1.0, HEIGHT - 1.0)
    assert side == pytest.approx(1.25 * max(x1 - x0, y1 - y0))
    assert x + side / 2 == pytest.approx((x0 + x1) / 2)
    assert y + side / 2 == pytest.approx((y0 + y1) / 2)
