# SPDX-License-Identifier: Apache-2.0
"""Batches: dataclasses of arrays, nested or None, whose first axis is the person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

Batch = TypeVar("Batch")


def take(batch: Batch, people: Sequence[int]) -> Batch:
    """Return the batch of the `people` (indices), in their order."""
    taken: Batch = _map(lambda arrays: arrays[0][people], batch)
    return taken


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Return one batch of the people of all `batches`, of which there is at least one."""
    if len(batches) == 1:
        return batches[0]
    concatenated: Batch = _map(np.concatenate, *batches)
    return concatenated


def _map(function: Callable[[list[Any]], Any], *batches: Any) -> Any:
    """A batch with `function` applied to the list of each array of the batches."""
    values = {}
    for field in fields(batches[0]):
        arrays = [getattr(batch, field.name) for batch in batches]
        if is_dataclass(arrays[0]):
            values[field.name] = _map(function, *arrays)
        elif arrays[0] is not None:
            values[field.name] = function(arrays)
    return replace(batches[0], **values)
