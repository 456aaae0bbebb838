# SPDX-License-Identifier: Apache-2.0
"""Joints in space from their pixels in several calibrated views, for one or more people.

Linear triangulation (Hartley and Zisserman, Multiple View Geometry, 2004, section 12.2). People of
different views are put together by the distances at which their joints are projected again; views
in which a joint is off are left out of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from pear_ros.evaluation.calibrations import CalibratedCamera
from pear_ros.evaluation.labels import Doubles

SAME_PERSON = 0.06
"""Greatest median distance, over the joints' extent in the picture, of people of two views."""
JOINT_WITHIN = 0.03
"""Greatest distance of a joint that is projected again, over the joints' extent in the picture."""
MIN_VIEWS = 3
"""Views that a joint needs, or all where there are fewer cameras: two wrong rays often meet."""
_MOST_MOTION = 0.5
"""Greatest distance of one person's joints from moment to moment, metres."""
_LONGEST_GAP = 30
"""Moments over which a person may be unseen."""
_MIN_JOINTS = 6
"""Joints that two views of a person need in common."""


@dataclass(frozen=True)
class Triangulated:
    """One person at one moment."""

    joints: Doubles
    """(J, 3) in the world, metres; NaN: seen by too few views, or views disagree."""
    error: Doubles
    """(C, J) distance of the joint that is projected again, pixels; NaN: the view is left out."""
    members: tuple[int, ...]
    """(C,) index of the person in each view; -1: not seen there."""


def triangulate(
    cameras: Sequence[CalibratedCamera], people: Sequence[Sequence[Doubles]]
) -> list[Triangulated]:
    """Return all people who are seen by two views or more at one moment.

    `people`: for each camera the joints (J, 2) of each person, pixels; NaN: unknown.
    """
    rays = [
        [_rays(camera, person) for person in seen]
        for camera, seen in zip(cameras, people, strict=True)
    ]
    left = [set(range(len(seen))) for seen in people]
    result: list[Triangulated] = []
    while True:
        groups = [
            _grown(cameras, people, rays, left, {a: i, b: j})
            for a, b in itertools.combinations(range(len(cameras)), 2)
            for i, j in itertools.product(sorted(left[a]), sorted(left[b]))
        ]
        found = [group for group in groups if group is not None]
        if not found:
            return result
        best = min(found, key=lambda group: (-len(group[1]), group[0]))[1]
        result.append(_robust(cameras, people, rays, best))
        for camera, index in best.items():
            left[camera].discard(index)


def _grown(
    cameras: Sequence[CalibratedCamera],
    people: Sequence[Sequence[Doubles]],
    rays: Sequence[Sequence[Doubles]],
    left: Sequence[set[int]],
    pair: dict[int, int],
) -> tuple[float, dict[int, int]] | None:
    """Return cost and members of the person that a pair of views shows; None: it is none."""
    points = _linear(cameras, rays, pair)
    if np.isfinite(points).all(axis=1).sum() < _MIN_JOINTS:
        return None
    costs = [_cost(cameras[c], people[c][index], points) for c, index in pair.items()]
    if max(costs) > SAME_PERSON:
        return None
    members = dict(pair)
    for c, seen in enumerate(left):
        if c not in members and seen:
            cost, index = min((_cost(cameras[c], people[c][i], points), i) for i in seen)
            if cost <= SAME_PERSON:
                members[c] = index
                costs.append(cost)
    return float(np.mean(costs)), members


def _robust(
    cameras: Sequence[CalibratedCamera],
    people: Sequence[Sequence[Doubles]],
    rays: Sequence[Sequence[Doubles]],
    members: dict[int, int],
) -> Triangulated:
    """Triangulate each joint from all views; without the worst one until the others agree."""
    views = sorted(members)
    pixels = np.array([people[c][members[c]] for c in views])  # (C', J, 2)
    extent = np.array([_extent(people[c][members[c]]) for c in views])[:, None]
    used = np.isfinite(pixels).all(axis=2)
    needed = min(MIN_VIEWS, len(cameras))
    used[:, used.sum(axis=0) < needed] = False
    while True:
        points = _linear(cameras, rays, members, used)
        again = np.array([cameras[c].camera.project(cameras[c].from_world(points)) for c in views])
        distance = np.linalg.norm(again - pixels, axis=2)
        off = np.where(used & np.isfinite(distance), distance / extent, -1.0)
        worst = off.argmax(axis=0)
        wrong = np.flatnonzero((off.max(axis=0) > JOINT_WITHIN) & (used.sum(axis=0) > 0))
        if not len(wrong):
            break
        too_few = wrong[used[:, wrong].sum(axis=0) <= needed]
        used[:, too_few] = False
        more = wrong[used[:, wrong].any(axis=0)]
        used[worst[more], more] = False
    error = np.full((len(cameras), pixels.shape[1]), np.nan)
    error[views] = np.where(used & np.isfinite(points).all(axis=1), distance, np.nan)
    return Triangulated(points, error, tuple(members.get(c, -1) for c in range(len(cameras))))


