# SPDX-License-Identifier: Apache-2.0
"""Export of npz files, one for each person, with everything that was recorded, as it was.

Rows are the images in which the person was present; gaps in time between two rows show in `frame`
and `stamps`. Positions are in the camera's optical frame. Loaders of AMASS need the motion that
`pear_ros.export.amass` writes.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from pear_ros.core.people import SMPLX_JOINT_NAMES
from pear_ros.export.arrays import FLAME_ARRAYS, OWN_ARRAYS, POSE_ARRAYS
from pear_ros.export.tracks import Recording, Track
from pear_ros.io.output_files import replaced


def save_npz(recording: Recording, folder: Path) -> list[Path]:
    """Write ID.npz for each person into `folder`; return the files."""
    rate = _frame_rate(recording)
    files = []
    for track in recording.tracks:
        path = folder / f"{track.id}.npz"
        with replaced(path) as file:
            np.savez_compressed(file, **_arrays(recording, track, rate))
        files.append(path)
    return files


def _arrays(recording: Recording, track: Track, rate: float) -> dict[str, Any]:
    pose = track.pose.reshape(len(track.pose), -1)
    stamps = recording.stamps_ns[track.frames]
    arrays = {
        "poses": pose,
        "root_orient": pose[:, :3],
        "pose_body": pose[:, 3:66],
        "pose_jaw": pose[:, 66:69],
        "pose_eye": pose[:, 69:75],
        "pose_hand": pose[:, 75:],
        "trans": track.transl,
        "betas": track.typical_betas,
        "num_betas": track.betas.shape[1],
        "mocap_frame_rate": rate,
        "gender": "neutral",
        "surface_model_type": "smplx",
        "stamps": stamps * 1e-9,
        "stamps_ns": stamps,
        "frame": track.frames,
        "tracking_state": track.states,
        **track.arrays,
        "scale": track.scale,
        "depth_source": track.depth_source,
        "betas_by_frame": track.betas,
        "expression": track.expression,
        "joint_names": np.array(SMPLX_JOINT_NAMES),
        "camera": track.camera,
        "id": track.id,
        "frame_id": recording.frame_id,
        "model_id": track.model_id,
        "body_model": track.body_model,
    }
    names = [*POSE_ARRAYS, *OWN_ARRAYS]
    if track.flame is not None:
        for part in fields(track.flame):
            arrays[f"flame_{part.name}"] = getattr(track.flame, part.name)
        names += FLAME_ARRAYS
    return {name: arrays[name] for name in names}


def _frame_rate(recording: Recording) -> float:
    """Return the median frame rate, Hz; NaN for a single image."""
    if len(recording.stamps_ns) < 2:
        return float("nan")
    steps = np.diff(recording.stamps_ns)
    return float(1e9 / np.median(steps[steps > 0]))  # Stamps go back where another run begins.
