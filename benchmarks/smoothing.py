# SPDX-License-Identifier: Apache-2.0
"""Smoothing: jitter, lag and error on synthetic motion, and its cost.

    python -m benchmarks.smoothing

The open body walks, gestures, quickly raises an arm and stops (benchmarks/motion.py), and an
estimator sees it with errors: rotations 3 to 6 degrees, half of the variance lasting for 0.15 s;
depth 3 %, across the line of sight 1 cm; 1.5 % of all rotations 30 to 90 degrees off for one image.
Figures are means over people of other seeds than the filters were tuned on, the first second left
out.

- jitter: mean difference to the true acceleration (second difference of positions), m/s^2
- lag: time shift of the truth that makes the error least, ms
- error: mean distance to the truth, mm
- joints: all 55, about the pelvis. Errors of rotations add up from joint to joint, to the fingers
- raw: as measured
- One Euro: Casiez et al., CHI 2012, on the relative rotation of each joint, and on x/z, y/z and log
  z of the pelvis. Its two parameters are chosen by grid search on the tuning people, for each table
  and frame rate anew, in three ways: for the least error; for the least error with no more jitter
  than ours; for the least jitter with no more lag than ours ("-": there is no such setting)
- ours: pear_ros.smoothing.smoother as it is, with the same parameters for everything
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.motion import Doubles, Motion, Track, seen
from benchmarks.report import Table, write_report
from pear_ros.body import load_open_body
from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core import quaternions
from pear_ros.core.camera import Camera
from pear_ros.core.people import NUM_JOINTS, Array, Person, SmplxParams, TrackingState, stack
from pear_ros.smoothing.smoother import Smoother

DURATION = 12.0
TUNING, REPORTED = range(100, 104), range(8)
RATES = (30, 10)
CUTOFFS = (0.2, 0.3, 0.5, 0.8, 1.2, 1.7, 2.5, 3.5, 5.0, 8.0)
"""Least cut-off frequencies of One Euro, Hz."""
SLOPES = (0.0, 0.1, 0.3, 1.0, 3.0)
"""By which its cut-off grows with speed."""
FINE = 240
"""Hz, at which lag is looked for."""
LAGS = np.arange(-0.1, 0.35, 2 / FINE)
"""Seconds."""
RUNS = 350
CAMERA = Camera(1280, 720, 1000.0, 1000.0, 639.5, 359.5)


@dataclasses.dataclass(frozen=True)
class Scene:
    """People in motion, each alone, and what is seen of them: T times, N people."""

    times: Doubles
    rotations: Doubles
    """(T, N, 55, 4) as seen."""
    pelvis: Doubles
    """(T, N, 3) as seen."""
    joints: Sequence[Doubles]
    """For each of LAGS (T, N, 55, 3): the truth so much earlier, about the pelvis."""
    true_pelvis: Sequence[Doubles]
    """For each of LAGS (T, N, 3)."""

    @classmethod
    def of(cls, seeds: Sequence[int], rate: float, outliers: float) -> Scene:
        times: Doubles = np.arange(0.0, DURATION, 1 / rate, np.float64)
        people = [Motion(seed, DURATION) for seed in seeds]
        views = [
            seen(one.at(times), times, seed, outliers)
            for one, seed in zip(people, seeds, strict=True)
        ]
        fine: Doubles = np.arange(-0.5, DURATION + 0.5, 1 / FINE, np.float64)
        truth = [one.at(fine) for one in people]
        joints = np.stack([track.joints() for track in truth], axis=1)
        pelvis = np.stack([track.pelvis for track in truth], axis=1)
        now = np.round((times + 0.5) * FINE).astype(int)
        shifts = np.round(LAGS * FINE).astype(int)
        return cls(
            times=times,
            rotations=np.stack([_quaternions(view) for view in views], axis=1),
            pelvis=np.stack([view.pelvis for view in views], axis=1),
            joints=[joints[now - shift] for shift in shifts],
            true_pelvis=[pelvis[now - shift] for shift in shifts],
        )

    @property
    def rate(self) -> float:
        """Hz."""
        return float(1.0 / (self.times[1] - self.times[0]))


def _quaternions(track: Track) -> Doubles:
    return np.asarray(track.rotations.as_quat().reshape(-1, NUM_JOINTS, 4))


@dataclasses.dataclass(frozen=True)
class Figures:
    """Of one method."""

    jitter: float
    lag: float
    error: float

    def row(self) -> list[str]:
        """As text."""
        return [f"{self.jitter:.1f}", f"{self.lag:.0f}", f"{self.error:.1f}"]


def figures(found: Doubles, truth: Sequence[Doubles], rate: float) -> Figures:
    """Of positions (T, ..., 3) or less than 3, against the truth for each of LAGS."""
    settled = int(rate)
    off = [np.linalg.norm(found[settled:] - earlier[settled:], axis=-1).mean() for earlier in truth]
    best, part = int(np.argmin(off)), 0.0
    if 0 < best < len(off) - 1:
        before, least, after = off[best - 1 : best + 2]
        part = 0.5 * (before - after) / (before - 2 * least + after)
    true = truth[int(np.argmin(np.abs(LAGS)))]
    shaken = np.linalg.norm(np.diff(found - true, 2, axis=0), axis=-1)[settled:].mean() * rate**2
    error = np.linalg.norm(found - true, axis=-1)[settled:].mean()
    lag = LAGS[best] + part * (LAGS[1] - LAGS[0])
    return Figures(float(shaken), float(1000 * lag), float(1000 * error))


def of_joints(scene: Scene, rotations: Doubles) -> Figures:
    """Of poses (T, N, 55, 4)."""
    count = rotations.shape[1]
    pose = quaternions.to_vectors(rotations).reshape(-1, NUM_JOINTS, 3).astype(np.float32)
    joints = _posed(pose).astype(np.float64)
    about: Doubles = (joints - joints[:, :1]).reshape(-1, count, NUM_JOINTS, 3)
    return figures(about, scene.joints, scene.rate)


def of_pelvis(scene: Scene, pelvis: Doubles) -> tuple[Figures, Figures]:
    """Of places (T, N, 3): across the line of sight, at the true distance, and along it."""
    depth = scene.true_pelvis[int(np.argmin(np.abs(LAGS)))][..., 2:]

    def across(points: Doubles) -> Doubles:
        return np.asarray(points[..., :2] / points[..., 2:] * depth)

    return (
        figures(across(pelvis), [across(true) for true in scene.true_pelvis], scene.rate),
        figures(pelvis[..., 2:], [true[..., 2:] for true in scene.true_pelvis], scene.rate),
    )


def _posed(pose: Array) -> Array:
    body = load_open_body()
    sizes = (body.num_betas, body.num_expression, 3)
    joints: Array = body.joints(pose, *(np.zeros((len(pose), size), np.float32) for size in sizes))
    return joints


# The methods


def one_euro(
    values: Doubles,
    rate: float,
    cutoff: float,
    slope: float,
    apart: Callable[[Doubles, Doubles], Doubles],
    moved: Callable[[Doubles, Doubles], Doubles],
) -> Doubles:
    """(T, ...) filtered; speed is low-passed at 1 Hz, as its authors advise.

    `apart` gives the step from one value to another, `moved` the value after a step.
    """

    def share(frequency: Doubles | float) -> Doubles:
        return np.asarray(1.0 / (1.0 + rate / (2.0 * np.pi * frequency)))

    smooth, before = values[0], values[0]
    velocity = np.zeros_like(apart(before, before))
    result = [smooth]
    for value in values[1:]:
        velocity = velocity + share(1.0) * (apart(before, value) * rate - velocity)
        speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
        smooth = moved(smooth, share(cutoff + slope * speed) * apart(smooth, value))
        before = value
        result.append(smooth)
    return np.stack(result)


def one_euro_joints(scene: Scene, cutoff: float, slope: float) -> Doubles:
    """(T, N, 55, 4) on the rotation from the last estimate to the measurement."""
    return one_euro(
        scene.rotations,
        scene.rate,
        cutoff,
        slope,
        lambda start, end: quaternions.to_vectors(quaternions.difference(start, end)),
        lambda start, step: quaternions.product(start, quaternions.from_vectors(step)),
    )


def one_euro_pelvis(scene: Scene, cutoff: float, slope: float) -> Doubles:
    """(T, N, 3); rays and log depth with the same parameters, each as if it were the other's."""
    pelvis = scene.pelvis
    straight = (lambda start, end: end - start, lambda start, step: start + step)
    rays = one_euro(pelvis[..., :2] / pelvis[..., 2:], scene.rate, cutoff, slope, *straight)
    depth = np.exp(one_euro(np.log(pelvis[..., 2:]), scene.rate, cutoff, slope, *straight))
    return np.concatenate([rays * depth, depth], axis=-1)


