# SPDX-License-Identifier: Apache-2.0
"""Kalman filter of the root positions of people who walk in front of a camera.

Along each axis the state x = (r, v) is position and velocity. The velocity is an
Ornstein-Uhlenbeck process with time constant tau and stationary standard deviation sigma_v:

    predict   x <- F x               F = [1 b]    a = exp(-dt / tau)
              P <- F P F^T + Q           [0 a]    b = tau (1 - a)

              Q = [q tau^2 (dt - 2 b + tau (1 - a^2) / 2)   q b^2 / 2          ]
                  [q b^2 / 2                                sigma_v^2 (1 - a^2)]

              q = 2 sigma_v^2 / tau    spectral density of the white noise that drives v

    update    nu = z - H x           innovation, H = [1 0]
              S = H P H^T + R        innovation covariance
              K = P H^T S^-1         gain
              x <- x + K nu
              P <- (I - K H) P

A camera measures the position across the line of sight well, and the distance along it only by
apparent size. So there is one covariance for the two axes across the line of sight and another one
along it; both turn with the line of sight. S is then a scalar and K has a closed form.

Kalman filter: Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and
Navigation, 2001, chapter 5. Velocity: Uhlenbeck and Ornstein, Physical Review 36, 1930.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pear_ros.core.rigid_transform import RigidTransform

Doubles = npt.NDArray[np.float64]

_VELOCITY_STD = 1.6
"""sigma_v: stationary standard deviation of the velocity of people along an axis, m/s."""
_VELOCITY_TIME_CONSTANT = 1.5
"""tau: time constant of the velocity, seconds."""
_MEASUREMENT_STD = 0.04
"""Standard deviation of a measured root along any axis at distance 0, metres."""
_MEASUREMENT_STD_ACROSS = 0.006
"""Growth of it with distance across the line of sight, metres per metre."""
_MEASUREMENT_STD_ALONG = 0.06
"""Growth of it with distance along the line of sight, metres per metre."""
_MAX_NORMALISED_INNOVATION = 2.0
"""Innovations along the line of sight of more standard deviations than this inflate S."""


class Innovations(NamedTuple):
    """Innovations of M measured roots with respect to each of N predicted roots."""

    across: Doubles
    """(N, M, 3) metres, across the line of sight, at the predicted distance."""
    along: Doubles
    """(N, M) metres, along the line of sight."""
    variance: Doubles
    """(N, M, 2) S: variance along each axis across the line of sight, and along it, m^2."""


@dataclass(frozen=True)
class RootStates:
    """Kalman filter states of the roots of N people at one time, in the camera's optical frame.

    The covariance columns are: each axis across the line of sight, and the line of sight.
    """

    stamp: float
    """Time of the states, seconds."""
    root: Doubles
    """(N, 3) r, metres."""
    velocity: Doubles
    """(N, 3) v, m/s."""
    variance: Doubles
    """(N, 2) P_rr, m^2."""
    covariance: Doubles
    """(N, 2) P_rv, m^2/s."""
    velocity_variance: Doubles
    """(N, 2) P_vv, m^2/s^2."""

    @classmethod
    def initialise(cls, roots: Doubles, stamp: float, noise: Doubles | float = 1.0) -> RootStates:
        """Return the states of people measured for the first time at `roots` (N, 3), metres.

        `noise` (N,): standard deviations of the measurements, over the usual ones.
        """
        R = _measurement_variance(roots, noise)  # (N, 2)
        zeros = np.zeros_like(R)
        return cls(stamp, roots, np.zeros_like(roots), R, zeros, zeros + _VELOCITY_STD**2)

    def predict(self, stamp: float) -> RootStates:
        """Return the states predicted for `stamp`, seconds; an earlier stamp changes nothing."""
        dt, tau = max(stamp - self.stamp, 0.0), _VELOCITY_TIME_CONSTANT
        a = float(np.exp(-dt / tau))
        b = tau * (1.0 - a)
        q = 2.0 * _VELOCITY_STD**2 / tau
        P_rv = self.covariance + b * self.velocity_variance
        return RootStates(
            stamp,
            self.root + b * self.velocity,
            a * self.velocity,
            self.variance
            + b * (self.covariance + P_rv)
            + q * tau**2 * (dt - 2.0 * b + tau * (1.0 - a**2) / 2.0),
            a * P_rv + q * b**2 / 2.0,
            a**2 * self.velocity_variance + _VELOCITY_STD**2 * (1.0 - a**2),
        )

    def innovations(self, roots: Doubles, noise: Doubles | float = 1.0) -> Innovations:
        """Return the innovations of measured `roots` (M, 3), metres, for each of the N people.

        They are in polar coordinates: a wrong distance alone is no innovation across the line of
        sight. `noise` (M,): standard deviations of the measurements, over the usual ones.
        """
        distance, ray = _polar(self.root)  # (N, 1), (N, 3)
        measured_distance, measured_ray = _polar(roots)  # (M, 1), (M, 3)
        across = (measured_ray - ray[:, None]) * distance[..., None]
        along = measured_distance[:, 0] - distance
        R = _measurement_variance(roots, noise)  # (M, 2)
        return Innovations(across, along, self.variance[:, None] + R)

    def update(
        self, people: Sequence[int], roots: Doubles, noise: Doubles | float = 1.0
    ) -> RootStates:
        """Return all N states after the `people` (M indices) were measured at `roots` (M, 3).

        `noise` (M,): standard deviations of the measurements, over the usual ones.
        """
        rows = np.array(people, np.intp)
        distance, ray = _polar(self.root[rows])
        measured_distance, measured_ray = _polar(roots)
        # (M, 3) both parts of the innovation nu.
        across, along = (measured_ray - ray) * distance, (measured_distance - distance) * ray
        S = self.variance[rows] + _measurement_variance(roots, noise)  # (M, 2)
        # A large innovation along the line of sight is more likely a wrong apparent size than
        # motion, so S is inflated until it is no more than the allowed standard deviations.
        limit = ((measured_distance - distance)[:, 0] / _MAX_NORMALISED_INNOVATION) ** 2
        S[:, 1] = np.maximum(S[:, 1], limit)
        K_r, K_v = self.variance[rows] / S, self.covariance[rows] / S  # (M, 2)
        updated = RootStates(self.stamp, *(array.copy() for array in self._arrays()))
        updated.root[rows] += K_r[:, :1] * across + K_r[:, 1:] * along
        updated.velocity[rows] += K_v[:, :1] * across + K_v[:, 1:] * along
        updated.velocity_variance[rows] -= K_v * self.covariance[rows]
        updated.variance[rows] *= 1.0 - K_r
        updated.covariance[rows] *= 1.0 - K_r
        return updated

    def moved(self, transform: RigidTransform) -> RootStates:
        """Return the states in the target frame of `transform`, the camera's after it has moved.

        The covariances turn with the lines of sight.
        """
        root, velocity = transform.apply(self.root), transform.rotate(self.velocity)
        return replace(self, root=root, velocity=velocity)

    def take(self, people: Sequence[int]) -> RootStates:
        """Return the states of the `people` (indices), in their order."""
        rows = np.array(people, np.intp)
        return RootStates(self.stamp, *(array[rows] for array in self._arrays()))

    def concatenate(self, others: RootStates) -> RootStates:
        """Return these states followed by `others`, which are of the same time."""
        pairs = zip(self._arrays(), others._arrays(), strict=True)
        return RootStates(self.stamp, *(np.concatenate(pair) for pair in pairs))

    def _arrays(self) -> tuple[Doubles, ...]:
        return (
            *(self.root, self.velocity),
            *(self.variance, self.covariance, self.velocity_variance),
        )


def _polar(roots: Doubles) -> tuple[Doubles, Doubles]:
    """Distances (N, 1), metres, and unit vectors (N, 3) along the lines of sight."""
    distance = np.sqrt((roots * roots).sum(axis=1, keepdims=True))
    return distance, roots / np.maximum(distance, np.finfo(np.float64).tiny)


def _measurement_variance(roots: Doubles, noise: Doubles | float) -> Doubles:
    """R (N, 2), m^2, of measured roots (N, 3): across the line of sight and along it.

    `noise` (N,): standard deviations over the usual ones.
    """
    squared_distance = (roots * roots).sum(axis=1)
    across = _MEASUREMENT_STD**2 + _MEASUREMENT_STD_ACROSS**2 * squared_distance
    along = _MEASUREMENT_STD**2 + _MEASUREMENT_STD_ALONG**2 * squared_distance
    variance: Doubles = np.column_stack([across, along]) * np.square(noise)[..., None]
    return variance
