# SPDX-License-Identifier: Apache-2.0
"""Reprojection error of bodies from PEAR's crops after their placement before a robot's camera.

    python -m benchmarks.placement

Bodies in random poses, seen from all sides, fill crops as in PEAR's training. Each crop is put at
the centre, at an edge and in a corner of an image of 1280 x 720 pixels, such that the person's box
ends at the image's border, and the body is placed before cameras of different focal length. The
figures are the mean distance over all vertices between the network's projection into the image and
that of the placed mesh, in percent of the longer side of the person's box (the crop's side is a
quarter larger). "worst 5 %": the 95th percentile over people.

- authors: the closed form of PEAR's authors, the fallback for cameras without calibration
- translation: the best translation for the vertices, without rotation
- placed: pear_ros.pear.placement, from the joints alone
- best: the best rotation and translation for the vertices, by least squares. No rigid motion has a
  smaller error, and a larger body further away looks the same: what remains is the perspective of a
  body that was seen nearly without any. In the middle of the image that is 1 % at a distance of
  about 4.3 m; beside it, the stretch of a perspective image towards its borders adds to it
- "-": a body would be partly behind the camera
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from benchmarks.report import write_report
from pear_ros.body import load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.distortion import Distortion
from pear_ros.pear.placement import closed_form, image_points, place, place_people
from pear_ros.training.poses import FACING_CAMERA, KINDS, sample_rotations

Doubles = npt.NDArray[np.float64]

SIZE = (1280, 720)
PEOPLE_OF_A_KIND = 24
FOCALS = (0.8, 1.0, 1.4, 2.0)
"""In widths of the image."""
SIDES = (200, 400, 680)
"""Longer side of the person's box, pixels."""
PLACES = {"centre": (0, 0), "edge": (1, 0), "corner": (1, 1)}
LENSES = {
    "plumb_bob": (0.8, Distortion("plumb_bob", (-0.3, 0.1, 0.001, -0.001, 0.0))),
    "equidistant": (0.5, Distortion("equidistant", (-0.01, 0.02, -0.01, 0.002))),
}
"""With the focal length in image widths."""
MARGIN = 1.25
"""Side of the crop over that of the box."""
FITTED = 20
"""Step between the vertices to which rigid motions and translations are fitted."""
GAUSS_NEWTON_STEPS = 6
RUNS = 300
NETWORK_CAMERA = Camera(256, 256, 3072.0, 3072.0, 128.0, 128.0)


@dataclass(frozen=True)
class PredictedPeople:
    """People as predicted by a network, each in the middle of a crop."""

    kinds: Sequence[str]
    """Kind of pose of each."""
    joints: Doubles
    """(B, 55, 3) metres."""
    vertices: npt.NDArray[np.float32]
    """(B, V, 3) metres."""
    cameras: Doubles
    """(B, 3) tx, ty and s of the network's camera."""
    shape: Doubles
    """(B, 2) width and height of the person's box over the longer of the two."""


def sample_people(rng: np.random.Generator) -> PredictedPeople:
    """Return people of each kind of pose, in random orientations."""
    body = load_open_body()
    kinds = [kind for kind in KINDS for _ in range(PEOPLE_OF_A_KIND)]
    poses = []
    for kind in kinds:
        rotations = sample_rotations(rng, kind)
        tilt = Rotation.from_euler("x", rng.normal(0, 10), degrees=True).as_matrix()
        yaw = Rotation.from_euler("y", rng.uniform(0, 360), degrees=True).as_matrix()
        rotations[0] = tilt @ FACING_CAMERA @ yaw @ rotations[0]
        poses.append(Rotation.from_matrix(rotations).as_rotvec())
    count = len(kinds)
    arguments = (
        np.array(poses, np.float32),
        rng.normal(0, 1, (count, body.num_betas)).astype(np.float32),
        np.zeros((count, body.num_expression), np.float32),
        np.zeros((count, 3), np.float32),
    )
    joints, vertices = body.joints(*arguments), body.vertices(*arguments)
    return PredictedPeople(kinds, joints.astype(float), vertices, *filling(vertices))


def filling(vertices: npt.NDArray[np.floating]) -> tuple[Doubles, Doubles]:
    """Return crop cameras (B, 3) in which vertices (B, V, 3) fill the crop, and box shapes."""
    cameras = np.tile([0.0, 0.0, 1.0], (len(vertices), 1))
    crop = np.tile([0.0, 0.0, 256.0], (len(vertices), 1))
    for _ in range(10):
        pixels = image_points(vertices, cameras, crop)
        low, high = pixels.min(axis=1), pixels.max(axis=1)
        sides = high - low
        cameras[:, :2] += ((low + high) / 2 - 128) / 128 / cameras[:, 2:]
        cameras[:, 2] *= 256 / MARGIN / sides.max(axis=1)
    return cameras, sides / sides.max(axis=1, keepdims=True)


