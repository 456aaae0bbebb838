# SPDX-License-Identifier: Apache-2.0
"""By how much a person is larger and further away than estimated, from depth where they are seen.

What stands in front of them, what is behind them and what a depth camera makes up must not count.
So the factor is not the mean of measured over estimated depth, but the most likely one under the
beam model of range finders (Thrun, Burgard and Fox: Probabilistic Robotics, 2005, section 6.3): a
beam hits the person, or something before them, or, seldom, something behind, which a body hides
but for what is wrong with its outline. A redescending M-estimator (Tukey's) then refines it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

MIN_BEAMS = 25
"""Fewer say nothing."""

_STEP = 0.01
_FACTORS: Doubles = np.arange(-1.0, 1.0 + _STEP / 2, _STEP, dtype=np.float64)
"""log(factor) over what is expected, as far as it is sought."""
_HIT, _SHORT, _LONG = 0.6, 0.35, 0.05
"""How often beams end at the person, before them and behind, at the best factor."""
_INDEPENDENT = 25.0
"""Beams that say something of their own: neighbours are wrong together."""
_ROOT = float(np.sqrt(2 * np.pi))
_MAX_SAMPLED = 200
"""Beams among which the factor is sought; the refinement uses all."""
_SURE = 0.9
"""Least probability of a factor, with all that cannot be told apart from it."""
_MIN_HITS = 0.3
"""Least share of beams that must hit the person."""
_TAILS = 5.0
"""Degrees of freedom of what is expected."""
_TUKEY = 3.0
_ROUNDS = 6


@dataclass(frozen=True)
class Expected:
    """What is known of log(factor) beforehand."""

    middle: float
    spread: float

    def log_density(self, values: Doubles) -> Doubles:
        """That of Student's t distribution, up to a constant: there are exceptions."""
        off = (values - self.middle) / self.spread
        return np.asarray(-0.5 * (_TAILS + 1.0) * np.log1p(off**2 / _TAILS))


def fit_log_factor(ratios: Doubles, spreads: Doubles, expected: Expected) -> float | None:
    """log(factor) that explains the log ratios (K,) of measured to estimated depth best.

    `spreads` (K,): standard deviations of the ratios of beams that hit the person. None where
    there are too few beams, or no factor is much likelier than all others.
    """
    if len(ratios) < MIN_BEAMS:
        return None
    candidates: Doubles = _FACTORS + expected.middle
    stride = -(-len(ratios) // _MAX_SAMPLED)
    likelihood = _log_likelihood(candidates, ratios[::stride], spreads[::stride])
    posterior = _INDEPENDENT * likelihood + expected.log_density(candidates)
    best = candidates[np.argmax(posterior)]
    probability = np.exp(posterior - posterior.max())
    alike = np.abs(candidates - best) < max(3 * float(np.median(spreads)), 3 * _STEP)
    if probability[alike].sum() < _SURE * probability.sum():
        return None
    return _refined(float(best), ratios, spreads)


def _log_likelihood(candidates: Doubles, ratios: Doubles, spreads: Doubles) -> Doubles:
    """(C,) mean over the beams of their log likelihood."""
    # Single precision is plenty, and twice as quick.
    off = ratios.astype(np.float32) - candidates.astype(np.float32)[:, None]
    spread = np.maximum(spreads, _STEP).astype(np.float32)
    hit = np.exp(np.float32(-0.5) * (off / spread) ** 2) * (np.float32(_HIT / _ROOT) / spread)
    # Elsewhere anything within a factor of e is as likely.
    elsewhere = np.where(off < 0.0, np.float32(_SHORT), np.float32(_LONG))
    return np.asarray(np.log(hit + elsewhere).mean(axis=1, dtype=np.float64))


def _refined(start: float, ratios: Doubles, spreads: Doubles) -> float | None:
    factor = start
    for _ in range(_ROUNDS):
        off = (ratios - factor) / spreads
        weights = np.maximum(1.0 - (off / _TUKEY) ** 2, 0.0) ** 2 / spreads**2
        if not weights.any():
            return None
        factor = float((weights * ratios).sum() / weights.sum())
    hits = np.abs(ratios - factor) < 2.5 * spreads
    return factor if hits.sum() > max(_MIN_HITS * len(ratios), MIN_BEAMS / 2) else None
