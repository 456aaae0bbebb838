# SPDX-License-Identifier: Apache-2.0
"""Feet held where they stand, over the whole contact, by turns of the legs about the hips."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions
from pear_ros.core.people import Array
from pear_ros.smoothing.leg_turn import turn_legs

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_CONTACT = 0.5
"""Probability from which on a sole is in contact."""
_MIN_SECONDS = 0.08
"""Shortest contact that is held, seconds."""
_EASE = 0.15
"""Time before and after a contact in which an offset fades, seconds."""
_MAX_OFFSET = 0.12
"""Greatest offset of a foot, metres."""


def held_legs(
    rotations: Doubles, joints: Doubles, soles: Doubles, contact: Doubles, rate: int
) -> Doubles:
    """Return rotations (T, 55, 4) with the feet in contact at the mean place of each contact.

    `joints` (T, 55, 3) and `soles` (T, 4, 3): heels and toes, in a world with the floor at z = 0,
    metres; `contact` (T, 4): probabilities; `rate`: frames a second.
    """
    offsets = foot_offsets(soles, contact, rate)
    pose: Array = quaternions.to_vectors(rotations).astype(np.float32)
    turned, _ = turn_legs(pose, joints.astype(np.float32), offsets)
    legs = [1, 2, 7, 8]
    result = rotations.copy()
    result[:, legs] = quaternions.from_vectors(turned[:, legs])
    return result


def foot_offsets(soles: Doubles, contact: Doubles, rate: int) -> Doubles:
    """Return the offsets (T, 2, 3) of left and right foot that keep soles in place, metres."""
    offset, weight = np.zeros(soles.shape), np.zeros(contact.shape)
    for sole in range(4):
        for begin, end in _runs(contact[:, sole] >= _CONTACT, round(_MIN_SECONDS * rate)):
            place = soles[begin:end, sole].mean(axis=0)
            place[2] = 0.0
            offset[begin:end, sole] = place - soles[begin:end, sole]
            weight[begin:end, sole] = contact[begin:end, sole]
    of_foot = (offset * weight[..., None]).reshape(-1, 2, 2, 3).sum(axis=2)
    total = weight.reshape(-1, 2, 2).sum(axis=2)
    wanted = of_foot / np.maximum(total, 1e-9)[..., None]
    length = np.linalg.norm(wanted, axis=-1, keepdims=True)
    wanted *= np.minimum(1.0, _MAX_OFFSET / np.maximum(length, 1e-9))
    return np.stack([_eased(wanted[:, n], total[:, n] > 0.0, rate) for n in range(2)], axis=1)


def _runs(flags: Flags, shortest: int) -> list[tuple[int, int]]:
    """Begin and end of the runs of true that are long enough."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a >= shortest]


def _eased(offset: Doubles, held: Flags, rate: int) -> Doubles:
    """Offsets (T, 3) that fade before and after the frames in which they are `held` (T,)."""
    frames = np.flatnonzero(held)
    if not len(frames):
        return np.zeros_like(offset)
    every = np.arange(len(offset))
    after = np.clip(np.searchsorted(frames, every), 0, len(frames) - 1)
    before = np.maximum(after - 1, 0)
    result = np.zeros_like(offset)
    share = np.zeros(len(offset))
    for side in (frames[before], frames[after]):
        x = np.clip(1.0 - np.abs(every - side) / (_EASE * rate), 0.0, 1.0)
        x = x * x * (3.0 - 2.0 * x)  # smoothstep
        result += x[:, None] * offset[side]
        share += x
    return np.where(held[:, None], offset, result / np.maximum(share, 1.0)[:, None])
