# SPDX-License-Identifier: Apache-2.0
"""Heights of people, and shape coefficients that stand for them in SMPL-X's own shape space."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.body import BodyModel, load_open_body
from pear_ros.core.people import Array
from pear_ros.export.motions import TrackMotion
from pear_ros.export.open_bodies import is_open_body

_FEET, _EYES = [10, 11], [23, 24]
_MEAN_HEIGHT, _HEIGHT_PER_BETA = 1.66, 0.1
"""Height of SMPL-X's mean body, and what its first coefficient adds, metres, as GMR has them."""


def height_of(one: TrackMotion) -> float:
    """Return the height of a person, metres.

    From the open body's mesh; of other bodies, by the distance from toes to eyes in the T-pose, of
    which the open body's height is a fixed multiple.
    """
    body = load_open_body()
    if is_open_body(one.track.body_model):
        return float(body.heights(one.betas[None])[0]) * one.scale
    return _toes_to_eyes(one.motion.skeleton.rest) * _ratio(body)


def height_betas(height: float, count: int) -> Array:
    """Return SMPL-X's coefficients (count,) of a body of this `height`, metres, else the mean."""
    betas = np.zeros(count, np.float32)
    betas[0] = (height - _MEAN_HEIGHT) / _HEIGHT_PER_BETA
    return betas


def _ratio(body: BodyModel) -> float:
    none = [np.zeros((1, n), np.float32) for n in (body.num_betas, body.num_expression)]
    rest = body.rest_joints(*none)[0].astype(np.float64)
    return float(body.heights(none[0])[0]) / _toes_to_eyes(rest)


def _toes_to_eyes(rest: npt.NDArray[np.float64]) -> float:
    return float(rest[_EYES, 1].mean() - rest[_FEET, 1].mean())
