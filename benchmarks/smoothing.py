# SPDX-License-Identifier: Apache-2.0
"""Smoothing: jitter, lag and error on synthetic motion, and its cost.

    python -m benchmarks.smoothing

The open body walks, gestures, quickly raises an arm and stops (benchmarks/motion.py). Its measured
rotations have errors of 3 to 6 degrees, half of the variance correlated over 0.15 s, and 1.5 % of
them are outliers of 30 to 90 degrees in one image. The measured pelvis has errors of 3 % in depth
and 1 cm across the line of sight. Figures are means over people of other seeds than the filters
were tuned on, without the first second.

- jitter: mean difference to the true acceleration (second difference of positions), m/s^2
- lag: time shift of the truth that minimises the error, ms
- error: mean distance to the truth, mm
- joints: all 55, relative to the pelvis. Errors of rotations add up along the kinematic chain
- raw: as measured
- One Euro: Casiez et al., CHI 2012, on the relative rotation of each joint, and on x/z, y/z and log
  z of the pelvis. Its two parameters are chosen by grid search on the tuning people, for each table
  and frame rate, in three ways: for the least error; for the least error with no more jitter than
  ours; for the least jitter with no more lag than ours ("-": no such parameters)
- ours: pear_ros.smoothing, with the same parameters for everything
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.motion import Doubles
from benchmarks.motion_figures import Figures, joint_figures, pelvis_figures, posed_joints
from benchmarks.motion_scene import Scene
from benchmarks.one_euro import one_euro_joints, one_euro_pelvis
from benchmarks.report import Table, write_report
from pear_ros.body import load_open_body
from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core import quaternions
from pear_ros.core.camera import Camera
from pear_ros.core.people import NUM_JOINTS, Array, Person, SmplxParams, TrackingState, stack
from pear_ros.smoothing.smoother import Smoother

TUNING, REPORTED = range(100, 104), range(8)
RATES = (30, 10)
CUTOFFS = (0.2, 0.3, 0.5, 0.8, 1.2, 1.7, 2.5, 3.5, 5.0, 8.0)
"""Minimum cut-off frequencies of One Euro, Hz."""
SLOPES = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Growth of the cut-off frequency of One Euro with speed (beta)."""
RUNS = 350
"""Number of images of which the cost is measured."""
CAMERA = Camera(1280, 720, 1000.0, 1000.0, 639.5, 359.5)


class OpenBodyEstimator:
    """The part of an estimator with the open body that the smoother uses."""

    def joints(self, persons: Sequence[Person]) -> Array:
        """Return (N, 55, 3) joints, metres."""
        smplx = stack([person.smplx for person in persons])
        joints: Array = load_open_body().joints(
            smplx.pose, smplx.betas, smplx.expression, smplx.transl
        )
        return joints


def images(scene: Scene) -> list[list[Person]]:
    """Return the measured people of each image."""
    body = load_open_body()
    poses = quaternions.to_vectors(scene.rotations).astype(np.float32)
    rest = posed_joints(np.zeros((1, NUM_JOINTS, 3), np.float32))[0, 0]
    zeros = [np.zeros(size, np.float32) for size in (body.num_betas, body.num_expression)]

    def person(name: str, pose: Array, pelvis: Doubles) -> Person:
        place = pelvis.astype(np.float32)
        joints = np.tile(place, (NUM_JOINTS, 1))  # The smoother uses the pelvis only.
        return Person(
            id=name,
            state=TrackingState.TRACKED,
            score=1.0,
            box=np.zeros(4, np.float32),
            smplx=SmplxParams(pose, zeros[0], zeros[1], place - rest),
            joints=joints,
            joint_confidence=np.full(NUM_JOINTS, np.nan, np.float32),
            keypoints=np.zeros((NUM_JOINTS, 2), np.float32),
        )

    return [
        [person(f"h{n}", pose[n], place[n]) for n in range(len(pose))]
        for pose, place in zip(poses, scene.pelvis, strict=True)
    ]


def ours(scene: Scene) -> tuple[Doubles, Doubles]:
    """Return the package's rotations (T, N, 55, 4) and pelvis positions (T, N, 3)."""
    smooth = Smoother(OpenBodyEstimator())  # type: ignore[arg-type]
    rotations, places = [], []
    for stamp, persons in zip(scene.times, images(scene), strict=True):
        filtered = smooth(persons, CAMERA, float(stamp))
        rotations.append(quaternions.from_vectors(stack([p.smplx for p in filtered]).pose))
        places.append(np.array([p.joints[0] for p in filtered], np.float64))
    return np.stack(rotations), np.stack(places)


Setting = tuple[float, float]


