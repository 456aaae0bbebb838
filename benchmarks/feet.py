# SPDX-License-Identifier: Apache-2.0
"""Feet: contact with the floor, skating, floating and penetration, before and after.

    python -m benchmarks.feet [FOLDER]

before: smoothed people; after: with `pear_ros.smoothing.feet`. Each with and without a known floor.

Known truth: the open body, of random size, walks in random directions 4.5 m before a camera of
1280 x 720 pixels (focal length 900), 1.2 m above the floor, which looks down by 14 degrees, for 4 s
at 30 images a second. Its feet are planted by inverse kinematics (testing/walking_people.py). No
picture is drawn: the body's landmarks are projected with noise (1 % of the person's height in the
image and 0.7 pixels; world landmarks 2 cm across and 5 cm along the line of sight; half of the
variance correlated over 0.15 s), and the package's fit makes the estimates. Skating, floating and
penetration are those of heels and toes.

Real: the calibrated multi-person demo of the Python package pose2sim as FOLDER/clip/multiperson.npz
(default: $PEAR_ROS_DATA; see benchmarks/real_footage.py), all images of its four views: 1.7 s at 60
images a second, of a person who walks and one who stands. The floor is z = 0 of its calibration.
Truth are joints triangulated from heavy landmarks of all views, which have ankles only: a foot is
in contact where its ankle is slower than 0.25 m/s, over 0.1 s, and not above 0.8 m/s; between, it
is left out. Skating is that of ankles; floating and penetration those of the foot's lower sole.

- skating: distance from one image in contact to the next, mean and median, mm. At 60 images a
  second each is of half the time
- floating, penetration: mean height of soles in contact above, and below, the true floor, mm;
  where the floor is not given, they say how wrong the assumed distance is
- MPJPE: mean error of 12 joints of limbs and trunk relative to the middle of the hips, mm; PA:
  after the best similarity transform; legs: MPJPE of knees and ankles alone
- image: mean error of knees and ankles in the image, % of the longer side of the box
- moved: largest distance by which an ankle is moved in the image, % of that
- contact: P >= 0.5 against the truth; unknown: share of points, or feet, of which nothing is said

Cost: least milliseconds of Feet and of Smoother for an image, on synthetic people.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmarks.motion import correlated_noise
from benchmarks.report import Table, write_report
from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import Camera
from pear_ros.core.ground import GroundPlane
from pear_ros.core.parameters import Settings
from pear_ros.core.people import Person, TrackingState, stack
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.evaluation.clips import Clip, read_clip
from pear_ros.evaluation.pose_metrics import mpjpe, pa_mpjpe
from pear_ros.io.video import FrameSource
from pear_ros.pipeline import Pipeline
from pear_ros.scale.metric_scale import MetricScale
from pear_ros.smoothing.feet import Feet
from pear_ros.smoothing.smoother import Smoother
from pear_ros.smoothing.soles import sole_points
from testing.floor_people import CAMERA, FloorStudio
from testing.synthetic_depth import OpenBodyEstimator
from testing.walking_people import walking_scene

Doubles = npt.NDArray[np.float64]

SEEDS, RATE, SECONDS, DISTANCE = range(6), 30.0, 4.0, 4.5
GROUND = GroundPlane.from_tilt(1.2, np.radians(14.0), np.radians(0.3), 0.01)
TILT_STD, HEIGHT_STD = np.radians(0.3), 0.01
SLOW, FAST = 0.25, 0.8
"""Speeds of an ankle, m/s, below which a foot is in contact, and above which it is not."""
WINDOW = 3
"""Images before and after, over which the speed of an ankle is measured."""

JOINTS = [1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21]
"""Hips, knees, ankles, shoulders, elbows and wrists of SMPL-X."""
COCO = [11, 12, 13, 14, 15, 16, 5, 6, 7, 8, 9, 10]
"""The same of COCO's keypoints."""
LEGS = [2, 3, 4, 5]
"""Knees and ankles among these joints."""
HEAD = (
    *("", "floor", "skating, mean", "skating, median", "floating", "penetration"),
    *("MPJPE", "PA", "legs", "image", "moved"),
)
CONTACT_HEAD = ("", "floor", "points or feet", "unknown, %", "precision, %", "recall, %")
BODIES = ScaledBodies(OpenBodyEstimator())  # type: ignore[arg-type]  # not a complete Estimator


@dataclass(frozen=True)
class Sample:
    """One person in one image."""

    frame: int
    before: Person
    after: Person
    truth: Doubles
    """(12, 3) JOINTS in the optical frame, metres; NaN: unknown."""
    contact: Doubles
    """(K,) 1 or 0 of 4 soles, or of 2 feet; NaN: unknown."""


@dataclass
class Walk:
    """One person in one view over time."""

    camera: Camera
    ground: GroundPlane
    samples: list[Sample] = field(default_factory=list)


def points_of(person: Person, count: int) -> Doubles:
    """Return the 4 soles, or the 2 ankles, (K, 3) of a person, by which skating is measured."""
    if count == 4:
        pose, joints = person.smplx.pose[None], person.joints[None]
        return np.asarray(sole_points(pose, joints)[0], np.float64)
    return person.joints[[7, 8]].astype(np.float64)


