# SPDX-License-Identifier: Apache-2.0
"""Time from the outputs of PEAR's network to placed people, on the CPU.

    python -m benchmarks.pear_glue

The steps of pear_ros.estimators.pear, each against the straightforward form that it replaced,
alternating in the same run, on one thread. The body is synthetic, in full size, the network's
outputs are random, the camera is a pinhole's. Figures are ms for all people together: the median,
and in brackets the fastest of all runs, to which other programs add least.

- parameters: the output vectors taken apart, rotation matrices from six numbers each
- joints: of the body, without its mesh
- place: rotation and translation before the robot's camera, pear_ros.pear.placement
- turn: axis-angle vectors of all rotations
- plain: array API functions, joints regressed from vertices of the head, general least squares by
  NumPy, SciPy's Rotation
- NumPy: pear_ros where Numba is not installed; compiled: where it is
- difference: the largest between plain and compiled, in metres or radians, or of a matrix's entry
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from benchmarks.report import write_report
from pear_ros.body import kinematics
from pear_ros.body.ehm import EhmBody
from pear_ros.body.ehm_head import FlameHead
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.kinematics import float32_array, namespace, rotation_vectors
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.people import Array
from pear_ros.pear import placement
from pear_ros.pear.crop import squares
from pear_ros.pear.files import find_model_files, load_body_files
from pear_ros.pear.placement import image_points, place_people
from pear_ros.pear.prediction import LAYOUT, VECTOR_SIZE, Prediction
from testing.parity import recipe

Doubles = npt.NDArray[np.float64]

RUNS = 50
ROUNDS = 10
PEOPLE = (1, 5)
ROTATIONS = 52
_WEIGHT, _FEWEST = placement.JOINT_WEIGHTS, placement._FEWEST
_NEAREST, _LEVER = placement._NEAREST, placement._TURN_LEVER


def plain_parameters(vectors: Array) -> Any:
    """Rotations (B, 55, 3, 3) of output vectors, which are taken apart."""
    ends = list(accumulate(LAYOUT.values()))
    parts = {
        name: vectors[:, end - count : end]
        for (name, count), end in zip(LAYOUT.items(), ends, strict=True)
    }
    rotations = plain_matrices(parts["rotations"].reshape(-1, ROTATIONS, 6))
    rest = np.broadcast_to(np.eye(3, dtype=np.float32), (len(vectors), 3, 3, 3))
    return np.concatenate([rotations[:, :22], rest, rotations[:, 22:]], axis=1)


def plain_matrices(values: Array) -> Any:
    """Gram-Schmidt by functions of the array API."""
    xp = namespace(values)
    first, second = values[..., :3], values[..., 3:]

    def unit(vectors: Any) -> Any:
        length = xp.linalg.vector_norm(vectors, axis=-1, keepdims=True)
        return vectors / xp.clip(length, min=1e-12)

    x = unit(first)
    y = unit(second - xp.linalg.vecdot(x, second)[..., None] * x)
    return xp.stack([x, y, xp.linalg.cross(x, y)], axis=-1)


class PlainJoints:
    """Joints regressed from the vertices of the head that they depend on."""

    def __init__(self, body: EhmBody) -> None:
        smplx, flame = body.smplx, body.flame
        head = flame.smplx_vertices[flame.swapped]
        regressor = smplx.joint_regressor.toarray()[:, head]
        used = np.flatnonzero(regressor.any(axis=0))
        rows = np.flatnonzero(flame.swapped)[used]
        self._head = FlameHead(flame, rows, float32_array)
        self._regressor = float32_array(regressor[:, used].T)
        self._body = body

    def __call__(self, people: EhmParameters) -> Array:
        """Return joints (B, 55, 3)."""
        body = self._body
        jaw_and_eyes = np.concatenate([people.jaw, people.eyes], axis=1).reshape(-1, 3, 3)
        skull = body._skull(people, kinematics.rotation_matrices(jaw_and_eyes))
        points = body._points(np.concatenate([people.betas, people.expression], axis=1))
        shift = points[:, -1] - skull.between_eyes
        head = self._head(people, skull) + shift[..., None]
        rest = points[:, :-1] + (head @ self._regressor).swapaxes(1, 2)
        tree = body._tree
        joints: Array = tree.positions(tree.orientations(people.pose), tree.bones(rest))
        return np.asarray(joints + people.transl[:, None])


def plain_place(
    joints: Array, crop_camera: Array, places: Doubles, camera: Camera
) -> tuple[Array, Array]:
    """The method of `place_people` with each least-squares problem solved in general form."""
    middle = places[:, None, :2] + places[:, None, 2:] / 2.0
    pixels = np.concatenate([middle, image_points(joints, crop_camera, places)], axis=1)
    flat = camera.rays(pixels).astype(np.float64)
    x, y = flat[:, 0].T
    slope = np.hypot(x, y)
    share = np.arctan(slope) / np.maximum(slope, 1e-12)
    looking = kinematics.rotation_matrices(np.stack([-y * share, x * share, 0.0 * x], axis=1))
    seen = np.asarray(np.isfinite(flat[:, 1:]).all(axis=2))
    weight = np.where(seen, _WEIGHT, 0.0)
    weight[np.count_nonzero(seen, axis=1) < _FEWEST] = np.nan
    flat = np.where(seen[..., None], flat[:, 1:], 0.0)
    rays = np.concatenate([flat, np.ones((*flat.shape[:2], 1))], axis=2) @ looking
    rays = rays[..., :2] / rays[..., 2:]
    points = joints.astype(np.float64)
    pelvis = points[:, 0]
    rows = np.zeros((*rays.shape, 3))
    rows[..., 0, 0] = rows[..., 1, 1] = 1.0
    rows[..., 2] = -rays
    target = rays * points[..., 2:] - points[..., :2]
    transl = least_squares(rows, target, weight)
    depth = np.maximum(points[..., 2] + transl[:, None, 2], _NEAREST)
    start = pelvis + least_squares(rows, target, weight / depth**2)
    turn, transl = plain_step(points - pelvis[:, None], start, rays, weight)
    transl = (looking @ transl[..., None])[..., 0] - pelvis
    return (looking @ turn).astype(np.float32), transl.astype(np.float32)


def plain_step(
    offsets: Doubles, pelvis: Doubles, rays: Doubles, weight: Doubles
) -> tuple[Doubles, Doubles]:
    """A step of Gauss-Newton on the reprojection error: rotations, and positions of the pelvis."""
    x, y, z = np.moveaxis(offsets, 2, 0)
    depth = np.maximum(z + pelvis[:, None, 2], _NEAREST)
    flat = (offsets[..., :2] + pelvis[:, None, :2]) / depth[..., None]
    u, v = np.moveaxis(flat, 2, 0)
    none, one = np.zeros_like(u), np.ones_like(u)
    of_u = np.stack([-u * y, z + u * x, -y, one, none, -u], axis=2)
    of_v = np.stack([-z - v * y, v * x, x, none, one, -v], axis=2)
    rows = np.stack([of_u, of_v], axis=2) / depth[..., None, None]
    damping = np.array([_LEVER**2] * 3 + [0.0] * 3)
    damping = damping * (weight.sum(axis=1) / pelvis[:, 2] ** 2)[:, None]
    step = least_squares(rows, rays - flat, weight, damping)
    return kinematics.rotation_matrices(step[:, :3]), pelvis + step[:, 3:]


def least_squares(
    rows: Doubles, target: Doubles, weight: Doubles, damping: Doubles | float = 0.0
) -> Doubles:
    """Normal equations of rows (B, N, 2, K) x = target (B, N, 2); x (B, K)."""
    people, points, _, unknowns = rows.shape
    flat = rows.reshape(people, 2 * points, unknowns)
    weighted = flat.swapaxes(1, 2) * np.repeat(weight, 2, axis=1)[:, None]
    normal = weighted @ flat
    np.einsum("bkk->bk", normal)[:] += damping
    right = weighted @ target.reshape(people, 2 * points, 1)
    normal[~np.isfinite(normal).all(axis=(1, 2))] = 0.0
    unsolvable = ~(np.linalg.det(normal) > 0.0)
    normal[unsolvable] = np.eye(unknowns)
    right[unsolvable] = np.nan
    return np.asarray(np.linalg.solve(normal, right)[..., 0], np.float64)


def plain_turn(matrices: Array) -> Array:
    """Axis-angle vectors by SciPy."""
    vectors = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec()
    return np.asarray(vectors.reshape(matrices.shape[:-1]), np.float32)


@contextmanager
def without_numba(body: EhmBody) -> Iterator[None]:
    """Compute by NumPy in this context."""
    with (
        mock.patch.object(placement, "compiled_fit", lambda: None),
        mock.patch.object(body._tree, "_compiled_posed", None),
    ):
        yield


def outputs(people: int) -> Array:
    """Outputs (B, VECTOR_SIZE) of a network that sees people."""
    rng = np.random.default_rng(people)
    found = rng.normal(0, 0.3, (people, VECTOR_SIZE)).astype(np.float32)
    found[:, : 6 * ROTATIONS] += np.tile([1, 0, 0, 0, 1, 0], ROTATIONS).astype(np.float32)
    found[:, -3:] = [0.05, 0.1, 1.1]
    return found


Step = tuple[Callable[[], Any], Callable[[], Any]]
"""The plain way and ours."""


def steps(body: EhmBody, people: int) -> dict[str, Step]:
    """Return the steps for a number of people, by name."""
    guessed = Camera.from_field_of_view(1280, 720)
    camera = replace(guessed, source=IntrinsicsSource.CAMERA_INFO)
    boxes = [[100 + 200 * n, 100, 300 + 200 * n, 600] for n in range(people)]
    places = squares(np.array(boxes, np.float32), 1280, 720)
    vectors, plain_joints = outputs(people), PlainJoints(body)
    seen = Prediction.from_vectors(vectors)
    persons = seen.parameters()
    place = body.joints(persons), seen.camera, places, camera
    return {
        "parameters": (
            lambda: plain_parameters(vectors),
            lambda: Prediction.from_vectors(vectors).parameters().pose,
        ),
        "joints": (lambda: plain_joints(persons), lambda: body.joints(persons)),
        "place": (lambda: plain_place(*place), lambda: place_people(*place)),
        "turn": (lambda: plain_turn(persons.pose), lambda: rotation_vectors(persons.pose)),
    }


def milliseconds(call: Callable[[], Any]) -> list[float]:
    """Return the times of consecutive calls."""
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        call()
        taken.append(1e3 * (time.perf_counter() - start))
    return taken


def measure(body: EhmBody, step: Step) -> tuple[Doubles, float]:
    """Return ms of a step plainly, by NumPy and compiled, and the largest difference.

    Shape (2, 3): medians, and the fastest of all runs.
    """
    plain, ours = step
    expected, found = ([*call()] for call in step)
    off = max(float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True))
    times: list[list[float]] = [[], [], []]
    for _ in range(ROUNDS):
        times[0] += milliseconds(plain)
        with without_numba(body):
            times[1] += milliseconds(ours)
        times[2] += milliseconds(ours)
    return np.array([np.median(times, axis=1), np.min(times, axis=1)]), off


def cells(figures: Doubles, digits: int = 3) -> list[str]:
    """Format medians and fastest times (2, 3)."""
    return [f"{median:.{digits}f} ({fastest:.{digits}f})" for median, fastest in figures.T]


def main() -> None:
    """Measure and write the report."""
    tables = {}
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        recipe.write_assets(Path(name), 5)
        body = EhmBody(*load_body_files(find_model_files(Path(name))))
        for people in PEOPLE:
            rows, total = [], np.zeros((2, 3))
            for step, ways in steps(body, people).items():
                times, off = measure(body, ways)
                total += times
                rows.append([step, *cells(times), f"{off:.1g}"])
            rows.append(["all", *cells(total), ""])
            rows.append(["for each person", *cells(total / people), ""])
            rows.append(["plain / ours", *cells(total[:, :1] / total, 1), ""])
            head = ["step", "plain", "NumPy", "compiled", "difference"]
            tables[f"{people} {'person' if people == 1 else 'people'}"] = (head, rows)
    write_report("pear_glue", __doc__ or "", tables)


if __name__ == "__main__":
    main()
