# SPDX-License-Identifier: Apache-2.0
"""Measurement noise of the filter: adaptation of its variance, outliers, and jumps of the state.

The variance is adapted by the correlation of successive innovations (Mehra, IEEE Trans. Automatic
Control 15(2), 1970). Outliers are found by the Mahalanobis distance and inflate the variance
(Chang, Journal of Geodesy 88, 2014). The symbols are those of `pear_ros.smoothing.imm_filter`.

Shapes: N people, 3 axes, C channels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_TIME_CONSTANT = 2.0
"""Time constant of the adaptation, seconds."""
_MAX_SCALE_RATIO = 4.0
"""Limit of the noise scale that one image measures, as a multiple of the present one."""
_STD_RANGE = (0.05, 2.5)
"""Range of the square root of rho: adapted over nominal standard deviation."""
_OUTLIER_THRESHOLD = 4.0
"""Squared innovations over their expectation above which a measurement is an outlier."""
_JUMP_SHARE = 0.2
"""Share of a person's channels that are outliers at once only if the person has jumped."""
_AGREEMENT = 0.8
"""Relative distance of two successive outliers below which they confirm each other."""


def outlier_inflation(squared_innovation: Doubles, expected: Doubles) -> Doubles:
    """Return lambda (N, C), by which to multiply R; above 1 the measurement is an outlier.

    `squared_innovation` (N, C) is |nu|^2, `expected` (N, C) its expectation n S.
    """
    ratio = squared_innovation / (_OUTLIER_THRESHOLD * expected)
    inflation: Doubles = np.maximum(1.0, ratio) ** 2
    return inflation


def jumps(
    jump_share: Doubles, outlier: Mask, squared_innovation: Doubles, displacement_error: Doubles
) -> Mask:
    """Return (N, C) whether the true state has jumped, so that the estimate is wrong.

    An `outlier` (N, C) is a jump if it agrees with the outlier before, or if much of the person is
    an outlier at once: channels of more than a fifth of `jump_share` (C,), whose sum is 1.
    `squared_innovation` (N, C) is |nu|^2, `displacement_error` (N, 3, C) is d.
    """
    person_jumps = (outlier @ jump_share > _JUMP_SHARE)[:, None] & (jump_share > 0.0)  # (N, C)
    agrees = squared_norm(displacement_error) < _AGREEMENT**2 * squared_innovation
    return np.asarray(outlier & (person_jumps | agrees))


def adapt_noise_scale(
    noise_scale: Doubles, d: Doubles, last_d: Doubles, variance: Doubles, dt: Doubles
) -> Doubles:
    """Return rho (N, C) after one more image, `dt` (N,) seconds later.

    `d` and `last_d` (N, 3, C): displacement errors d_k and d_{k-1}; `variance` (N, C): nominal
    variance n sigma^2 of the measurement. Noise moves successive measurements to and fro, so that
    d_k^T d_{k-1} is negative; motion that the prediction misses continues and makes it positive.
    One image counts for at most four times the present rho: robust, but biased downwards.
    """
    measured = -(d * last_d).sum(axis=1) / variance
    limit = _MAX_SCALE_RATIO * noise_scale
    gain = 1.0 - np.exp(-dt[:, None] / _TIME_CONSTANT)
    adapted = noise_scale + gain * (np.maximum(np.minimum(measured, limit), -limit) - noise_scale)
    adapted = np.maximum(np.minimum(adapted, _STD_RANGE[1] ** 2), _STD_RANGE[0] ** 2)
    return np.asarray(adapted)


def squared_norm(vectors: Doubles) -> Doubles:
    """Return the squared norms (..., C) of vectors (..., 3, C)."""
    squares: Doubles = (vectors * vectors).sum(axis=-2)
    return squares
