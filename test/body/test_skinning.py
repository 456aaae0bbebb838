# SPDX-License-Identifier: Apache-2.0
"""Skinning in one compiled pass is the same as by matrix products."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="packed skins are compiled by numba")

from pear_ros.body.kinematics import float32_array
from pear_ros.body.packed_skin import PackedSkin
from pear_ros.body.skinning import PlainSkin, SparseSkin, make_skin


@settings(max_examples=60, deadline=None)
@given(
    people=st.integers(0, 9),
    vertices=st.integers(1, 200),
    coefficients=st.integers(1, 30),
    joints=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_packed_and_plain_agree(
    people: int, vertices: int, coefficients: int, joints: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    directions = rng.normal(0.0, 1e-2, (vertices, 3, coefficients))
    directions *= rng.choice([0.0, 1e-3, 1.0], (vertices, 1, 1))
    directions *= rng.choice([0.0, 1e-2, 1.0], coefficients)
    weights = rng.random((vertices, joints)) * (rng.random((vertices, joints)) < 0.4)
    weights[:, 0] += 1e-3
    weights /= weights.sum(axis=1, keepdims=True)
    arguments = [
        float32_array(values)
        for values in (
            rng.normal(0.0, 1.0, (people, coefficients)),
            rng.normal(0.0, 1.0, (rng.choice([1, people]), 3, vertices)),
            rng.normal(0.0, 1.0, (people, joints, 3, 4)),
        )
    ]
    packed = PackedSkin(directions, weights)(*arguments)
    plain = PlainSkin(directions, weights, float32_array)(*arguments)
    assert packed.shape == (people, 3, vertices) and packed.dtype == np.float32
    # Each product is off by half a step at most, which is stretched by the transforms.
    steps = np.abs(arguments[0]).sum(axis=1, initial=0.0).max(initial=0.0)
    off = steps * np.abs(directions).max() / 32767 * 10.0
    np.testing.assert_allclose(packed, plain, atol=off + 1e-5)


def test_sparse_and_plain_agree() -> None:
    rng = np.random.default_rng(0)
    weights = rng.random((300, 9)) * (rng.random((300, 9)) < 0.3)
    weights[:, 0] += 1e-3
    weights /= weights.sum(axis=1, keepdims=True)
    none = np.empty((300, 3, 0))
    for people in (0, 1, 5):
        coefficients = np.empty((people, 0), np.float32)
        for templates in (1, people):
            template = rng.normal(size=(templates, 3, 300)).astype(np.float32)
            transforms = rng.normal(size=(people, 9, 3, 4)).astype(np.float32)
            sparse = SparseSkin(weights)(coefficients, template, transforms)
            plain = PlainSkin(none, weights, float32_array)(coefficients, template, transforms)
            np.testing.assert_allclose(sparse, plain, atol=1e-5)


def test_small_skins_and_other_precisions_are_not_packed() -> None:
    weights = np.ones((5000, 1))
    assert isinstance(make_skin(np.zeros((5000, 3, 100)), weights), PackedSkin)
    assert isinstance(make_skin(np.zeros((5000, 3, 2)), weights), PlainSkin)
    assert isinstance(make_skin(np.zeros((5000, 3, 0)), weights), SparseSkin)
    assert isinstance(make_skin(np.zeros((5000, 3, 100)), weights, np.asarray), PlainSkin)
