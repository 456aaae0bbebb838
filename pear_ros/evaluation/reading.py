# SPDX-License-Identifier: Apache-2.0
"""Reading of labels and pictures: any damage becomes one sentence that names the file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Image
from pear_ros.evaluation.labels import Doubles, LabelError
from pear_ros.io import pictures


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


def read_picture(path: Path) -> Image:
    """Return the picture (height, width, 3) BGR of a label. Raises LabelError."""
    try:
        return pictures.read_picture(path)
    except pictures.PictureError as error:
        raise LabelError(f"{path} {error}; remove it and its labels") from error
