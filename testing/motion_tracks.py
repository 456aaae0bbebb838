# SPDX-License-Identifier: Apache-2.0
"""Recordings of people who walk before a tilted camera, without errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pear_ros.body import load_open_body
from pear_ros.cli.results import ParameterTable
from pear_ros.core.camera import Camera
from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import NUM_JOINTS, People, Person, SmplxParams, TrackingState, stack
from pear_ros.export.tracks import Recording, tracks_of
from testing.walking_people import walking_scene

Doubles = npt.NDArray[np.float64]

CAMERA = Camera(1280, 720, 900.0, 900.0, 639.5, 359.5)
GROUND = GroundPlane.from_tilt(1.2, np.radians(14.0), 0.0, 0.0)
BODY = load_open_body()
START = 1_700_000_000_000_000_000


def walking_recording(
    times: Sequence[float],
    *,
    people: Sequence[str] = ("h1",),
    change: Callable[[int, Person], Person | None] = lambda image, person: person,
    body_model: str = BODY.name,
) -> Recording:
    """Return a recording of people with images at `times`, seconds, and no noise.

    `change`: from image and person to the person that is recorded, None: absent there.
    """
    stamps: Doubles = np.array(times, np.float64)
    images = _images(stamps, people, change, body_model)
    nanoseconds = START + np.round(stamps * 1e9).astype(np.int64)
    return Recording(Path("walk_bag"), nanoseconds, "camera", tracks_of(images))


def walking_people_images(
    times: Sequence[float], people: Sequence[str] = ("h1", "h2")
) -> list[tuple[int, People]]:
    """Return stamps, nanoseconds, and the people in the images at `times`, seconds."""
    stamps: Doubles = np.array(times, np.float64)
    images = _images(stamps, people, lambda image, person: person, BODY.name)
    nanoseconds = START + np.round(stamps * 1e9).astype(np.int64)
    return list(zip(nanoseconds.tolist(), images, strict=True))


def walking_run_file(path: Path, times: Sequence[float]) -> Path:
    """Write the npz file that `pear run` makes of these images; return its path."""
    table = ParameterTable(BODY)  # type: ignore[arg-type]
    for stamp, people in walking_people_images(times):
        table.append((stamp - START) * 1e-9, people, people.persons)
    table.save(path)
    return path


def _images(
    stamps: Doubles,
    people: Sequence[str],
    change: Callable[[int, Person], Person | None],
    body_model: str,
) -> list[People]:
    walks = [_walk(n, name, tuple(stamps.tolist())) for n, name in enumerate(people)]
    images = []
    for image in range(len(stamps)):
        there = [change(image, walk[image]) for walk in walks]
        persons = [person for person in there if person is not None]
        images.append(People(CAMERA, "landmarks/2", body_model, persons))
    return images


@lru_cache(maxsize=32)
def _walk(seed: int, name: str, times: tuple[float, ...]) -> list[Person]:
    rng = np.random.default_rng([seed, 5])
    scene = walking_scene(rng, BODY, GROUND, np.array(times), 4.0 + seed)
    smplx = stack(scene.smplx)
    origin = np.zeros_like(smplx.transl)
    joints = BODY.joints(smplx.pose, smplx.betas, smplx.expression, origin)
    joints = np.float32(scene.size) * joints + smplx.transl[:, None]
    return [
        _person(name, one, joints[n], scene.size, TrackingState.TRACKED if n else TrackingState.NEW)
        for n, one in enumerate(scene.smplx)
    ]


def _person(
    name: str,
    smplx: SmplxParams,
    joints: npt.NDArray[np.float32],
    size: float,
    state: TrackingState,
) -> Person:
    pose = smplx.pose.copy()
    pose[25:] = (0.0, 0.0, 0.1)  # Fingers that are not at rest.
    return Person(
        id=name,
        state=state,
        score=0.9,
        box=np.array([0, 0, 100, 200], np.float32),
        smplx=replace(smplx, pose=pose),
        joints=_with_fingers(smplx, pose, joints, size),
        joint_confidence=np.ones(NUM_JOINTS, np.float32),
        keypoints=CAMERA.project(joints),
        scale=size,
    )


def _with_fingers(
    smplx: SmplxParams,
    pose: npt.NDArray[np.float32],
    joints: npt.NDArray[np.float32],
    size: float,
) -> npt.NDArray[np.float32]:
    """The joints of the pose with other fingers."""
    zero = np.zeros((1, 3), np.float32)
    local = BODY.joints(pose[None], smplx.betas[None], smplx.expression[None], zero)[0]
    return np.asarray(np.float32(size) * local + smplx.transl)
