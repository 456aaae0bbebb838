# SPDX-License-Identifier: Apache-2.0
"""Which new tracks are surely of people who were there before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

MIN_RATIO = 7.0
"""Log likelihood ratio from which on a new track and a known person may be joined: 0.6 % of the
pairs of 90 people in photographs of everyday scenes have it, some in one team's clothes."""
MIN_MARGIN = 4.0
"""By how much it has to exceed that of all others whom the track could be, or who could be them."""


def sure_matches(ratios: Doubles, possible: npt.NDArray[np.bool_]) -> dict[int, int]:
    """Return the known person of each new track that is surely theirs: {track: person}.

    `ratios` (N, M): log likelihood ratios of N new tracks and M known people; `possible` (N, M):
    who may be whom: none who was present meanwhile. Only possible pairs are matched, no person is
    matched twice, and a track that resembles another person, present or not, is matched with none.
    """
    matches = {}
    for track, person in np.argwhere(possible & (ratios >= MIN_RATIO)).tolist():
        rivals = np.concatenate(
            [np.delete(ratios[track], person), np.delete(ratios[:, person], track)]
        )
        if ratios[track, person] >= rivals.max(initial=-np.inf) + MIN_MARGIN:
            matches[track] = person
    return matches
