# SPDX-License-Identifier: Apache-2.0
"""Reading of datasets' pickles and pictures, and boxes around their keypoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pear_ros.evaluation.labels import Doubles, LabelError
from pear_ros.evaluation.reading import damage_of
from pear_ros.pear.unpickle import PickleKind, load_pickle

BOX_MARGIN = 1.2
"""Sides of a box over those of the box around the keypoints, where no box is labelled."""
_NAMED = 3
"""Missing files that an error names."""


def read_pickle(file: Path, kind: PickleKind, keys: Sequence[str] = ()) -> Mapping[str, Any]:
    """Return the dictionary of a pickle, without executing it. Raises LabelError.

    `kind`: what it may contain; `keys`: what it has to have.
    """
    with damage_of(file):
        data = load_pickle(file, kind)
    if not isinstance(data, dict):
        raise LabelError(f"{file} is not {kind.owner}'s: it holds a {type(data).__name__}")
    if missing := [key for key in keys if key not in data]:
        raise LabelError(f"{file} is not {kind.owner}'s: it lacks {', '.join(missing)}")
    return data


def require_pictures(pictures: Sequence[Path], dataset: str) -> None:
    """Raise LabelError, naming some of them, where `pictures` are not there."""
    missing = [path for path in pictures if not path.is_file()]
    if missing:
        names = ", ".join(str(path) for path in missing[:_NAMED])
        raise LabelError(
            f"{len(missing)} of {len(pictures)} pictures of {dataset} are missing, for example "
            f"{names}; unpack the archives of its pictures there"
        )


def box_around(points: Doubles) -> Doubles:
    """Return the box (4,) x0 y0 x1 y1 around points (N, 2), its sides BOX_MARGIN times as long."""
    low, high = points.min(axis=0), points.max(axis=0)
    centre, half = (low + high) / 2.0, (high - low) / 2.0 * BOX_MARGIN
    box: Doubles = np.concatenate([centre - half, centre + half])
    return box
