# SPDX-License-Identifier: Apache-2.0
"""Arrays in the npz file of `pear run`, for its writer, its reader and `pear run --help`."""

from __future__ import annotations

from pear_ros.core.estimate_arrays import ESTIMATE_ARRAYS

ARRAYS = {
    "frame": "(P,) index of the frame in which the person was seen, from 0",
    "stamp": "(P,) its time, seconds from the start of the video",
    "id": "(P,) track id",
    "state": "(P,) 1 new, 2 tracked, 3 predicted (not seen here), 5 detected (no pose)",
    **{name: one.described("P") for name, one in ESTIMATE_ARRAYS.items()},
    "box": "(P, 4) x0 y0 x1 y1, pixels",
    "pose": "(P, 55, 3) axis-angle: global_orient, body 21, jaw, eyes 2, left and right hand 15",
    "betas": "(P, B) shape coefficients of body_model",
    "expression": "(P, E) expression coefficients of body_model",
    "transl": "(P, 3) added to the posed template, metres",
    "flame_shape": "(P, S) FLAME's head, where the estimator has it; else S is 0 and the rest NaN",
    "flame_expression": "(P, X)",
    "flame_jaw": "(P, 3) axis-angle",
    "flame_eyes": "(P, 6) axis-angle, left, right",
    "flame_eyelids": "(P, 2) left, right; 1 closed",
    "flame_head_scale": "(P, 3)",
    "frame_stamp": "(F,) time of every frame, also of those without people",
    "camera": "(6,) width, height, fx, fy, cx, cy, pixels",
    "model_id": "name and version of the estimator",
    "body_model": "the body of pose, betas and expression",
}
"""Name and meaning of each array; P persons over all frames in order of time, F frames."""
