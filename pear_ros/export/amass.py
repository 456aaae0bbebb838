# SPDX-License-Identifier: Apache-2.0
"""Motion as npz files of AMASS's SMPL-X part, and as GMR reads them.

Both have z up, the floor at z = 0 and a whole number of frames a second. Hand poses are relative to
the flat hand: no mean pose is to be added. Shapes of other bodies mean nothing in SMPL-X's shape
space: its first coefficient stands for the height then, the others are those of the mean body.
`trans` is the pelvis less its place in the T-pose of the recorded body.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pear_ros.core.people import Array
from pear_ros.export.motions import Motions, TrackMotion
from pear_ros.export.open_bodies import is_open_body
from pear_ros.export.stature import height_betas, height_of
from pear_ros.io.output_files import replaced
from pear_ros.motion.heading import facing_ahead

_NUM_BETAS = 16
"""As many as AMASS has, and as the `smplx` of GMR (that of its repository) takes by default."""


def save_amass(motions: Motions, folder: Path) -> list[Path]:
    """Write ID_stageii.npz for each person into `folder`; return the files.

    Arrays: gender, surface_model_type, mocap_frame_rate, mocap_time_length, trans (T, 3), poses
    (T, 165), betas (16,), num_betas, root_orient (T, 3), pose_body (T, 63), pose_hand (T, 90),
    pose_jaw (T, 3), pose_eye (T, 6); metres, seconds, axis-angle in radians.
    """
    return [_save(folder, f"{one.motion.id}_stageii.npz", _amass(one)) for one in motions.people]


def save_gmr(motions: Motions, folder: Path) -> list[Path]:
    """Write ID_gmr.npz for each person into `folder`; return the files.

    Beside those of AMASS, they have left_hand_pose and right_hand_pose (T, 45), and hands_seen
    (T, 2), false where a hand is at rest as it was not seen. betas (16,) are those of a body of the
    person's height by GMR's own rule, 1.66 m + 0.1 m * betas[0]. Each person begins at the origin
    and faces +x, as robots do.
    """
    return [_save(folder, f"{one.motion.id}_gmr.npz", _gmr(one)) for one in motions.people]


def _save(folder: Path, name: str, arrays: dict[str, Any]) -> Path:
    path = folder / name
    with replaced(path) as file:
        np.savez_compressed(file, **arrays)
    return path


def _amass(one: TrackMotion) -> dict[str, Any]:
    motion = one.motion
    poses = motion.pose.reshape(len(motion.pelvis), -1)
    betas = _amass_betas(one)
    return {
        "gender": "neutral",
        "surface_model_type": "smplx",
        "mocap_frame_rate": float(motion.rate),
        "mocap_time_length": len(poses) / motion.rate,
        "trans": (motion.pelvis - motion.skeleton.origin).astype(np.float32),
        "poses": poses,
        "betas": betas,
        "num_betas": len(betas),
        "root_orient": poses[:, :3],
        "pose_body": poses[:, 3:66],
        "pose_hand": poses[:, 75:],
        "pose_jaw": poses[:, 66:69],
        "pose_eye": poses[:, 69:75],
    }


def _gmr(one: TrackMotion) -> dict[str, Any]:
    # The inverse kinematics of a robot that faces +x may not find its way to the opposite heading.
    arrays = _amass(replace(one, motion=facing_ahead(one.motion)))
    betas = height_betas(height_of(one), _NUM_BETAS)
    hands = arrays["pose_hand"]
    return {
        **arrays,
        "betas": betas,
        "left_hand_pose": hands[:, :45],
        "right_hand_pose": hands[:, 45:],
        "hands_seen": one.motion.hands_seen,
    }


def _amass_betas(one: TrackMotion) -> Array:
    """(16,) the recorded shape where the body is SMPL-X's, else one of the person's height."""
    if is_open_body(one.track.body_model):
        return height_betas(height_of(one), _NUM_BETAS)
    betas = np.zeros(_NUM_BETAS, np.float32)
    betas[: len(one.betas)] = one.betas[:_NUM_BETAS]
    return betas
