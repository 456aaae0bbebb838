# SPDX-License-Identifier: Apache-2.0
"""The skinned mesh of one person in a browser's scene, whose surface changes without a gap."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import viser

from pear_ros.core.people import Person
from pear_ros.viewing.bone_poses import BonePoses
from pear_ros.viewing.colouring import Rgb
from pear_ros.viewing.skin import Bones, Skin, Surface

_CHANGED_METRES = 0.005
"""Movement of a vertex in the T-pose from which on the browser gets the surface again."""
_DRAWN_SECONDS = 0.5
"""Time in which a browser makes and draws a new surface; the one before is seen until then."""
_SLOW_SECONDS = 5.0
"""Time for which a slow browser may forget the poses that came with a new surface."""


class _Made(NamedTuple):
    handle: viser.MeshSkinnedHandle
    bones: BonePoses


class PersonMesh:
    """Two nodes: one has the newest surface, and one, for a moment, that before.

    A browser shows a new surface in the T-pose until it gets poses after it has made it. Nodes are
    never removed: viser's page ends with an error when a skinned mesh is.
    """

    def __init__(self, scene: viser.SceneApi, node: str, skin: Skin) -> None:
        """Make no node yet. `node`: beginning of their names."""
        self._scene, self._node, self._skin = scene, node, skin
        self._surface: Surface | None = None
        self._newest: _Made | None = None
        self._before: _Made | None = None
        self._since = 0.0
        """Time at which the newest was made."""

    def show(self, person: Person, bones: Bones, colour: Rgb, opacity: float | None) -> None:
        """Draw the person."""
        surface = self._skin.surface(person)
        if self._surface is None or _differ(surface, self._surface):
            self._before, self._newest = self._newest, self._made(surface)
            self._surface, self._since = surface, time.monotonic()
        self._hide_before()
        for mesh in (self._newest, self._before):
            if mesh and (mesh is self._newest or mesh.handle.visible):
                mesh.bones.send(bones)
                mesh.handle.color = colour
                mesh.handle.opacity = opacity
                mesh.handle.visible = True

    def hide(self) -> None:
        """Hide the mesh."""
        for mesh in (self._newest, self._before):
            if mesh:
                mesh.handle.visible = False

    def tidy(self) -> None:
        """Do what is due some time after a new surface; call this at least once a second."""
        self._hide_before()
        if self._newest and time.monotonic() - self._since < _SLOW_SECONDS:
            self._newest.bones.repeat()

    def _hide_before(self) -> None:
        if self._before and time.monotonic() - self._since > _DRAWN_SECONDS:
            self._before.handle.visible = False

    def _made(self, surface: Surface) -> _Made:
        """Put a surface into the node that is not the newest."""
        first = f"{self._node}0"
        is_first = self._newest is not None and self._newest.handle.name == first
        name = f"{self._node}1" if is_first else first
        upright = np.tile([1.0, 0.0, 0.0, 0.0], (len(surface.joints), 1))
        handle = self._scene.add_mesh_skinned(
            name,
            surface.vertices,
            self._skin.faces,
            bone_wxyzs=upright,
            bone_positions=surface.joints,
            skin_weights=self._skin.weights,
        )
        return _Made(handle, BonePoses(self._scene, name, Bones(upright, surface.joints)))


def _differ(one: Surface, other: Surface) -> bool:
    return float(np.abs(one.vertices - other.vertices).max()) > _CHANGED_METRES