class OpenBodies:
    """Joints of the open body, as an estimator gives them."""

    def joints(self, persons: Sequence[Person]) -> Array:
        """(N, 55, 3)"""
        smplx = stack([person.smplx for person in persons])
        joints: Array = load_open_body().joints(
            smplx.pose, smplx.betas, smplx.expression, smplx.transl
        )
        return joints


def images(scene: Scene) -> list[list[Person]]:
    """The people in each image, as they are seen."""
    body = load_open_body()
    poses = quaternions.to_vectors(scene.rotations).astype(np.float32)
    rest = _posed(np.zeros((1, NUM_JOINTS, 3), np.float32))[0, 0]
    nothing = [np.zeros(size, np.float32) for size in (body.num_betas, body.num_expression)]

    def person(name: str, pose: Array, pelvis: Doubles) -> Person:
        place = pelvis.astype(np.float32)
        joints = np.tile(place, (NUM_JOINTS, 1))  # The pelvis is all that is asked for.
        return Person(
            id=name,
            state=TrackingState.TRACKED,
            score=1.0,
            box=np.zeros(4, np.float32),
            smplx=SmplxParams(pose, nothing[0], nothing[1], place - rest),
            joints=joints,
            joint_confidence=np.full(NUM_JOINTS, np.nan, np.float32),
            keypoints=np.zeros((NUM_JOINTS, 2), np.float32),
        )

    return [
        [person(f"h{n}", pose[n], place[n]) for n in range(len(pose))]
        for pose, place in zip(poses, scene.pelvis, strict=True)
    ]


