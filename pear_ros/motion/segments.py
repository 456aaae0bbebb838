# SPDX-License-Identifier: Apache-2.0
"""Parts of a track without long gaps, and the constant rate at which motion is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pear_ros.motion.motion import Observations

Doubles = npt.NDArray[np.float64]

RATES = (30, 60)
"""Frames a second that a recording may get by itself."""
_MIN_IMAGES = 3
"""Least number of images of which motion is made."""
_MIN_SECONDS = 0.1
"""Shortest motion: three frames at the lowest rate."""
_SAME_TIME = 1e-6
"""Difference of times that are one, seconds."""


def rate_of(seconds: Doubles) -> int:
    """Return the rate for a recording with images at `seconds` (F,): 60 from 45 Hz on, else 30."""
    steps = np.diff(seconds)
    steps = steps[steps > 0.0]
    return RATES[bool(len(steps) and np.median(steps) < 1.0 / 45.0)]


def split(observations: Observations, max_gap: float) -> tuple[list[Observations], list[str]]:
    """Return the parts of a track in images that saw the person, and a sentence for each loss.

    A part ends where the next image that saw the person is more than `max_gap` seconds later. Parts
    of fewer than three images, or shorter than 0.1 s, are left out.
    """
    rows = np.flatnonzero(observations.seen)
    gaps = np.flatnonzero(np.diff(observations.seconds[rows]) > max_gap) + 1
    parts = [part for part in np.split(rows, gaps) if len(part)]
    kept = [part for part in parts if _suffices(observations.seconds[part])]
    notes = []
    if not kept:
        notes.append(
            f"{observations.id} was seen in {len(rows)} {'image' if len(rows) == 1 else 'images'} "
            f"in total, and is left out: motion needs {_MIN_IMAGES} without a gap, "
            f"over {_MIN_SECONDS:g} s"
        )
    elif len(parts) > 1:
        longest = float(np.diff(observations.seconds[rows]).max())
        notes.append(
            f"{observations.id} was not seen for up to {longest:.1f} s, longer than the "
            f"{max_gap:g} s that are filled: it has {len(kept)} parts"
            + (f"; {len(parts) - len(kept)} shorter ones are left out" * (len(kept) < len(parts)))
        )
    names = [observations.id + f"_part{n}" * (n > 1) for n in range(1, len(kept) + 1)]
    return [_take(observations, p, name) for p, name in zip(kept, names, strict=True)], notes


def _suffices(seconds: Doubles) -> bool:
    return len(seconds) >= _MIN_IMAGES and float(seconds[-1] - seconds[0]) >= _MIN_SECONDS


def timeline(seconds: Doubles, rate: int) -> tuple[Doubles, npt.NDArray[np.intp], Sequence[int]]:
    """Return times with all images and all frames, which of them are images, and the frames.

    `seconds` (T,): of the images. The times (K,) ascend; then (T,) indices of the images, and a
    pair: the number of the first frame and that of the first one that does not exist. Frames are
    at whole multiples of 1 / `rate` s; the time of one between two images is that of the image.
    """
    first = int(np.ceil(seconds[0] * rate - _SAME_TIME))
    last = int(np.floor(seconds[-1] * rate + _SAME_TIME))
    frames = np.arange(first, last + 1) / rate
    distinct = frames[distances(frames, seconds) > _SAME_TIME]
    times = np.sort(np.concatenate([seconds, distinct]))
    return times, np.searchsorted(times, seconds), (first, last + 1)


def distances(frames: Doubles, seconds: Doubles) -> Doubles:
    """Return the time (n,) from each frame to the nearest image, seconds.

    `frames` (n,) and `seconds` (T,) of the images, ascending: times in seconds.
    """
    after = np.clip(np.searchsorted(seconds, frames), 0, len(seconds) - 1)
    around = np.stack([seconds[np.maximum(after - 1, 0)], seconds[after]], axis=1)
    nearest: Doubles = np.abs(frames[:, None] - around).min(axis=1)
    return nearest


def _take(one: Observations, rows: npt.NDArray[np.intp], name: str) -> Observations:
    return replace(
        one,
        id=name,
        seconds=one.seconds[rows],
        rotations=one.rotations[rows],
        pelvis=one.pelvis[rows],
        confidence=one.confidence[rows],
        seen=one.seen[rows],
        camera=one.camera[rows],
    )
