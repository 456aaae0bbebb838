# SPDX-License-Identifier: Apache-2.0
"""Appearance: colours of the parts that are seen, in any pose and from any side."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pear_ros.core.people import DepthSource
from pear_ros.reidentification.body_parts import PARTS
from testing.open_people import CAMERA
from testing.painted_people import RED, SKIN, picture, sampler, standing


def lab(colour: tuple[int, int, int]) -> np.ndarray:
    pixel = np.array([[colour]], np.float32) / np.float32(255.0)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_BGR2Lab)[0, 0])


@pytest.mark.parametrize("back", [False, True])
def test_colours_are_those_of_the_parts(back: bool) -> None:
    person = standing(back=back)
    (appearance,) = sampler()(picture([(person, RED)]), CAMERA, [person], [])
    assert (appearance.images > 0).sum() >= 6
    for index in np.flatnonzero(appearance.images):
        expected = lab(RED.get(PARTS[index], SKIN))
        np.testing.assert_allclose(
            appearance.colours[index], expected, atol=1.0, err_msg=PARTS[index]
        )


def test_hidden_parts_are_unknown() -> None:
    person, front = standing(), replace(standing("h2"))
    front = replace(front, smplx=replace(front.smplx, transl=front.smplx.transl * np.float32(0.7)))
    (appearance,) = sampler()(picture([(person, RED), (front, {})]), CAMERA, [person], [front])
    chest = PARTS.index("chest")
    assert appearance.images[chest] == 0
    assert np.isnan(appearance.colours[chest]).all()


def test_person_outside_of_the_image_has_no_colours() -> None:
    person = standing(x=50.0)
    (appearance,) = sampler()(picture([]), CAMERA, [person], [])
    assert not appearance.images.any()


def test_height_is_known_where_size_is_metric() -> None:
    person = standing()
    image = picture([(person, RED)])
    metric = replace(person, depth_source=DepthSource.MEASURED, depth_error=0.2)
    appearance, of_metric = (sampler()(image, CAMERA, [one], [])[0] for one in (person, metric))
    assert math.isnan(appearance.log_height)
    assert 1.5 < math.exp(of_metric.log_height) < 1.9
    assert of_metric.log_height_std == pytest.approx(0.05, rel=0.1)


def test_average_takes_what_either_has_seen() -> None:
    person = standing()
    (appearance,) = sampler()(picture([(person, RED)]), CAMERA, [person], [])
    chest, waist = PARTS.index("chest"), PARTS.index("waist")
    images = appearance.images.copy()
    images[chest] = 0
    partly = replace(
        appearance,
        images=images,
        colours=np.where(images[:, None] > 0, appearance.colours + 2.0, np.nan),
    )
    for mean in (appearance.averaged(partly), partly.averaged(appearance)):
        np.testing.assert_allclose(mean.colours[chest], appearance.colours[chest])
        np.testing.assert_allclose(mean.colours[waist], appearance.colours[waist] + 1.0, atol=1e-6)
        assert mean.images[chest] == 1 and mean.images[waist] == 2
