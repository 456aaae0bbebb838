# SPDX-License-Identifier: Apache-2.0
"""Metric scale: errors of distance and height with depth images that have typical errors.

    python -m benchmarks.metric

The open body in different poses, of random shape, heading and 1.3 to 2.1 m tall, stands 1.5 to 8 m
in front of a camera of 640 x 480 pixels (focal length 525), with a wall 0.6 to 3 m behind it. An
occluder hides 0 to 50 % of it: a board from one side of the image, a table in front, or another
person who is not tracked. The depth image has noise of 4 mm at 1 m that grows with the square of
distance (6 cm at 4 m) and is correlated between neighbours, 5 % outliers from 0.3 to 10 m, and 30 %
holes. The errors of the estimate (standard deviations) are 4 degrees about each axis of
each joint and of the whole body, 1 in each shape coefficient, and 2.5 pixels in the image; its size
is wrong by a factor of 0.8 to 1.25 and by the error of the shape.

Errors are those of the pelvis' distance (z), in percent of it, for single images without known
heights. They include the error of the pelvis within a wrong body.

- no depth: the size of the estimated shape is used
- box: the median depth in the box around the person's joints
- all vertices: the median ratio of measured depth to the depth of all vertices of the mesh
- **ours**: the package's method (pear_ros.scale). It gives no result where depth is ambiguous:
  "measured" is the share of images with a result, and the errors are those of these images

The learnt height is that of the estimated body at its true distance. Errors of joint rotations
shorten a body, so that it has to be larger to project to the same pixels: the height is about 1 %
too large here. The distance that follows from the same body is not.
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
from pear_ros.training.poses import KINDS
from testing.synthetic_depth import (
    OCCLUDERS,
    DepthErrors,
    EstimateErrors,
    OpenBodyEstimator,
    Scene,
    SceneRenderer,
)

Rows = tuple[Sequence[str], list[list[str]]]
Doubles = npt.NDArray[np.float64]

REPEATS = 30
"""Scenes of each kind of pose and each occluder."""
NEAREST, FURTHEST = 1.5, 8.0
RANGES = ((1.5, 2.5), (2.5, 4.0), (4.0, 6.0), (6.0, 8.0))
SIZES = (1.32, 2.06)
"""Least and greatest true height, metres: 0.8 and 1.25 times that of the mean body."""
HARDER = (
    ("nothing more", EstimateErrors(), DepthErrors()),
    ("noise of 1 mm at 1 m", EstimateErrors(), DepthErrors(noise=0.001)),
    ("noise of 8 mm at 1 m", EstimateErrors(), DepthErrors(noise=0.008)),
    ("15 % outliers, 70 % holes", EstimateErrors(), DepthErrors(outliers=0.15, holes=0.7)),
    ("joints by 7 degrees", EstimateErrors(degrees=7.0), DepthErrors()),
    ("place by 6 pixels", EstimateErrors(pixels=6.0), DepthErrors()),
)
PEOPLE = 40
"""Number of people whose heights are learnt."""
IMAGES = 30
"""Number of images with depth of each of them; as many without depth follow."""
AFTER = (1, 5, 15, 30)
RUNS = 60

ESTIMATOR = OpenBodyEstimator()
BODIES = ScaledBodies(ESTIMATOR)  # type: ignore[arg-type]  # not a complete Estimator
RENDERER = SceneRenderer(ESTIMATOR)


def random_height(rng: np.random.Generator) -> float:
    """Return a height in metres, log-uniform in SIZES."""
    return float(np.exp(rng.uniform(*np.log(SIZES))))


def assumed(scene: Scene) -> float:
    """Return the distance of the pelvis without depth, metres."""
    return float(scene.person.joints[0, 2])


def box_median(scene: Scene) -> float:
    """Return the median depth in the person's box, metres."""
    left, top, right, bottom = np.clip(scene.person.box, 0, None).astype(int)
    return float(np.nanmedian(scene.depth[top : bottom + 1, left : right + 1]))


def vertices_median(scene: Scene) -> float:
    """Return the distance by the median ratio over all vertices, metres."""
    vertices = BODIES.meshes([scene.person])[0]
    column, row = np.rint(scene.camera.project(vertices)).astype(int).T
    camera = scene.camera
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    ratio = scene.depth[row[inside], column[inside]] / vertices[inside, 2]
    return assumed(scene) * float(np.nanmedian(ratio))


def ours(scene: Scene) -> float:
    """Return the distance measured by the package, metres; NaN where it is not measured."""
    person = MetricScale(BODIES)([scene.person], scene.camera, 0.0, scene.depth, None)[0]
    found = person.depth_source is DepthSource.MEASURED
    return float(person.joints[0, 2]) if found else np.nan


METHODS: dict[str, Callable[[Scene], float]] = {
    "no depth": assumed,
    "box": box_median,
    "all vertices": vertices_median,
    "**ours**": ours,
}
COLUMNS = ("measured", "median", "90 %", "95 %", "below 2 %", "above 10 %")


