# SPDX-License-Identifier: Apache-2.0
"""Clips whose joints in space are triangulated from 2D points of their calibrated views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.signal import butter, filtfilt

from pear_ros.evaluation.arrays import POINT_ARRAYS
from pear_ros.evaluation.calibrations import CalibratedCamera
from pear_ros.evaluation.clips import Clip
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS
from pear_ros.evaluation.labels import Doubles, LabelError
from pear_ros.evaluation.reading import damage_of
from pear_ros.evaluation.triangulation import triangulate_clip
from pear_ros.evaluation.views import Found
from pear_ros.io.video import VIDEO_SUFFIXES

CUT_OFF = 6.0
"""Frequency above which motion is taken for noise, Hz."""

Moments = Sequence[Sequence[Sequence[Doubles]]]
"""For each frame and each view the points (17, 2) of each person, pixels."""


def view_files(folder: Path, cameras: Sequence[str]) -> list[Path]:
    """Return the video of each camera: the one whose name contains the camera's.

    Where names do not fit and there are as many videos as cameras, they are taken in the order of
    their names. Raises LabelError.
    """
    videos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    named = [[path for path in videos if camera in path.stem] for camera in cameras]
    if all(len(paths) == 1 for paths in named):
        return [paths[0] for paths in named]
    if len(videos) == len(cameras):
        return videos
    raise LabelError(
        f"{folder} has {len(videos)} videos for the cameras {', '.join(cameras)}; give a folder "
        "with one video for each, named like the camera, by --images"
    )


def found_points(views: Sequence[Found]) -> Moments:
    """Return the points that a method found in `views`: landmarks where it has them."""
    last = max((n for found in views for n in found), default=-1)
    return [
        [
            [
                one.landmarks if np.isfinite(one.landmarks).any() else one.keypoints
                for one in found.get(n, ())
            ]
            for found in views
        ]
        for n in range(last + 1)
    ]


def read_points(file: Path, cameras: int) -> Moments:
    """Return the points of an NPZ with the arrays POINT_ARRAYS. Raises LabelError."""
    with damage_of(file), np.load(file, allow_pickle=False) as data:
        if missing := set(POINT_ARRAYS) - set(data.files):
            raise LabelError(f"{file} lacks {', '.join(sorted(missing))}")
        points, names = np.asarray(data["points"], float), [str(name) for name in data["names"]]
    if points.ndim != 5 or points.shape[0] != cameras or points.shape[3:] != (len(names), 2):
        raise LabelError(
            f"{file}: 'points' has to be ({cameras}, F, P, {len(names)}, 2), not {points.shape}"
        )
    coco = np.full((*points.shape[:3], len(COCO_KEYPOINTS), 2), np.nan)
    for index, name in enumerate(COCO_KEYPOINTS):
        if name in names:
            coco[..., index, :] = points[..., names.index(name), :]
    return [
        [[one for one in coco[c, n] if np.isfinite(one).any()] for c in range(cameras)]
        for n in range(points.shape[1])
    ]


def triangulated(
    name: str,
    cameras: Sequence[CalibratedCamera],
    videos: Sequence[Path],
    moments: Moments,
    frame_rate: float,
) -> tuple[Clip, str]:
    """Return the clip, and a line about the error of joints that are projected again.

    Raises LabelError where nobody is seen by two views.
    """
    result = triangulate_clip(cameras, moments)
    if not result.joints.shape[1]:
        raise LabelError(
            "nobody was triangulated: the views' points do not fit together; check that the videos "
            "are synchronous and of the size and in the order of the calibration"
        )
    frames = np.arange(len(moments))
    clip = Clip(name, cameras, videos, frames, frame_rate, smoothed(result.joints, frame_rate))
    error = result.error[np.isfinite(result.error)]
    known = float(np.isfinite(result.joints[..., 0]).mean())
    views = np.isfinite(result.error).sum(axis=2)
    return clip, (
        f"Re-projection error: mean {error.mean():.1f}, median {np.median(error):.1f}, "
        f"95 % {np.percentile(error, 95):.1f} pixels; {100 * known:.0f} % of joints known, "
        f"by {views[views > 0].mean():.1f} views"
    )


def smoothed(joints: Doubles, frame_rate: float) -> Doubles:
    """Return joints (F, P, J, 3) without their noise, as motion capture is processed.

    A Butterworth low-pass at CUT_OFF, forwards and backwards: of fourth order, without delay
    (Winter, Biomechanics and Motor Control of Human Movement, 2009). Stretches of a joint that are
    too short for it stay as they are.
    """
    if frame_rate <= 2.0 * CUT_OFF:
        return joints
    numerator, denominator = butter(2, CUT_OFF, fs=frame_rate)
    shortest = 3 * max(len(numerator), len(denominator)) + 1
    result = joints.copy()
    known = np.asarray(np.isfinite(joints).all(axis=3))
    for person, joint in np.ndindex(joints.shape[1:3]):
        edges = np.flatnonzero(np.diff(np.pad(np.asarray(known[:, person, joint], int), 1)))
        for start, stop in np.reshape(edges, (-1, 2)):
            if stop - start >= shortest:
                stretch = joints[start:stop, person, joint]
                result[start:stop, person, joint] = filtfilt(
                    numerator, denominator, stretch, axis=0
                )
    return result
