# SPDX-License-Identifier: Apache-2.0
"""Distances of people as capsules against their meshes, and their time.

    python -m benchmarks.separation

The open body in random poses and shapes (betas of standard deviation 1, at most 2.5), as if it were
estimated without error. Coverage: how far vertices of the mesh lie outside of all capsules.
Distance: of the capsules minus that of the nearest vertex (which is some millimetres more than that
of the surface), for points outside of the mesh, along the normals of random vertices; below 0:
nearer than the mesh. `bones`: the distance to the nearest of the 55 joints instead, as without
capsules.

Time: capsules, least distances, errors and speeds, against all vertices of the same people and the
nearest of them to each sphere's centre by a k-d tree for each person; medians, alternating, one
thread. Messages are not included. Writes benchmarks/results/separation.md.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree
from threadpoolctl import threadpool_limits

from benchmarks.body_model import medians
from benchmarks.report import Table, write_report
from pear_ros.body.normals import vertex_normals
from pear_ros.core.people import Array
from pear_ros.hri.body_parts import Float64
from pear_ros.hri.capsules import body_capsules
from pear_ros.hri.separation import ClosingSpeeds, separations
from pear_ros.training.poses import sample_rotations
from testing.capsule_coverage import capsules_of, outside
from testing.open_people import batch, open_body, pose_of

SEED = 31
KINDS = ("standing", "walking", "sitting", "arms up", "reaching", "crouching")
PEOPLE, POINTS = 12, 400
"""People for each kind of pose, and points for each of them."""
RANGES = ((0.1, 0.5), (0.5, 1.5))
"""Distances of the points from the mesh, metres."""
SIZES = ((1, 1), (1, 10), (4, 10), (8, 10))
"""Numbers of people and of robot frames."""
ORIGIN = np.zeros(3)


def some_body(rng: np.random.Generator, kind: str) -> list[Array]:
    """Return the arguments of BodyModel's methods for a person in a random pose and shape."""
    parameters = list(batch(pose_of(sample_rotations(rng, kind)), (0.0, 0.0, 0.0)))
    parameters[1] = np.clip(rng.normal(size=parameters[1].shape), -2.5, 2.5).astype(np.float32)
    return parameters


def around(rng: np.random.Generator, vertices: Array) -> tuple[Array, Float64]:
    """Return points (P, 3) outside of a mesh, and their distances (P,) from its vertices."""
    normals = vertex_normals(vertices, open_body().faces)
    chosen = rng.integers(0, len(vertices), POINTS)
    lengths = rng.uniform(RANGES[0][0], RANGES[-1][1], (POINTS, 1)).astype(np.float32)
    points = vertices[chosen] + lengths * normals[chosen]
    distances, nearest = KDTree(vertices).query(points)
    inside = ((points - vertices[nearest]) * normals[nearest]).sum(axis=1) < 0.0
    kept = ~inside & (distances >= RANGES[0][0])
    return points[kept], distances[kept]


def errors_of(rng: np.random.Generator, kind: str) -> tuple[Float64, Float64, Float64, Float64]:
    """Return depths outside, mesh distances, and errors of capsules and of bones, all in metres."""
    found: list[list[Float64]] = [[], [], [], []]
    for _ in range(PEOPLE):
        parameters = some_body(rng, kind)
        vertices = open_body().vertices(*parameters)[0]
        capsules = capsules_of(parameters)
        points, distances = around(rng, vertices)
        bones = KDTree(open_body().joints(*parameters)[0]).query(points)[0]
        found[0].append(outside(capsules, vertices))
        found[1].append(distances)
        found[2].append(outside(capsules, points) - distances)
        found[3].append(bones - distances)
    depths, distances, errors, bones = (np.concatenate(part) for part in found)
    return depths, distances, errors, bones


def coverage_row(name: str, depths: Float64) -> list[str]:
    """Return a row about vertices outside of the capsules."""
    percentile = max(0.0, float(np.quantile(depths, 0.99)))
    share = 100 * float((depths > 0.0).mean())
    return [name, f"{share:.1f} %", f"{1000 * percentile:.0f}", f"{1000 * depths.max():.0f}"]


def error_cells(errors: Float64) -> list[str]:
    """Return mean, standard deviation, 5 %, 95 % and greatest of errors, millimetres."""
    low, high = np.quantile(errors, [0.05, 0.95])
    mean, *others = (f"{1000 * value:+.0f}" for value in (errors.mean(), low, high, errors.max()))
    return [mean, f"{1000 * errors.std():.0f}", *others]


def accuracy() -> dict[str, Table]:
    """Return the tables of coverage and of distance."""
    rng = np.random.default_rng(SEED)
    results = {kind: errors_of(rng, kind) for kind in KINDS}
    results["**all**"] = tuple(np.concatenate(part) for part in zip(*results.values(), strict=True))
    coverage = [coverage_row(name, result[0]) for name, result in results.items()]
    rows = []
    for name, (_, distances, errors, bones) in results.items():
        for low, high in RANGES:
            within = (low <= distances) & (distances < high)
            cells = error_cells(errors[within])
            bone = f"{1000 * bones[within].mean():+.0f}"
            rows.append([name, f"{low:g} to {high:g}", *cells, bone])
    return {
        "Vertices outside of the capsules": (
            ("pose", "share", "99 % within, mm", "farthest, mm"),
            coverage,
        ),
        "Distance of the capsules minus distance of the mesh": (
            ("pose", "distance, m", "mean, mm", "std", "5 %", "95 %", "greatest", "bones, mean"),
            rows,
        ),
    }


def time_row(people: int, frames: int) -> list[str]:
    """Return a row of medians for this many people and robot frames."""
    rng = np.random.default_rng(SEED)
    bodies = [some_body(rng, "standing") for _ in range(people)]
    parameters = [np.concatenate(part) for part in zip(*bodies, strict=True)]
    joints = open_body().joints(*parameters)
    confidence, scale = np.ones((people, 55), np.float32), np.ones(people, np.float32)
    centres, radii = rng.normal(size=(frames, 3)), np.full(frames, 0.1)
    ids, depth_errors, speeds = [f"h{n}" for n in range(people)], np.ones(people), ClosingSpeeds()
    second = iter(np.arange(1.0, 1e4, 0.05))

    def by_capsules() -> None:
        capsules = body_capsules(joints, confidence, scale)
        found = separations(capsules, centres, radii, ORIGIN, depth_errors)
        speeds.update(float(next(second)), ids, found.distances)

    def by_mesh() -> None:
        for vertices in open_body().vertices(*parameters):
            KDTree(vertices).query(centres)

    capsules, mesh = medians(by_capsules, by_mesh)
    ratio = f"{mesh / capsules:.0f}"
    return [str(people), str(frames), f"{capsules:.2f}", f"{mesh:.1f}", ratio]


def main() -> None:
    """Measure and write the report."""
    tables = accuracy()
    with threadpool_limits(1):
        rows = [time_row(*size) for size in SIZES]
    tables["Time"] = (("people", "frames", "capsules, ms", "mesh, ms", "ratio"), rows)
    write_report("separation", __doc__ or "", tables)


if __name__ == "__main__":
    main()
