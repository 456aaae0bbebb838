# SPDX-License-Identifier: Apache-2.0
"""Figures: named values of a measurement, with how many cases they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Figure:
    """One value of a measurement."""

    name: str
    """What it is, with its unit, as the table says it."""
    value: float
    """NaN: there was nothing to measure."""
    count: int | None
    """Number of people, joints or frames that it is computed from; None: not stated."""
    digits: int = 1
    """Digits after the point in tables."""

    def __str__(self) -> str:
        return "-" if math.isnan(self.value) else f"{self.value:.{self.digits}f}"


Figures = Mapping[str, Sequence[Figure]]
"""Figures by the heading of their table."""


def percentage(name: str, hits: npt.ArrayLike) -> Figure:
    """Return the share of true entries in `hits`, in per cent."""
    values = np.asarray(hits, bool).ravel()
    return Figure(name, 100.0 * float(values.mean()) if values.size else math.nan, values.size)


def mean(name: str, values: npt.ArrayLike, digits: int = 1) -> Figure:
    """Return the mean of the known entries of `values`."""
    known = _known(values)
    return Figure(name, float(known.mean()) if known.size else math.nan, known.size, digits)


def median(name: str, values: npt.ArrayLike, digits: int = 1) -> Figure:
    """Return the median of the known entries of `values`."""
    known = _known(values)
    return Figure(name, float(np.median(known)) if known.size else math.nan, known.size, digits)


def number(name: str, count: int, total: int) -> Figure:
    """Return a count, out of `total`."""
    return Figure(name, float(count), total, 0)


def _known(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(values, np.float64).ravel()
    known: npt.NDArray[np.float64] = array[np.isfinite(array)]
    return known
