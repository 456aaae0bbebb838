# SPDX-License-Identifier: Apache-2.0
"""The parts of a body on which colours are compared, and where they are on its mesh."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array, Person, SmplxParams

PARTS = ("hair", "chest", "waist", "upper_arms", "forearms", "thighs", "shins", "feet")
"""P parts. Left and right are one, since clothes are mostly the same on both sides, and so are
front and back, since people seldom return with the same side towards the camera. Faces and hands
are none: their colour says little that is sure, and is nothing to keep of a person."""

_BONES = {
    "chest": (
        *("spine1 spine2", "spine2 spine3", "spine3 neck"),
        *("left_collar left_shoulder", "right_collar right_shoulder"),
    ),
    "waist": ("pelvis spine1", "left_hip right_hip"),
    "upper_arms": ("left_shoulder left_elbow", "right_shoulder right_elbow"),
    "forearms": ("left_elbow left_wrist", "right_elbow right_wrist"),
    "thighs": ("left_hip left_knee", "right_hip right_knee"),
    "shins": ("left_knee left_ankle", "right_knee right_ankle"),
    "feet": ("left_ankle left_foot", "right_ankle right_foot"),
    "": ("left_wrist left_middle3", "right_wrist right_middle3", "neck head"),
}
"""Pairs of joints between which each part lies; "": what belongs to none."""
_JOINT = {name: index for index, name in enumerate(SMPLX_JOINT_NAMES)}
_FOREHEAD = 0.05
"""Height of the hairline above the eyes, metres."""


def part_of_vertices(person: Person, bodies: ScaledBodies) -> npt.NDArray[np.intp]:
    """Return the index (V,) in PARTS of the part that each vertex of the mesh belongs to, or -1.

    Vertices belong to the bone that is nearest to them in the T-pose. `person`: any person with the
    body of `bodies`.
    """
    zeros = {
        part.name: np.zeros_like(getattr(person.smplx, part.name)) for part in fields(SmplxParams)
    }
    rest = replace(person, smplx=SmplxParams(**zeros), scale=1.0)
    return _nearest_parts(bodies.meshes([rest])[0], bodies.joints([rest])[0])


def _nearest_parts(vertices: Array, joints: Array) -> npt.NDArray[np.intp]:
    """Parts (V,) of vertices (V, 3) by joints (55, 3) in the T-pose: y up, z out of the chest."""
    parts, distances = [], []
    for part, bones in _BONES.items():
        for bone in bones:
            start, end = (joints[_JOINT[name]] for name in bone.split())
            along = end - start
            share = np.clip((vertices - start) @ along / (along @ along + 1e-12), 0.0, 1.0)  # (V,)
            distances.append(np.linalg.norm(vertices - start - share[:, None] * along, axis=1))
            parts.append(PARTS.index(part) if part else -1)
    nearest: npt.NDArray[np.intp] = np.array(parts, np.intp)[np.argmin(distances, axis=0)]
    eyes = (joints[_JOINT["left_eye_smplhf"]] + joints[_JOINT["right_eye_smplhf"]]) / 2.0
    head = joints[_JOINT["head"]]
    above = vertices[:, 1] > eyes[1] + _FOREHEAD
    behind = (vertices[:, 1] > head[1]) & (vertices[:, 2] < head[2])
    is_head = vertices[:, 1] > head[1]
    hair = is_head & (above | behind) & (nearest == -1) & (np.abs(vertices[:, 0]) < 0.2)
    nearest[hair] = PARTS.index("hair")
    return nearest
