# SPDX-License-Identifier: Apache-2.0
"""Results as a glTF binary animation of the open body, which Blender and others open.

Each person is a skinned mesh with SMPL-X's 55 joints, of one shape and size (medians over the
images in which they were measured), and with the open body's 52 facial expressions as morph
targets. The pelvis is where it was in each image. People recorded with an earlier open body, whose
joints are equal, get today's mesh; the extras of their nodes name the body of the recording. While
a person is not there, or their place is unknown, their scale is 0, which is how glTF 2.0 hides a
node (section 3.5.2 and its note on zero scale). glTF's world has y up: the optical frame is turned
half around its x axis, so that a level camera looks along -z from the origin, as glTF's cameras do.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gltf

from pear_ros import __version__
from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.normals import vertex_normals
from pear_ros.body.submesh import SubMesh
from pear_ros.core.log import get_logger
from pear_ros.core.people import Array
from pear_ros.export.gltf_buffer import GltfBuffer
from pear_ros.export.open_bodies import require_open_body
from pear_ros.export.skinned import (
    Animation,
    RestShape,
    animation,
    influences,
    is_animatable,
    rest_shape,
)
from pear_ros.export.tracks import Recording, ResultsError, Track
from pear_ros.io.output_files import replaced
from pear_ros.rendering.colours import id_colour

_logger = get_logger(__name__)

_HALF_AROUND_X = [1.0, 0.0, 0.0, 0.0]
_NEAR = 0.05
"""Distance of the near plane from the camera, metres."""


def save_glb(recording: Recording, folder: Path, *, mesh_detail: str = "full") -> list[Path]:
    """Write all people into people.glb in `folder`; return the file.

    `mesh_detail`: number of triangles, one of pear_ros.core.parameters.MESH_DETAILS. People whose
    shape, size or place was never known are left out, which a warning says. Raises ResultsError
    where nobody remains, or a body is not the open one or an earlier version.
    """
    body = load_open_body()
    require_open_body(recording, body, "glb", "npz or csv")
    known = [track for track in recording.tracks if is_animatable(track)]
    unknown = [track.id for track in recording.tracks if not is_animatable(track)]
    if not known:
        raise ResultsError(f"{recording.source}: shape, size or place of all people is unknown")
    if unknown:
        _logger.warning("Shape, size or place is unknown; left out: %s", ", ".join(unknown))
    path = folder / "people.glb"
    scene = _Scene(body, recording, mesh_detail)
    for track in known:
        scene.add(track)
    scene.save(path)
    return [path]


class _Scene:
    """A glTF file under construction."""

    def __init__(self, body: BodyModel, recording: Recording, mesh_detail: str) -> None:
        self._body, self._recording = body, recording
        self._mesh = SubMesh.of(body.faces_of(mesh_detail), body.vertex_count)
        asset = gltf.Asset(generator=f"pear_ros {__version__}", copyright=body.license_note)
        self._file = gltf.GLTF2(asset=asset, scene=0, scenes=[gltf.Scene()])
        self._buffer = GltfBuffer(self._file)
        self._animation = gltf.Animation(name="people")
        self._file.animations.append(self._animation)
        self._frame = self._node(
            name=recording.frame_id or "camera_optical_frame", rotation=_HALF_AROUND_X
        )
        self._to_scene(self._frame)
        self._add_camera(recording.tracks[0].camera[0])
        # Data that all people share is stored once.
        self._faces = self._buffer.add(
            self._mesh.faces.astype(np.uint16).ravel(), gltf.ELEMENT_ARRAY_BUFFER
        )
        joints, weights = (self._mesh.take(values) for values in influences(body))
        self._influences = {
            f"{name}_{n}": self._buffer.add(values[:, 4 * n : 4 * n + 4], gltf.ARRAY_BUFFER)
            for name, values in (("JOINTS", joints), ("WEIGHTS", weights))
            for n in range(2)
        }
        self._expressions = self._add_expressions()

    def add(self, track: Track) -> None:
        """Add a person: nodes of their joints, mesh, skin and motion."""
        rest = rest_shape(self._body, track.typical_betas)
        moves = animation(track, self._recording)
        scale = [moves.scale] * 3
        made_by = {"model_id": track.model_id, "body_model": track.body_model}
        person = self._node(name=track.id, scale=scale, extras=made_by)
        joints = self._add_joints(rest.joints)
        self._file.nodes[self._frame].children.append(person)
        self._file.nodes[person].children.append(joints[0])
        mesh = self._node(
            name=f"{track.id}_mesh",
            mesh=self._add_mesh(track.id, rest),
            skin=self._add_skin(track.id, rest.joints, joints),
        )
        # A skinned mesh follows its joints; glTF ignores the transform of its own node.
        self._to_scene(mesh)
        self._animate(moves, person, joints, mesh)

    def save(self, path: Path) -> None:
        """Write the file."""
        self._buffer.finish()
        with replaced(path) as file:
            for part in self._file.save_to_bytes():
                file.write(part)

    def _node(self, **properties: Any) -> int:
        self._file.nodes.append(gltf.Node(**properties))
        return len(self._file.nodes) - 1

    def _to_scene(self, node: int) -> None:
        self._file.scenes[0].nodes.append(node)

    def _add_camera(self, camera: Any) -> None:
        """Add a camera (6,) as in Track; glTF has no place for its principal point."""
        width, height, fx, fy, _, _ = camera.tolist()
        lens = gltf.Perspective(
            yfov=2.0 * math.atan(0.5 * height / fy),
            aspectRatio=(width / fx) / (height / fy),
            znear=_NEAR,
        )
        self._file.cameras.append(gltf.Camera(type="perspective", perspective=lens))
        self._to_scene(self._node(name="camera", camera=0))

    def _add_expressions(self) -> list[gltf.Attributes]:
        body, reduced = self._body, self._mesh
        # (V,) index of each of the body's vertices among those of the reduced mesh; -1: not in it.
        renumbered = np.full(body.vertex_count, -1)
        renumbered[reduced.vertices] = np.arange(reduced.vertex_count)
        numbers = renumbered[body.exprdirs_vertices]
        targets = []
        for offsets in np.moveaxis(body.exprdirs, 2, 0):
            moving = offsets.any(axis=1) & (numbers >= 0)
            positions = self._buffer.add_sparse(
                reduced.vertex_count, numbers[moving].astype(np.uint16), offsets[moving]
            )
            targets.append(gltf.Attributes(POSITION=positions))
        return targets

    def _add_joints(self, rest: Array) -> list[int]:
        """Add a node for each joint, a child of its parent's, in the T-pose; return the nodes."""
        parents = self._body.parents
        nodes: list[int] = []
        for joint, name in enumerate(self._body.joint_names):
            parent = int(parents[joint])
            offset = rest[joint] - rest[parent] if parent >= 0 else rest[joint]
            nodes.append(self._node(name=name, translation=offset.tolist()))
            if parent >= 0:
                self._file.nodes[nodes[parent]].children.append(nodes[joint])
        return nodes

    def _add_mesh(self, name: str, rest: RestShape) -> int:
        # The normals of the full mesh make a reduced one appear as smooth.
        normals = self._mesh.take(vertex_normals(rest.vertices, self._body.faces))
        vertices = self._mesh.take(rest.vertices)
        attributes = gltf.Attributes(
            POSITION=self._buffer.add(vertices, gltf.ARRAY_BUFFER, bounds=True),
            NORMAL=self._buffer.add(normals, gltf.ARRAY_BUFFER),
            **self._influences,
        )
        primitive = gltf.Primitive(
            attributes=attributes,
            indices=self._faces,
            material=self._add_material(name),
            targets=self._expressions,
        )
        mesh = gltf.Mesh(
            name=name,
            primitives=[primitive],
            weights=[0.0] * len(self._expressions),
            # Blender and others read the targets' names from here.
            extras={
                "targetNames": list(self._body.expression_names),
                "body_model": self._body.name,
            },
        )
        self._file.meshes.append(mesh)
        return len(self._file.meshes) - 1

    def _add_material(self, name: str) -> int:
        linear = [channel**2.2 for channel in id_colour(name)]  # from sRGB
        paint = gltf.PbrMetallicRoughness(
            baseColorFactor=[*linear, 1.0], metallicFactor=0.0, roughnessFactor=0.8
        )
        self._file.materials.append(gltf.Material(name=name, pbrMetallicRoughness=paint))
        return len(self._file.materials) - 1

    def _add_skin(self, name: str, rest: Array, joints: list[int]) -> int:
        inverse_bind = np.tile(np.eye(4, dtype=np.float32), (len(rest), 1, 1))
        inverse_bind[:, 3, :3] = -rest  # transposed, since glTF's matrices are column-major
        self._file.skins.append(
            gltf.Skin(name=name, joints=joints, inverseBindMatrices=self._buffer.add(inverse_bind))
        )
        return len(self._file.skins) - 1

    def _animate(self, moves: Animation, person: int, joints: list[int], mesh: int) -> None:
        times = self._buffer.add(moves.seconds, bounds=True)
        self._channel(times, moves.pelvis, joints[0], "translation")
        for joint, node in enumerate(joints):
            self._channel(times, moves.rotations[:, joint], node, "rotation")
        self._channel(times, moves.expression.ravel(), mesh, "weights")
        if not moves.visible.all():
            size = np.where(moves.visible[:, None], np.float32(moves.scale), np.float32(0.0))
            changes = self._buffer.add(moves.visible_seconds, bounds=True)
            self._channel(changes, np.tile(size, 3), person, "scale", gltf.ANIM_STEP)

    def _channel(
        self,
        times: int,
        values: Array,
        node: int,
        path: str,
        interpolation: str = gltf.ANIM_LINEAR,
    ) -> None:
        sampler = gltf.AnimationSampler(
            input=times, output=self._buffer.add(values), interpolation=interpolation
        )
        target = gltf.AnimationChannelTarget(node=node, path=path)
        channel = gltf.AnimationChannel(sampler=len(self._animation.samplers), target=target)
        self._animation.samplers.append(sampler)
        self._animation.channels.append(channel)
