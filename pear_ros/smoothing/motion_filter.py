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

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_FADING = np.array([[0.2], [3.0]])
"""Seconds in which a rate is lost, at rest and in motion."""
_SWITCHING = 2.0
"""Seconds for which a channel typically stays at rest or in motion."""
_OUTLIER = 4.0
"""Variances off the forecast from which on a measurement counts less."""
_LEAPING = 0.2
"""Share of a person's telling channels that are hardly ever outliers at once by chance."""
_ALIKE = 0.8
"""How far two outliers may be apart to confirm each other, as a share of their size."""
_LEARNING = 2.0
"""Seconds over which the measurements' noise is learnt."""
_PER_IMAGE = 4.0
"""No image tells of more noise than this, in terms of what was learnt before."""
_LASTING = 5.0
"""Noise lasts for some images, so it weighs more than its variance from one to the next tells."""
_NOISE_RANGE = (0.05, 2.5)
"""How far the learnt noise may be from what was expected, as shares of its standard deviation."""
_LEAST_WEIGHT = 1e-4
"""No model is ever given up."""


@dataclass(frozen=True)
class Channels:
    """C things that move, each along up to three axes that are alike."""

    axes: Doubles
    """(C,) number of axes; beyond it, vectors are zero."""
    rate: Doubles
    """(C,) standard deviation of the rate of one of whom nothing is known, units per second."""
    unrest: Doubles
    """(2, C) by how much the rate's variance grows in a second, at rest and in motion."""
    telling: Doubles
    """(C,) shares, which add up to 1, of those that leap together when the whole person does."""


@dataclass(frozen=True)
class Motion:
    """What is known of the motion of N people, by each of the two models.

    Channels come last, so that NumPy's innermost loops are long.
    """

    place: Doubles
    """(N, 2, 3, C) from the common estimate."""
    rate: Doubles
    """(N, 2, 3, C) units per second."""
    variance: Doubles
    """(N, 2, C) of the place, along each axis."""
    covariance: Doubles
    """(N, 2, C) of place and rate, likewise."""
    rate_variance: Doubles
    """(N, 2, C)"""
    weight: Doubles
    """(N, 2, C) probability of each model."""
    noisiness: Doubles
    """(N, C) variance of the measurements over that which was expected of them."""
    unexplained: Doubles
    """(N, 3, C) where the last measurement was, from the estimate."""
    excess: Doubles
    """(N, 3, C) how much further than the estimate it had moved since the one before."""


def start(channels: Channels, error: Doubles) -> Motion:
    """People seen for the first time: the estimate is what was measured.

    `error` (N, C): standard deviation of the measurement along an axis.
    """
    people, count = error.shape
    pair = np.ones((people, 2, count))
    still = np.zeros((people, 2, 3, count))
    return Motion(
        place=still,
        rate=still,
        variance=_LASTING * error[:, None] ** 2 * pair,
        covariance=0.0 * pair,
        rate_variance=channels.rate**2 * pair,
        weight=0.5 * pair,
        noisiness=np.ones(error.shape),
        unexplained=still[:, 0],
        excess=still[:, 0],
    )


def predict(channels: Channels, motion: Motion, elapsed: Doubles) -> tuple[Motion, Doubles]:
    """What is to be expected `elapsed` (N,) seconds later, and how far the estimate moves.

    The latter (N, 3, C), in the frame that the estimate has before.
    """
    mixed = _mixed(channels, motion, elapsed)
    time = elapsed[:, None, None]
    kept = np.exp(-time / _FADING)
    reach = _FADING * (1.0 - kept)
    place = mixed.place + reach[:, :, None] * mixed.rate
    advance = _mean(mixed.weight, place)
    unrest = time * channels.unrest
    covariance = mixed.covariance + reach * mixed.rate_variance
    predicted = replace(
        mixed,
        place=place - advance[:, None],
        rate=kept[:, :, None] * mixed.rate,
        variance=mixed.variance + reach * (mixed.covariance + covariance) + time**2 / 3.0 * unrest,
        covariance=kept * covariance + time / 2.0 * unrest,
        rate_variance=kept**2 * mixed.rate_variance + unrest,
    )
    return predicted, advance


