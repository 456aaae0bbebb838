# SPDX-License-Identifier: Apache-2.0
"""The poses of a skinned mesh's bones, sent to the browser at once, those that changed.

The public setters (MeshSkinnedHandle.bones) spend nine tenths of their time on numpy.allclose, once
for each of 110 vectors a person. Here the vectors are compared together, and their messages queued
as those setters do it. That is not public, so setup.py bounds viser's version, and a test compares
what arrives with what the setters send.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import viser
from viser import _messages

from pear_ros.viewing.skin import Bones

_CHANGED = 1e-5
"""Metres, or a quaternion's component, from which on a vector is sent again."""
Row = tuple[int, list[float]]
"""Number of a bone, and a vector."""


class BonePoses:
    """What the browser knows of the bones of one mesh."""

    def __init__(self, scene: viser.SceneApi, mesh: str, rest: Bones) -> None:
        """`mesh`: name of its node; `rest`: the poses that it was made with."""
        self._scene, self._mesh = scene, mesh
        self._wxyz = rest.wxyz.astype(np.float64)
        self._positions = rest.positions.astype(np.float64)

    def send(self, bones: Bones) -> None:
        """Send the poses that differ from those that were sent."""
        self._queue(_changed(self._wxyz, bones.wxyz), _changed(self._positions, bones.positions))

    def repeat(self) -> None:
        """Send all poses again."""
        self._queue(enumerate(self._wxyz.tolist()), enumerate(self._positions.tolist()))

    def _queue(self, turns: Iterable[Row], places: Iterable[Row]) -> None:
        for bone, (w, x, y, z) in turns:
            self._send(_messages.SetBoneOrientationMessage(self._mesh, bone, (w, x, y, z)))
        for bone, (x, y, z) in places:
            self._send(_messages.SetBonePositionMessage(self._mesh, bone, (x, y, z)))

    def _send(self, message: _messages.Message) -> None:
        self._scene._queue_scene_message(message)


def _changed(known: npt.NDArray[np.float64], new: npt.NDArray[np.floating]) -> list[Row]:
    """Return the rows (N, D) of `new` that differ from `known`, by number, and take them over."""
    rows = np.flatnonzero(np.abs(new - known).max(axis=1) > _CHANGED)
    known[rows] = new[rows]
    return list(zip(rows.tolist(), known[rows].tolist(), strict=True))
