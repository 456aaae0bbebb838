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
"""Time in which a browser makes a new surface, which is seen after that."""
_SLOW_SECONDS = 5.0
"""Time for which a slow browser may forget poses that came before it had made a surface."""


class _Made(NamedTuple):
    name: str
    handle: viser.MeshSkinnedHandle
    bones: BonePoses


class PersonMesh:
    """Two nodes: one is seen, and one is made with a new surface meanwhile, and seen later.

    A browser shows a surface that is put into a node in the T-pose, until it gets poses after it
    has made it. Nodes are never removed: viser's page ends with an error when a skinned mesh is.
    """

    def __init__(self, scene: viser.SceneApi, node: str, skin: Skin) -> None:
        """Make no node yet. `node`: beginning of their names."""
        self._scene, self._node, self._skin = scene, node, skin
        self._seen: _Made | None = None
        self._next: _Made | None = None
        self._surface: Surface | None = None
        """Of the node that was made last."""
        self._since = 0.0
        """Time at which it was made."""
        self._shown: tuple[Surface, Bones, Rgb, float | None] | None = None
        """What `show` was asked for; None: hidden."""

    def show(self, person: Person, bones: Bones, colour: Rgb, opacity: float | None) -> None:
        """Draw the person."""
        self._shown = self._skin.surface(person), bones, colour, opacity
        self._advance()
        self._update()

    def hide(self) -> None:
        """Hide the mesh."""
        self._shown = None
        if self._seen:
            self._seen.handle.visible = False

    def tidy(self) -> None:
        """Do what is due some time after a new surface; call this at least once a second."""
        self._advance()
        if self._seen and self._shown and time.monotonic() - self._since < _SLOW_SECONDS:
            self._seen.bones.repeat()

    def _advance(self) -> None:
        """Show the next surface if the browser has made it; make another one if it is needed."""
        if self._next and time.monotonic() - self._since > _DRAWN_SECONDS:
            if self._seen:
                self._seen.handle.visible = False
            self._seen, self._next = self._next, None
            self._update()
            self._seen.bones.repeat()
        if self._next or not self._shown:
            return
        surface, _, colour, opacity = self._shown
        if self._surface is None or _differ(surface, self._surface):
            made = self._made(surface, colour, opacity)
            if self._seen:
                self._next = made
            else:
                self._seen = made

    def _update(self) -> None:
        if self._seen and self._shown:
            _, bones, colour, opacity = self._shown
            self._seen.bones.send(bones)
            self._seen.handle.color = colour
            self._seen.handle.opacity = opacity
            self._seen.handle.visible = True

    def _made(self, surface: Surface, colour: Rgb, opacity: float | None) -> _Made:
        """Put a surface into the node that is not seen."""
        first = f"{self._node}0"
        name = f"{self._node}1" if self._seen and self._seen.name == first else first
        upright = np.tile([1.0, 0.0, 0.0, 0.0], (len(surface.joints), 1))
        handle = self._scene.add_mesh_skinned(
            name,
            surface.vertices,
            self._skin.faces,
            bone_wxyzs=upright,
            bone_positions=surface.joints,
            skin_weights=self._skin.weights,
            color=colour,
            opacity=opacity,
            visible=self._seen is None,
        )
        self._surface, self._since = surface, time.monotonic()
        return _Made(name, handle, BonePoses(self._scene, name, Bones(upright, surface.joints)))


def _differ(one: Surface, other: Surface) -> bool:
    return float(np.abs(one.vertices - other.vertices).max()) > _CHANGED_METRES
