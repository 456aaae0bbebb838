# SPDX-License-Identifier: Apache-2.0
"""Which order of colours a network wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pear_ros.body.ehm import EhmBody
from pear_ros.core.people import Array
from pear_ros.pear.colour_order import ColourOrder, compare_orders
from pear_ros.pear.crop import Crops
from pear_ros.pear.files import find_model_files, load_body_files
from pear_ros.pear.prediction import LAYOUT, VECTOR_SIZE
from pear_ros.pear.runtimes.reference_crops import bundled_crops


@pytest.fixture(scope="module")
def body(pear_assets: Path) -> EhmBody:
    return EhmBody(*load_body_files(find_model_files(pear_assets)))


def vectors(count: int, sideways: float) -> Array:
    """People in the T-pose, `sideways` metres beside the middle of the crop."""
    found = np.zeros((count, VECTOR_SIZE), np.float32)
    found[:, : LAYOUT["rotations"]] = np.tile([1, 0, 0, 0, 1, 0], LAYOUT["rotations"] // 6)
    found[:, -3:] = (sideways, 0.0, 1.0)
    return found


def network(prefers: slice):  # type: ignore[no-untyped-def]
    """Sees people where they are in one order of colours, and far to the side in the other."""
    liked = bundled_crops()[..., prefers]

    def infer(crops: Crops) -> Array:
        known = any(np.array_equal(crops[0], crop) for crop in liked)
        return vectors(len(crops), 0.0 if known else 1.0)

    return infer


AS_IT_IS, SWAPPED = slice(None), slice(None, None, -1)


def test_the_better_order_is_found(body: EhmBody) -> None:
    trained_on_rgb = compare_orders(network(AS_IT_IS), body)
    assert trained_on_rgb.rgb < trained_on_rgb.bgr and not trained_on_rgb.is_bgr
    trained_on_bgr = compare_orders(network(SWAPPED), body)
    assert trained_on_bgr == ColourOrder(trained_on_rgb.bgr, trained_on_rgb.rgb)
    assert trained_on_bgr.is_bgr


def test_numbers_that_make_no_person_say_nothing(body: EhmBody) -> None:
    order = compare_orders(lambda crops: np.full((len(crops), VECTOR_SIZE), np.nan), body)
    assert np.isnan(order.rgb) and np.isnan(order.bgr) and not order.is_bgr


def test_a_small_difference_is_no_reason() -> None:
    assert not ColourOrder(rgb=10.5, bgr=10.0).is_bgr
    assert ColourOrder(rgb=11.5, bgr=10.0).is_bgr
