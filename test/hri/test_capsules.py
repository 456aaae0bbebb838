# SPDX-License-Identifier: Apache-2.0
"""Bodies as capsules, against the mesh of the open body."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.core.people import Array
from pear_ros.hri.body_parts import SIDES
from pear_ros.hri.capsules import PARTS, RADII, body_capsules, standing_capsules
from pear_ros.training.poses import sample_rotations
from testing.capsule_coverage import axis_distances, capsules_of, outside
from testing.open_people import JOINT, batch, open_body, pose_of, t_pose

KINDS = ("standing", "walking", "sitting", "arms up", "reaching", "crouching")


def t_joints() -> Array:
    joints: Array = open_body().joints(*batch(t_pose(), (0.0, 0.0, 4.0)))
    return joints


def test_radii_cover_the_vertices_of_the_open_body() -> None:
    parameters = batch(t_pose(), (0.0, 0.0, 4.0))
    distances = axis_distances(capsules_of(parameters), open_body().vertices(*parameters)[0])
    nearest = distances.argmin(axis=1)
    found = {
        name: float(np.quantile(distances[nearest == part, part], 0.95))
        for part, name in enumerate(PARTS)
    }
    for name, radius in zip(PARTS, RADII, strict=True):
        sides = [found[name.replace("right", side).replace("left", side)] for side in SIDES]
        assert radius == pytest.approx(np.mean(sides), abs=5e-4), name


@pytest.mark.parametrize("kind", KINDS)
def test_posed_meshes_are_covered(kind: str) -> None:
    rng = np.random.default_rng(11)
    for _ in range(3):
        parameters = list(batch(pose_of(sample_rotations(rng, kind)), (0.0, 0.0, 4.0)))
        parameters[1] = np.clip(rng.normal(size=parameters[1].shape), -2.5, 2.5).astype(np.float32)
        beyond = outside(capsules_of(parameters), open_body().vertices(*parameters)[0])
        assert np.quantile(beyond, 0.99) < 0.02
        assert beyond.max() < 0.06


def test_larger_people_have_larger_radii() -> None:
    capsules = body_capsules(t_joints(), np.ones((1, 55), np.float32), np.array([1.1], np.float32))
    np.testing.assert_allclose(capsules.radii[0], 1.1 * RADII, rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_unknown_joints_leave_their_capsules_unknown(value: float) -> None:
    joints = np.concatenate([t_joints(), t_joints()])
    joints[0, JOINT["left_elbow"], 1] = value
    capsules = body_capsules(joints, np.ones((2, 55), np.float32), np.ones(2, np.float32))
    assert capsules.known[1].all()
    missing = {name for name, known in zip(PARTS, capsules.known[0], strict=True) if not known}
    assert missing == {"left_shoulder", "left_elbow"}


def test_unobserved_joints_have_larger_errors() -> None:
    confidence = np.full((1, 55), np.nan, np.float32)  # the estimator gives none
    confidence[0, JOINT["right_knee"]] = 0.1
    errors = body_capsules(t_joints(), confidence, np.ones(1, np.float32)).errors[0]
    worse = {name for name, error in zip(PARTS, errors, strict=True) if error > 0.1}
    assert worse == {"right_hip", "right_knee"}


def test_standing_capsule_is_upright_from_foot_to_head() -> None:
    joints = np.zeros((2, 55, 3), np.float32)
    joints[0] = (2.0, 1.0, 0.9)
    joints[0, JOINT["left_foot"]] = (2.1, 1.2, 0.05)
    joints[0, JOINT["head"]] = (2.0, 1.0, 1.6)
    joints[1] = np.nan
    capsules = standing_capsules(joints)
    assert capsules.known.sum() == 1
    np.testing.assert_allclose(capsules.begins[0, 0], (2.0, 1.0, 0.05), rtol=1e-6)
    np.testing.assert_allclose(capsules.ends[0, 0], (2.0, 1.0, 1.6), rtol=1e-6)
