# SPDX-License-Identifier: Apache-2.0
"""Capsules as meshes."""

from __future__ import annotations

import numpy as np

from pear_ros.hri.capsule_mesh import FACES, VERTEX_COUNT, axis_frames, capsule_meshes
from pear_ros.hri.capsules import PARTS, Capsules, standing_capsules
from testing.capsule_coverage import capsules_of, outside
from testing.open_people import batch, t_pose


def people() -> Capsules:
    return capsules_of(batch(t_pose(), (0.0, 0.0, 4.0)))


def test_vertices_lie_on_the_capsules_and_triangles_face_outwards() -> None:
    capsules = people()
    (vertices,) = capsule_meshes(capsules)
    for part in range(len(PARTS)):
        one = Capsules(*(array[:, part : part + 1] for array in capsules))
        own = vertices.reshape(len(PARTS), -1, 3)[part].astype(np.float32)
        np.testing.assert_allclose(outside(one, own), 0.0, atol=1e-5)
    corners = (vertices - capsules.begins[0, 0])[FACES].reshape(len(PARTS), -1, 3, 3)
    volumes = np.linalg.det(corners).sum(axis=1) / 6.0
    lengths = np.linalg.norm(capsules.ends - capsules.begins, axis=2)[0]
    radii = capsules.radii[0]
    full = np.pi * radii**2 * (lengths + 4.0 / 3.0 * radii)
    assert (volumes > 0.7 * full).all() and (volumes < full).all()


def test_unknown_capsules_become_points_of_known_ones() -> None:
    joints = np.full((2, 55, 3), np.nan)
    joints[0] = (1.0, 2.0, 0.0)
    capsules = standing_capsules(joints)
    known, unknown = capsule_meshes(capsules)
    assert known.shape == (VERTEX_COUNT, 3) and np.isfinite(known).all()
    assert np.isnan(unknown).all()
    part = known.reshape(len(PARTS), -1, 3)[3]
    np.testing.assert_allclose(part, np.broadcast_to((1.0, 2.0, 0.0), part.shape))


def test_frames_turn_z_into_the_axis() -> None:
    capsules = people()
    frames = axis_frames(capsules)[0]
    along = capsules.ends[0] - capsules.begins[0]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    np.testing.assert_allclose(frames[:, :, 2], along, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(frames), 1.0)