def correct(
    channels: Channels, motion: Motion, elapsed: Doubles, surprise: Doubles, error: Doubles
) -> tuple[Motion, Doubles]:
    """What is known after a measurement, and by how much the estimate (N, 3, C) is corrected.

    `surprise` (N, 3, C): where the measurement is, from the predicted estimate; `elapsed` (N,) as
    for `predict`; `error` (N, C) standard deviation of the measurement along an axis, as far as it
    can be known beforehand.
    """
    expected = error**2
    noise = _LASTING * motion.noisiness * expected
    foretold = channels.axes * (motion.variance.max(axis=1) + noise)
    off = _square(surprise)
    outlying = np.maximum(1.0, off / (_OUTLIER * foretold)) ** 2
    doubted = outlying > 1.0

    total = motion.variance + (noise * outlying)[:, None]
    surprises = surprise[:, None] - motion.place
    surprising = _square(surprises) / total + channels.axes * np.log(total)
    likelihood = np.exp(0.5 * (surprising.min(axis=1, keepdims=True) - surprising))
    weight = np.maximum(motion.weight * likelihood, _LEAST_WEIGHT)
    weight /= weight.sum(axis=1, keepdims=True)

    gain, rate_gain = motion.variance / total, motion.covariance / total
    place = motion.place + gain[:, :, None] * surprises
    correction = _mean(weight, place)
    unexplained = surprise - correction

    # Noise moves measurements to and fro; what goes on in one direction is motion, foretold or not.
    excess = surprise - motion.unexplained
    usual = motion.noisiness
    seen = -(excess * motion.excess).sum(axis=1) / (channels.axes * expected)
    limit = _PER_IMAGE * usual
    pace = 1.0 - np.exp(-elapsed[:, None] / _LEARNING)
    learnt = usual + pace * (np.maximum(np.minimum(seen, limit), -limit) - usual)
    learnt = np.maximum(np.minimum(learnt, _NOISE_RANGE[1] ** 2), _NOISE_RANGE[0] ** 2)
    corrected = Motion(
        place=place - correction[:, None],
        rate=motion.rate + rate_gain[:, :, None] * surprises,
        variance=(1.0 - gain) * motion.variance,
        covariance=(1.0 - gain) * motion.covariance,
        rate_variance=motion.rate_variance - rate_gain * motion.covariance,
        weight=weight,
        noisiness=learnt,
        unexplained=unexplained,
        excess=excess,
    )
    # It is the estimate that is wrong if an outlier is much like the one before, or if much of a
    # person leaps at once.
    leaping = (doubted @ channels.telling > _LEAPING)[:, None] & (channels.telling > 0.0)
    wrong = doubted & (leaping | (_square(excess) < _ALIKE**2 * off))
    if wrong.any():
        corrected = _where(wrong, start(channels, np.sqrt(usual) * error), corrected)
        corrected = replace(corrected, noisiness=usual)
        correction = np.where(wrong[:, None], surprise, correction)
    return corrected, correction


def _mixed(channels: Channels, motion: Motion, elapsed: Doubles) -> Motion:
    """Each model as it may have taken over from the other."""
    switched = 0.5 - 0.5 * np.exp(-2.0 * elapsed / _SWITCHING)[:, None, None]
    taken = switched * motion.weight[:, ::-1]
    weight = (1.0 - switched) * motion.weight + taken
    share = taken / weight

    def blend(values: Doubles, share: Doubles) -> Doubles:
        return values + share * (values[:, ::-1] - values)

    # Where the models differ, a mixture of both is wider than either.
    place, rate = (values[:, 0] - values[:, 1] for values in (motion.place, motion.rate))
    width = share * (1.0 - share) / channels.axes
    return replace(
        motion,
        place=blend(motion.place, share[:, :, None]),
        rate=blend(motion.rate, share[:, :, None]),
        variance=blend(motion.variance, share) + width * _square(place)[:, None],
        covariance=blend(motion.covariance, share) + width * (place * rate).sum(axis=1)[:, None],
        rate_variance=blend(motion.rate_variance, share) + width * _square(rate)[:, None],
        weight=weight,
    )


def _where(chosen: npt.NDArray[np.bool_], one: Motion, other: Motion) -> Motion:
    """Of `chosen` (N, C) channels what `one` says, of all else what the other says."""
    values = {}
    for part in fields(Motion):
        first, second = getattr(one, part.name), getattr(other, part.name)
        values[part.name] = np.where(
            np.expand_dims(chosen, tuple(range(1, first.ndim - 1))), first, second
        )
    return Motion(**values)


def _mean(weight: Doubles, values: Doubles) -> Doubles:
    """(N, 3, C) of both models' values (N, 2, 3, C)."""
    mean: Doubles = (weight[:, :, None] * values).sum(axis=1)
    return mean


def _square(vectors: Doubles) -> Doubles:
    """Of vectors (..., 3, C)."""
    squares: Doubles = (vectors * vectors).sum(axis=-2)
    return squares
