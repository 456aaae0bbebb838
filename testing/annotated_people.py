# SPDX-License-Identifier: Apache-2.0
"""Annotated people of whom everything is known, as they are rendered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pear_ros.annotation.encoding import members_of
from pear_ros.annotation.sample import PARTS, AnnotatedPerson, Provenance
from pear_ros.annotation.shards import Shard, write_shard
from pear_ros.body import load_open_body
from pear_ros.body.kinematics import rotation_vectors
from pear_ros.core.people import SmplxParams
from pear_ros.pear.crop import crop_pixels, squares
from pear_ros.rendering.raster import rasterize
from pear_ros.training.studio import SyntheticPerson, SyntheticStudio


def rendered_person(seed: int, yaw: float = 20.0) -> SyntheticPerson:
    """A whole person before a wall."""
    return SyntheticStudio().shoot(np.random.default_rng(seed), "standing", yaw)


def annotated_person(person: SyntheticPerson, key: str = "walk-000000-0") -> AnnotatedPerson:
    """The annotation that a render deserves; its mask is the crop's silhouette of the body."""
    body, camera = load_open_body(), person.camera
    pixels = camera.project(person.vertices)
    box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)]).astype(np.float32)
    square = squares(box[None], camera.width, camera.height)[0]
    mask = np.zeros(camera.width * camera.height, np.uint8)
    mask[rasterize(person.vertices, body.faces, camera).pixel] = 255
    whole = np.repeat(mask.reshape(camera.height, camera.width, 1), 3, axis=2)
    pose = rotation_vectors(person.rotations).astype(np.float32)
    shape = (person.betas[None], person.expression[None])
    joints = body.joints(pose[None], *shape, np.zeros((1, 3), np.float32))[0]
    points = np.full((133, 3), np.nan, np.float32)
    points[:, 2] = 0.0
    return AnnotatedPerson(
        key=key,
        crop=crop_pixels(person.image, square[None])[0],
        square=square,
        box=box,
        camera=camera,
        smplx=SmplxParams(
            pose=pose,
            betas=person.betas,
            expression=person.expression,
            transl=(person.joints - joints)[0].astype(np.float32),
        ),
        scale=1.0,
        body_model=body.name,
        body_sha256=body.sha256,
        flame=None,
        joints=person.joints.astype(np.float32),
        joint_confidence=np.ones(55, np.float32),
        keypoints=camera.project(person.joints).astype(np.float32),
        points=points,
        mask=crop_pixels(whole, square[None])[0, :, :, 0],
        confidence=dict.fromkeys(PARTS, 1.0),
        measures={},
        provenance=Provenance("walk.mp4", 0, 0, "0", dict.fromkeys(PARTS, "rendered"), "0"),
    )


def write_people(folder: Path, people: list[AnnotatedPerson]) -> Path:
    """Write one shard; return its folder."""
    folder.mkdir(exist_ok=True)
    named = [replace(p, key=f"walk-{number:06d}-0") for number, p in enumerate(people)]
    write_shard(Shard(folder, "walk-00000"), [(p.key, members_of(p)) for p in named], {})
    return folder