def chosen(found: dict[Setting, Figures], own: Figures) -> dict[str, Setting | None]:
    """Return the settings of One Euro by what they were chosen for."""

    def best(settings: list[Setting], key: Callable[[Figures], float]) -> Setting | None:
        return min(settings, key=lambda setting: key(found[setting]), default=None)

    low_jitter = [setting for setting, one in found.items() if one.jitter <= own.jitter]
    low_lag = [setting for setting, one in found.items() if one.lag <= own.lag]
    return {
        "least error": best(list(found), lambda one: one.error),
        "our jitter": best(low_jitter, lambda one: one.error),
        "our lag": best(low_lag, lambda one: one.jitter),
    }


def compared(
    rate: int,
    judge: Callable[[Scene, Doubles], Figures],
    raw: Callable[[Scene], Doubles],
    baseline: Callable[[Scene, float, float], Doubles],
    own: Callable[[Scene], Doubles],
    tuning: Scene,
    reported: Scene,
) -> list[list[str]]:
    """Return the rows of one table at one frame rate."""
    grid = {
        setting: judge(tuning, baseline(tuning, *setting))
        for setting in itertools.product(CUTOFFS, SLOPES)
    }
    rows = [[str(rate), "raw", "", *judge(reported, raw(reported)).row()]]
    for name, setting in chosen(grid, judge(tuning, own(tuning))).items():
        if setting is None:
            rows.append([str(rate), f"One Euro, {name}", "-", "-", "-", "-"])
        else:
            values = judge(reported, baseline(reported, *setting)).row()
            rows.append([str(rate), f"One Euro, {name}", f"{setting[0]}, {setting[1]}", *values])
    return [*rows, [str(rate), "**ours**", "", *judge(reported, own(reported)).row()]]


HEAD = ("images a second", "method", "cut-off Hz, slope", "jitter m/s^2", "lag ms", "error mm")


def accuracy(outliers: float) -> dict[str, Table]:
    """Return all tables of accuracy for a share of `outliers`."""
    joints: list[list[str]] = []
    across: list[list[str]] = []
    along: list[list[str]] = []
    for rate in RATES:
        scenes = [Scene.generate(list(seeds), rate, outliers) for seeds in (TUNING, REPORTED)]
        own = {id(scene): ours(scene) for scene in scenes}
        joints += compared(
            rate,
            joint_figures,
            lambda scene: scene.rotations,
            one_euro_joints,
            lambda scene, own=own: own[id(scene)][0],  # type: ignore[misc]
            *scenes,
        )
        for part, table in enumerate((across, along)):
            table += compared(
                rate,
                partial(_part_of_pelvis, part),
                lambda scene: scene.pelvis,
                one_euro_pelvis,
                lambda scene, own=own: own[id(scene)][1],  # type: ignore[misc]
                *scenes,
            )
    if not outliers:
        return {"Joints, without outliers": (HEAD, joints)}
    return {
        "Joints": (HEAD, joints),
        "Pelvis across the line of sight": (HEAD, across),
        "Pelvis along the line of sight": (HEAD, along),
    }


def _part_of_pelvis(part: int, scene: Scene, pelvis: Doubles) -> Figures:
    return pelvis_figures(scene, pelvis)[part]


def cost() -> Table:
    """Return the table of milliseconds per image, the minimum of alternating runs."""
    rows = []
    for count in (1, 8):
        scene = Scene.generate(list(range(count)), 30, 0.015)
        persons_by_image = images(scene)
        bodies = ScaledBodies(OpenBodyEstimator())  # type: ignore[arg-type]
        smooth = Smoother(bodies)
        times: dict[str, list[float]] = {"joints alone": [], "smoothing, joints included": []}
        for n in range(RUNS):
            persons = persons_by_image[n]
            for name, work in (
                ("joints alone", partial(bodies.joints, persons)),
                ("smoothing, joints included", partial(smooth, persons, CAMERA, n / 30)),
            ):
                start = time.perf_counter()
                work()
                times[name].append(1000 * (time.perf_counter() - start))
        least = {name: min(spent[2:]) for name, spent in times.items()}
        for name in times:
            ratio = least[name] / least["joints alone"]
            rows.append([str(count), name, f"{least[name]:.2f}", f"{ratio:.1f}"])
    return (("people", "what", "least ms", "/ joints alone"), rows)


def main() -> None:
    """Run the benchmark and write the report."""
    with threadpool_limits(1):
        tables = accuracy(0.015)
        tables |= accuracy(0.0)
        tables["Cost of an image"] = cost()
    write_report("smoothing", __doc__ or "", tables)


if __name__ == "__main__":
    main()
