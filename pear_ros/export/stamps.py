# SPDX-License-Identifier: Apache-2.0
"""Images of a recording in order of time, whatever their stamps are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_SWAPPED = 1_000_000_000
"""Nanoseconds by which an image may be late; more is another run, as of a bag played twice."""


@dataclass(frozen=True)
class OrderedImages:
    """Which images of a recording are used, and in which order."""

    order: npt.NDArray[np.intp]
    """(F,) indices of the images, in order of time within each run."""
    runs: npt.NDArray[np.intp]
    """(F,) number of the run of each of them, from 0 on."""
    stamps_ns: npt.NDArray[np.int64]
    """(F,) their stamps, nanoseconds, ascending within each run."""
    left_out: tuple[str, ...]
    """A sentence for each kind of image that is not used."""


def ordered(stamps_ns: Sequence[int], times_ns: Sequence[int]) -> OrderedImages:
    """Return the images with stamps that make sense, in order of time.

    `stamps_ns`: of the headers, `times_ns`: of recording, both nanoseconds and in the order of
    recording. Where most stamps are zero, recording times serve instead of all; otherwise images
    with stamp zero are left out. Of equal stamps the first image counts. Images up to a second late
    are put where they belong; where stamps go further back, another run begins.
    """
    stamps: npt.NDArray[np.int64] = np.array(stamps_ns, np.int64)
    left_out = []
    zero = stamps <= 0
    kept: npt.NDArray[np.intp] = np.arange(len(stamps))
    if zero.sum() > len(stamps) / 2:
        stamps = np.array(times_ns, np.int64)
        left_out.append(
            f"{int(zero.sum())} of {len(zero)} images have the stamp 0: their recording times are "
            "used instead of all stamps"
        )
    elif zero.any():
        kept = kept[~zero]
        left_out.append(f"{_images(int(zero.sum()))} left out: their stamp is 0")
    latest = np.maximum.accumulate(stamps[kept]) if len(kept) else stamps[kept]
    runs: npt.NDArray[np.intp] = np.zeros(len(kept), np.intp)
    if len(kept) and (latest - stamps[kept] > _SWAPPED).any():
        runs, latest = _runs(stamps[kept])
        left_out.append(
            f"stamps go back {int(runs[-1])} times by more than a second: tracks are split there"
        )
    late = int((stamps[kept] < latest).sum())
    order = np.lexsort((stamps[kept], runs))
    kept, runs = kept[order], runs[order]
    same = np.zeros(len(kept), np.bool_)
    same[1:] = (stamps[kept][1:] == stamps[kept][:-1]) & (runs[1:] == runs[:-1])
    if late:
        left_out.append(f"{late} images are recorded after later ones, and put in order")
    if same.any():
        left_out.append(f"{_images(int(same.sum()))} left out: others have the same stamp")
    kept, runs = kept[~same], runs[~same]
    return OrderedImages(kept, runs, stamps[kept], tuple(left_out))


def _runs(stamps: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Return the run of each image, and the latest stamp of its run up to it."""
    runs, latest = np.zeros(len(stamps), np.intp), stamps.copy()
    for n in range(1, len(stamps)):
        again = latest[n - 1] - stamps[n] > _SWAPPED
        runs[n] = runs[n - 1] + again
        latest[n] = stamps[n] if again else max(latest[n - 1], stamps[n])
    return runs, latest


def _images(count: int) -> str:
    return f"{count} {'image is' if count == 1 else 'images are'}"
