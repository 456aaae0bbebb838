# SPDX-License-Identifier: Apache-2.0
"""Definitions of pear_msgs for `rosbags`, for bags that do not contain them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore


def pear_typestore(store: Stores) -> Typestore | None:
    """Return the types of a ROS 2 distribution and of pear_msgs; None without pear_msgs."""
    files: list[Path] = next(
        filter(None, (sorted(folder.glob("*.msg")) for folder in _folders())), []
    )
    if not files:
        return None
    types = {}
    for file in files:
        types.update(get_types_from_msg(file.read_text(), f"pear_msgs/msg/{file.stem}"))
    typestore = get_typestore(store)
    typestore.register(types)
    return typestore


def _folders() -> Iterator[Path]:
    """Yield folders of the definitions: in the sources beside this package, or installed."""
    yield Path(__file__).parents[2] / "pear_msgs" / "msg"
    spec = find_spec("pear_msgs")
    for place in (spec and spec.submodule_search_locations) or ():
        for parent in Path(place).parents:
            yield parent / "share" / "pear_msgs" / "msg"
