# SPDX-License-Identifier: Apache-2.0
"""Clothes, hair and skin of rendered people: random colours of a body's vertices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.model_files import load_surface_points
from pear_ros.core.people import Array
from pear_ros.training.poses import Random

# Points of MediaPipe's face mesh.
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
_LIPS = (61, 91, 84, 17, 314, 321, 291, 270, 267, 0, 37, 40, 13, 14, 81, 311, 178, 402)


class Wardrobe:
    """Clothes, hair and skin painted on a body's vertices."""

    def __init__(self, body: BodyModel) -> None:
        joint = rest_joints(body)
        owner = np.array(body.joint_names)[np.asarray(body.weights.argmax(axis=1)).ravel()]
        vertex = body.v_template
        self._vertex = vertex

        def belongs(*names: str) -> npt.NDArray[np.bool_]:
            return np.isin(owner, names)

        def both(name: str) -> npt.NDArray[np.bool_]:
            return belongs(f"left_{name}", f"right_{name}")

        self._eyes = both("eye_smplhf")
        self._head = belongs("head", "jaw") | self._eyes
        self._feet = both("ankle") | both("foot")
        hip, knee, ankle = (joint[f"left_{name}"][1] for name in ("hip", "knee", "ankle"))
        shoulder, wrist = joint["left_shoulder"][0], joint["left_wrist"][0]
        # How far down the arm and the leg a vertex lies: 0 shoulder or hip, 1 wrist or ankle.
        arm = both("shoulder") | both("elbow")
        self._down_arm = np.where(
            arm,
            (np.abs(vertex[:, 0]) - shoulder) / (wrist - shoulder),
            np.where(both("wrist"), 2, 0),
        )
        leg = both("hip") | both("knee") | self._feet
        self._down_leg = np.where(leg, (hip - vertex[:, 1]) / (hip - ankle), 0.0)
        trunk = belongs("spine1", "spine2", "spine3") | both("collar") | arm
        self._top = trunk & (vertex[:, 1] < joint["neck"][1] - 0.03)
        self._hips = belongs("pelvis")
        self._leg = leg
        self._knee = (hip - knee) / (hip - ankle)
        height, depth = (vertex - vertex[self._head].mean(axis=0))[:, 1:].T
        behind = (depth < 0.015) & (height > -0.04)
        self._hair = self._head & ~self._eyes & ((height > 0.06) | behind)
        front = vertex[self._eyes, 2].max() - 0.004
        self._irises = self._eyes & (vertex[:, 2] > front)
        face = np.flatnonzero(self._head & ~self._eyes)
        self._brows = self._near_face_landmarks(joint, face, _BROWS)
        self._lips = self._near_face_landmarks(joint, face, _LIPS)

    def _near_face_landmarks(
        self,
        joint: Mapping[str, Array],
        face: npt.NDArray[np.integer],
        landmarks: Sequence[int],
    ) -> npt.NDArray[np.bool_]:
        """(V,) whether a vertex of `face` is next to some points of MediaPipe's face mesh.

        They are known on the open body, whose eyes are laid onto those of this body.
        """
        open_body = load_open_body()
        eyes, own = (
            np.array([joints[f"{side}_eye_smplhf"] for side in ("left", "right")])
            for joints in (rest_joints(open_body), joint)
        )
        points = open_body.v_template[load_surface_points().face_corners[list(landmarks)].ravel()]
        size = np.linalg.norm(own[1] - own[0]) / np.linalg.norm(eyes[1] - eyes[0])
        laid = own.mean(axis=0) + size * (points - eyes.mean(axis=0))
        near = np.zeros(len(self._vertex), bool)
        near[face[KDTree(self._vertex[face]).query(laid)[1]]] = True
        return near

    def dress(self, rng: Random) -> tuple[Array, Array]:
        """Colours (V, 3) in 0..1, BGR, and how far clothes and hair stand out (V,), metres."""
        count = len(self._vertex)
        skin = np.array([0.45, 0.58, 0.82]) * rng.uniform(0.25, 1.1) + rng.normal(0, 0.02, 3)
        colour = np.tile(skin, (count, 1))
        thickness = np.zeros(count)
        colour[self._lips] *= (0.6, 0.6, 0.85)
        colour[self._eyes] = 0.85
        colour[self._irises] = rng.uniform(0.02, 0.3)
        hair = np.array([0.08, 0.1, 0.14]) * rng.uniform(0.2, 4)
        colour[self._brows] = 0.3 * colour[self._brows] + 0.7 * hair
        hem = rng.choice([0.0, 0.15, self._knee, 0.95])
        sleeve = rng.choice([0.05, 0.3, 1.1])
        trousers = self._hips | (self._leg & ~self._feet & (self._down_leg < max(hem, 0.25)))
        shirt = (self._top & (self._down_arm < sleeve)) | (self._hips & (rng.random() < 0.6))
        garments = (
            (trousers, rng.uniform(0.002, 0.02)),
            (shirt, rng.uniform(0.004, 0.03)),
            (self._feet & (rng.random() < 0.85), 0.008),
        )
        for worn, stand_out in garments:
            colour[worn] = self._cloth(rng)[worn]
            thickness[worn] = stand_out * (1 + 0.4 * self._waves(rng, 6, 25)[worn])
        if rng.random() < 0.9:
            colour[self._hair] = hair
            thickness[self._hair] = rng.uniform(0.005, 0.03)
        colour *= (1 + 0.08 * self._waves(rng, 20, 90))[:, None]
        return np.clip(colour, 0.005, 1).astype(np.float32), thickness.astype(np.float32)

    def _cloth(self, rng: Random) -> npt.NDArray[np.float64]:
        cloth = np.tile(random_colour(rng), (len(self._vertex), 1))
        if rng.random() < 0.4:
            cloth[self._waves(rng, 40, 200) > rng.uniform(-0.5, 0.5)] = random_colour(rng)
        return cloth

    def _waves(self, rng: Random, low: float, high: float) -> npt.NDArray[np.float64]:
        """Smooth noise of unit spread over the rest body, `low` to `high` radians per metre."""
        directions = rng.normal(0, 1, (3, 5))
        directions *= rng.uniform(low, high, 5) / np.linalg.norm(directions, axis=0)
        phases = rng.uniform(0, 2 * np.pi, 5)
        return np.asarray(np.sin(self._vertex @ directions + phases).sum(axis=1) / np.sqrt(2.5))


def rest_joints(body: BodyModel) -> dict[str, Array]:
    """Return the joints (3,) of the mean body's T-pose by name, metres."""
    nothing = (np.zeros((1, n), np.float32) for n in (body.num_betas, body.num_expression))
    return dict(zip(body.joint_names, body.rest_joints(*nothing)[0], strict=True))


def random_colour(rng: Random) -> npt.NDArray[np.float64]:
    """Return a colour (3,) from 0 to 1; every third is nearly grey."""
    if rng.random() < 0.35:
        return np.clip(rng.uniform(0.03, 0.95) + rng.normal(0, 0.03, 3), 0.01, 1)
    return rng.uniform(0.02, 0.95, 3)
