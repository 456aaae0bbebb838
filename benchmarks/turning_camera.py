# SPDX-License-Identifier: Apache-2.0
"""A camera that turns: identity and smoothing with and without its pose in a fixed frame.

    python -m benchmarks.turning_camera

A camera on a robot turns to and fro by up to 25 degrees to each side, at peak rates of 30 to 120
degrees a second. With `target_frame` tracks and filter states move with its pose; without it, all
people swing through the image.

Identity: the scenes of benchmarks/identity.py (four people who cross, detections in each image);
people outside of the image are left out. IDF1 and switches as there.

Smoothing: the scenes of benchmarks/smoothing.py, with the same errors of measurement, which are
across and along the line of sight of the camera before it turns. Results are compared with the
truth in the fixed frame: jitter, m/s^2 (mean difference to the true acceleration), lag, ms, and
error, mm, of the pelvis across and along that line, and of the joints relative to the pelvis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from benchmarks.crossing_people import CAMERA, Frame, scene
from benchmarks.identity import Boxes, PackageTracker, Score
from benchmarks.motion import Doubles
from benchmarks.motion_figures import joint_figures, pelvis_figures
from benchmarks.motion_scene import Scene
from benchmarks.report import write_report
from benchmarks.smoothing import CAMERA as SMOOTHING_CAMERA
from benchmarks.smoothing import OpenBodyEstimator, images
from pear_ros.core import quaternions
from pear_ros.core.boxes import move_boxes
from pear_ros.core.camera_motion import CameraMotion
from pear_ros.core.moving import moved
from pear_ros.core.people import Array, Estimate, Person, stack
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.smoothing.smoother import Smoother

AMPLITUDE = np.radians(25.0)
PEAK_RATES = (0.0, 30.0, 60.0, 120.0)
"""Degrees a second."""
RATES = (30.0, 10.0)
"""Images a second."""
PEOPLE, SECONDS, SEEDS = 4, 20.0, range(100, 102)
SMOOTHED = range(4)


def pose_at(stamp: float, peak_rate: float) -> RigidTransform:
    """Return the pose of the camera in the fixed frame at `stamp`, seconds."""
    angle = AMPLITUDE * np.sin(np.radians(peak_rate) / AMPLITUDE * stamp)
    rotation = Rotation.from_rotvec([0.0, angle, 0.0]).as_matrix()
    return RigidTransform(rotation, np.zeros(3))


def seen(frame: Frame, to_camera: RigidTransform) -> Frame:
    """Return a frame of the fixed camera as the turned camera sees it."""
    truth = {n: _box(box, to_camera) for n, box in frame.truth.items()}
    return Frame(
        frame.stamp,
        {n: box for n, box in truth.items() if _inside(box)},
        [one for one in (_turned(one, to_camera) for one in frame.estimates) if _inside(one.box)],
        [
            one
            for one in (_turned(one, to_camera) for one in frame.false_alarms)
            if _inside(one.box)
        ],
    )


def _box(box: Array, to_camera: RigidTransform) -> Array:
    """A box (4,) after a turn of the camera, which depends on no distance."""
    ray = np.append(CAMERA.rays((box[:2] + box[2:]) / 2.0), 1.0)[None].astype(np.float64)
    (moved,) = move_boxes(box[None], ray, to_camera.apply(ray), CAMERA)
    return np.asarray(moved)


def _turned(estimate: Estimate, to_camera: RigidTransform) -> Estimate:
    joints = to_camera.apply(estimate.joints)
    keypoints = CAMERA.project(joints)
    return replace(estimate, joints=joints, keypoints=keypoints, box=_box(estimate.box, to_camera))


def _inside(box: Array) -> bool:
    centre = (box[:2] + box[2:]) / 2.0
    return bool(((centre >= 0.0) & (centre < (CAMERA.width, CAMERA.height))).all())


class TurningTracker(PackageTracker):
    """The package's tracker with the camera's pose, if `poses`."""

    def __init__(self, peak_rate: float, *, poses: bool) -> None:
        super().__init__()
        self._peak_rate = peak_rate
        self._poses = poses
        self._motion = CameraMotion()

    def __call__(self, frame: Frame) -> Boxes:
        """Return the boxes of measured people in an image."""
        motion = self._motion(pose_at(frame.stamp, self._peak_rate), frame.stamp)
        if self._poses and motion is not None:
            self._tracker.move(motion)
        return super().__call__(frame)


def identity() -> list[list[str]]:
    """Return the rows of the table of identity."""
    rows = []
    for rate in RATES:
        for peak in PEAK_RATES:
            scores = [Score(), Score()]
            for seed in SEEDS:
                frames = [
                    seen(frame, pose_at(frame.stamp, peak).inverse())
                    for frame in scene(PEOPLE, SECONDS, rate, seed)
                ]
                for score, poses in zip(scores, (False, True), strict=True):
                    score.add(frames, TurningTracker(peak, poses=poses))
            rows.append(
                [f"{rate:g}", f"{peak:g}"]
                + [f"{100 * score.idf1:.1f}" for score in scores]
                + [str(score.switches) for score in scores]
            )
    return rows


def smoothing() -> list[list[str]]:
    """Return the rows of the table of smoothing."""
    rows = []
    for rate in RATES:
        still = Scene.generate(list(SMOOTHED), int(rate), 0.015)
        for peak in PEAK_RATES:
            for name, poses in (("raw", None), ("without", False), ("with", True)):
                places, rotations = _smoothed(still, peak, poses)
                across, along = pelvis_figures(still, places)
                joints = joint_figures(still, rotations)
                rows.append(
                    [f"{rate:g}", f"{peak:g}", name, *across.row(), *along.row(), *joints.row()]
                )
    return rows


def _smoothed(still: Scene, peak: float, poses: bool | None) -> tuple[Doubles, Doubles]:
    """Pelvis (T, N, 3) and rotations (T, N, 55, 4) of the joints, in the fixed frame.

    `poses`: whether the smoother gets the camera's motion; None: nothing is smoothed.
    """
    smooth, motion_of = Smoother(OpenBodyEstimator()), CameraMotion()  # type: ignore[arg-type]
    places, rotations = [], []
    for stamp, persons in zip(map(float, still.times), images(still), strict=True):
        pose = pose_at(stamp, peak)
        motion = motion_of(pose, stamp)
        if poses and motion is not None:
            smooth.move(motion)
        people: Sequence[Person] = [moved(one, pose.inverse()) for one in persons]
        if poses is not None:
            people = smooth(people, SMOOTHING_CAMERA, stamp)
        back = [moved(one, pose) for one in people]
        places.append(np.array([one.joints[0] for one in back], np.float64))
        poses_back = stack([one.smplx for one in back]).pose.astype(np.float64)
        rotations.append(quaternions.from_vectors(poses_back))
    return np.stack(places), np.stack(rotations)


def main() -> None:
    """Run the benchmark and write the report."""
    parts = ("jitter", "lag", "error")
    heads = {
        "Identity": (
            *("images a second", "peak rate, degrees/s", "IDF1 %, without poses"),
            *("IDF1 %, with poses", "switches, without", "switches, with"),
        ),
        "Smoothing": (
            *("images a second", "peak rate, degrees/s", "poses"),
            *(f"{name} {part}" for name in ("across", "along", "joints") for part in parts),
        ),
    }
    with threadpool_limits(1):
        rows = {"Identity": identity(), "Smoothing": smoothing()}
    write_report(
        "turning_camera", __doc__ or "", {name: (heads[name], rows[name]) for name in heads}
    )


if __name__ == "__main__":
    main()
