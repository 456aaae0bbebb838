# SPDX-License-Identifier: Apache-2.0
"""Filters of things that move, rest, and move again: joints that turn, bodies that walk.

A Kalman filter that is calm enough for a resting joint lags behind a quick one. So two of them run
side by side, one for rest and one for motion, and each counts for as much as it has foretold the
measurements of late (interacting multiple models, Blom and Bar-Shalom, IEEE Trans. Automatic
Control 1988). They work on the error of a common estimate, in its tangent space, so that the
estimate itself may be a rotation or anything else. Gains have closed forms: the axes of a channel
are alike, and what is kept of each is a place and a rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_FADING = np.array([0.2, 1.0])
"""Seconds in which a rate is lost, at rest and in motion."""
_SWITCHING = 2.0
"""Seconds for which a channel typically stays at rest or in motion."""
_OUTLIER = 3.0
"""Variances off the forecast from which on a measurement counts less."""
_LEARNING = 1.0
"""Seconds over which the measurements' noise is learnt."""
_LASTING = 1.5
"""Noise lasts for some images, so it weighs more than its variance from one to the next tells."""
_NOISE_RANGE = (0.05, 2.5)
"""How far the learnt noise may be from what was expected, as shares of its standard deviation."""
_LEAST_WEIGHT = 1e-4
"""No model is ever given up."""


@dataclass(frozen=True)
class Channels:
    """C things that move, each along up to three axes that are alike."""

    axes: Doubles
    """(C,) number of axes; beyond it, vectors (..., 3) are zero."""
    rate: Doubles
    """(C,) standard deviation of the rate of one of whom nothing is known, units per second."""
    unrest: Doubles
    """(C, 2) by how much the rate's variance grows in a second, at rest and in motion."""


@dataclass(frozen=True)
class Motion:
    """What is known of the motion of N people; the first axis of each array is the person."""

    mean: Doubles
    """(N, C, 2, 6) of each model: where it sees the channel, from the estimate, and the rate."""
    spread: Doubles
    """(N, C, 2, 3) variance of place, covariance of place and rate, variance of rate."""
    weight: Doubles
    """(N, C, 2) probability of each model."""
    noisiness: Doubles
    """(N, C) variance of the measurements over that which was expected of them."""
    unexplained: Doubles
    """(N, C, 3) where the last measurement was, from the estimate."""


def start(channels: Channels, error: Doubles) -> Motion:
    """People seen for the first time: the estimate is what was measured.

    `error` (N, C): standard deviation of the measurement along an axis.
    """
    spread = np.zeros((*error.shape, 2, 3))
    spread[..., 0] = _LASTING * error[..., None] ** 2
    spread[..., 2] = channels.rate[:, None] ** 2
    return Motion(
        mean=np.zeros((*error.shape, 2, 6)),
        spread=spread,
        weight=np.full((*error.shape, 2), 0.5),
        noisiness=np.ones(error.shape),
        unexplained=np.zeros((*error.shape, 3)),
    )


def predict(channels: Channels, motion: Motion, elapsed: Doubles) -> tuple[Motion, Doubles]:
    """What is to be expected `elapsed` (N,) seconds later, and how far the estimate moves.

    The latter (N, C, 3), in the frame that the estimate has before.
    """
    mean, spread, weight = _mixed(channels, motion, elapsed)
    time = elapsed[:, None, None]
    kept = np.exp(-time / _FADING)
    reach = _FADING * (1.0 - kept)
    place, rate = mean[..., :3], mean[..., 3:]
    place = place + reach[..., None] * rate
    advance = np.einsum("ncm,ncmi->nci", weight, place)
    mean = np.concatenate([place - advance[:, :, None], kept[..., None] * rate], axis=3)
    variance, covariance, of_rate = spread[..., 0], spread[..., 1], spread[..., 2]
    growth = channels.unrest * time
    spread = np.stack(
        [
            variance + reach * (2.0 * covariance + reach * of_rate) + growth * time**2 / 3.0,
            kept * (covariance + reach * of_rate) + growth * time / 2.0,
            kept**2 * of_rate + growth,
        ],
        axis=3,
    )
    return replace(motion, mean=mean, spread=spread, weight=weight), advance


