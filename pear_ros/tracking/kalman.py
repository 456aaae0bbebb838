# SPDX-License-Identifier: Apache-2.0
"""Where people who walk about will be: their roots with a velocity that fades.

Velocity is an Ornstein-Uhlenbeck process, followed by a Kalman filter. A camera sees well where
somebody is across the line of sight, but distance only by size; so there is one variance across
and one along it, which turn with the line of sight. Gains then have closed forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_SPEED = 1.6
"""Metres per second, standard deviation of people's velocity along an axis."""
_FADING = 1.5
"""Seconds in which a velocity is lost."""
_ERROR = 0.04
"""Metres, standard deviation of a measured root across the line of sight."""
_ERROR_ACROSS = 0.006
"""What adds to it with distance, metres per metre."""
_ERROR_ALONG = 0.06
"""The same along the line of sight."""
_SUDDEN = 2.0
"""Standard deviations along the line of sight beyond which a measurement is believed less."""


@dataclass(frozen=True)
class Motion:
    """The motion of N people at one time; metres and seconds, in the camera's optical frame."""

    stamp: float
    root: Doubles
    """(N, 3)"""
    velocity: Doubles
    """(N, 3)"""
    variance: Doubles
    """(N, 2) of the root, along each axis across the line of sight and along the line of sight."""
    covariance: Doubles
    """(N, 2) of root and velocity, likewise."""
    velocity_variance: Doubles
    """(N, 2)"""

    @classmethod
    def begin(cls, roots: Doubles, stamp: float) -> Motion:
        """People seen for the first time, `roots` (N, 3)."""
        error = _squared_error(roots)
        still = np.zeros_like(error)
        return cls(stamp, roots, np.zeros_like(roots), error, still, still + _SPEED**2)

    def at(self, stamp: float) -> Motion:
        """The same people later on."""
        elapsed = max(stamp - self.stamp, 0.0)
        kept = float(np.exp(-elapsed / _FADING))
        reach = _FADING * (1.0 - kept)
        unrest = 2.0 * _SPEED**2 / _FADING
        spread = elapsed - 2.0 * reach + _FADING * (1.0 - kept**2) / 2.0
        carried = self.covariance + reach * self.velocity_variance
        return Motion(
            stamp,
            self.root + reach * self.velocity,
            kept * self.velocity,
            self.variance + reach * (self.covariance + carried) + unrest * _FADING**2 * spread,
            kept * carried + unrest * reach**2 / 2.0,
            kept**2 * self.velocity_variance + _SPEED**2 * (1.0 - kept**2),
        )

    def of(self, people: Sequence[int]) -> Motion:
        """Some of the people, in the order given."""
        rows = np.array(people, np.intp)
        return Motion(self.stamp, *(table[rows] for table in self._tables()))

    def joined(self, others: Motion) -> Motion:
        """These people and then others, at the same time."""
        pairs = zip(self._tables(), others._tables(), strict=True)
        return Motion(self.stamp, *(np.concatenate(pair) for pair in pairs))

    def surprise(self, roots: Doubles) -> tuple[Doubles, Doubles, Doubles]:
        """How measured roots (M, 3) differ from where people are expected to be.

        (N, M, 3) across the line of sight, (N, M) along it, and (N, M, 2) the variances that these
        have, each along one axis. A wrong distance alone is no difference across.
        """
        distance, ray = _polar(self.root)
        seen_distance, seen_ray = _polar(roots)
        across = (seen_ray - ray[:, None]) * distance[..., None]
        along = seen_distance[:, 0] - distance
        return across, along, self.variance[:, None] + _squared_error(roots)

    def corrected(self, people: Sequence[int], roots: Doubles) -> Motion:
        """All of them, after some `people` were measured at `roots` (M, 3)."""
        rows = np.array(people, np.intp)
        distance, ray = _polar(self.root[rows])
        seen_distance, seen_ray = _polar(roots)
        across, along = (seen_ray - ray) * distance, (seen_distance - distance) * ray
        total = self.variance[rows] + _squared_error(roots)
        # A distance that nobody expected is more likely a body read wrongly.
        sudden = ((seen_distance - distance)[:, 0] / _SUDDEN) ** 2
        total[:, 1] = np.maximum(total[:, 1], sudden)
        gain, velocity_gain = self.variance[rows] / total, self.covariance[rows] / total
        after = Motion(self.stamp, *(table.copy() for table in self._tables()))
        after.root[rows] += gain[:, :1] * across + gain[:, 1:] * along
        after.velocity[rows] += velocity_gain[:, :1] * across + velocity_gain[:, 1:] * along
        after.velocity_variance[rows] -= velocity_gain * self.covariance[rows]
        after.variance[rows] *= 1.0 - gain
        after.covariance[rows] *= 1.0 - gain
        return after

    def _tables(self) -> tuple[Doubles, ...]:
        return (
            *(self.root, self.velocity),
            *(self.variance, self.covariance, self.velocity_variance),
        )


def _polar(roots: Doubles) -> tuple[Doubles, Doubles]:
    """Distances (N, 1) and lines of sight (N, 3), of length 1."""
    distance = np.sqrt((roots * roots).sum(axis=1, keepdims=True))
    return distance, roots / np.maximum(distance, np.finfo(np.float64).tiny)


def _squared_error(roots: Doubles) -> Doubles:
    """(N, 2) variances of measured roots (N, 3), across the line of sight and along it."""
    squared_distance = (roots * roots).sum(axis=1)
    across = _ERROR**2 + _ERROR_ACROSS**2 * squared_distance
    along = _ERROR**2 + _ERROR_ALONG**2 * squared_distance
    return np.column_stack([across, along])
