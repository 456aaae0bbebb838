# SPDX-License-Identifier: Apache-2.0
"""Arrays in the npz files of `pear export`, for their writer and for `pear export --help`."""

from __future__ import annotations

from pear_ros.core.estimate_arrays import ESTIMATE_ARRAYS

POSE_ARRAYS = {
    "poses": "(T, 165) axis-angle: root_orient, pose_body, pose_jaw, pose_eye, pose_hand",
    "root_orient": "(T, 3) from the body's rest axes to frame_id",
    "pose_body": "(T, 63) joints 1 to 21",
    "pose_jaw": "(T, 3)",
    "pose_eye": "(T, 6) left, right",
    "pose_hand": "(T, 90) left, right; no mean pose to add",
    "trans": "(T, 3) metres: vertex = scale * posed body + trans",
    "betas": "(B,) shape of body_model: medians of betas_by_frame where the body was measured",
    "num_betas": "B",
    "mocap_frame_rate": "images a second, median; NaN for a single image",
    "gender": "neutral",
    "surface_model_type": "smplx: the layout; the betas are those of body_model",
}
"""The SMPL-X parameters, by names that AMASS has, too, and their meaning; T images in which the
person was present. Frame, rate and rows are not those of AMASS: `pear export --format amass`."""

OWN_ARRAYS = {
    "stamps": "(T,) acquisition times of the images, seconds",
    "stamps_ns": "(T,) the same, whole nanoseconds",
    "frame": "(T,) index of the image among all; the person was absent in skipped ones",
    "tracking_state": "(T,) 1 new, 2 tracked, 3 predicted (not seen here), 5 detected (no pose)",
    **{name: one.described("T") for name, one in ESTIMATE_ARRAYS.items()},
    "scale": "(T,) size over that of the posed body",
    "depth_source": "(T,) where size comes from: 1 assumed, 2 height known, 3 measured, 4 floor",
    "betas_by_frame": "(T, B)",
    "expression": "(T, E) expression of body_model",
    "joint_names": "(55,)",
    "camera": "(T, 6) width, height, fx, fy, cx, cy, pixels",
    "id": "track id",
    "frame_id": "the camera's optical frame: x right, y down, z forward",
    "model_id": "name and version of the estimator",
    "body_model": "the body of poses, betas and expression",
}

FLAME_ARRAYS = {
    "flame_shape": "(T, S)",
    "flame_expression": "(T, X)",
    "flame_jaw": "(T, 3) axis-angle",
    "flame_eyes": "(T, 6) axis-angle, left, right",
    "flame_eyelids": "(T, 2) left, right; 1 closed",
    "flame_head_scale": "(T, 3)",
}
"""Arrays that exist only where the estimator has a FLAME head, and their meaning."""