def ours(scene: Scene) -> tuple[Doubles, Doubles]:
    """Rotations (T, N, 55, 4) and places (T, N, 3)."""
    smooth = Smoother(OpenBodies())  # type: ignore[arg-type]
    rotations, places = [], []
    for stamp, persons in zip(scene.times, images(scene), strict=True):
        calm = smooth(persons, CAMERA, float(stamp))
        rotations.append(quaternions.from_vectors(stack([p.smplx for p in calm]).pose))
        places.append(np.array([p.joints[0] for p in calm], np.float64))
    return np.stack(rotations), np.stack(places)


# The tables

Setting = tuple[float, float]


def chosen(found: dict[Setting, Figures], own: Figures) -> dict[str, Setting | None]:
    """Settings of One Euro by what they were chosen for."""

    def best(settings: list[Setting], key: Callable[[Figures], float]) -> Setting | None:
        return min(settings, key=lambda setting: key(found[setting]), default=None)

    calm = [setting for setting, one in found.items() if one.jitter <= own.jitter]
    quick = [setting for setting, one in found.items() if one.lag <= own.lag]
    return {
        "least error": best(list(found), lambda one: one.error),
        "our jitter": best(calm, lambda one: one.error),
        "our lag": best(quick, lambda one: one.jitter),
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
    """The rows of one table at one frame rate."""
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
    """All tables but that of the cost."""
    joints: list[list[str]] = []
    across: list[list[str]] = []
    along: list[list[str]] = []
    for rate in RATES:
        scenes = [Scene.of(list(seeds), rate, outliers) for seeds in (TUNING, REPORTED)]
        own = {id(scene): ours(scene) for scene in scenes}
        joints += compared(
            rate,
            of_joints,
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
    return of_pelvis(scene, pelvis)[part]


def cost() -> Table:
    """Milliseconds of one image, least of many in turns."""
    rows = []
    for count in (1, 8):
        scene = Scene.of(list(range(count)), 30, 0.015)
        pictures = images(scene)
        bodies = ScaledBodies(OpenBodies())  # type: ignore[arg-type]
        smooth = Smoother(bodies)
        times: dict[str, list[float]] = {"joints alone": [], "smoothing, joints included": []}
        for n in range(RUNS):
            persons = pictures[n]
            for name, work in (
                ("joints alone", partial(bodies.joints, persons)),
                ("smoothing, joints included", partial(smooth, persons, CAMERA, n / 30)),
            ):
                begin = time.perf_counter()
                work()
                times[name].append(1000 * (time.perf_counter() - begin))
        least = {name: min(spent[2:]) for name, spent in times.items()}
        for name in times:
            ratio = least[name] / least["joints alone"]
            rows.append([str(count), name, f"{least[name]:.2f}", f"{ratio:.1f}"])
    return (("people", "what", "least ms", "/ joints alone"), rows)


def main() -> None:
    """Measure and write the report."""
    with threadpool_limits(1):
        tables = accuracy(0.015)
        tables |= accuracy(0.0)
        tables["Cost of an image"] = cost()
    write_report("smoothing", __doc__ or "", tables)


if __name__ == "__main__":
    main()