def _linear(
    cameras: Sequence[CalibratedCamera],
    rays: Sequence[Sequence[Doubles]],
    members: dict[int, int],
    used: Doubles | None = None,
) -> Doubles:
    """Return the points (J, 3) that best fit the rays; NaN where fewer than two views are used.

    `used` (members, J): rows in the order of the cameras; None: all known rays.
    """
    views = sorted(members)
    known = np.array([np.isfinite(rays[c][members[c]]).all(axis=1) for c in views])
    if used is not None:
        known &= used.astype(bool)
    rows = []
    for number, c in enumerate(views):
        ray = np.where(known[number][:, None], rays[c][members[c]], 0.0)
        place = np.column_stack([cameras[c].rotation, cameras[c].translation])  # (3, 4)
        equations = ray[:, :, None] * place[2] - place[:2]  # (J, 2, 4)
        rows.append(equations * known[number][:, None, None])
    matrix = np.concatenate(rows, axis=1)
    _, _, right = np.linalg.svd(matrix)
    solution = right[:, -1]
    enough = known.sum(axis=0) >= 2
    weight = np.where(enough & (np.abs(solution[:, 3]) > 1e-12), solution[:, 3], np.nan)
    points: Doubles = solution[:, :3] / weight[:, None]
    return points


def _rays(camera: CalibratedCamera, pixels: Doubles) -> Doubles:
    return camera.camera.rays(pixels).astype(np.float64)


def _cost(camera: CalibratedCamera, pixels: Doubles, points: Doubles) -> float:
    """Return the median distance of points that are projected again, over the joints' extent."""
    again = camera.camera.project(camera.from_world(points))
    distance = np.linalg.norm(again - pixels, axis=1) / _extent(pixels)
    known = distance[np.isfinite(distance)]
    return float(np.median(known)) if len(known) >= _MIN_JOINTS else np.inf


def _extent(pixels: Doubles) -> float:
    known = pixels[np.isfinite(pixels).all(axis=1)]
    return float(max(np.ptp(known, axis=0).max(), 1.0)) if len(known) else 1.0


@dataclass(frozen=True)
class TriangulatedClip:
    """All people over time, as their views show them."""

    joints: Doubles
    """(F, P, J, 3) in the world, metres; NaN: unknown."""
    error: Doubles
    """(F, P, C, J) distances of joints that are projected again, pixels; NaN: not used."""


def triangulate_clip(
    cameras: Sequence[CalibratedCamera], moments: Sequence[Sequence[Sequence[Doubles]]]
) -> TriangulatedClip:
    """Return all people over time; people of successive moments are the same where nearest.

    `moments`: for each moment what `triangulate` takes. People who are there in less than a tenth
    of the moments are left out.
    """
    tracks: list[dict[int, Triangulated]] = []
    for n, people in enumerate(tqdm(moments, unit="frame", desc="triangulation")):
        found = triangulate(cameras, people)
        distance = np.array([[_gap(track, n, one) for one in found] for track in tracks])
        distance = distance.reshape(len(tracks), len(found))
        free = set(range(len(found)))
        for track, one in zip(*linear_sum_assignment(np.minimum(distance, 1e3)), strict=True):
            if distance[track, one] <= _MOST_MOTION:
                tracks[track][n] = found[one]
                free.discard(int(one))
        tracks += [{n: found[one]} for one in sorted(free)]
    kept = [track for track in tracks if len(track) >= max(1, len(moments) // 10)]
    count = max((one.joints.shape[0] for track in kept for one in track.values()), default=0)
    joints = np.full((len(moments), len(kept), count, 3), np.nan)
    error = np.full((len(moments), len(kept), len(cameras), count), np.nan)
    for person, track in enumerate(kept):
        for n, one in track.items():
            joints[n, person], error[n, person] = one.joints, one.error
    return TriangulatedClip(joints, error)


def _gap(track: dict[int, Triangulated], n: int, one: Triangulated) -> float:
    """Return the median distance of the joints to those of the track's last moment, metres."""
    last = max(track)
    if n - last > _LONGEST_GAP:
        return np.inf
    distance = np.linalg.norm(track[last].joints - one.joints, axis=1)
    known = distance[np.isfinite(distance)]
    return float(np.median(known)) if len(known) else np.inf
