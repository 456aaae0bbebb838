# SPDX-License-Identifier: Apache-2.0
"""Fits wrist and fingers to the 21 landmarks of a hand, by the directions of the bones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array
from pear_ros.landmarks.topology import Hand

FINGERS = ("index", "middle", "pinky", "ring", "thumb")
"""Fingers in SMPL-X's order."""

# First landmark of each finger; three more follow it.
_FIRST = (Hand.INDEX_MCP, Hand.MIDDLE_MCP, Hand.PINKY_MCP, Hand.RING_MCP, Hand.THUMB_CMC)
_MAX_BEND = np.radians(110.0)
"""Greatest rotation of a finger joint, radians."""
_MAX_WRIST = np.radians(100.0)
"""Greatest rotation of the wrist relative to the forearm; beyond, the landmarks are rejected."""


class HandFitter:
    """Fits one hand, the left or the right, of a body model."""

    def __init__(self, body: BodyModel, fingertips: npt.NDArray[np.intp], side: str) -> None:
        """Compute the bones of the hand at rest.

        `fingertips` (5,): vertices at the tips, in the order of FINGERS; `side`: "left" or "right".
        """
        zeros = np.zeros((1, body.num_betas + body.num_expression), np.float32)
        rest = body.rest_joints(zeros[:, : body.num_betas], zeros[:, body.num_betas :])[0]
        index = {name: number for number, name in enumerate(SMPLX_JOINT_NAMES)}
        chains = np.array([[index[f"{side}_{finger}{k}"] for k in (1, 2, 3)] for finger in FINGERS])
        joints = np.concatenate([rest[chains], body.v_template[fingertips][:, None]], axis=1)
        bones = np.diff(joints, axis=1)
        self._bones = bones / np.linalg.norm(bones, axis=2, keepdims=True)
        self._palm = joints[:, 0] - rest[index[f"{side}_wrist"]]

    def __call__(self, world: Array, forearm: Array) -> tuple[Array, Array] | None:
        """Return the rotation of the wrist (3, 3) and the pose of the fingers (15, 3) axis-angle.

        `world` (21, 3): landmarks along the axes of the optical frame, of any origin and scale;
        `forearm` (3, 3): orientation of the elbow joint in that frame. The wrist is relative to the
        forearm, fingers are in SMPL-X's order. None: the wrist would turn too far.
        """
        chains = world[np.asarray(_FIRST)[:, None] + np.arange(4)]
        palm = chains[:, 0] - world[Hand.WRIST]
        orientation, _ = Rotation.align_vectors(palm, self._palm)
        wrist = forearm.T @ orientation.as_matrix()
        if Rotation.from_matrix(wrist).magnitude() > _MAX_WRIST:
            return None
        directions = np.diff(chains, axis=1)
        directions /= np.maximum(np.linalg.norm(directions, axis=2, keepdims=True), 1e-6)
        above = np.tile(orientation.as_matrix(), (len(FINGERS), 1, 1))
        pose = np.empty((len(FINGERS), 3, 3))
        for phalanx in range(3):
            direction = np.einsum("fji,fj->fi", above, directions[:, phalanx])
            bend = _shortest_rotations(self._bones[:, phalanx], direction)
            pose[:, phalanx] = bend
            above = above @ Rotation.from_rotvec(bend).as_matrix()
        return wrist.astype(np.float32), pose.reshape(-1, 3).astype(np.float32)


def _shortest_rotations(
    start: npt.NDArray[np.floating], end: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Return rotation vectors (N, 3), at most _MAX_BEND long, from unit vectors to others."""
    axis = np.cross(start, end)
    sine = np.linalg.norm(axis, axis=1)
    angle = np.minimum(np.arctan2(sine, (start * end).sum(axis=1)), _MAX_BEND)
    return np.asarray(axis * (angle / np.maximum(sine, 1e-9))[:, None], np.float64)
