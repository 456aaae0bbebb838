# SPDX-License-Identifier: Apache-2.0
"""The scene of one run in a browser: people below the camera that saw them, trails, frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import cv2
import numpy as np
import numpy.typing as npt
import viser

from pear_ros.body import load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.people import Image, Person, TrackingState
from pear_ros.core.quoting import printable
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.viewing.bodies import Bodies
from pear_ros.viewing.moment import Moment
from pear_ros.viewing.person_nodes import Look, PersonNodes
from pear_ros.viewing.trails import Trails

_KEPT_HIDDEN = 8
"""Number of people who left and whose nodes are kept for their return; others may get the rest."""
_SMALL_PIXELS = 320
"""Width of the picture in the frustum of the camera."""
_LARGE_PIXELS = 960
"""Width of the picture behind people, in the view of the camera."""
_JPEG_QUALITY = 75
_FRUSTUM_METRES = 0.4
_BEYOND = 1.3
"""Distance of the large picture over that of the farthest joint."""


class Stage:
    """Nodes below one name; everything of people is as it was published."""

    def __init__(self, scene: viser.SceneApi, node: str, bodies: Bodies) -> None:
        """Make the node of the camera. `node`: name of all nodes' parent, such as /a."""
        self._scene, self._node, self._bodies = scene, node, bodies
        self._base = scene.add_frame(node, show_axes=False)
        self._camera = scene.add_frame(f"{node}/c", axes_length=0.15, axes_radius=0.006)
        self._people: dict[tuple[str, str], PersonNodes] = {}
        self._spare: dict[str, list[PersonNodes]] = {}
        """By body."""
        self._made = 0
        self._trails = Trails(scene, f"{node}/t")
        self._frustum: viser.CameraFrustumHandle | None = None
        self._lens: Camera | None = None
        self._large: viser.ImageHandle | None = None
        self._frames: dict[str, viser.FrameHandle] = {}
        self._parents = load_open_body().parents.tolist()

    def move(self, offset: npt.ArrayLike) -> None:
        """Put the whole run at an `offset` (3,) in the world, metres."""
        self._base.position = np.asarray(offset, np.float64)

    def show(self, moment: Moment, look: Look, *, trails: bool, large_picture: bool) -> None:
        """Show a moment. `large_picture`: behind people instead of in the camera's frustum."""
        _place(self._camera, moment.camera_pose)
        present = [p for p in moment.people.persons if p.state is not TrackingState.LOST]
        self._show_people(moment.people.body_model, present, look)
        self._trails.show(moment, present if trails else [])
        small = None if large_picture else moment.picture
        self._show_frustum(moment.people.camera, small, not large_picture)
        self._camera.show_axes = not large_picture
        self._show_large(moment, present, large_picture)
        self._show_frames(moment.frames)

    def tidy(self) -> None:
        """Do what is due some time after `show`; call this at least once a second."""
        for person in self._people.values():
            person.tidy()

    def _show_people(self, body: str, present: Iterable[Person], look: Look) -> None:
        shown = set()
        for person in present:
            key = (body, person.id)
            if key not in self._people:
                self._people[key] = self._nodes_for(body, person.id)
            # The order of the dictionary is that of the last presence.
            self._people[key] = self._people.pop(key)
            self._people[key].show(person, look)
            shown.add(key)
        hidden = [key for key in self._people if key not in shown]
        for key in hidden[:-_KEPT_HIDDEN]:
            self._people[key].hide()
            self._spare.setdefault(key[0], []).append(self._people.pop(key))
        for key in hidden[-_KEPT_HIDDEN:]:
            self._people[key].hide()

    def _nodes_for(self, body: str, person: str) -> PersonNodes:
        """Return nodes for a new person: those of somebody who left, if there are any."""
        if spare := self._spare.get(body):
            return spare.pop()
        self._made += 1
        name = f"{self._node}/c/{self._made}_{_plain(person)}"
        return PersonNodes(self._scene, name, self._bodies.skin(body), self._parents)

    def _show_frustum(self, camera: Camera, picture: Image | None, visible: bool) -> None:
        small = None if picture is None else _rgb(picture, _SMALL_PIXELS)
        if self._frustum is None or camera != self._lens:
            self._lens = camera
            self._frustum = self._scene.add_camera_frustum(
                f"{self._node}/c/f",
                fov=2.0 * math.atan(0.5 * camera.height / camera.fy),
                aspect=(camera.width / camera.fx) / (camera.height / camera.fy),
                scale=_FRUSTUM_METRES,
                thickness=0.006,
                color=(110, 110, 120),
                format="jpeg",
                jpeg_quality=_JPEG_QUALITY,
                cast_shadow=False,
            )
        self._frustum.visible = visible
        if small is not None or self._frustum.image is not None:
            self._frustum.image = small

    def _show_large(self, moment: Moment, present: list[Person], visible: bool) -> None:
        """Show the picture as a plane behind people, of the size that fills the camera's view."""
        if moment.picture is None or not visible:
            if self._large:
                self._large.remove()
                self._large = None
            return
        camera, z = moment.people.camera, _farthest(present) * _BEYOND
        width, height = z * camera.width / camera.fx, z * camera.height / camera.fy
        picture = _rgb(moment.picture, _LARGE_PIXELS)
        if self._large is None:
            self._large = self._scene.add_image(
                f"{self._node}/c/i",
                picture,
                width,
                height,
                format="jpeg",
                jpeg_quality=_JPEG_QUALITY,
                cast_shadow=False,
                receive_shadow=False,
            )
        else:
            self._large.image = picture
            self._large.render_width, self._large.render_height = width, height
        x = (0.5 * (camera.width - 1) - camera.cx) * z / camera.fx
        y = (0.5 * (camera.height - 1) - camera.cy) * z / camera.fy
        self._large.position = np.array([x, y, z])

    def _show_frames(self, frames: Mapping[str, RigidTransform]) -> None:
        for name in [name for name in self._frames if name not in frames]:
            self._frames.pop(name).remove()
        for name, pose in frames.items():
            if name not in self._frames:
                node = f"{self._node}/r/{len(self._frames)}_{_plain(name)}"
                self._frames[name] = self._scene.add_frame(node, axes_length=0.2, axes_radius=0.008)
                self._scene.add_label(f"{node}/n", printable(name), font_screen_scale=0.8)
            _place(self._frames[name], pose)


def _place(node: viser.FrameHandle, pose: RigidTransform) -> None:
    node.wxyz = np.roll(pose.quaternion, 1)
    node.position = pose.translation


def _plain(name: str) -> str:
    """Return a name that cannot be taken for a path in the scene."""
    return "".join(letter if letter.isalnum() else "_" for letter in name[:40])


def _farthest(present: list[Person]) -> float:
    depths = [float(np.nanmax(p.joints[:, 2])) for p in present if np.isfinite(p.joints).any()]
    return max([3.0, *depths])


def _rgb(picture: Image, width: int) -> Image:
    """Return a picture in RGB, at most so many pixels wide."""
    if picture.shape[1] > width:
        height = max(round(picture.shape[0] * width / picture.shape[1]), 1)
        picture = np.asarray(
            cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
