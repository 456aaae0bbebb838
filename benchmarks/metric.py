# SPDX-License-Identifier: Apache-2.0
"""True distance and size from depth images in which much is wrong.

    python -m benchmarks.metric

The open body in all kinds of poses, of random shape and 1.3 to 2.1 m tall, stands 1.5 to 8 m before
a camera of 640 x 480 pixels (focal length 525), turned any way, and a wall 0.6 to 3 m behind it.
Something hides 0 to 50 % of it: a board across the image from one side, a table that rises towards
it, or another person whom nobody follows. The depth image has noise of 4 mm at 1 m that grows with
the square of distance (6 cm at 4 m), alike in neighbouring pixels, 5 % outliers anywhere from 0.3
to 10 m, and blotches without depth over 30 % of it. The estimate is wrong by 4 degrees about each
axis of each joint and of the whole body, by as much in shape as people differ, by 2.5 pixels in the
image, and in size by a factor of 0.8 to 1.25 and what the wrong shape adds.

Error of the pelvis' distance (z), in percent of it; each image alone, nothing is known of earlier
ones. What the error of the pelvis' own place within a wrong body comes to is in all figures.

- no depth: the size of the estimated shape is taken for true
- box: the median of all depth within the box of the person's joints
- all vertices: the median ratio of depth to that of all vertices of the estimated mesh
- **ours**: what the package does (pear_ros.scale.metric_scale). Where it finds no clear answer it
gives none: "measured" is the share of images with one, and the errors are theirs

The learnt height is that of the estimated body at its true distance. Joints that are turned wrongly
draw a body together, so that it has to be larger than it is to look the same: the height comes out
too great by about 1 % here, while distance, to which the same body leads back, does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from benchmarks.report import write_report
from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.people import DepthSource
from pear_ros.scale.metric_scale import MetricScale
from testing.synthetic_depth import OCCLUDERS, DepthStudio, OpenPeople, Scene, Spoilt, Wrongness
from testing.synthetic_people import KINDS

Rows = tuple[Sequence[str], list[list[str]]]
Doubles = npt.NDArray[np.float64]

REPEATS = 30
"""Scenes of each kind of pose and each occluder."""
NEAREST, FURTHEST = 1.5, 8.0
RANGES = ((1.5, 2.5), (2.5, 4.0), (4.0, 6.0), (6.0, 8.0))
SIZES = (1.32, 2.06)
"""Least and greatest true height, metres: 0.8 and 1.25 times that of the mean body."""
HARDER = (
    ("nothing more", Wrongness(), Spoilt()),
    ("noise of 1 mm at 1 m", Wrongness(), Spoilt(noise=0.001)),
    ("noise of 8 mm at 1 m", Wrongness(), Spoilt(noise=0.008)),
    ("15 % outliers, 70 % holes", Wrongness(), Spoilt(outliers=0.15, holes=0.7)),
    ("joints by 7 degrees", Wrongness(degrees=7.0), Spoilt()),
    ("place by 6 pixels", Wrongness(pixels=6.0), Spoilt()),
)
LEARNERS = 40
"""People who are followed through images."""
IMAGES = 30
"""With depth; then come as many without."""
AFTER = (1, 5, 15, 30)
RUNS = 60

PEOPLE = OpenPeople()
BODIES = ScaledBodies(PEOPLE)  # type: ignore[arg-type]  # it needs no more of an estimator
STUDIO = DepthStudio(PEOPLE)


def some_height(rng: np.random.Generator) -> float:
    """Metres; all factors are equally likely."""
    return float(np.exp(rng.uniform(*np.log(SIZES))))


def assumed(scene: Scene) -> float:
    """Distance of the pelvis without depth."""
    return float(scene.person.joints[0, 2])


def box_median(scene: Scene) -> float:
    """Distance as the median of depth in the box."""
    left, top, right, bottom = np.clip(scene.person.box, 0, None).astype(int)
    return float(np.nanmedian(scene.depth[top : bottom + 1, left : right + 1]))


def vertices_median(scene: Scene) -> float:
    """Distance by the median ratio over all vertices."""
    vertices = BODIES.meshes([scene.person])[0]
    column, row = np.rint(scene.camera.project(vertices)).astype(int).T
    camera = scene.camera
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    ratio = scene.depth[row[inside], column[inside]] / vertices[inside, 2]
    return assumed(scene) * float(np.nanmedian(ratio))


def ours(scene: Scene) -> float:
    """Distance as measured by the package; NaN where it does not measure."""
    person = MetricScale(BODIES)([scene.person], scene.camera, 0.0, scene.depth, None)[0]
    found = person.depth_source is DepthSource.MEASURED
    return float(person.joints[0, 2]) if found else np.nan


WAYS: dict[str, Callable[[Scene], float]] = {
    "no depth": assumed,
    "box": box_median,
    "all vertices": vertices_median,
    "**ours**": ours,
}
COLUMNS = ("measured", "median", "90 %", "95 %", "below 2 %", "above 10 %")


def figures(errors: Doubles) -> list[str]:
    """Of COLUMNS, for errors in percent, NaN where there is no measurement."""
    found = np.abs(errors[np.isfinite(errors)])
    return [
        f"{100 * len(found) / len(errors):.1f} %",
        *(f"{np.percentile(found, share):.2f} %" for share in (50, 90, 95)),
        f"{100 * (found < 2).mean():.1f} %",
        f"{100 * (found > 10).mean():.1f} %",
    ]


def single_images() -> dict[str, Rows]:
    """Tables of errors in images alone."""
    rng = np.random.default_rng([2026, 21])
    scenes, names = [], []
    for _, kind, occluder in tqdm(list(product(range(REPEATS), KINDS, OCCLUDERS)), unit="scene"):
        distance = rng.uniform(NEAREST, FURTHEST)
        cover = rng.uniform(0.0, 0.5)
        scenes.append(STUDIO.scene(rng, kind, distance, some_height(rng), occluder, cover))
        names.append((kind, occluder))
    truth = np.array([scene.distance for scene in scenes])
    covered = np.array([scene.covered for scene in scenes])
    errors = {
        name: 100 * (np.array([way(scene) for scene in scenes]) / truth - 1)
        for name, way in WAYS.items()
    }

    def groups(heading: str, told: Sequence[str], order: Sequence[str]) -> Rows:
        """A table of ours by what is told of each scene."""
        rows = []
        for value in order:
            chosen = np.array(told) == value
            box = np.median(np.abs(errors["box"][chosen]))
            rows.append([value, f"{box:.1f} %", *figures(errors["**ours**"][chosen])])
        return (heading, "box, median", *COLUMNS), rows

    ranges = [f"{a:g} to {b:g} m" for a, b in RANGES]
    near = [ranges[int(np.searchsorted([b for _, b in RANGES], d))] for d in truth]
    shares = ["0 %", "to 25 %", "to 50 %", "more"]
    hidden = [shares[int(np.searchsorted([0.0, 0.25, 0.5], c))] for c in covered]
    return {
        "Error of distance": (
            ("way", *COLUMNS),
            [[name, *figures(error)] for name, error in errors.items()],
        ),
        "By distance": groups("distance", near, ranges),
        "By what hides the person": groups(
            "in front", [occluder for _, occluder in names], OCCLUDERS
        ),
        "By the share that is hidden": groups("hidden", hidden, shares),
        "By pose": groups("pose", [kind for kind, _ in names], list(KINDS)),
    }


def harder() -> dict[str, Rows]:
    """A table of ours where one thing is more wrong than it is taken to be."""
    rows = []
    for told, wrong, spoilt in tqdm(HARDER, unit="kind of scenes"):
        rng = np.random.default_rng([2026, 24])
        errors = []
        for _, kind, occluder in product(range(REPEATS // 5), KINDS, OCCLUDERS):
            distance, cover = rng.uniform(NEAREST, FURTHEST), rng.uniform(0.0, 0.5)
            scene = STUDIO.scene(
                *(rng, kind, distance, some_height(rng), occluder, cover),
                wrong=wrong,
                spoilt=spoilt,
            )
            errors.append(100 * (ours(scene) / distance - 1))
        rows.append([told, *figures(np.array(errors))])
    return {"Where one thing is more wrong": (("what", *COLUMNS), rows)}


def learning() -> dict[str, Rows]:
    """Tables of what is learnt of people who are followed."""
    rng = np.random.default_rng([2026, 22])
    heights = np.full((LEARNERS, IMAGES), np.nan)
    bridged, without = [], []
    for person in tqdm(range(LEARNERS), unit="person"):
        metric = MetricScale(BODIES)
        height, betas = some_height(rng), STUDIO.shape(rng)
        guessed = STUDIO.guess(rng, betas, Wrongness())
        for image in range(2 * IMAGES):
            kind, occluder = rng.choice(list(KINDS)), rng.choice(OCCLUDERS)
            distance, cover = rng.uniform(NEAREST, FURTHEST), rng.uniform(0.0, 0.5)
            scene = STUDIO.scene(
                *(rng, kind, distance, height, occluder, cover), betas=betas, guessed=guessed
            )
            stamp, learning = image / 10, image < IMAGES
            depth = scene.depth if learning else None
            found = metric([scene.person], scene.camera, stamp, depth, None)[0]
            if learning:
                [without_depth] = metric([scene.person], scene.camera, stamp, None, None)
                heights[person, image] = 100 * (BODIES.heights([without_depth])[0] / height - 1)
            else:
                bridged.append(100 * (float(found.joints[0, 2]) / distance - 1))
                without.append(100 * (assumed(scene) / distance - 1))
    rows = []
    for count in AFTER:
        error = np.abs(heights[:, count - 1])
        rows.append([str(count), f"{np.median(error):.2f} %", f"{np.percentile(error, 95):.2f} %"])
    return {
        "Error of the learnt height, depth images seen": (("images", "median", "95 %"), rows),
        f"Error of distance without depth, after {IMAGES} images with it": (
            ("way", *COLUMNS[1:]),
            [
                ["no depth", *figures(np.array(without))[1:]],
                ["**learnt height**", *figures(np.array(bridged))[1:]],
            ],
        ),
    }


def cost() -> dict[str, Rows]:
    """A table of times, each image beside the meshes of the same people."""
    rng = np.random.default_rng([2026, 23])
    rows = []
    for count, distance in product((1, 4), (2.0, 4.0, 8.0)):
        scenes = [STUDIO.scene(rng, "standing", distance, 1.7) for _ in range(count)]
        depth, camera = scenes[0].depth, scenes[0].camera
        persons = [replace(scene.person, id=f"h{n}") for n, scene in enumerate(scenes)]
        times: dict[str, list[float]] = {"meshes": [], "all": [], "learnt": []}
        learnt = MetricScale(BODIES)
        learnt(persons[:1], camera, 0.0, depth, None)
        metric = MetricScale(BODIES)
        calls: dict[str, Callable[[], object]] = {
            "meshes": lambda: BODIES.meshes(persons),  # noqa: B023
            "all": lambda: metric(persons, camera, 0.0, depth, None),  # noqa: B023
            "learnt": lambda: learnt(persons, camera, 0.0, None, None),  # noqa: B023
        }
        for _ in range(RUNS):
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                times[name].append(1000 * (time.perf_counter() - start) / count)
        each = {name: float(np.median(taken)) for name, taken in times.items()}
        rows.append(
            [
                *(str(count), f"{distance:g} m", f"{each['meshes']:.2f}", f"{each['all']:.2f}"),
                *(f"{each['all'] / each['meshes']:.1f} x", f"{each['learnt']:.2f}"),
            ]
        )
    head = ("people", "at", "their meshes", "with depth", "ratio", "learnt height, no depth")
    return {"Time, ms a person": (head, rows)}


def main() -> None:
    """Measure and write the report."""
    with threadpool_limits(1, "blas"):
        write_report(
            "metric", __doc__ or "", {**single_images(), **harder(), **learning(), **cost()}
        )


if __name__ == "__main__":
    main()
