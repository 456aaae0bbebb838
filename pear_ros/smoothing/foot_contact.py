# SPDX-License-Identifier: Apache-2.0
"""Probability that heels and toes touch the floor, from their speed and height over time.

A hidden Markov model of two states, contact and swing, for each of the four points of a person.
Prediction over a time step dt, with the mean sojourn time T in each state:

    p <- p + s (1 - 2 p),    s = (1 - exp(-2 dt / T)) / 2

Update, with v the velocity in the fixed frame and h the height above the floor, if it is known:

    log p / (1 - p) <- log p / (1 - p) + w [L(v) + L(h)]
    L(v) = log N(v; 0, V) - log N(v; 0, V + W)    V: errors of v; W: spread of v in swing
    L(h) = log N(max(h, 0); 0, H) - log N(max(h, 0); 0, H + G)

V is small across the line of sight and large along it, where images tell little. Errors of
successive images are correlated: w is dt over their correlation time, at most 1, so that the frame
rate does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pear_ros.core.rigid_transform import RigidTransform

Doubles = npt.NDArray[np.float64]

_SOJOURN_TIME = 0.5
"""T: mean time that a point of a walking person stays on the floor, or off it, seconds."""
_CORRELATION_TIME = 0.1
"""Time over which errors of velocity and height are correlated, seconds."""
_VELOCITY_TIME_CONSTANT = 0.05
"""Time constant of the low-pass filter of the velocity, seconds."""
_ACROSS_STD, _ACROSS_STD_BY_DISTANCE = 0.1, 0.03
"""Error of the velocity across the line of sight, m/s, and what each metre of distance adds."""
_ALONG_STD, _ALONG_STD_BY_DISTANCE = 0.3, 0.1
"""The same along the line of sight."""
_SWING_STD = 1.2
"""Velocity of a point in swing along an axis, m/s."""
_HEIGHT_STD = 0.04
"""Error of the height of a sole on a floor that is known exactly, metres: shoes, shape, pose."""
_SWING_HEIGHT = 0.15
"""Height of a point in swing, metres."""
_MAX_LOG_RATIO = 4.0
"""Greatest log likelihood ratio of one observation, in favour of either state."""
_MAX_LOG_ODDS = 5.0
"""Greatest log odds of either state."""
MIN_SEEN = 0.3
"""Confidence of a joint below which it is not observed."""


@dataclass(frozen=True)
class ContactStates:
    """Filter states of the heels and toes of N people, each after their last image."""

    stamp: Doubles
    """(N,) stamp of the last image, seconds."""
    soles: Doubles
    """(N, 4, 3) heels and toes in the camera's optical frame, metres."""
    velocity: Doubles
    """(N, 4, 3) metres per second, in the fixed frame along the optical frame's axes."""
    log_odds: Doubles
    """(N, 4) of contact."""


def initialise(soles: Doubles, stamp: float) -> ContactStates:
    """Return the states of people whose `soles` (N, 4, 3), metres, are seen for the first time."""
    zeros = np.zeros(soles.shape)
    return ContactStates(np.full(len(soles), stamp), soles, zeros, zeros[..., 0])


def update(
    states: ContactStates,
    soles: Doubles,
    stamp: float,
    confidence: npt.NDArray[np.floating],
    height: Doubles,
    height_std: Doubles,
) -> ContactStates:
    """Return the states of the same N people at `stamp`, seconds, with their `soles` (N, 4, 3).

    `confidence` (N, 4): of the soles, 0 to 1; NaN: unknown. `height` (N, 4) above the floor and
    its standard deviation, metres; NaN: unknown.
    """
    dt = (stamp - states.stamp)[:, None]  # (N, 1)
    gain = 1.0 - np.exp(-dt / _VELOCITY_TIME_CONSTANT)
    measured = (soles - states.soles) / dt[..., None]
    velocity = states.velocity + gain[..., None] * (measured - states.velocity)
    ratio = _velocity_ratio(soles, velocity)
    ratio += np.where(np.isnan(height), 0.0, _height_ratio(height, height_std))
    weight = np.where(confidence < MIN_SEEN, 0.0, np.minimum(dt / _CORRELATION_TIME, 1.0))
    log_odds = _predicted(states.log_odds, dt) + weight * ratio
    log_odds = np.clip(log_odds, -_MAX_LOG_ODDS, _MAX_LOG_ODDS)
    return ContactStates(np.full_like(states.stamp, stamp), soles, velocity, log_odds)


def probability(log_odds: Doubles) -> Doubles:
    """Return the probability of contact from its log odds, of any shape."""
    p: Doubles = 1.0 / (1.0 + np.exp(-log_odds))
    return p


def moved(states: ContactStates, transform: RigidTransform) -> ContactStates:
    """Return the states in the target frame of `transform`, the camera's after it has moved."""
    return replace(
        states,
        soles=transform.apply(states.soles),
        velocity=transform.rotate(states.velocity),
    )


def _predicted(log_odds: Doubles, dt: Doubles) -> Doubles:
    s = 0.5 - 0.5 * np.exp(-2.0 * dt / _SOJOURN_TIME)
    p = probability(log_odds)
    p = p + s * (1.0 - 2.0 * p)
    return np.asarray(np.log(p / (1.0 - p)))


def _velocity_ratio(soles: Doubles, velocity: Doubles) -> Doubles:
    """(N, 4) L(v)."""
    distance = np.linalg.norm(soles, axis=-1)
    along = (velocity * soles).sum(axis=-1) / distance
    across_square = (velocity**2).sum(axis=-1) - along**2
    V_across = (_ACROSS_STD + _ACROSS_STD_BY_DISTANCE * distance) ** 2
    V_along = (_ALONG_STD + _ALONG_STD_BY_DISTANCE * distance) ** 2
    ratio = _log_ratio(across_square, V_across, 2) + _log_ratio(along**2, V_along, 1)
    return np.clip(ratio, -_MAX_LOG_RATIO, _MAX_LOG_RATIO)


def _log_ratio(square: Doubles, variance: Doubles, axes: int) -> Doubles:
    wide = variance + _SWING_STD**2
    return np.asarray(
        0.5 * (axes * np.log(wide / variance) - square * (1.0 / variance - 1.0 / wide))
    )


def _height_ratio(height: Doubles, std: Doubles) -> Doubles:
    """(N, 4) L(h)."""
    H = _HEIGHT_STD**2 + std**2
    wide = H + _SWING_HEIGHT**2
    square = np.maximum(height, 0.0) ** 2
    ratio = 0.5 * (np.log(wide / H) - square * (1.0 / H - 1.0 / wide))
    return np.clip(ratio, -_MAX_LOG_RATIO, _MAX_LOG_RATIO)
