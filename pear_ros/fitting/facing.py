# SPDX-License-Identifier: Apache-2.0
"""Which side of a body faces the camera, over time: log odds of two hypotheses.

Landmark models now and then take front for back, for some tenths of a second and with full
visibility; no single image reveals it. Every image therefore has two readings: the landmarks as
they are, and with left and right, near and far swapped. Whether the landmarks are swapped is a
hidden Markov model with two states in continuous time (Rabiner, Proceedings of the IEEE 1989): they
become swapped at the rate a and right again at the rate b. The orientation believed and the one
opposite to it are two hypotheses about the same landmarks: where one takes them for right, the
other takes them for swapped. In an image `elapsed` seconds after the last, their log odds change by

    (b - a) elapsed     if the landmarks stay right according to the orientation believed,
    log(b / a)          if they become right,

by the opposite if they stay or become swapped, and by the evidence of the image itself: the log
likelihood ratio of both readings. The orientation that is more probable is believed.

That evidence alone is a weak classifier, and errors of neighbouring images are the same: it is
asked for only while the landmarks contradict the orientation believed, or hardly fit a body, and
all of it together is limited for as long as they do. So nobody is turned while the landmarks agree
with the belief, and no contradiction is overruled for long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SWAP_RATE = 0.1
"""a: how often right landmarks become swapped, per second."""
RECOVERY_RATE = 2.0
"""b: how often swapped landmarks become right again, per second."""
NEAR = np.radians(60.0)
"""Turn of the root from the orientation believed up to which landmarks agree with it, radians."""
MAX_GAP = 1.0
"""Seconds without an image after which a person may have turned: the log odds start again."""
_CORRELATION_TIME = 0.1
"""Seconds within which images repeat the same error, so that their evidence counts once."""
_MAX_EVIDENCE = 3.0
"""Limit of all evidence while the landmarks contradict the orientation believed."""
_INITIAL_LOG_ODDS = 3.0
"""Log odds of a new person, about log(b / a): landmarks are mostly right."""
MAX_LOG_ODDS = 8.0
"""Limit of the log odds: a contradiction is believed after 2.6 s without evidence."""


@dataclass(frozen=True)
class Facing:
    """Belief about the orientation of one person; the state for the next image."""

    swapped: bool = False
    """Whether the landmarks are taken for swapped front and back."""
    log_odds: float = _INITIAL_LOG_ODDS
    """Natural log odds of the orientation believed against the opposite one, without `evidence`."""
    evidence: float = 0.0
    """Log likelihood ratio of the landmarks as they are since they contradict the orientation
    believed; 0 while they do not."""

    @classmethod
    def of_new_person(cls, evidence: float) -> Facing:
        """Return the belief after the first image, from its log likelihood ratio."""
        log_odds = _INITIAL_LOG_ODDS + evidence
        return cls(log_odds < 0.0, min(abs(log_odds), _INITIAL_LOG_ODDS))

    def updated(self, turn: float, other_turn: float, evidence: float, elapsed: float) -> Facing:
        """Return the belief after an image `elapsed` seconds after the last.

        `turn`, `other_turn`: angles, radians, from the orientation believed to those of the
        landmarks as they are and swapped. `evidence`: log likelihood ratio of the landmarks as they
        are against swapped ones; 0, with a half turn for `other_turn`, if only they have been read.
        """
        # Where both agree with the orientation believed, the better fit decides.
        swapped = other_turn < turn if turn >= NEAR else other_turn < NEAR and evidence < 0.0
        changed = swapped != self.swapped
        prior = (
            math.log(RECOVERY_RATE / SWAP_RATE)
            if changed
            else ((RECOVERY_RATE - SWAP_RATE) * elapsed)
        )
        if not swapped:
            log_odds = self.log_odds - self.evidence + prior
            return Facing(False, min(log_odds, MAX_LOG_ODDS))
        share = min(1.0, elapsed / _CORRELATION_TIME)
        total = float(np.clip(self.evidence + evidence * share, -_MAX_EVIDENCE, _MAX_EVIDENCE))
        log_odds = self.log_odds - prior
        if log_odds < total:
            return Facing(False, total - log_odds)
        return Facing(True, log_odds, total)


def log_likelihood_ratio(
    cost: float, other_cost: float, log_error: float, other_log_error: float
) -> float:
    """Return the evidence of one image for the first of two readings.

    `cost`: of the fit, twice the negative log posterior but for its constant, which is six times
    the sum `log_error` of the log standard deviations of the joints' rotations (three for each
    joint). The expected errors are themselves uncertain, so costs have to agree with and without
    them: otherwise the image says nothing.
    """
    difference = other_cost - cost
    normalised = difference + 6.0 * (other_log_error - log_error)
    if difference * normalised <= 0.0:
        return 0.0
    return math.copysign(min(abs(difference), abs(normalised)) / 2.0, difference)
