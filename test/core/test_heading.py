# SPDX-License-Identifier: Apache-2.0
"""The heading of upright, leaning and lying bodies."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.core import quaternions
from pear_ros.core.heading import UPRIGHT, heading


def tilted(yaw: float, *tilt: float) -> np.ndarray:
    """The root of a body that faces `yaw`, tilted before by a rotation vector."""
    turn = quaternions.from_vectors(np.array([0.0, 0.0, yaw]))
    return quaternions.product(
        turn, quaternions.product(quaternions.from_vectors(np.array(tilt)), UPRIGHT)
    )


@pytest.mark.parametrize("yaw", [0.0, 1.0, -3.0])
def test_heading_is_where_the_body_would_face_when_raised(yaw: float) -> None:
    poses = {
        "upright": (0.0, 0.0, 0.0),
        "bent": (0.0, 1.2, 0.0),
        "on the belly": (0.0, 1.57, 0.0),
        "on the back": (0.0, -1.57, 0.0),
        "on the side": (1.57, 0.0, 0.0),
    }
    found = heading(np.array([tilted(yaw, *tilt) for tilt in poses.values()]))
    assert found.shape == (len(poses), 4)
    for pose, one in zip(poses, quaternions.to_vectors(found), strict=True):
        np.testing.assert_allclose(one, (0.0, 0.0, yaw), atol=1e-9, err_msg=pose)


def test_heading_of_a_body_upside_down_is_finite() -> None:
    np.testing.assert_allclose(heading(tilted(0.0, np.pi, 0.0, 0.0)), (0, 0, 0, 1), atol=1e-9)
