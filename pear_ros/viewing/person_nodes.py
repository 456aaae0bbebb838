# SPDX-License-Identifier: Apache-2.0
"""The nodes of one person in a browser's scene: skinned mesh, joints, bones, name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import viser

from pear_ros.core.people import SMPLX_JOINT_NAMES, Person
from pear_ros.rendering.colours import FAINT
from pear_ros.viewing.colouring import joint_colours, person_colour
from pear_ros.viewing.link import Display, Paint
from pear_ros.viewing.person_mesh import PersonMesh
from pear_ros.viewing.skin import Skin

_HEAD = SMPLX_JOINT_NAMES.index("head")
_ABOVE_HEAD = np.array([0.0, -0.22, 0.0])
"""Place of the name over the joint of the head, in the optical frame, metres."""
_JOINT_METRES = 0.016
_BONE_METRES = 0.018
_GLASS = 0.5
"""Opacity of meshes with joints inside."""


@dataclass(frozen=True)
class Look:
    """How people are drawn."""

    display: Display = Display.MESH
    paint: Paint = Paint.PERSON
    run: int = 0
    """Number of the run, for Paint.RUN."""
    names: bool = True
    """Whether a name stands over each person."""


class PersonNodes:
    """One person in the scene, below the node of the camera's optical frame."""

    def __init__(
        self, scene: viser.SceneApi, node: str, skin: Skin | None, parents: list[int]
    ) -> None:
        """Make no node yet. `node`: name of the person's; `skin`: None where there is no mesh.

        `parents`: of the 55 joints, for bones.
        """
        self._scene, self._node, self._skin = scene, node, skin
        self._children = np.flatnonzero(np.array(parents) >= 0)
        self._parents = np.array(parents)[self._children]
        self._mesh = PersonMesh(scene, f"{node}/m", skin) if skin else None
        self._joints: viser.PointCloudHandle | None = None
        self._lines: viser.LineSegmentsHandle | None = None
        self._name: viser.LabelHandle | None = None

    def show(self, person: Person, look: Look) -> None:
        """Draw the person; what is not known of them is not drawn."""
        bones = self._skin.bones(person) if self._skin else None
        if self._mesh and bones and look.display is not Display.JOINTS:
            colour = person_colour(person, look.paint, look.run)
            self._mesh.show(person, bones, colour, _opacity(person, look.display))
        elif self._mesh:
            self._mesh.hide()
        meshless = self._skin is None or look.display is not Display.MESH
        self._show_joints(person, look, meshless and bool(np.isfinite(person.joints).any()))
        self._show_name(person, look)

    def hide(self) -> None:
        """Hide the nodes, which are kept for the person's return."""
        if self._mesh:
            self._mesh.hide()
        for node in self._nodes():
            node.visible = False

    def tidy(self) -> None:
        """Do what is due some time after `show`; call this at least once a second."""
        if self._mesh:
            self._mesh.tidy()

    def _nodes(self) -> list[viser.SceneNodeHandle]:
        nodes = (self._joints, self._lines, self._name)
        return [node for node in nodes if node is not None]

    def _show_joints(self, person: Person, look: Look, visible: bool) -> None:
        if not visible:
            for node in (self._joints, self._lines):
                if node:
                    node.visible = False
            return
        colours = joint_colours(person, look.paint, look.run)
        known = np.asarray(np.isfinite(person.joints).all(axis=1))
        points = person.joints[known]
        both = known[self._children] & known[self._parents]
        ends = np.stack([self._parents[both], self._children[both]], axis=1)  # (N, 2)
        if self._joints is None or self._lines is None:
            self._joints = self._scene.add_point_cloud(
                f"{self._node}/j",
                points,
                colours[known],
                point_size=_JOINT_METRES,
                point_shape="circle",
                precision="float32",
            )
            self._lines = self._scene.add_line_segments(
                f"{self._node}/b", person.joints[ends], colours[ends], thickness=_BONE_METRES
            )
        else:
            self._joints.points, self._joints.colors = points, colours[known]
            self._lines.points, self._lines.colors = person.joints[ends], colours[ends]
        self._joints.visible = self._lines.visible = True

    def _show_name(self, person: Person, look: Look) -> None:
        place = person.joints[_HEAD]
        visible = look.names and bool(np.isfinite(place).all())
        if self._name is None and visible:
            self._name = self._scene.add_label(
                f"{self._node}/n", person.id, anchor="bottom-center", font_screen_scale=1.2
            )
        if self._name:
            if self._name.text != person.id:
                self._name.text = person.id
            self._name.visible = visible
            if visible:
                self._name.position = place + _ABOVE_HEAD


def _opacity(person: Person, display: Display) -> float | None:
    if not person.pose_observed:
        return FAINT
    return _GLASS if display is Display.BOTH else None
