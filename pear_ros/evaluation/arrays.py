# SPDX-License-Identifier: Apache-2.0
"""Names and meanings of the arrays in the files of clips and of 2D points."""

from __future__ import annotations

ARRAYS = {
    "K": "(C, 3, 3) intrinsics of the C cameras, pixels",
    "R": "(C, 3, 3) rotations from world axes to the optical frames",
    "t": "(C, 3) the world's origin in the optical frames, metres",
    "size": "(C, 2) width and height of the images, pixels",
    "videos": "(C,) names of the video files, relative to the NPZ or to --images",
    "distortion": "(C, 4 or 5) k1 k2 p1 p2 k3; optional",
    "frames": "(F,) numbers of the labelled frames in the videos, from 0, ascending",
    "frame_rate": "frames of the videos per second",
    "names": "(J,) names of the joints: COCO's keypoints; others are left out",
    "joints": "(F, P, J, 3) joints of P people in the world, metres; NaN: unknown",
    "orientation": "(F, P, 3, 3) from body axes (left, up, forward) to world axes; optional",
    "vertices": "(F, P, V, 3) of the estimator's mesh in the world, metres; optional",
}
"""Arrays of the NPZ of a clip, with their meanings."""

POINT_ARRAYS = {
    "points": "(C, F, P, J, 2) points of up to P people in C views, pixels; NaN: unknown",
    "names": "(J,) names of the points: COCO's keypoints; others are left out",
}
"""Arrays of the NPZ of --points, with their meanings."""