def squares(people: PredictedPeople, side: float, where: tuple[int, int]) -> Doubles:
    """Return squares (B, 3) whose box touches the image's borders at one side, or is centred."""
    rng = np.random.default_rng(2)
    direction = rng.choice((-1, 1), (len(people.kinds), 2)) * where
    room = np.maximum(np.array(SIZE) - people.shape * side, 0.0) / 2
    middle = (np.array(SIZE) - 1) / 2 + direction * room
    corner = middle - MARGIN * side / 2
    return np.column_stack([corner, np.full(len(middle), MARGIN * side)])


def camera(focal: float, distortion: Distortion | None = None) -> Camera:
    """Return a camera with a focal length in image widths."""
    width, height = SIZE
    f = focal * width
    return Camera(width, height, f, f, (width - 1) / 2, (height - 1) / 2, distortion=distortion)


@dataclass(frozen=True)
class Motion:
    """Rigid motions of B bodies, in the convention of pear_ros.pear.placement.place_people."""

    turn: npt.NDArray[np.floating]
    transl: npt.NDArray[np.floating]

    def moved(self, change: Doubles) -> Motion:
        """Return the motions after a change (6,) or (B, 6): rotation vectors and translations."""
        turn = Rotation.from_rotvec(change[..., :3]).as_matrix() @ self.turn
        return Motion(turn, self.transl + change[..., 3:])

    def __call__(
        self, people: PredictedPeople, points: npt.NDArray[np.floating]
    ) -> npt.NDArray[np.floating]:
        """Return points (B, N, 3) of the bodies after the motions."""
        pelvis = people.joints[:, :1]
        shift = pelvis + self.transl[:, None] - pelvis @ self.turn.swapaxes(1, 2)
        turned = points @ self.turn.swapaxes(1, 2).astype(points.dtype)
        return np.asarray(turned + shift.astype(points.dtype))


def fitted(points: npt.NDArray[np.floating]) -> Doubles:
    """Those of (B, V, n) vertices that are fitted to where that takes long."""
    return np.asarray(points[:, ::FITTED], np.float64)


def best_motion(people: PredictedPeople, pixels: Doubles, target: Camera, start: Motion) -> Motion:
    """The rigid motions with which the vertices project best to pixels (B, V, 2)."""
    points, expected = fitted(people.vertices), fitted(pixels)

    def off(motion: Motion) -> Doubles:
        found = target.project(motion(people, points)).astype(float)
        return np.asarray((found - expected).reshape(len(points), -1))

    motion, step = start, 1e-3
    for _ in range(GAUSS_NEWTON_STEPS):
        columns = [
            (off(motion.moved(change)) - off(motion.moved(-change))) / (2 * step)
            for change in step * np.eye(6)
        ]
        rows = np.stack(columns, axis=2)
        backwards = rows.swapaxes(1, 2)
        found = np.linalg.solve(backwards @ rows, -(backwards @ off(motion)[..., None]))
        motion = motion.moved(np.asarray(found[..., 0], np.float64))
    return motion


@dataclass(frozen=True)
class Result:
    """Mean distances over the vertices of each person, as shares of the box's side, all (B,)."""

    authors: Doubles
    translation: Doubles
    placed: Doubles
    best: Doubles
    distance: Doubles
    """Of the placed pelvis, metres."""


def measure(people: PredictedPeople, side: float, where: tuple[int, int], target: Camera) -> Result:
    """Return the errors of all methods of placement, for one position of the crops in the image."""
    crops = squares(people, side, where)
    expected = image_points(people.vertices, people.cameras, crops)

    def off(motion: Motion) -> Doubles:
        found = target.project(motion(people, people.vertices))
        return np.asarray(np.linalg.norm(found - expected, axis=2).mean(axis=1) / side)

    upright = np.tile(np.eye(3), (len(crops), 1, 1))
    placed = Motion(*place_people(people.joints, people.cameras, crops, target))
    return Result(
        authors=off(Motion(upright, closed_form(people.cameras, crops, target))),
        translation=off(Motion(upright, place(fitted(people.vertices), fitted(expected), target))),
        placed=off(placed),
        best=off(best_motion(people, expected, target, placed)),
        distance=(people.joints[:, 0] + placed.transl)[:, 2],
    )


COLUMNS = ("distance m", "authors", "translation", "**placed**", "worst 5 %", "best")