def figures(sequences: Sequence[Walk], part: str) -> list[str]:
    """Return the cells of HEAD from the third on, of `part`: "before" or "after"."""
    slides: list[float] = []
    heights: list[float] = []
    errors: dict[str, list[float]] = {name: [] for name in ("MPJPE", "PA", "legs", "image")}
    moved = [0.0]
    for sequence in sequences:
        last: tuple[int, Doubles, Doubles] | None = None
        for one in sequence.samples:
            person: Person = getattr(one, part)
            points = points_of(person, len(one.contact))
            on_floor = one.contact == 1.0
            if last is not None and last[0] == one.frame - 1:
                both = on_floor & last[2]
                slides += list(np.linalg.norm(points - last[1], axis=1)[both])
            last = (one.frame, points, on_floor)
            height = sequence.ground.height - sequence.ground.below(points_of(person, 4))
            height = height if len(one.contact) == 4 else height.reshape(2, 2).min(axis=1)
            heights += list(height[on_floor])
            joints = person.joints[JOINTS].astype(np.float64)
            own, true = joints - joints[:2].mean(axis=0), one.truth - one.truth[:2].mean(axis=0)
            errors["MPJPE"].append(mpjpe(own, true))
            errors["PA"].append(pa_mpjpe(joints, one.truth))
            errors["legs"].append(mpjpe(own[LEGS], true[LEGS]))
            side = float((person.box[2:] - person.box[:2]).max()) / 100.0
            pixels = sequence.camera.project(one.truth[LEGS].astype(np.float32))
            apart = np.linalg.norm(person.keypoints[JOINTS][LEGS] - pixels, axis=1)
            errors["image"].append(float(np.nanmean(apart)) / side)
            shift = np.linalg.norm(person.keypoints[[7, 8]] - one.before.keypoints[[7, 8]], axis=1)
            moved.append(float(shift.max()) / side)
    mm = 1000.0 * np.array(heights)
    return [
        f"{1000 * np.mean(slides):.1f}",
        f"{1000 * np.median(slides):.1f}",
        f"{np.maximum(mm, 0).mean():.0f}",
        f"{np.maximum(-mm, 0).mean():.0f}",
        *(f"{np.nanmean(errors[name]):.1f}" for name in ("MPJPE", "PA", "legs")),
        f"{np.nanmean(errors['image']):.2f}",
        f"{max(moved):.2f}",
    ]


def contact_figures(sequences: Sequence[Walk]) -> list[str]:
    """Return the cells of CONTACT_HEAD from the third on."""
    truth, found = [], []
    for sequence in sequences:
        for one in sequence.samples:
            contact = one.after.foot_contact
            truth.append(one.contact)
            found.append(contact if len(one.contact) == 4 else contact.reshape(2, 2).max(axis=1))
    true, p = np.array(truth), np.array(found)
    labelled = np.isfinite(true)
    known = labelled & np.isfinite(p)
    positive, right = known & (p >= 0.5), known & (p >= 0.5) & (true == 1.0)
    return [
        str(labelled.sum()),
        f"{100 * (1 - known.sum() / labelled.sum()):.1f}",
        f"{100 * right.sum() / positive.sum():.1f}",
        f"{100 * right.sum() / (known & (true == 1.0)).sum():.1f}",
    ]


def walking() -> dict[bool, list[Walk]]:
    """Return the walking people of known truth, without and with a known floor."""
    studio = FloorStudio()
    found: dict[bool, list[Walk]] = {False: [], True: []}
    times: Doubles = np.arange(0.0, SECONDS, 1.0 / RATE, np.float64)
    for seed in tqdm(SEEDS, unit="person"):
        rng = np.random.default_rng([seed, 7])
        scene = walking_scene(rng, studio.body, GROUND, times, DISTANCE)
        errors = correlated_noise(rng, times, 0.15, (33, 5))
        smplx = stack(scene.smplx)
        origin = np.zeros_like(smplx.transl)
        joints = studio.body.joints(smplx.pose, smplx.betas, smplx.expression, origin)
        joints = (scene.size * joints + smplx.transl[:, None])[:, JOINTS].astype(np.float64)
        estimates, fit = [], None
        for one, error in zip(scene.smplx, errors, strict=True):
            landmarks = studio.landmarks(error, one, scene.size, CAMERA)
            fit = studio.fit(landmarks, CAMERA, fit, 1.0 / RATE)
            estimates.append(studio.person(fit, CAMERA))
        for floor, sequences in found.items():
            sequence = Walk(CAMERA, GROUND)
            scale, smooth, feet = MetricScale(BODIES), Smoother(BODIES), Feet()
            for n, estimate in enumerate(estimates):
                ground = GROUND if floor else None
                persons = scale([estimate], CAMERA, times[n], None, None, ground)
                [before] = smooth(persons, CAMERA, times[n])
                [after] = feet([before], CAMERA, times[n], ground)
                contact = scene.contact[n].astype(np.float64)
                sequence.samples.append(Sample(n, before, after, joints[n], contact))
            sequences.append(sequence)
    return found


