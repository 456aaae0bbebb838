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
"""Time in which a browser makes and draws a new mesh; the one before is kept until then."""


class _Made(NamedTuple):
    handle: viser.MeshSkinnedHandle
    bones: BonePoses


class PersonMesh:
    """The newest mesh, and for a moment the one before: a browser shows nothing of a new one."""

    def __init__(self, scene: viser.SceneApi, node: str, skin: Skin) -> None:
        """Make no node yet. `node`: beginning of their names."""
        self._scene, self._node, self._skin = scene, node, skin
        self._surface: Surface | None = None
        self._meshes: list[_Made] = []
        self._count = 0
        self._since = 0.0
        """Time at which the newest was made."""

    def show(self, person: Person, bones: Bones, colour: Rgb, opacity: float | None) -> None:
        """Draw the person."""
        surface = self._skin.surface(person)
        if self._surface is None or _differ(surface, self._surface):
            self._keep(1)
            self._meshes.append(self._made(surface))
            self._surface = surface
        self.tidy()
        for mesh in self._meshes:
            mesh.bones.send(bones)
            mesh.handle.color = colour
            mesh.handle.opacity = opacity
            mesh.handle.visible = True

    def hide(self) -> None:
        """Hide the mesh, which is kept."""
        self._keep(1)
        for mesh in self._meshes:
            mesh.handle.visible = False

    def remove(self) -> None:
        """Remove the mesh from the scene."""
        self._keep(0)
        self._surface = None

    def tidy(self) -> None:
        """Remove the mesh before the newest, if that has been drawn since."""
        if time.monotonic() - self._since > _DRAWN_SECONDS:
            self._keep(1)

    def _keep(self, count: int) -> None:
        """Remove all but the newest meshes."""
        while len(self._meshes) > count:
            self._meshes.pop(0).handle.remove()

    def _made(self, surface: Surface) -> _Made:
        name = f"{self._node}{self._count}"
        self._count += 1
        self._since = time.monotonic()
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
