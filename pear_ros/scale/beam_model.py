# SPDX-License-Identifier: Apache-2.0
"""Robust estimation of a scale factor from the ratios of measured to estimated depth.

Occluders, the background and outliers of a depth camera must not influence the factor. So it is not
the mean of the ratios, but the maximum a posteriori estimate under the beam model of range finders
(Thrun, Burgard and Fox: Probabilistic Robotics, 2005, section 6.3). With the residual
e_k = ratio_k - s of beam k at the log scale s,

    p(ratio_k | s) = z_hit N(e_k; 0, sigma_k^2)    the beam hits the person,
                   + z_short [e_k < 0]             or something in front,
                   + z_long [e_k >= 0]             or, seldom, something behind: past an outline
                                                   that is not quite right

and the prior of s is a Student's t distribution. The maximum over a grid is then refined by an
M-estimator with Tukey's biweight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

MIN_BEAMS = 25
"""Least number of beams for an estimate."""

_GRID_STEP = 0.01
_GRID: Doubles = np.arange(-1.0, 1.0 + _GRID_STEP / 2, _GRID_STEP, dtype=np.float64)
"""Candidates of the log scale, relative to the mean of the prior."""
_Z_HIT, _Z_SHORT, _Z_LONG = 0.6, 0.35, 0.05
"""Weights of the beam model: beams that hit the person, that end in front, that end behind."""
_INDEPENDENT_BEAMS = 25.0
"""Effective number of independent beams: the errors of neighbours are correlated."""
_SQRT_2_PI = float(np.sqrt(2 * np.pi))
_MAX_GRID_BEAMS = 200
"""Number of beams that the grid search uses at most; the refinement uses all."""
_MIN_PROBABILITY = 0.9
"""Least posterior probability of the maximum and what cannot be distinguished from it."""
_MIN_HITS = 0.3
"""Least share of beams that must hit the person."""
_DEGREES_OF_FREEDOM = 5.0
"""Degrees of freedom of the prior, a Student's t distribution."""
_TUKEY_CUTOFF = 3.0
"""Standard deviations at which Tukey's biweight becomes zero."""
_HIT_CUTOFF = 2.5
"""Standard deviations below which a beam counts as a hit."""
_ITERATIONS = 6


@dataclass(frozen=True)
class LogScalePrior:
    """Student's t prior of a log scale factor, heavy-tailed as there are exceptions."""

    mean: float
    """Location of the distribution."""
    std: float
    """Scale parameter of the distribution."""

    def log_density(self, log_scale: Doubles) -> Doubles:
        """Return the log density at `log_scale` (K,), up to a constant."""
        e = (log_scale - self.mean) / self.std
        nu = _DEGREES_OF_FREEDOM
        return np.asarray(-0.5 * (nu + 1.0) * np.log1p(e**2 / nu))


def estimate_log_scale(log_ratios: Doubles, sigma: Doubles, prior: LogScalePrior) -> float | None:
    """Return the log scale factor that explains `log_ratios` best, None where it is ambiguous.

    `log_ratios` (K,): log of measured over estimated depth of each beam; `sigma` (K,): their
    standard deviations for beams that hit the person. The result is None if there are less than
    MIN_BEAMS beams, too few of them hit the person, or another factor is nearly as probable.
    """
    if len(log_ratios) < MIN_BEAMS:
        return None
    candidates: Doubles = _GRID + prior.mean  # (C,)
    stride = -(-len(log_ratios) // _MAX_GRID_BEAMS)
    likelihood = _mean_log_likelihood(candidates, log_ratios[::stride], sigma[::stride])
    posterior = _INDEPENDENT_BEAMS * likelihood + prior.log_density(candidates)
    best = candidates[np.argmax(posterior)]
    probability = np.exp(posterior - posterior.max())
    near = np.abs(candidates - best) < max(3 * float(np.median(sigma)), 3 * _GRID_STEP)
    if probability[near].sum() < _MIN_PROBABILITY * probability.sum():
        return None
    return _refine(float(best), log_ratios, sigma)


def _mean_log_likelihood(candidates: Doubles, log_ratios: Doubles, sigma: Doubles) -> Doubles:
    """(C,) log likelihood of each candidate, averaged over the beams."""
    # Single precision is accurate enough, and twice as fast.
    e = log_ratios.astype(np.float32) - candidates.astype(np.float32)[:, None]  # (C, K)
    std = np.maximum(sigma, _GRID_STEP).astype(np.float32)
    hit = np.exp(np.float32(-0.5) * (e / std) ** 2) * (np.float32(_Z_HIT / _SQRT_2_PI) / std)
    # Uniform within a factor of e in front and behind.
    miss = np.where(e < 0.0, np.float32(_Z_SHORT), np.float32(_Z_LONG))
    return np.asarray(np.log(hit + miss).mean(axis=1, dtype=np.float64))


def _refine(start: float, log_ratios: Doubles, sigma: Doubles) -> float | None:
    """M-estimate by iteratively reweighted least squares; None where too few beams hit."""
    log_scale = start
    for _ in range(_ITERATIONS):
        e = (log_ratios - log_scale) / sigma
        weights = np.maximum(1.0 - (e / _TUKEY_CUTOFF) ** 2, 0.0) ** 2 / sigma**2
        if not weights.any():
            return None
        log_scale = float((weights * log_ratios).sum() / weights.sum())
    hits = np.abs(log_ratios - log_scale) < _HIT_CUTOFF * sigma
    return log_scale if hits.sum() > max(_MIN_HITS * len(log_ratios), MIN_BEAMS / 2) else None