def row(result: Result) -> list[str]:
    """The figures of COLUMNS."""
    shares = (
        *(result.authors.mean(), result.translation.mean(), result.placed.mean()),
        *(np.percentile(result.placed, 95), result.best.mean()),
    )
    return [f"{np.median(result.distance):.1f}", *(number(100 * float(share)) for share in shares)]


def number(percent: float) -> str:
    """Two digits behind the point; "-" for NaN."""
    return "-" if np.isnan(percent) else f"{percent:.2f}"


def recovery(
    people: PredictedPeople, side: float, where: tuple[int, int], focal: float
) -> list[str]:
    """Return errors of the pelvis and the root's rotation for an ideal network, as table cells.

    The placed people are the ground truth. The ideal network has their pose and shape, and rotates
    and translates the body such that its own camera projects the vertices, as nearly as possible,
    to where the real camera projects those of the ground truth.
    """
    target, crops = camera(focal), squares(people, side, where)
    truth = Motion(*place_people(people.joints, people.cameras, crops, target))
    seen = target.project(truth(people, people.vertices)).astype(float)
    in_crop = (seen - crops[:, None, :2]) * (NETWORK_CAMERA.width / crops[:, None, 2:])
    upright = np.tile(np.eye(3), (len(crops), 1, 1))
    start = Motion(upright, place(fitted(people.vertices), fitted(in_crop), NETWORK_CAMERA))
    network = best_motion(people, in_crop, NETWORK_CAMERA, start)
    cameras = np.column_stack([-network.transl[:, :2], 24.0 / network.transl[:, 2]])
    joints = replace(network, transl=np.zeros((len(crops), 3)))(people, people.joints)
    cells = []
    for turn, transl in (
        (upright, place(joints, image_points(joints, cameras, crops), target)),
        place_people(joints, cameras, crops, target),
    ):
        error = Rotation.from_matrix(turn @ network.turn @ truth.turn.swapaxes(1, 2)).magnitude()
        moved = np.linalg.norm(transl - truth.transl, axis=1)
        cells += [f"{np.degrees(error).mean():.1f}", f"{1000 * moved.mean():.0f}"]
    return cells


def milliseconds(people: PredictedPeople, count: int, target: Camera) -> float:
    """Return the median time to place `count` people, milliseconds."""
    crops = squares(people, 200.0, PLACES["edge"])[:count]
    joints, cameras = people.joints[:count].astype(np.float32), people.cameras[:count]
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        place_people(joints, cameras, crops, target)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


def main() -> None:
    """Measure and write the report."""
    people = sample_people(np.random.default_rng([2026, 11]))
    cases = [(focal, side, name) for focal in FOCALS for side in SIDES for name in PLACES]
    results = {
        (focal, side, name): measure(people, side, PLACES[name], camera(focal))
        for focal, side, name in tqdm(cases, unit="place")
    }
    by_place = [[f"{c[0]:g}", f"{c[1]}", c[2], *row(results[c])] for c in cases]
    by_lens = []
    for lens, (focal, distortion) in LENSES.items():
        for side in SIDES[:2]:
            for name, where in PLACES.items():
                result = measure(people, side, where, camera(focal, distortion))
                by_lens.append([lens, f"{focal:g}", f"{side}", name, *row(result)])
    kinds = np.array(people.kinds)
    by_pose = [
        [kind]
        + [
            number(100 * np.mean([results[f, 400, n].placed[kinds == kind] for n in PLACES]))
            for f in FOCALS
        ]
        for kind in KINDS
    ]
    recovered = [
        [f"{focal:g}", f"{side}", name, *recovery(people, side, where, focal)]
        for focal in (0.8, 1.4)
        for side in (200, 400)
        for name, where in PLACES.items()
    ]
    cameras = {"pinhole": camera(1.0)} | {name: camera(f, d) for name, (f, d) in LENSES.items()}
    speed = [
        [name, *(f"{milliseconds(people, count, target):.2f}" for count in (1, 8))]
        for name, target in cameras.items()
    ]
    head = ("focal length, widths", "box, pixels", "where")
    write_report(
        "placement",
        __doc__ or "",
        {
            "By focal length and place": ((*head, *COLUMNS), by_place),
            "Distorting lenses": (("lens", *head, *COLUMNS), by_lens),
            "By pose: placed, boxes of 400 pixels, all places": (
                ("pose", *(f"focal length {f:g} widths" for f in FOCALS)),
                by_pose,
            ),
            "Recovery of the ground truth by an ideal network": (
                (
                    *head,
                    *("translation: root off, degrees", "pelvis off, mm"),
                    *("placed: root off, degrees", "pelvis off, mm"),
                ),
                recovered,
            ),
            "Time of place_people, ms": (("camera", "1 person", "8 people"), speed),
        },
    )


if __name__ == "__main__":
    main()
