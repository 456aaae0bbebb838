# SPDX-License-Identifier: Apache-2.0
"""Log likelihood ratio of two appearances: those of one person, over those of two people.

The model is that of probabilistic linear discriminant analysis (Ioffe, ECCV 2006). The colours
x = mu + y + e of the parts are a person's, y ~ N(0, B), and what changes from one look at the
person to another, e ~ N(0, W). With S = B + W, two appearances of one person have the joint
covariance [[S, B], [B, S]], those of two people [[S, 0], [0, S]]. So a rare colour that agrees says
more than a common one, and colours that go together, as those of thighs and shins, are not counted
twice.

B = R (x) C: correlations R of the parts, covariance C of L*, a*, b*. W = N (x) E + 1 (x) G: errors
E of each part by itself, more of some parts (N) than of others, and changes G of the light, the
same for all parts. Parts that were not seen in both are left out of all matrices.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pear_ros.reidentification.appearance import Appearance

Doubles = npt.NDArray[np.float64]

MIN_PARTS = 5
"""Parts that have to be seen in both appearances."""

# In the order of PARTS. Mean, covariance and correlations are those of 90 people in photographs of
# everyday scenes. Errors are those of people in four views of a clip and in another one, enlarged
# by half, and more for the light: all cameras of the clip are in one room.
_MEAN = np.array(
    [
        (35, 7, 7),
        (38, 5, 4),
        (34, 4, 2),
        (40, 5, 4),
        (44, 7, 7),
        (30, 4, 1),
        (31, 4, 2),
        (42, 3, 5),
    ],
    float,
)
"""mu (P, 3)."""
_PERSON_COVARIANCE = np.array([(450.0, 6.0, 60.0), (6.0, 75.0, 40.0), (60.0, 40.0, 130.0)])
"""C (3, 3)."""
_PART_CORRELATION = np.array(
    [
        (1.00, 0.22, 0.12, 0.19, 0.15, 0.13, 0.10, 0.19),
        (0.22, 1.00, 0.68, 0.87, 0.53, 0.53, 0.34, 0.48),
        (0.12, 0.68, 1.00, 0.57, 0.49, 0.75, 0.40, 0.46),
        (0.19, 0.87, 0.57, 1.00, 0.56, 0.52, 0.38, 0.45),
        (0.15, 0.53, 0.49, 0.56, 1.00, 0.52, 0.35, 0.34),
        (0.13, 0.53, 0.75, 0.52, 0.52, 1.00, 0.53, 0.46),
        (0.10, 0.34, 0.40, 0.38, 0.35, 0.53, 1.00, 0.48),
        (0.19, 0.48, 0.46, 0.45, 0.34, 0.46, 0.48, 1.00),
    ]
)
"""R (P, P)."""
_ERROR_COVARIANCE = np.diag([100.0, 8.0, 25.0])
"""E (3, 3)."""
_PART_ERROR = np.array([2.5, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 2.0])
"""Diagonal of N (P,)."""
_LIGHT_COVARIANCE = np.diag([144.0, 9.0, 36.0])
"""G (3, 3)."""

_HEIGHT_STD = 0.06
"""Standard deviation of the log heights of adults."""


def log_likelihood_ratio(one: Appearance, other: Appearance) -> float:
    """Return the natural log of p(both | one person) / p(both | two people).

    Negative infinity where fewer than MIN_PARTS are seen in both.
    """
    common = np.flatnonzero((one.images > 0) & (other.images > 0))
    if len(common) < MIN_PARTS:
        return -math.inf
    mean = _MEAN[common].ravel()
    x, y = one.colours[common].ravel() - mean, other.colours[common].ravel() - mean
    between, within = _covariances(common)
    # In the sum and the difference of both the joint covariance is diagonal, in blocks.
    total = between + within
    ratio = _log_density((x + y) / math.sqrt(2.0), total + between)
    ratio += _log_density((x - y) / math.sqrt(2.0), within)
    ratio -= _log_density(x, total) + _log_density(y, total)
    return ratio + _height_ratio(one, other)


def _covariances(parts: npt.NDArray[np.intp]) -> tuple[Doubles, Doubles]:
    """B and W (3 n, 3 n) of n parts."""
    between = np.kron(_PART_CORRELATION[np.ix_(parts, parts)], _PERSON_COVARIANCE)
    within = np.kron(np.diag(_PART_ERROR[parts]), _ERROR_COVARIANCE)
    return between, within + np.kron(np.ones((len(parts), len(parts))), _LIGHT_COVARIANCE)


def _log_density(x: Doubles, covariance: Doubles) -> float:
    """Log density of N(0, covariance) at x (n,), up to the constant of n dimensions."""
    root = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(root, x)
    return float(-0.5 * whitened @ whitened - np.log(np.diag(root)).sum())


def _height_ratio(one: Appearance, other: Appearance) -> float:
    """The same ratio of two heights; 0 where one is unknown."""
    difference = one.log_height - other.log_height
    if math.isnan(difference):
        return 0.0
    error = one.log_height_std**2 + other.log_height_std**2
    apart = error + 2.0 * _HEIGHT_STD**2
    return 0.5 * (math.log(apart / error) + difference**2 * (1.0 / apart - 1.0 / error))
