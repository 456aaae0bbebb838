# SPDX-License-Identifier: Apache-2.0
"""Distance from the floor: errors over distance, tilt errors, poses, and on a real clip.

    python -m benchmarks.floor [FOLDER]

Known truth: the open body, of random shape and heading and 1.4 to 2.0 m tall, on a floor before a
camera of 1280 x 720 pixels (focal length 900), 1.2 m above it, which looks down by 14 degrees. No
picture is drawn, which would take too long for so many: the body's landmarks are projected with
noise (1 % of the person's height in the image and 0.7 pixels; world landmarks 2 cm across and 5 cm
along the line of sight), and the package's fit of one image makes the estimate
(testing/floor_people.py). Landmarks outside of the image are not seen. The tilt of the floor that
is given is wrong by 0, 1 or 2 degrees about a random horizontal axis; its standard deviation is
said to be that, or 0.3 degrees.

Real: the calibrated multi-person demo of the Python package pose2sim as FOLDER/clip/multiperson.npz
(default: $PEAR_ROS_DATA; see benchmarks/real_footage.py), every fourth image of its four views by
the open default with tracking. The floor is z = 0 of its calibration. Truth: mean of the hips,
triangulated from heavy landmarks of all views.

Errors are those of the pelvis' distance, absolute, in percent of it: median and 90 % quantile.

- assumed: the size that the estimator gives the body
- floor: with the floor, in single images (real: images of a track, whose height is learnt)
- used: share of people whose distance the floor gave
- z: root mean square of the error over `depth_error`; 1 if that is right, less if it is cautious
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmarks.report import Table, write_report
from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import Camera
from pear_ros.core.ground import GroundPlane
from pear_ros.core.parameters import Settings
from pear_ros.core.people import DepthSource, Person, TrackingState
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.evaluation.clips import Clip, read_clip
from pear_ros.io.video import FrameSource
from pear_ros.pipeline import Pipeline
from pear_ros.scale.metric_scale import MetricScale
from testing.floor_people import CAMERA, FloorScene, FloorStudio
from testing.synthetic_depth import OpenBodyEstimator

Doubles = npt.NDArray[np.float64]

DISTANCES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
TILT_ERRORS = (0.0, 1.0, 2.0)
"""Degrees."""
MIN_TILT_STD, HEIGHT_STD = np.radians(0.3), 0.01
REPEATS = 16
CAMERA_TILT = np.radians(14.0)
HEIGHTS = (1.4, 2.0)
CASES: tuple[tuple[str, str, float, bool], ...] = (
    ("standing", "standing", 0.0, False),
    ("walking", "walking", 0.0, False),
    ("sitting on a chair", "sitting", 0.0, False),
    ("crouching", "crouching", 0.0, False),
    ("sitting on the floor", "cross-legged", 0.0, False),
    ("lying", "lying", 0.0, False),
    ("feet and legs hidden", "standing", 0.0, True),
    ("on a step of 10 cm", "standing", 0.1, False),
    ("on a step of 20 cm", "standing", 0.2, False),
    ("in mid-air, 40 cm", "standing", 0.4, False),
)
"""Name, kind of pose, lift above the floor, hidden legs."""
EVERY = 4
"""Images of the clip from one that is taken to the next."""

HEAD = ("assumed, median", "floor, median", "floor, 90 %", "used", "z")
BODIES = ScaledBodies(OpenBodyEstimator())  # type: ignore[arg-type]  # not a complete Estimator


def tilted(ground: GroundPlane, degrees: float, rng: np.random.Generator) -> GroundPlane:
    """Return the floor with a tilt that is wrong by some `degrees` about a horizontal axis."""
    axis = np.cross(ground.normal, rng.normal(size=3))
    wrong = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis)).as_matrix()
    std = max(float(np.radians(degrees)), MIN_TILT_STD)
    return replace(ground.rotated(wrong), tilt_std=std, height_std=HEIGHT_STD)


def row(
    before: Doubles, after: Doubles, error_std: Doubles, used: npt.NDArray[np.bool_]
) -> list[str]:
    """Return the cells of HEAD from relative errors and their standard deviations."""
    return [
        f"{100 * np.median(np.abs(before)):.1f}",
        f"{100 * np.median(np.abs(after)):.1f}",
        f"{100 * np.quantile(np.abs(after), 0.9):.1f}",
        f"{100 * np.mean(used):.0f}",
        f"{np.sqrt(np.mean((after / error_std) ** 2)):.2f}",
    ]


def measured(scenes: Sequence[FloorScene], degrees: float) -> list[str]:
    """Return the cells of HEAD of single images."""
    rng = np.random.default_rng(7)
    before, after, stds, used = [], [], [], []
    for scene in scenes:
        ground = tilted(scene.ground, degrees, rng)
        [person] = MetricScale(BODIES)([scene.person], CAMERA, 0.0, None, None, ground)
        distance = float(np.linalg.norm(scene.pelvis))
        before.append(scene.distance_error(scene.person))
        after.append(scene.distance_error(person))
        stds.append(person.depth_error / distance)
        used.append(person.depth_source is DepthSource.FLOOR)
    return row(np.array(before), np.array(after), np.array(stds), np.array(used))


def synthetic() -> dict[str, Table]:
    """Return the tables of known truth."""
    studio = FloorStudio()

    def scenes(kind: str, distance: float, lift: float, hidden: bool) -> list[FloorScene]:
        rng = np.random.default_rng(3)
        return [
            studio.scene(
                rng,
                kind,
                distance,
                height=float(rng.uniform(*HEIGHTS)),
                tilt=float(CAMERA_TILT),
                lift=lift,
                hidden_legs=hidden,
            )
            for _ in range(REPEATS)
        ]

    by_distance = []
    for distance in tqdm(DISTANCES, unit="distance"):
        seen = scenes("standing", distance, 0.0, False)
        for degrees in TILT_ERRORS:
            by_distance.append([f"{distance:g}", f"{degrees:g}", *measured(seen, degrees)])
    by_case = [
        [name, f"{distance:g}", *measured(scenes(kind, distance, lift, hidden), 0.0)]
        for name, kind, lift, hidden in tqdm(CASES, unit="case")
        for distance in (3.0, 6.0)
    ]
    return {
        "Standing, over distance and tilt error": (
            ("distance, m", "tilt error, degrees", *HEAD),
            by_distance,
        ),
        "Poses, contact and occlusion, without a tilt error": (
            ("case", "distance, m", *HEAD),
            by_case,
        ),
    }


def real(clip: Clip) -> Table:
    """Return the table of the clip."""
    rows = []
    by_view = [_people(clip, view) for view in tqdm(range(len(clip.cameras)), unit="view")]
    for degrees in TILT_ERRORS:
        everything: list[tuple[float, float, float, bool]] = []
        for view, images in enumerate(by_view):
            found = _errors(clip, view, images, degrees)
            everything += found
            if degrees == 0.0:
                name = f"view {view + 1}, {clip.cameras[view].name}"
                rows.append([name, "0", str(len(found)), *_row(found)])
        rows.append(["**all**", f"{degrees:g}", str(len(everything)), *_row(everything)])
    return (("view", "tilt error, degrees", "people", *HEAD), rows)


def _row(found: Sequence[tuple[float, float, float, bool]]) -> list[str]:
    before, after, stds, used = (np.array(one) for one in zip(*found, strict=True))
    return row(before, after, stds, used)


def _people(clip: Clip, view: int) -> list[tuple[int, Sequence[Person]]]:
    """Index in the clip's frames and people, at the estimator's scale, of each image taken."""
    pipeline = Pipeline(settings=Settings(smoothing=False))
    wanted = {int(clip.frames[n]): n for n in range(0, len(clip.frames), EVERY)}
    images = []
    for number, (_, image) in enumerate(FrameSource(str(clip.videos[view]))):
        if number in wanted:
            people = pipeline(image, clip.cameras[view].camera, number / clip.frame_rate)
            images.append((wanted[number], people.persons))
    pipeline.close()
    return images


def _errors(
    clip: Clip, view: int, images: Sequence[tuple[int, Sequence[Person]]], degrees: float
) -> list[tuple[float, float, float, bool]]:
    """Relative errors of distance before and after, deviation, whether the floor gave it."""
    calibrated = clip.cameras[view]
    to_camera = RigidTransform(calibrated.rotation, calibrated.translation)
    exact = GroundPlane.from_pose(to_camera.inverse(), MIN_TILT_STD, HEIGHT_STD)
    ground = tilted(exact, degrees, np.random.default_rng(view))
    scale = MetricScale(BODIES)
    result = []
    for n, persons in images:
        stamp = float(clip.frames[n]) / clip.frame_rate
        placed = scale(persons, calibrated.camera, stamp, None, None, ground)
        hips = to_camera.apply(clip.joints[n, :, 11:13].mean(axis=1))  # (P, 3)
        for before, after in zip(persons, placed, strict=True):
            if before.state not in (TrackingState.NEW, TrackingState.TRACKED):
                continue
            true = _nearest(before, hips, calibrated.camera)
            if true is not None:
                distance = float(np.linalg.norm(true))
                errors = [
                    float(np.linalg.norm(one.joints[1:3].mean(axis=0))) / distance - 1.0
                    for one in (before, after)
                ]
                used = after.depth_source is DepthSource.FLOOR
                result.append((errors[0], errors[1], after.depth_error / distance, used))
    return result


def _nearest(person: Person, hips: Doubles, camera: Camera) -> Doubles | None:
    """True hips (3,) that are seen where the person's are; None: nobody's."""
    pixels = camera.project(hips)
    own = person.keypoints[1:3].mean(axis=0)
    apart = np.linalg.norm(pixels - own, axis=1)
    size = float((person.box[2:] - person.box[:2]).max())
    if not np.isfinite(apart).any():
        return None
    best = int(np.nanargmin(apart))
    return hips[best] if apart[best] < 0.15 * size else None


def main() -> None:
    """Run the benchmark and write the report."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PEAR_ROS_DATA", "."))
    file = folder / "clip" / "multiperson.npz"
    with threadpool_limits(1):
        tables = synthetic()
        if file.is_file():
            tables["Real clip"] = real(read_clip(file))
    write_report("floor", __doc__ or "", tables)


if __name__ == "__main__":
    main()