def correct(
    channels: Channels, motion: Motion, elapsed: Doubles, surprise: Doubles, error: Doubles
) -> tuple[Motion, Doubles]:
    """What is known after a measurement, and by how much the estimate (N, C, 3) is corrected.

    `surprise` (N, C, 3): where the measurement is, from the predicted estimate; `elapsed` (N,) as
    for `predict`; `error` (N, C) standard deviation of the measurement along an axis, as far as it
    can be known beforehand.
    """
    expected = error**2
    noise = _LASTING * motion.noisiness * expected
    variance, covariance, of_rate = (motion.spread[..., n] for n in range(3))
    # A measurement that nobody foretold is an outlier, unless it says the same as the one before:
    # then it is the estimate that is wrong.
    foretold = channels.axes * (variance.max(axis=2) + noise)
    again = surprise - motion.unexplained
    off = np.minimum(_square(surprise), _square(again)) / foretold
    outlying = np.maximum(1.0, off / _OUTLIER) ** 2

    total = variance + (noise * outlying)[..., None]
    surprises = surprise[:, :, None] - motion.mean[..., :3]
    surprising = _square(surprises) / total + channels.axes[:, None] * np.log(total)
    likelihood = np.exp(0.5 * (surprising.min(axis=2, keepdims=True) - surprising))
    weight = np.maximum(motion.weight * likelihood, _LEAST_WEIGHT)
    weight = weight / weight.sum(axis=2, keepdims=True)

    gain, rate_gain = variance / total, covariance / total
    gains = np.stack([gain, rate_gain], axis=3)
    moved = gains[..., None] * surprises[..., None, :]
    mean = motion.mean + moved.reshape(motion.mean.shape)
    left = 1.0 - gain
    spread = np.stack(
        [left * variance, left * covariance, of_rate - rate_gain * covariance], axis=3
    )
    correction = np.einsum("ncm,ncmi->nci", weight, mean[..., :3])
    mean[..., :3] -= correction[:, :, None]
    unexplained = surprise - correction

    # On average, the surprise before the correction times that after it is the noise (Mehra, IEEE
    # Trans. Automatic Control 1972); outliers tell nothing of it.
    seen = np.einsum("nci,nci->nc", surprise, unexplained) / (channels.axes * expected)
    seen = np.where(outlying > 1.0, motion.noisiness, np.minimum(seen, 4.0 * motion.noisiness))
    pace = 1.0 - np.exp(-elapsed[:, None] / _LEARNING)
    learnt = np.clip(motion.noisiness + pace * (seen - motion.noisiness), *np.square(_NOISE_RANGE))
    return Motion(mean, spread, weight, learnt, unexplained), correction


def _mixed(
    channels: Channels, motion: Motion, elapsed: Doubles
) -> tuple[Doubles, Doubles, Doubles]:
    """Mean, spread and weight of both models, as each may have taken over from the other."""
    switched = 0.5 - 0.5 * np.exp(-2.0 * elapsed / _SWITCHING)
    change = np.stack([1.0 - switched, switched, switched, 1.0 - switched], axis=1)
    change = change.reshape(-1, 1, 2, 2)
    joint = change * motion.weight[:, :, None]
    weight = joint.sum(axis=3)
    moments = np.concatenate(
        [motion.mean, motion.spread + _products(channels, motion.mean)], axis=3
    )
    mixed = (joint / weight[..., None]) @ moments
    mean = mixed[..., :6]
    return mean, mixed[..., 6:] - _products(channels, mean), weight


def _products(channels: Channels, mean: Doubles) -> Doubles:
    """(N, C, 2, 3) mean products along an axis of place and place, place and rate, rate and rate"""
    place, rate = mean[..., :3], mean[..., 3:]
    products = np.stack([_square(place), (place * rate).sum(axis=3), _square(rate)], axis=3)
    return np.asarray(products / channels.axes[:, None, None])


def _square(vectors: Doubles) -> Doubles:
    squares: Doubles = np.einsum("...i,...i->...", vectors, vectors)
    return squares
