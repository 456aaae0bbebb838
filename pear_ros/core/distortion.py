# SPDX-License-Identifier: Apache-2.0
"""Lens distortion in normalised image coordinates: x/z and y/z, before focal length and centre.

The models are OpenCV's, under the names that ROS gives them (REP-104,
sensor_msgs/distortion_models.hpp).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

MODELS: dict[str, tuple[int, ...]] = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}
"""Numbers of coefficients that each model may have, in OpenCV's order.

"rational_polynomial" includes OpenCV's thin prism (12) and tilted sensor (14); "equidistant" is its
fisheye model.
"""

LARGEST = 1e6
"""Greatest magnitude of a coefficient; those of real lenses are below 1000."""

_NEGLIGIBLE = 1e-100
"""Magnitude of a coefficient, as of memory that was never set, that bends no ray."""
_MAX_RESIDUAL = 1e-6
"""Greatest error of an undistorted ray when it is distorted again; beyond, there is no solution."""

# Five iterations, OpenCV 4's default, do not converge; only this function takes more.
_undistort_points = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)
_ITERATIONS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-10)


@dataclass(frozen=True)
class Distortion:
    """The distortion of a lens: a model and its coefficients."""

    model: str
    """A name in MODELS."""
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown model or coefficients that do not belong to it."""
        counts = MODELS.get(self.model)
        if counts is None:
            raise ValueError(f"unknown distortion model {self.model!r}; known: {', '.join(MODELS)}")
        if len(self.coefficients) not in counts:
            allowed = " or ".join(map(str, counts))
            raise ValueError(
                f"distortion model {self.model} has {allowed} coefficients, "
                f"not {len(self.coefficients)}"
            )
        if not np.isfinite(self.coefficients).all():
            raise ValueError(f"coefficients of {self.model} are not all finite numbers")
        if (largest := float(np.abs(self.coefficients).max())) > LARGEST:
            raise ValueError(f"coefficients of {self.model} up to {largest:g} belong to no lens")

    def distort(self, ideal: npt.NDArray[np.floating]) -> Doubles:
        """Return the distorted place (..., 2) of undistorted points `ideal` (..., 2).

        NaN beyond `reach`: outside the image the polynomials are not monotonic and would project
        points into it that no lens shows there.
        """
        points = np.asarray(ideal, np.float64).reshape(-1, 2)
        if not len(points):
            return points.reshape(ideal.shape)
        beyond = ~(np.einsum("ni,ni->n", points, points) < self.reach**2)
        if beyond.any():
            points = points.copy()
            points[beyond] = np.nan
        return self._distort(points).reshape(ideal.shape)

    def undistort(self, shown: npt.NDArray[np.floating]) -> Doubles:
        """Return the undistorted place (..., 2) of points (..., 2), the inverse of `distort`.

        NaN where no ray from in front of the camera is distorted to the point.
        """
        points = np.asarray(shown, np.float64).reshape(-1, 2)
        if not len(points):
            return points.reshape(shown.shape)
        if self.model == "equidistant":
            found = cv2.fisheye.undistortPoints(points[:, None], np.eye(3), self._array)
        else:
            found = _undistort_points(
                points[:, None], np.eye(3), self._array, R=None, P=None, criteria=_ITERATIONS
            )
        ideal = np.asarray(found, np.float64).reshape(-1, 2)
        # OpenCV returns a number even where there is no solution.
        off = np.abs(self.distort(ideal) - points).max(axis=1)
        ideal[~(off < _MAX_RESIDUAL)] = np.nan
        return ideal.reshape(shown.shape)

    @cached_property
    def reach(self) -> float:
        """Undistorted distance from the optical axis up to which the model is valid.

        Up to there the radial part is monotonic; infinite if it always is. The tangential part is
        small in comparison.
        """
        if self.model == "equidistant":
            # theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8), in theta squared.
            factor = np.polynomial.Polynomial([1, *self.coefficients])
            theta = math.sqrt(_first_root(_slope(factor)))
            return math.tan(theta) if theta < math.pi / 2 else math.inf
        k = np.zeros(8)
        k[: min(8, len(self.coefficients))] = self.coefficients[:8]
        numerator = np.polynomial.Polynomial([1, k[0], k[1], k[4]])
        denominator = np.polynomial.Polynomial([1, k[5], k[6], k[7]])
        square = np.polynomial.Polynomial([0, 1])
        # The slope of r N(r^2) / D(r^2), times D^2 > 0.
        slope = _slope(numerator) * denominator - 2 * square * numerator * denominator.deriv()
        return math.sqrt(min(_first_root(slope), _first_root(denominator)))

    @cached_property
    def _array(self) -> Doubles:
        return np.array(self.coefficients)

    def _distort(self, points: Doubles) -> Doubles:
        if self.model == "equidistant":
            shown = cv2.fisheye.distortPoints(points[:, None], np.eye(3), self._array)
        else:
            rays = np.concatenate([points, np.ones((len(points), 1))], axis=1)
            shown, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.eye(3), self._array)
        return np.asarray(shown, np.float64)


def _slope(factor: np.polynomial.Polynomial) -> np.polynomial.Polynomial:
    """Return the derivative of r p(r^2) with respect to r, as a polynomial in r^2."""
    return factor + np.polynomial.Polynomial([0, 2]) * factor.deriv()


def _first_root(polynomial: np.polynomial.Polynomial) -> float:
    """Return the smallest positive root; infinity if there is none."""
    roots = polynomial.trim(_NEGLIGIBLE).roots()
    real = roots[np.abs(roots.imag) < 1e-9].real
    positive = real[real > 0.0]
    return float(positive.min()) if len(positive) else math.inf
