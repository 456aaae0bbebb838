# SPDX-License-Identifier: Apache-2.0
"""Motion for retargeting: skating, floating, jitter, exchanged limbs, gaps and drift.

    python -m benchmarks.motion_quality [FOLDER]

Methods, all at the same frames and put on the floor by one constant height each:

- raw: as estimated image by image, without smoothing; interpolated to the frames
- One Euro: raw through the filter of Casiez, Roussel and Vogel (CHI 2012), on each relative
  rotation and on the pelvis. Cut-off and slope are those of the least MPJPE on tuning walkers
- live smoothing: `pear_ros.smoothing`, as the node publishes it (causal)
- offline: `pear_ros.motion`, as `pear export` writes motion, of raw tracks and of live ones

Known truth: the open body walks past the camera for 4 s at 30 images a second, its feet planted by
inverse kinematics; its landmarks are projected with noise and fitted by the package
(benchmarks/feet.py has the figures of both). It is not seen for 0.3 s, and left and right landmarks
of the limbs are exchanged for 0.1 s and for 0.15 s. Reported people are of other seeds than those
on which filters were tuned. The truth itself is in the last row: jitter that it has should stay.

Clips: the demo clip (a man on a roof who jumps down, a woman who walks), and camera 2 of the
single-person demo in the Python package pose2sim (a man who balances, 1.7 s at 60 images a second),
as FOLDER/single/cam02.mp4 (default: $PEAR_ROS_DATA), left out if missing. They have no truth:
contact is that of the raw motion, by speed and height of its soles, for all methods.

- skating: mean horizontal speed of heels and toes in contact, cm/s
- floating, penetration: mean height of heels and toes in contact above, and below, z = 0, cm
- jerk: mean third derivative of the joints' positions, m/s^3
- exchanged: frames whose left and right limbs are exchanged (pear_ros.motion.swaps)
- missing: frames that the method does not have
- MPJPE: mean error of the 22 body joints relative to the pelvis, mm
- drift: mean error of the pelvis's path over 1 s, cm (relative pose error, Sturm et al., 2012)
- acceleration: mean error of the second derivative of the body joints, m/s^2
- lag: shift in time that gives the least MPJPE, ms; more than 0: behind

Fast gestures: what smoothing costs. Joint rotations of benchmarks/smoothing.py (a quick raise of an
arm, gestures, halts), with 3 to 6 degrees of error and 1.5 % outliers; jitter: mean error of the
acceleration, m/s^2; error: of all joints relative to the pelvis, mm.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmarks.motion_figures import joint_figures
from benchmarks.motion_methods import (
    Frames,
    contact_of,
    defects,
    errors,
    filtered,
    frames_of,
    methods,
)
from benchmarks.motion_people import Truth, Walker, walker
from benchmarks.motion_scene import Scene
from benchmarks.one_euro import one_euro_joints
from benchmarks.report import Table, write_report
from benchmarks.smoothing import ours
from pear_ros.core.camera import Camera
from pear_ros.core.parameters import Settings
from pear_ros.core.people import NUM_JOINTS, People, TrackingState
from pear_ros.export.motions import observations_of
from pear_ros.export.tracks import Recording, tracks_of
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.motion import offline as motion_pass
from pear_ros.motion import rts
from pear_ros.motion.motion import Observations
from pear_ros.motion.segments import rate_of
from pear_ros.motion.world import World, fit_world
from pear_ros.pipeline import Pipeline
from testing.floor_people import FloorStudio

Doubles = npt.NDArray[np.float64]

TUNING, REPORTED = range(100, 103), range(6)
CUTOFFS, SLOPES = (0.5, 1.0, 1.7, 2.5, 4.0), (0.0, 0.1, 0.3, 1.0)
RATE = 30
FIELD_OF_VIEW = 60.0
GESTURES = range(3)
CLIP_HEAD = (
    *("person", "method", "skating", "floating", "penetration", "jerk"),
    *("exchanged", "missing"),
)
TRUTH_HEAD = (*CLIP_HEAD[1:], "MPJPE", "drift", "acceleration", "lag")


def of_walker(one: Walker, tuned: tuple[float, float]) -> dict[str, dict[str, float]]:
    """Return the figures of a walker by method, and those of the truth."""
    assert one.truth is not None
    world = fit_world([one.raw])
    found = methods(one, world, RATE, tuned)
    figures = {}
    for name, frames in found.items():
        figures[name] = {
            **defects(frames, _contact(frames, one.truth)),
            **errors(frames, one.truth, world),
            "lag": lag(frames, one.truth, world),
        }
    true = _true_frames(one.truth, world, found["raw"])
    figures["truth"] = defects(true, _contact(true, one.truth))
    return figures


def _contact(frames: Frames, truth: Truth) -> npt.NDArray[np.bool_]:
    index = frames.first + np.arange(len(frames.there))
    return truth.contact[np.clip(index, 0, len(truth.contact) - 1)]


def _true_frames(truth: Truth, world: World, like: Frames) -> Frames:
    """The truth as a method, on its own floor."""
    rows = like.first + np.arange(len(like.there))
    up = truth.up
    ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
    ahead /= np.linalg.norm(ahead)
    R = np.stack([ahead, np.cross(up, ahead), up])
    joints, soles = truth.joints[rows] @ R.T, truth.soles[rows] @ R.T
    floor = np.array([0.0, 0.0, np.quantile(soles[..., 2].min(axis=1), 0.2)])
    return replace(
        like, joints=joints - floor, soles=soles - floor, there=np.ones(len(rows), np.bool_)
    )


def lag(frames: Frames, truth: Truth, world: World) -> float:
    """Return the shift in time with the least MPJPE, ms."""
    shifts = np.arange(-3, 7)
    found = [
        errors(replace(frames, first=frames.first - int(shift)), truth, world)["MPJPE"]
        for shift in shifts
    ]
    best = int(np.argmin(found))
    part = 0.0
    if 0 < best < len(found) - 1:
        before, least, after = found[best - 1 : best + 2]
        part = 0.5 * (before - after) / (before - 2.0 * least + after)
    return float(1000.0 * (shifts[best] + part) / RATE)


def tuned_filter(walkers: Sequence[Walker]) -> tuple[float, float]:
    """Return cut-off and slope of One Euro with the least MPJPE."""

    def error(setting: tuple[float, float]) -> float:
        found = []
        for one in walkers:
            assert one.truth is not None
            world = fit_world([one.raw])
            raw = world.place(one.raw, np.zeros(len(one.raw.seconds), np.int64))
            frames = filtered(raw, frames_of(raw, RATE), *setting)
            found.append(errors(frames, one.truth, world)["MPJPE"])
        return float(np.mean(found))

    return min(itertools.product(CUTOFFS, SLOPES), key=error)


def record(video: Path, *, smoothing: bool) -> dict[str, Observations]:
    """Return the people of a clip by id, as the pipeline sees them."""
    images, stamps = [], []
    pipeline = Pipeline(settings=Settings(smoothing=smoothing))
    for stamp, image in FrameSource(str(video)):
        height, width = image.shape[:2]
        camera = Camera.from_field_of_view(width, height, FIELD_OF_VIEW)
        people = pipeline(image, camera, stamp)
        there = [p for p in people.persons if p.state is not TrackingState.LOST]
        images.append(People(camera, people.model_id, people.body_model, there))
        stamps.append(stamp)
    pipeline.close()
    seconds = np.array(stamps) - stamps[0]
    nanoseconds = np.round(seconds * 1e9).astype(np.int64)
    recording = Recording(video, nanoseconds, "", tracks_of(images))
    return {track.id: observations_of(track, seconds) for track in recording.tracks}


def of_clip(video: Path, tuned: tuple[float, float]) -> list[list[str]]:
    """Return the rows of a clip."""
    raw, live = (record(video, smoothing=smoothing) for smoothing in (False, True))
    world = fit_world(list(raw.values()))
    rows = []
    for name in sorted(set(raw) & set(live)):
        rate = rate_of(raw[name].seconds)
        found = methods(Walker(raw[name], live[name]), world, rate, tuned)
        known = np.ones((len(found["raw"].there), 4))
        contact = contact_of(found["raw"], known, world.translation[0])
        for method, frames in found.items():
            rows.append([name, method, *cells(defects(frames, contact))])
    return rows


def cells(figures: Mapping[str, float]) -> list[str]:
    """Return figures as table cells."""
    digits = {"skating": 1, "floating": 1, "penetration": 1, "MPJPE": 1, "drift": 1}
    digits |= {"acceleration": 1, "exchanged": 1}
    return [f"{value:.{digits.get(name, 0)}f}" for name, value in figures.items()]


def gestures(tuned: tuple[float, float]) -> Table:
    """Return the table of fast gestures."""
    scene = Scene.generate(list(GESTURES), RATE, 0.015)
    count = len(scene.times)
    measured = np.ones((count, NUM_JOINTS), np.bool_)
    passes = [
        rts.smooth(
            rts.ROTATIONS,
            scene.times,
            scene.rotations[:, person],
            measured,
            motion_pass.ROTATION_DENSITY,
            motion_pass.ROTATION_NOISE,
        ).values
        for person in range(len(GESTURES))
    ]
    rows = {
        "raw": scene.rotations,
        "One Euro": one_euro_joints(scene, *tuned),
        "live smoothing": ours(scene)[0],
        "offline": np.stack(passes, axis=1),
    }
    return (
        ("method", "jitter", "lag ms", "error mm"),
        [[name, *joint_figures(scene, rotations).row()] for name, rotations in rows.items()],
    )


def main() -> None:
    """Run the benchmark and write the report."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PEAR_ROS_DATA", "."))
    with threadpool_limits(1):
        studio = FloorStudio()
        tuned = tuned_filter([walker(studio, seed) for seed in TUNING])
        found = [of_walker(walker(studio, seed), tuned) for seed in tqdm(REPORTED, unit="person")]
        rows = []
        for method in found[0]:
            means = {
                key: float(np.mean([one[method][key] for one in found])) for key in found[0][method]
            }
            values = cells(means)
            rows.append([method, *values, *[""] * (len(TRUTH_HEAD) - 1 - len(values))])
        tables: dict[str, Table] = {"Known truth": (TRUTH_HEAD, rows)}
        tables["Fast gestures"] = gestures(tuned)
        clips = {"Demo clip": demo_clip(), "Balancing": folder / "single" / "cam02.mp4"}
        for name, video in clips.items():
            if video.is_file():
                tables[name] = (CLIP_HEAD, of_clip(video, tuned))
    about = f"{__doc__ or ''}\nOne Euro: cut-off {tuned[0]} Hz, slope {tuned[1]}.\n"
    write_report("motion_quality", about, tables)


if __name__ == "__main__":
    main()
