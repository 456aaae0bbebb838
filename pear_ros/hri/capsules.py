# SPDX-License-Identifier: Apache-2.0
"""A body as capsules between SMPL-X's joints: few, simple shapes of which distances are cheap.

A capsule is what lies within a radius of a line segment, its axis. Both ends of an axis are
weighted sums of joints. The trunk is four capsules across the body, moved forward from the spine,
which lies near the back.

Radii are those of the open body (anny-smplx/2, mean shape) in the T-pose: of the vertices that are
nearest to an axis, 95 % lie within its radius, the mean of both sides. In other poses and shapes,
99 % of the vertices lie inside a capsule or at most 1 cm outside, all at most 5.2 cm
(`benchmarks/results/separation.md`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES, Array
from pear_ros.hri.body_parts import MIN_CONFIDENCE, SIDES, Float64

_JOINT_ERROR = 0.05
"""Standard deviation of an observed joint along one axis, metres: fit_accuracy.md among the results
of the benchmarks has a mean error of 0.068 m in three dimensions."""
_UNOBSERVED_ERROR = 0.15
"""That of a joint whose position comes from the prior alone, metres; assumed, not measured."""
_SURFACE_ERROR = 0.02
"""Standard deviation of the capsules' surface from the skin, metres: separation.md."""
_UNREAD_RADIUS, _UNREAD_ERROR = 0.35, 0.3
"""Radius of a person whose body was not read, with arms that hang, and its standard deviation."""


class Capsules(NamedTuple):
    """The C capsules of N people, in the order of PARTS; unknown ones are NaN."""

    begins: Float64
    """(N, C, 3) first ends of the axes, metres."""
    ends: Float64
    """(N, C, 3) second ends."""
    radii: Float64
    """(N, C) metres."""
    errors: Float64
    """(N, C) standard deviations of the surfaces, apart from that of the person's distance."""

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(N, C) whether a capsule is known."""
        ends: Float64 = self.begins + self.ends
        return np.isfinite(ends).all(axis=2) & np.isfinite(self.radii)


_Ends = tuple[Float64, Float64]


def _axes() -> dict[str, _Ends]:
    """Return the weights (55,) of the joints for both ends of each axis."""
    joint = dict(zip(SMPLX_JOINT_NAMES, np.eye(NUM_JOINTS), strict=True))

    def middle(name: str) -> Float64:
        result: Float64 = (joint[f"left_{name}"] + joint[f"right_{name}"]) / 2
        return result

    hips, eyes = middle("hip"), middle("eye_smplhf")
    # About 6 cm out of the chest: hips lie before the pelvis, collar bones before the spine.
    forward = hips - joint["pelvis"] + 0.32 * (middle("collar") - joint["spine3"])
    leftward = (joint["left_hip"] - joint["right_hip"]) / 2

    def across(centre: Float64, width: float) -> _Ends:
        return centre + width * leftward, centre - width * leftward

    axes = {
        "pelvis": across(hips + 0.3 * forward, 0.6),
        "spine1": across(0.7 * joint["spine1"] + 0.3 * hips + 0.7 * forward, 0.4),
        "spine2": across(joint["spine2"] + 0.9 * forward, 0.5),
        "spine3": across(0.85 * joint["spine3"] + 0.15 * joint["neck"] + 0.8 * forward, 0.6),
        "neck": (joint["neck"], joint["head"]),
        "head": (
            0.7 * joint["jaw"] + 0.3 * eyes,
            joint["head"] + 0.8 * (joint["head"] - joint["neck"]) - 0.3 * (eyes - joint["head"]),
        ),
    }
    for side in SIDES:
        limb = {name[len(side) + 1 :]: row for name, row in joint.items() if name.startswith(side)}
        axes |= {
            f"{side}_collar": (limb["collar"], limb["shoulder"]),
            f"{side}_shoulder": (limb["shoulder"], limb["elbow"]),
            f"{side}_elbow": (limb["elbow"], limb["wrist"]),
            f"{side}_wrist": (limb["wrist"], limb["middle3"]),
            f"{side}_thumb1": (limb["thumb1"], 1.6 * limb["thumb3"] - 0.6 * limb["thumb2"]),
            f"{side}_hip": (limb["hip"], limb["knee"]),
            f"{side}_knee": (limb["knee"], limb["ankle"]),
            f"{side}_ankle": (limb["ankle"], 1.2 * limb["foot"] - 0.2 * limb["ankle"]),
        }
    return axes


_AXES = _axes()
PARTS = tuple(_AXES)
"""Names of the C capsules: of the joint at which it begins, or across which it lies (trunk)."""
_WEIGHTS = np.array(list(_AXES.values())).swapaxes(0, 1).reshape(-1, NUM_JOINTS)
"""(2 C, 55) weights of the joints: for the first ends, then for the second ends."""
_USED = (_WEIGHTS != 0.0).astype(np.float64)

# Without side: of both. Metres; test/hri/test_capsules.py measures them again.
_RADIUS_OF = {
    "pelvis": 0.103,
    "spine1": 0.123,
    "spine2": 0.119,
    "spine3": 0.112,
    "neck": 0.084,
    "head": 0.091,
    "collar": 0.107,
    "shoulder": 0.072,
    "elbow": 0.041,
    "wrist": 0.049,
    "thumb1": 0.027,
    "hip": 0.099,
    "knee": 0.077,
    "ankle": 0.054,
}
RADII: Float64 = np.array([_RADIUS_OF[name.rpartition("_")[2]] for name in PARTS])
"""(C,) radii of a person of scale 1, metres."""


def body_capsules(joints: npt.NDArray[np.floating], confidence: Array, scale: Array) -> Capsules:
    """Return the capsules of N people in the frame of `joints` (N, 55, 3), metres.

    `confidence` (N, 55) of the joints, NaN: not given, as observed; `scale` (N,) of the people
    (Human.scale). A capsule is unknown if one of its joints is NaN or infinite.
    """
    unknown: npt.NDArray[np.bool_] = np.logical_or.reduce(~np.isfinite(joints), axis=2)
    places = _WEIGHTS @ np.where(unknown[..., None], 0.0, joints).astype(np.float64)
    places[_any(unknown)] = np.nan
    begins, ends = np.split(places, 2, axis=1)
    unobserved = np.logical_or(*np.split(_any(confidence < MIN_CONFIDENCE), 2, axis=1))
    errors = np.hypot(np.where(unobserved, _UNOBSERVED_ERROR, _JOINT_ERROR), _SURFACE_ERROR)
    return Capsules(begins, ends, RADII * np.asarray(scale, np.float64)[:, None], errors)


def _any(joints: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return for each end (N, 2 C) whether it depends on one of these joints (N, 55)."""
    result: npt.NDArray[np.bool_] = joints @ _USED.T > 0.0
    return result


def standing_capsules(joints: npt.NDArray[np.floating]) -> Capsules:
    """Return one upright capsule for each person whose body was not read, under `pelvis`.

    `joints` (N, 55, 3), metres, z up: it goes through the pelvis, from the lowest to the highest
    joint. The other parts are unknown.
    """
    people, parts = len(joints), len(PARTS)
    ends = np.full((2, people, parts, 3), np.nan)
    ends[:, :, 0] = joints[:, 0]
    ends[0, :, 0, 2] = joints[..., 2].min(axis=1)
    ends[1, :, 0, 2] = joints[..., 2].max(axis=1)
    full = np.full((people, parts), 1.0)
    return Capsules(ends[0], ends[1], _UNREAD_RADIUS * full, _UNREAD_ERROR * full)