def real(clip: Clip) -> dict[bool, list[Walk]]:
    """Return the people of the clip, without and with a known floor."""
    contact = _contact(clip)
    found: dict[bool, list[Walk]] = {False: [], True: []}
    for view, calibrated in enumerate(tqdm(clip.cameras, unit="view")):
        to_camera = RigidTransform(calibrated.rotation, calibrated.translation)
        ground = GroundPlane.from_pose(to_camera.inverse(), TILT_STD, HEIGHT_STD)
        images = _estimates(clip, view)
        for floor, sequences in found.items():
            people = [Walk(calibrated.camera, ground) for _ in range(clip.joints.shape[1])]
            scale, smooth, feet = MetricScale(BODIES), Smoother(BODIES), Feet()
            for n, persons in images.items():
                stamp = float(clip.frames[n]) / clip.frame_rate
                given = ground if floor else None
                placed = scale(persons, calibrated.camera, stamp, None, None, given)
                before = smooth(placed, calibrated.camera, stamp)
                after = feet(before, calibrated.camera, stamp, given)
                truth = to_camera.apply(clip.joints[n][:, COCO])
                for one, other in zip(before, after, strict=True):
                    who = _nearest(one, truth, calibrated.camera)
                    if who is not None:
                        sample = Sample(n, one, other, truth[who], contact[n, who])
                        people[who].samples.append(sample)
            sequences += people
    return found


def _contact(clip: Clip) -> Doubles:
    """(F, P, 2) contact of the feet, by the speed of the ankles."""
    ankles = clip.joints[:, :, 15:17]
    speed = np.full(ankles.shape[:3], np.nan)
    seconds = 2 * WINDOW / clip.frame_rate
    apart = ankles[2 * WINDOW :] - ankles[: -2 * WINDOW]
    speed[WINDOW:-WINDOW] = np.linalg.norm(apart, axis=-1) / seconds
    return np.where(speed < SLOW, 1.0, np.where(speed > FAST, 0.0, np.nan))


def _estimates(clip: Clip, view: int) -> dict[int, Sequence[Person]]:
    """People at the estimator's scale, by the index in the clip's frames."""
    pipeline = Pipeline(settings=Settings(smoothing=False))
    wanted = {int(frame): n for n, frame in enumerate(clip.frames)}
    images: dict[int, Sequence[Person]] = {}
    for number, (_, image) in enumerate(FrameSource(str(clip.videos[view]))):
        people = pipeline(image, clip.cameras[view].camera, number / clip.frame_rate)
        if number in wanted:
            images[wanted[number]] = people.persons
    pipeline.close()
    return images


def _nearest(person: Person, truth: Doubles, camera: Camera) -> int | None:
    """Index of the person of `truth` (P, 12, 3) whose hips are where the person's are."""
    if person.state not in (TrackingState.NEW, TrackingState.TRACKED):
        return None
    pixels = camera.project(truth[:, :2].mean(axis=1).astype(np.float32))
    apart = np.linalg.norm(pixels - person.keypoints[1:3].mean(axis=0), axis=1)
    if not np.isfinite(apart).any():
        return None
    best = int(np.nanargmin(apart))
    return best if apart[best] < 0.15 * float((person.box[2:] - person.box[:2]).max()) else None


def cost(sequences: Sequence[Walk]) -> Table:
    """Return the table of least milliseconds, of alternating runs."""
    rows = []
    for count in (1, 6):
        smooth, feet = Smoother(BODIES), Feet()
        spent: list[tuple[float, float]] = []
        for n in range(len(sequences[0].samples)):
            persons = [
                Person(**{**vars(sequences[k].samples[n].before), "id": f"h{k}"})
                for k in range(count)
            ]
            start = time.perf_counter()
            smoothed = smooth(persons, CAMERA, n / RATE)
            middle = time.perf_counter()
            feet(smoothed, CAMERA, n / RATE, GROUND)
            spent.append((middle - start, time.perf_counter() - middle))
        least = 1000.0 * np.min(spent[5:], axis=0)
        rows.append([str(count), f"{least[0]:.2f}", f"{least[1]:.2f}"])
    return (("people", "Smoother, ms", "Feet, ms"), rows)


def main() -> None:
    """Run the benchmark and write the report."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PEAR_ROS_DATA", "."))
    file = folder / "clip" / "multiperson.npz"
    tables: dict[str, Table] = {}
    contact: list[list[str]] = []
    with threadpool_limits(1):
        known = walking()
        sets = {"Known truth": known}
        if file.is_file():
            sets["Real clip"] = real(read_clip(file))
        for name, found in sets.items():
            rows = []
            for floor, sequences in found.items():
                given = "known" if floor else "unknown"
                rows += [[part, given, *figures(sequences, part)] for part in ("before", "after")]
                contact.append([name, given, *contact_figures(sequences)])
            tables[name] = (HEAD, rows)
        tables["Contact"] = (CONTACT_HEAD, contact)
        tables["Cost"] = cost(known[True])
    write_report("feet", __doc__ or "", tables)


if __name__ == "__main__":
    main()