def figures(errors: Doubles) -> list[str]:
    """Return the figures of COLUMNS for errors in percent, NaN where there is no measurement."""
    found = np.abs(errors[np.isfinite(errors)])
    return [
        f"{100 * len(found) / len(errors):.1f} %",
        *(f"{np.percentile(found, share):.2f} %" for share in (50, 90, 95)),
        f"{100 * (found < 2).mean():.1f} %",
        f"{100 * (found > 10).mean():.1f} %",
    ]


def single_images() -> dict[str, Rows]:
    """Return the tables of errors in single images."""
    rng = np.random.default_rng([2026, 21])
    scenes, names = [], []
    for _, kind, occluder in tqdm(list(product(range(REPEATS), KINDS, OCCLUDERS)), unit="scene"):
        distance = rng.uniform(NEAREST, FURTHEST)
        cover = rng.uniform(0.0, 0.5)
        scenes.append(RENDERER.scene(rng, kind, distance, random_height(rng), occluder, cover))
        names.append((kind, occluder))
    truth = np.array([scene.distance for scene in scenes])
    covered = np.array([scene.covered for scene in scenes])
    errors = {
        name: 100 * (np.array([method(scene) for scene in scenes]) / truth - 1)
        for name, method in METHODS.items()
    }

    def groups(heading: str, labels: Sequence[str], order: Sequence[str]) -> Rows:
        """A table of the package's errors by a label of each scene."""
        rows = []
        for value in order:
            chosen = np.array(labels) == value
            box = np.median(np.abs(errors["box"][chosen]))
            rows.append([value, f"{box:.1f} %", *figures(errors["**ours**"][chosen])])
        return (heading, "box, median", *COLUMNS), rows

    ranges = [f"{a:g} to {b:g} m" for a, b in RANGES]
    near = [ranges[int(np.searchsorted([b for _, b in RANGES], d))] for d in truth]
    shares = ["0 %", "to 25 %", "to 50 %", "more"]
    occluded = [shares[int(np.searchsorted([0.0, 0.25, 0.5], c))] for c in covered]
    return {
        "Error of distance": (
            ("method", *COLUMNS),
            [[name, *figures(error)] for name, error in errors.items()],
        ),
        "By distance": groups("distance", near, ranges),
        "By occluder": groups("occluder", [occluder for _, occluder in names], OCCLUDERS),
        "By occluded share": groups("occluded", occluded, shares),
        "By pose": groups("pose", [kind for kind, _ in names], list(KINDS)),
    }


def harder() -> dict[str, Rows]:
    """Return the table of the package's errors where one error is larger than modelled."""
    rows = []
    for label, estimate_errors, depth_errors in tqdm(HARDER, unit="kind of scenes"):
        rng = np.random.default_rng([2026, 24])
        errors = []
        for _, kind, occluder in product(range(REPEATS // 5), KINDS, OCCLUDERS):
            distance, cover = rng.uniform(NEAREST, FURTHEST), rng.uniform(0.0, 0.5)
            scene = RENDERER.scene(
                *(rng, kind, distance, random_height(rng), occluder, cover),
                estimate_errors=estimate_errors,
                depth_errors=depth_errors,
            )
            errors.append(100 * (ours(scene) / distance - 1))
        rows.append([label, *figures(np.array(errors))])
    return {"With one larger error": (("larger error", *COLUMNS), rows)}


def learning() -> dict[str, Rows]:
    """Return the tables of learnt heights and of distances without depth."""
    rng = np.random.default_rng([2026, 22])
    heights = np.full((PEOPLE, IMAGES), np.nan)
    bridged, without = [], []
    for person in tqdm(range(PEOPLE), unit="person"):
        metric = MetricScale(BODIES)
        height, betas = random_height(rng), RENDERER.random_betas(rng)
        estimated = RENDERER.estimated_betas(rng, betas, EstimateErrors())
        for image in range(2 * IMAGES):
            kind, occluder = rng.choice(list(KINDS)), rng.choice(OCCLUDERS)
            distance, cover = rng.uniform(NEAREST, FURTHEST), rng.uniform(0.0, 0.5)
            scene = RENDERER.scene(
                *(rng, kind, distance, height, occluder, cover),
                betas=betas,
                estimated_betas=estimated,
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
            ("method", *COLUMNS[1:]),
            [
                ["no depth", *figures(np.array(without))[1:]],
                ["**learnt height**", *figures(np.array(bridged))[1:]],
            ],
        ),
    }


def cost() -> dict[str, Rows]:
    """Return the table of times, compared with those of the same people's meshes."""
    rng = np.random.default_rng([2026, 23])
    rows = []
    for count, distance in product((1, 4), (2.0, 4.0, 8.0)):
        scenes = [RENDERER.scene(rng, "standing", distance, 1.7) for _ in range(count)]
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
    """Run the benchmark and write the report."""
    with threadpool_limits(1, "blas"):
        write_report(
            "metric", __doc__ or "", {**single_images(), **harder(), **learning(), **cost()}
        )


if __name__ == "__main__":
    main()
