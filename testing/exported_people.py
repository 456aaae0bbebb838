# SPDX-License-Identifier: Apache-2.0
"""Two people as recorded in eight images, in memory, in a bag, and in a file of `pear run`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.body import load_open_body
from pear_ros.cli.results import ParameterTable
from pear_ros.core.camera import Camera
from pear_ros.core.people import (
    MEASURED_STATES,
    DepthSource,
    People,
    Person,
    SmplxParams,
    TrackingState,
)
from testing.results_bag import ResultsBag

BODY = load_open_body()
CAMERA = Camera(640, 480, 500.0, 510.0, 319.5, 239.5)
START = 1_700_000_000_023_456_789
STEP = 100_000_000
IMAGES = 8
PRESENT = {"h1": [0, 1, 2, 3, 4, 5, 6, 7], "h2": [1, 2, 5, 6]}
"""h2 is absent in images 3, 4 and 7, and LOST in 3."""

Images = list[tuple[int, People]]


def run_file(path: Path, images: Images) -> Path:
    """An npz file of `pear run`."""
    table = ParameterTable(BODY)
    for stamp, found in images:
        there = [p for p in found.persons if p.state is not TrackingState.LOST]
        table.append((stamp - START) * 1e-9, found, there)
    table.save(path)
    return path


def person(name: str, image: int, state: TrackingState | None = None) -> Person:
    """A person who differs from image to image, including shape and size."""
    rng = np.random.default_rng([image, ord(name[-1])])
    shape = np.random.default_rng(ord(name[-1])).normal(0.0, 0.7, BODY.num_betas)
    pose = rng.normal(0.0, 0.3, (55, 3)).astype(np.float32)
    # The T-pose has y up, the optical frame y down: about half a turn, where vectors leap.
    pose[0] = Rotation.from_rotvec([np.pi - 0.6 + 0.15 * image, 0.2, 0.1]).as_rotvec()
    expression = np.zeros(BODY.num_expression, np.float32)
    expression[BODY.expression_names.index("jawOpen")] = 0.1 * image
    expression[BODY.expression_names.index("mouthSmileLeft")] = 0.7
    smplx = SmplxParams(
        pose=pose,
        betas=(shape + rng.normal(0.0, 0.05, BODY.num_betas)).astype(np.float32),
        expression=expression,
        transl=np.array([ord(name[-1]) - 49.5, 0.3, 3.0 + 0.1 * image], np.float32),
    )
    scale = 1.1 + 0.01 * (image % 3)
    joints = BODY.joints(**{**batched(smplx), "transl": np.zeros((1, 3), np.float32)})[0]
    joints = np.float32(scale) * joints + smplx.transl
    confidence = rng.uniform(0.0, 1.0, 55).astype(np.float32)
    confidence[3] = np.nan
    return Person(
        id=name,
        state=state or (TrackingState.TRACKED if image > PRESENT[name][0] else TrackingState.NEW),
        score=0.75,
        box=np.array([10, 20, 110, 220], np.float32),
        smplx=smplx,
        joints=joints,
        joint_confidence=confidence,
        keypoints=CAMERA.project(joints),
        scale=scale,
        depth_source=DepthSource.MEASURED,
        depth_error=0.125,
        foot_contact=rng.uniform(0.0, 1.0, 4).astype(np.float32),
    )


def batched(smplx: SmplxParams) -> dict[str, Any]:
    """Arguments of BodyModel.vertices for one person."""
    return {key: value[None] for key, value in vars(smplx).items()}


def people(*persons: Person, **changes: Any) -> People:
    return replace(People(CAMERA, "landmarks/1", BODY.name, persons), **changes)


def recorded_images() -> Images:
    images = []
    for image in range(IMAGES):
        there = [person(name, image) for name, present in PRESENT.items() if image in present]
        if image == 3:
            there = [
                replace(there[0], state=TrackingState.PREDICTED),
                person("h2", 2, TrackingState.LOST),
            ]
        images.append((START + image * STEP, people(*there)))
    return images


def write(path: Path, images: Images, **options: Any) -> Path:
    """A bag of one topic."""
    with ResultsBag(path, **options) as bag:
        bag.add_body(BODY)
        bag.add_images(images)
    return path


def measured(persons: list[Person]) -> list[Person]:
    return [found for found in persons if found.state in MEASURED_STATES]


def of(images: Images, name: str) -> list[Person]:
    """A person in all images in which they are present."""
    return [
        found
        for _, people in images
        for found in people.persons
        if found.id == name and found.state is not TrackingState.LOST
    ]
