# SPDX-License-Identifier: Apache-2.0
"""Contact of heels and toes with the floor z = 0, from earlier and from later frames.

A hidden Markov model of two states, contact and swing, for each point, as that of
`pear_ros.smoothing.foot_contact`, but solved forwards and backwards in time (Baum and Petrie,
1966), so that contact begins and ends without delay. With l_t the log likelihood ratio of frame t
and g the prediction of log odds over a frame, the log odds of contact given all frames are

    g(f_t-1) + l_t + b_t,    f_t = g(f_t-1) + l_t,    b_t = g(b_t+1 + l_t+1)

    l = w [L(v; V, W) + L(max(z, 0); H, G)],    L(x; A, B) = log N(x; 0, A) - log N(x; 0, A + B)

v: velocity, z: height; V and H: their errors, larger along the line of sight; W and G: their spread
in swing; w: the time of a frame over that in which errors are correlated.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_SOJOURN_TIME = 0.5
"""Mean time that a point stays on the floor, or off it, seconds."""
_CORRELATION_TIME = 0.1
"""Time in which errors are correlated, seconds."""
_ACROSS_STD, _ACROSS_STD_BY_DISTANCE = 0.1, 0.02
"""Error of the velocity across the line of sight, m/s, and what each metre of distance adds."""
_ALONG_STD, _ALONG_STD_BY_DISTANCE = 0.18, 0.06
"""The same along the line of sight."""
_SWING_STD = 1.2
"""Velocity of a point in swing along an axis, m/s."""
_HEIGHT_STD, _SWING_HEIGHT = 0.05, 0.15
"""Error of the height of a point in contact, and height of one in swing, metres."""
_MAX_LOG_RATIO = 4.0
"""Greatest log likelihood ratio of velocity, and of height."""
_MIN_SEEN = 0.3
"""Confidence of a joint below which a point tells nothing."""


def contact_probability(soles: Doubles, confidence: Doubles, camera: Doubles, rate: int) -> Doubles:
    """Return the probability of contact (T, 4) of heels and toes.

    `soles` (T, 4, 3) in the world, metres; `confidence` (T, 4), 0 to 1, NaN: unknown; `camera`
    (3,): its position in the world; `rate`: frames a second.
    """
    velocity = np.gradient(soles, axis=0) * rate
    ratio = _velocity_ratio(velocity, soles - camera) + _height_ratio(soles[..., 2])
    weight = min(1.0 / (rate * _CORRELATION_TIME), 1.0)
    ratio = np.where(confidence < _MIN_SEEN, 0.0, weight * ratio)
    switch = 0.5 - 0.5 * np.exp(-2.0 / (rate * _SOJOURN_TIME))
    before = _messages(ratio, switch)
    after = _messages(ratio[::-1], switch)[::-1]
    odds = before + ratio + after
    return np.asarray(1.0 / (1.0 + np.exp(-odds)))


def _messages(ratio: Doubles, switch: float) -> Doubles:
    """(T, 4) log odds of contact from the frames before each."""
    found = np.zeros_like(ratio)
    for t in range(1, len(ratio)):
        p = 1.0 / (1.0 + np.exp(-(found[t - 1] + ratio[t - 1])))
        p = p + switch * (1.0 - 2.0 * p)
        found[t] = np.log(p / (1.0 - p))
    return found


def _velocity_ratio(velocity: Doubles, sight: Doubles) -> Doubles:
    """(T, 4) of velocities (T, 4, 3), m/s, of points seen along `sight` (T, 4, 3), metres."""
    distance = np.linalg.norm(sight, axis=-1)
    along = (velocity * sight).sum(axis=-1) / np.maximum(distance, 1e-9)
    across_square = (velocity**2).sum(axis=-1) - along**2
    V_across = (_ACROSS_STD + _ACROSS_STD_BY_DISTANCE * distance) ** 2
    V_along = (_ALONG_STD + _ALONG_STD_BY_DISTANCE * distance) ** 2
    ratio = _log_ratio(across_square, V_across, 2) + _log_ratio(along**2, V_along, 1)
    return np.asarray(np.clip(ratio, -_MAX_LOG_RATIO, _MAX_LOG_RATIO))


def _log_ratio(square: Doubles, variance: Doubles, axes: int) -> Doubles:
    wide = variance + _SWING_STD**2
    return np.asarray(
        0.5 * (axes * np.log(wide / variance) - square * (1.0 / variance - 1.0 / wide))
    )


def _height_ratio(height: Doubles) -> Doubles:
    """(T, 4) of heights (T, 4), metres."""
    H, wide = _HEIGHT_STD**2, _HEIGHT_STD**2 + _SWING_HEIGHT**2
    square = np.maximum(height, 0.0) ** 2
    ratio = 0.5 * (np.log(wide / H) - square * (1.0 / H - 1.0 / wide))
    return np.asarray(np.clip(ratio, -_MAX_LOG_RATIO, _MAX_LOG_RATIO))
