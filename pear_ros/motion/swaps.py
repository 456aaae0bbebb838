# SPDX-License-Identifier: Apache-2.0
"""Images in which left and right limbs are exchanged, as estimators of landmarks do at times.

A hidden Markov model of two states for each group of limbs: as given, or exchanged. The cost of a
transition is the squared distance that the limbs' joints travel between two images in these states,
over the distance that they travel by themselves; exchanged images cost a little more each. The
cheapest path is found by dynamic programming (Viterbi, 1967).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

GROUPS = {
    "legs": ([4, 7, 10], [5, 8, 11]),
    "arms": ([18, 20], [19, 21]),
    "all": ([1, 4, 7, 10, 16, 18, 20], [2, 5, 8, 11, 17, 19, 21]),
}
"""Left and right joints of SMPL-X that are exchanged together."""
_REACH, _SPEED = 0.08, 1.5
"""Distance that a joint seems to travel within an image by noise, metres, and its speed, m/s."""
_EXCHANGED = 0.5
"""Cost of an exchanged image, beside that of its transitions."""
_MAX_SECONDS = 0.5
"""An exchange that lasts longer is taken for a turn of the person, seconds."""


def swapped(seconds: Doubles, joints: Doubles) -> Flags:
    """Return which of T images have limbs exchanged (T,).

    `seconds` (T,), ascending; `joints` (T, 55, 3), metres, in a fixed frame.
    """
    found = np.zeros(len(seconds), np.bool_)
    relative = joints - joints[:, :1]
    for left, right in GROUPS.values():
        states = _states(seconds, relative[:, [*left, *right]], relative[:, [*right, *left]])
        found |= _short(states, seconds)
    return found


def _states(seconds: Doubles, given: Doubles, exchanged: Doubles) -> Flags:
    """(T,) whether the cheapest path is in the state `exchanged`; both (T, n, 3)."""
    std = _REACH + _SPEED * np.diff(seconds)
    places = (given, exchanged)
    # (T - 1, 2, 2) cost from the state of the row to that of the column.
    cost = np.array(
        [
            [((after[1:] - before[:-1]) ** 2).sum(axis=(1, 2)) for after in places]
            for before in places
        ]
    )
    cost = np.moveaxis(cost, 2, 0) / std[:, None, None] ** 2
    total, origin = np.array([0.0, _EXCHANGED]), []
    for step in cost:
        through = total[:, None] + step
        origin.append(through.argmin(axis=0))
        total = through.min(axis=0) + np.array([0.0, _EXCHANGED])
    state = int(total.argmin())
    path = [state]
    for before in origin[::-1]:
        state = int(before[state])
        path.append(state)
    return np.array(path[::-1], np.bool_)


def _short(states: Flags, seconds: Doubles) -> Flags:
    """The same states without runs that last too long."""
    result = states.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], states.astype(int), [0]])))
    for begin, end in edges.reshape(-1, 2):
        if seconds[min(end, len(seconds) - 1)] - seconds[max(begin - 1, 0)] > _MAX_SECONDS:
            result[begin:end] = False
    return result
