# SPDX-License-Identifier: Apache-2.0
"""Joint angles of REP-155's model of the human body, from an SMPL-X body.

The model is the URDF of the ROS 4 HRI package human_description (human-tpl.xacro): 20 revolute
joints; limbs hang down at zero. Its axes, in the body's (x out of the chest, y left, z up):

    waist                          y
    r_head, y_head, p_head         x, z, -y
    l_y_, l_p_, l_r_shoulder       -z, x, z;   on the right z, -x, -z
    l_elbow, r_elbow               -y
    l_y_, l_p_, l_r_hip            -z, x, -y;  on the right -z, -x, -y
    l_knee, r_knee                 -y

Legs are relative to the body, head and arms to the trunk bent by the waist, so that the limbs of
the model point in the directions of the SMPL-X body's. The model lacks, and so the angles: lateral
bends, twist and curve of the trunk; shrugged shoulders; the twist of forearms; wrists, hands and
fingers; ankles and toes; jaw and eyes.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body.joint_frames import BODY_AXES
from pear_ros.body.kinematics import JointTree
from pear_ros.core.people import Array

Float64 = npt.NDArray[np.float64]

ANGLES = (
    *("waist", "r_head", "y_head", "p_head"),
    *("l_y_shoulder", "l_p_shoulder", "l_r_shoulder", "l_elbow"),
    *("r_y_shoulder", "r_p_shoulder", "r_r_shoulder", "r_elbow"),
    *("l_y_hip", "l_p_hip", "l_r_hip", "l_knee"),
    *("r_y_hip", "r_p_hip", "r_r_hip", "r_knee"),
)
"""Names of the 20 joints, without their suffix _<id>."""

BODY_JOINTS = 22
"""Number of SMPL-X's body joints, the first ones: without face and fingers."""

_TREE = JointTree(
    np.array([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19]), np.asarray
)
_CHEST, _HEAD = 9, 15
_ARMS = ((16, 18, 20, 1.0), (17, 19, 21, -1.0))  # shoulder, elbow, wrist; left is 1
_LEGS = ((1, 4, 7, 1.0), (2, 5, 8, -1.0))  # hip, knee, ankle

# Sine of the bend of elbow or knee below which it does not determine the twist of its limb.
_STRAIGHT = 0.1
# Limits of y, p and r of the shoulders, by which one of two solutions is chosen.
_SHOULDER_LOW = np.array([-1.1, -0.4, -1.7])
_SHOULDER_HIGH = np.array([1.9, 3.3, 1.5])


def orientations(poses: Array, *, in_camera: bool = False) -> Float64:
    """Return the orientations (N, 22, 3, 3) of the body's joints, x out of the chest, y left, z up.

    In the frame of the body or, `in_camera`, in the optical frame. `poses` (N, J, 3) axis-angle in
    SMPL-X's axes.
    """
    body = poses[:, :BODY_JOINTS].astype(np.float64)
    vectors = body[..., BODY_AXES].reshape(-1, 3)
    rotations = Rotation.from_rotvec(vectors).as_matrix().reshape(-1, BODY_JOINTS, 3, 3)
    if in_camera:
        rotations[:, 0] = Rotation.from_rotvec(body[:, 0]).as_matrix()[..., BODY_AXES]
    else:
        rotations[:, 0] = np.eye(3)
    turned: Float64 = _TREE.orientations(rotations)
    return turned


def complete(poses: Array, joints: Array) -> npt.NDArray[np.bool_]:
    """Return for N people whether pose and joints are finite and no limb has zero length."""
    known = np.isfinite(poses).all(axis=(1, 2)) & np.isfinite(joints).all(axis=(1, 2))
    limbs = np.array([limb[:3] for limb in (*_ARMS, *_LEGS)], np.intp)
    bones = np.diff(joints[:, limbs], axis=2)
    long: npt.NDArray[np.bool_] = known & (np.abs(bones).sum(axis=3) > 0.0).all(axis=(1, 2))
    return long


