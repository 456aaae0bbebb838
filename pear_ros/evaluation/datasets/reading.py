# SPDX-License-Identifier: Apache-2.0
"""Reading of datasets' files: any damage becomes one sentence that names the file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.evaluation.labels import Doubles, LabelError
from pear_ros.pear.unpickle import PickleKind, load_pickle

_NAMED = 3
"""Missing files that an error names."""


@contextmanager
def damage_of(file: Path) -> Iterator[None]:
    """Raise LabelError, with the name of `file`, in place of what damaged content raises."""
    try:
        yield
    except (LabelError, OSError):
        raise
    except Exception as error:  # What damaged content raises depends on the damage.
        text = str(error) if str(error).startswith(str(file)) else f"{file} is damaged: {error}"
        raise LabelError(" ".join(text.split())) from error


def read_json(file: Path, keys: Sequence[str] = ()) -> dict[str, Any]:
    """Return the object of a JSON file, which has to have `keys`. Raises LabelError."""
    try:
        data = json.loads(file.read_text())
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError
        raise LabelError(f"{file} is not JSON: {error}") from error
    except RecursionError as error:
        raise LabelError(f"{file} is not JSON of a dataset: it is nested too deeply") from error
    if not isinstance(data, dict):
        raise LabelError(f"{file} has to hold a JSON object, not {type(data).__name__}")
    if missing := [key for key in keys if key not in data]:
        raise LabelError(f"{file} lacks {', '.join(missing)}")
    return data


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


def numbers(
    file: Path, name: str, value: Any, shape: tuple[int | None, ...], finite: bool = True
) -> Doubles:
    """Return `value` as an array of `shape`, where None is any length. Raises LabelError.

    `finite`: whether numbers that are unknown (NaN) or infinite are refused.
    """
    try:
        array: npt.NDArray[Any] = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise LabelError(f"{file}: '{name}' has to be numbers") from error
    fits = array.ndim == len(shape)
    if not fits or any(b not in (None, a) for a, b in zip(array.shape, shape, strict=True)):
        text = ", ".join("N" if side is None else str(side) for side in shape)
        raise LabelError(f"{file}: '{name}' has to be ({text}), not {array.shape}")
    if finite and not np.isfinite(array).all():
        raise LabelError(f"{file}: '{name}' has numbers that are not finite")
    return array


def require_pictures(pictures: Sequence[Path], dataset: str) -> None:
    """Raise LabelError, naming some of them, where `pictures` are not there."""
    missing = [path for path in pictures if not path.is_file()]
    if missing:
        names = ", ".join(str(path) for path in missing[:_NAMED])
        raise LabelError(
            f"{len(missing)} of {len(pictures)} pictures of {dataset} are missing, for example "
            f"{names}; unpack the archives of its pictures there"
        )


def box_around(points: Doubles, margin: float) -> Doubles:
    """Return the box (4,) x0 y0 x1 y1 around points (N, 2), with sides `margin` times as long."""
    low, high = points.min(axis=0), points.max(axis=0)
    centre, half = (low + high) / 2.0, (high - low) / 2.0 * margin
    box: Doubles = np.concatenate([centre - half, centre + half])
    return box
