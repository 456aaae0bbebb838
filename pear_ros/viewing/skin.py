# SPDX-License-Identifier: Apache-2.0
"""Bodies as skinned meshes: what a browser needs once, and the few numbers of each image.

The browser computes linear blend skinning (Lewis et al., SIGGRAPH 2000) from the transforms of the
55 joints. Joints are those that were published, so that limbs are where they were measured. Shape
and size are those of `Surface`; facial expressions, other than by the jaw, and pose-corrective
offsets are not shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel
from pear_ros.body.kinematics import JointTree, as_matrices
from pear_ros.body.submesh import SubMesh
from pear_ros.core.people import NUM_JOINTS, Array, Person

_INFLUENCES = 4
"""Number of joints that influence a vertex in the browser."""
_DETAIL = "medium"
"""Of pear_ros.core.parameters.MESH_DETAILS: about 7,000 triangles where the body has them."""


@dataclass(frozen=True)
class Surface:
    """The body of one person in the T-pose."""

    vertices: Array
    """(U, 3) metres, in the person's size."""
    joints: Array
    """(55, 3) metres."""


@dataclass(frozen=True)
class Bones:
    """The joints of one person in one image."""

    wxyz: npt.NDArray[np.float64]
    """(55, 4) unit quaternions: orientations in the optical frame, relative to the T-pose."""
    positions: Array
    """(55, 3) metres, in the optical frame."""


class Skin:
    """The skinned mesh of a body with U vertices."""

    def __init__(self, body: BodyModel) -> None:
        """Take the triangles of a reduced mesh, where the body has one, and their weights."""
        mesh = SubMesh.of(body.faces_of(_DETAIL), body.vertex_count)
        self._template = mesh.take(body.v_template)
        directions = np.moveaxis(body.shapedirs, 2, 0)  # (B, V, 3)
        self._directions = np.moveaxis(mesh.take(directions), 0, 2)  # (U, 3, B)
        self._body = body
        self.name = body.name
        """Name of the body."""
        self.faces = mesh.faces
        """(F, 3) vertex indices, counter-clockwise seen from outside."""
        self.weights = _strongest(mesh.take(body.weights.toarray()))
        """(U, 55) weights; four of a row are not 0, and sum to 1."""
        self._tree = JointTree(body.parents, np.asarray)

    def surface(self, person: Person) -> Surface:
        """Return the body of a person in the T-pose, by their shape and size."""
        count = self._body.num_betas
        betas = np.zeros(count, np.float32)
        known = np.nan_to_num(person.smplx.betas)[:count]
        betas[: len(known)] = known
        neutral = np.zeros((1, self._body.num_expression), np.float32)
        size = np.float32(person.scale if np.isfinite(person.scale) else 1.0)
        vertices = self._template + self._directions @ betas
        return Surface(size * vertices, size * self._body.rest_joints(betas[None], neutral)[0])

    def bones(self, person: Person) -> Bones | None:
        """Return the joints of a person; None where pose or joints are not known."""
        pose = person.smplx.pose
        if not (np.isfinite(pose).all() and np.isfinite(person.joints).all()):
            return None
        turned = self._tree.orientations(as_matrices(pose[None].astype(np.float64)))[0]
        xyzw = Rotation.from_matrix(turned).as_quat()
        return Bones(np.roll(xyzw, 1, axis=1), person.joints)


def _strongest(weights: Array) -> Array:
    """Return weights (U, 55) with only the greatest ones of each vertex, which sum to 1."""
    weak = np.argsort(weights, axis=1)[:, : NUM_JOINTS - _INFLUENCES]
    kept = weights.copy()
    np.put_along_axis(kept, weak, 0.0, axis=1)
    kept /= kept.sum(axis=1, keepdims=True)
    return kept
