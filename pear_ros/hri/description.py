# SPDX-License-Identifier: Apache-2.0
"""A URDF model of one body, with REP-155's names of links and joints and the person's lengths.

The kinematics are those of the ROS 4 HRI package human_description (pear_ros.hri.joint_angles); the
origin body_<id> is midway between the hips, x out of the chest, y left, z up.
"""

from __future__ import annotations

import math
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.core.people import Array
from pear_ros.hri.body_parts import JOINT, Float64, arm, distance
from pear_ros.hri.joint_angles import ANGLES

_LIMB_RADIUS = 0.03
"""Radius of the drawn limbs, metres."""
_SKIN = "1 0.7 0 1"

Vector = tuple[float, float, float]


class Link(NamedTuple):
    """A link with the joint by which it hangs on its parent; names lack their suffix _<id>."""

    name: str
    parent: str
    joint: str
    """Name of the joint; one of ANGLES, or else the joint is fixed."""
    origin: Vector
    """Place of the joint in the parent, metres."""
    axis: Vector = (0.0, 0.0, 0.0)
    length: float = 0.0
    """Length of the limb that hangs down from the joint, metres; 0: nothing is drawn."""


class BodyLengths(NamedTuple):
    """Lengths of a person, metres."""

    trunk: float
    neck: float
    head: float
    """Radius."""
    shoulder: float
    """From the spine."""
    hip: float
    upper_arm: float
    forearm: float
    thigh: float
    shank: float


def body_lengths(joints: Array) -> BodyLengths:
    """Return the lengths of a person with `joints` (55, 3), metres, all known; means of sides."""
    arms, legs = (arm("left"), arm("right")), ((1, 4, 7), (2, 5, 8))  # hip, knee, ankle

    def mean(chains: tuple[tuple[int, int, int], ...], first: int) -> float:
        bones = [distance(joints[chain[first]], joints[chain[first + 1]]) for chain in chains]
        return sum(bones) / len(bones)

    hips, shoulders = joints[[1, 2]], joints[[arms[0][0], arms[1][0]]]
    middle = shoulders.mean(axis=0)
    eyes = joints[[JOINT["left_eye_smplhf"], JOINT["right_eye_smplhf"]]].mean(axis=0)
    head = joints[JOINT["head"]]
    return BodyLengths(
        trunk=distance(middle, hips.mean(axis=0)),
        neck=distance(middle, head),
        head=distance(eyes, head),
        shoulder=distance(*shoulders) / 2,
        hip=distance(*hips) / 2,
        upper_arm=mean(arms, 0),
        forearm=mean(arms, 1),
        thigh=mean(legs, 0),
        shank=mean(legs, 1),
    )


def links(lengths: BodyLengths) -> list[Link]:
    """Return all links but the root, `body`, each after its parent."""
    size, still = lengths, (0.0, 0.0, 0.0)
    found = [
        Link("waist", "body", "waist", still, (0, 1, 0)),
        Link("torso", "waist", "torso", (0, 0, size.trunk), length=size.trunk),
        Link("r_head", "torso", "r_head", (0, 0, size.neck), (1, 0, 0)),
        Link("y_head", "r_head", "y_head", still, (0, 0, 1)),
        Link("p_head", "y_head", "p_head", still, (0, -1, 0)),
        Link("head", "p_head", "head", (size.head / 2, 0, size.head)),
    ]
    for side, sign in (("l", 1), ("r", -1)):
        found += [
            *_limb(side, "shoulder", "torso", (0, sign * size.shoulder, 0), size.upper_arm),
            Link(
                f"{side}_elbow",
                f"{side}_shoulder",
                f"{side}_elbow",
                (0, 0, -size.upper_arm),
                (0, -1, 0),
                size.forearm,
            ),
            Link(f"{side}_wrist", f"{side}_elbow", f"{side}_wrist", (0, 0, -size.forearm)),
            *_limb(side, "hip", "body", (0, sign * size.hip, 0), size.thigh),
            Link(
                f"{side}_knee",
                f"{side}_hip",
                f"{side}_knee",
                (0, 0, -size.thigh),
                (0, -1, 0),
                size.shank,
            ),
            Link(f"{side}_ankle", f"{side}_knee", f"{side}_ankle", (0, 0, -size.shank)),
        ]
    return found


