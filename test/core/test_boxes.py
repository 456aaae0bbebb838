# SPDX-License-Identifier: Apache-2.0
"""Boxes: which ones belong to one person."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.core.boxes import same_person


def box(x: float, y: float = 0.0, size: float = 100.0) -> np.ndarray:
    return np.array([x, y, x + size, y + 2 * size], np.float32)


@pytest.mark.parametrize(
    ("other", "same"),
    [(box(10), True), (box(300), False), (box(0, 400), False), (box(30, 40, 40), True)],
)
def test_same_person(other: np.ndarray, same: bool) -> None:
    assert same_person(box(0), other) is same
    assert same_person(other, box(0)) is same
