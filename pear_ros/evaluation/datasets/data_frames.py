# SPDX-License-Identifier: Apache-2.0
"""Tables of pandas in pickles, read without pandas and without executing them.

A pickled DataFrame names its columns and holds blocks of columns of one type. Until pandas 1.2 the
blocks are in the state of its BlockManager, since then in its arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.evaluation.labels import LabelError
from pear_ros.evaluation.reading import damage_of
from pear_ros.pear.unpickle import PickleKind, Unread, load_pickle

FRAME = PickleKind(
    "a table of pandas", r"pandas(\.\w+)+|(__builtin__|builtins)\.slice", objects=True
)


def read_frame(file: Path, columns: tuple[str, ...]) -> Mapping[str, npt.NDArray[Any]]:
    """Return the columns, each an array of one value for each row, of a pickled DataFrame.

    `columns`: those that it has to have. Raises LabelError.
    """
    with damage_of(file):
        found = load_pickle(file, FRAME)
        if not isinstance(found, Unread) or not found.name.endswith(".DataFrame"):
            raise LabelError(f"{file} is not a table of pandas")
        table = _columns(found)
        lengths = {len(values) for values in table.values()}
    if missing := [name for name in columns if name not in table]:
        raise LabelError(f"{file} lacks the columns {', '.join(missing)}")
    if len(lengths) > 1:
        raise LabelError(f"{file} is damaged: its columns are not of one length")
    return table


def _columns(frame: Unread) -> dict[str, npt.NDArray[Any]]:
    manager = frame.state["_mgr"] if "_mgr" in frame.state else frame.state["_data"]
    if manager.state is not None:
        content = manager.state[3]["0.14.1"]
        axes = content["axes"]
        blocks = [(block["values"], block["mgr_locs"]) for block in content["blocks"]]
    else:
        parts, axes = manager.arguments[:2]
        blocks = [tuple(block.arguments[:2]) for block in parts]
    names = [str(name) for name in _array(axes[0])]
    table: dict[str, npt.NDArray[Any]] = {}
    for values, places in blocks:
        rows = _array(values)
        for name, row in zip(_named(names, places), np.atleast_2d(rows), strict=True):
            table[name] = row
    return table


def _named(names: list[str], places: Any) -> list[str]:
    """Return the names of a block's columns, of which `places` is a slice or an array."""
    if isinstance(places, Unread):
        start, stop, step = places.arguments
        return names[start:stop:step]
    return [names[int(place)] for place in places]


def _array(value: Any) -> npt.NDArray[Any]:
    """Return the array of a block or an index, whichever class of pandas wraps it."""
    if isinstance(value, np.ndarray):
        return value
    return next(_arrays(value))


def _arrays(value: Any) -> Iterator[npt.NDArray[Any]]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Unread):
        yield from _arrays((value.arguments, value.state))
    elif isinstance(value, Mapping):
        yield from _arrays(tuple(value.values()))
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _arrays(one)