def _limb(side: str, part: str, parent: str, origin: Vector, length: float) -> list[Link]:
    """Return the links of the three joints y, p, r of a shoulder or hip."""
    sign, still = (1 if side == "l" else -1), (0.0, 0.0, 0.0)
    shoulder = part == "shoulder"
    yaw = (0, 0, -sign) if shoulder else (0, 0, -1)
    roll = (0, 0, sign) if shoulder else (0, -1, 0)
    y, p, r = (f"{side}_{letter}_{part}" for letter in "ypr")
    return [
        Link(y, parent, y, origin, yaw),
        Link(p, y, p, still, (sign, 0, 0)),
        Link(f"{side}_{part}", p, r, still, roll, length),
    ]


def link_transforms(chain: list[Link], angles: Float64) -> Float64:
    """Return x y z and quaternion x y z w (L, 7) of each link in its parent.

    `angles` (20,), radians, in the order of ANGLES.
    """
    turns = dict(zip(ANGLES, angles.tolist(), strict=True))
    vectors = np.array([np.multiply(link.axis, turns.get(link.joint, 0.0)) for link in chain])
    origins = np.array([link.origin for link in chain], np.float64)
    return np.concatenate([origins, Rotation.from_rotvec(vectors).as_quat()], axis=1)


def urdf(track_id: str, lengths: BodyLengths) -> str:
    """Return the URDF of a body; names of links and joints end with _<track_id>."""
    robot = ElementTree.Element("robot", name=f"human_{track_id}")
    material = ElementTree.SubElement(robot, "material", name="skin")
    ElementTree.SubElement(material, "color", rgba=_SKIN)
    ElementTree.SubElement(robot, "link", name=f"body_{track_id}")
    for link in links(lengths):
        element = ElementTree.SubElement(robot, "link", name=f"{link.name}_{track_id}")
        if link.length:
            _draw(element, "cylinder", -link.length / 2, length=link.length, radius=_LIMB_RADIUS)
            _draw(element, "sphere", 0.0, radius=_LIMB_RADIUS)
        elif link.name == "head":
            _draw(element, "sphere", 0.0, radius=lengths.head)
        _add_joint(robot, link, track_id)
    return ElementTree.tostring(robot, encoding="unicode")


def _draw(link: ElementTree.Element, shape: str, z: float, **sizes: float) -> None:
    visual = ElementTree.SubElement(link, "visual")
    ElementTree.SubElement(visual, "origin", xyz=f"0 0 {z:.4f}", rpy="0 0 0")
    texts = {name: f"{value:.4f}" for name, value in sizes.items()}
    ElementTree.SubElement(ElementTree.SubElement(visual, "geometry"), shape, texts)
    ElementTree.SubElement(visual, "material", name="skin")


def _add_joint(robot: ElementTree.Element, link: Link, track_id: str) -> None:
    moves = link.joint in ANGLES
    joint = ElementTree.SubElement(
        robot, "joint", name=f"{link.joint}_{track_id}", type="revolute" if moves else "fixed"
    )
    ElementTree.SubElement(joint, "parent", link=f"{link.parent}_{track_id}")
    ElementTree.SubElement(joint, "child", link=f"{link.name}_{track_id}")
    place = " ".join(f"{value:.4f}" for value in link.origin)
    ElementTree.SubElement(joint, "origin", xyz=place, rpy="0 0 0")
    if moves:
        ElementTree.SubElement(joint, "axis", xyz=" ".join(f"{value:g}" for value in link.axis))
        bound = f"{math.pi:.4f}"
        limits = {"lower": f"-{bound}", "upper": bound, "effort": "1000", "velocity": "10"}
        ElementTree.SubElement(joint, "limit", limits)