def joint_angles(poses: Array, joints: Array) -> Float64:
    """Return the joint angles (N, 20), radians, in the order of ANGLES.

    `poses` (N, J, 3) axis-angle and `joints` (N, J, 3), metres, in the optical frame, of people for
    whom `complete` holds.
    """
    if not len(poses):
        return np.empty((0, len(ANGLES)))
    turned = orientations(poses)
    root = orientations(poses, in_camera=True)[:, 0]
    places = np.einsum("nba,njb->nja", root, joints[:, :BODY_JOINTS].astype(np.float64))
    waist = _euler("YXZ", turned[:, _CHEST])[:, 0]
    trunk = Rotation.from_euler("y", waist).as_matrix().swapaxes(1, 2)
    roll, yaw, pitch = _euler("XZY", trunk @ turned[:, _HEAD]).T
    angles = [waist, roll, yaw, -pitch]
    for shoulder, elbow, wrist, side in _ARMS:
        upper, bend = _limb(places[:, [shoulder, elbow, wrist]], turned[:, shoulder, :, 0], 1.0)
        angles += [*_shoulder(trunk @ upper, side).T, bend]
    for hip, knee, ankle, side in _LEGS:
        thigh, bend = _limb(places[:, [hip, knee, ankle]], turned[:, hip, :, 0], -1.0)
        yaw, pitch, roll = _euler("ZXY", thigh).T
        angles += [-yaw, side * pitch, -roll, -bend]
    return np.stack(angles, axis=1)


def _limb(places: Float64, forward: Float64, side: float) -> tuple[Float64, Float64]:
    """Return the orientation (N, 3, 3) of upper arm or thigh and the bend (N,) of its lower half.

    The limb's z points back along it, its lower half bends towards x or (`side` -1) away from x.
    `places` (N, 3, 3): its three joints; `forward` (N, 3): x while it is straight.
    """
    along = places[:, 1] - places[:, 0]
    beyond = places[:, 2] - places[:, 1]
    up = -along / np.linalg.norm(along, axis=1, keepdims=True)
    beyond /= np.linalg.norm(beyond, axis=1, keepdims=True)
    aside = _across(beyond, up)
    sine = np.linalg.norm(aside, axis=1)
    bent = sine > _STRAIGHT
    x = np.where(bent[:, None], side * aside, _across(forward, up))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    bend = np.arctan2(np.where(bent, sine, side * _dot(beyond, x)), -_dot(beyond, up))
    return np.stack([x, np.cross(up, x), up], axis=-1), bend


def _shoulder(upper: Float64, side: float) -> Float64:
    """Return the angles y, p, r (N, 3) of an upper arm's orientation (N, 3, 3) in the trunk."""
    signs = side * np.array([-1.0, 1.0, 1.0])
    first = _euler("ZXZ", upper) * signs
    other = first * (1.0, -1.0, 1.0) + (np.pi, 0.0, np.pi)
    both = (np.stack([first, other]) + np.pi) % (2 * np.pi) - np.pi
    excess = np.maximum(_SHOULDER_LOW - both, 0.0) + np.maximum(both - _SHOULDER_HIGH, 0.0)
    chosen: Float64 = np.where(np.less(*excess.sum(axis=2))[:, None], both[0], both[1])
    return chosen


def _euler(axes: str, rotations: Float64) -> Float64:
    """Return the intrinsic Euler angles (N, 3) of rotations (N, 3, 3)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # gimbal lock: one angle is 0
        angles: Float64 = Rotation.from_matrix(rotations).as_euler(axes)
    return angles


def _dot(first: Float64, second: Float64) -> Float64:
    product: Float64 = np.einsum("na,na->n", first, second)
    return product


def _across(vectors: Float64, axis: Float64) -> Float64:
    """Return the components of vectors (N, 3) perpendicular to unit vectors (N, 3)."""
    part: Float64 = vectors - _dot(vectors, axis)[:, None] * axis
    return part
