# SPDX-License-Identifier: Apache-2.0
"""Random people for the tests of EHM-s."""

from __future__ import annotations

import numpy as np

from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.kinematics import float32_array


def random_people(people: int = 3) -> EhmParameters:
    """Return parameters of `people` people, drawn at random, the same at each call."""
    rng = np.random.default_rng(0)
    draw = lambda scale, *shape: float32_array(rng.normal(0.0, scale, (people, *shape)))  # noqa: E731
    pose = draw(0.4, 55, 3)
    pose[:, 22:25] = 0.0
    return EhmParameters(
        pose=pose,
        betas=draw(1.0, 200),
        expression=draw(1.0, 50),
        flame_shape=draw(1.0, 300),
        flame_expression=draw(1.0, 50),
        jaw=draw(0.2, 3),
        eyes=draw(0.2, 6),
        eyelids=draw(0.3, 2),
        head_scale=1.0 + draw(0.1, 3),
        transl=draw(1.0, 3),
    )
