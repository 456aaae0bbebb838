# SPDX-License-Identifier: Apache-2.0
"""People with the open body in known poses, and a pipeline that returns them."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel, load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.people import (
    SMPLX_JOINT_NAMES,
    Array,
    People,
    Person,
    SmplxParams,
    TrackingState,
    stack,
)
from testing.tiny_pipeline import TinyPipeline

FACING_CAMERA = (np.pi, 0.0, 0.0)
CAMERA = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)
JOINT = {name: index for index, name in enumerate(SMPLX_JOINT_NAMES)}

open_body = cache(load_open_body)


def pose_of(rotations: np.ndarray) -> Array:
    """Return the pose (55, 3), axis-angle, of rotation matrices (55, 3, 3)."""
    return Rotation.from_matrix(rotations).as_rotvec().astype(np.float32)


def t_pose(**bends: tuple[float, float, float]) -> Array:
    """Return the T-pose (55, 3) facing the camera; `bends` are axis-angles of joints by name."""
    pose = np.zeros((55, 3), np.float32)
    pose[0] = FACING_CAMERA
    for name, bend in bends.items():
        pose[JOINT[name]] = bend
    return pose


def batch(pose: Array, transl: tuple[float, float, float]) -> tuple[Array, ...]:
    """Return the arguments of BodyModel's methods for one person of mean shape."""
    body = open_body()
    betas = np.zeros((1, body.num_betas), np.float32)
    expression = np.zeros((1, body.num_expression), np.float32)
    return pose[None], betas, expression, np.array([transl], np.float32)


def person(
    pose: Array,
    transl: tuple[float, float, float] = (0.0, 0.0, 4.0),
    track_id: str = "h1",
    state: TrackingState = TrackingState.TRACKED,
) -> Person:
    """Return a person of mean shape in this pose."""
    parameters = batch(pose, transl)
    joints = open_body().joints(*parameters)[0]
    keypoints = CAMERA.project(joints)
    return Person(
        id=track_id,
        state=state,
        score=0.75,
        box=np.array([*keypoints.min(axis=0), *keypoints.max(axis=0)], np.float32),
        smplx=SmplxParams(pose, *(part[0] for part in parameters[1:])),
        joints=joints,
        joint_confidence=np.full(55, 0.5, np.float32),
        keypoints=keypoints,
    )


class OpenPipeline(TinyPipeline):
    """The tiny pipeline with people in the T-pose in front of the camera."""

    def __init__(self) -> None:
        super().__init__()
        self.body: BodyModel = open_body()

    def _person(self, square: int, state: TrackingState) -> Person:
        return person(t_pose(), (float(square), 0.0, 4.0), f"h{square + 1}", state)

    def meshes(self, people: People) -> Array:
        body = self.body
        if not people.persons:
            return np.empty((0, body.vertex_count, 3), np.float32)
        smplx = stack([one.smplx for one in people.persons])
        return body.vertices(smplx.pose, smplx.betas, smplx.expression, smplx.transl)
