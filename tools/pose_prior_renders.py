# SPDX-License-Identifier: Apache-2.0
"""Renders for the pose prior: what people do, how a camera sees them, where it cuts them.

Wider than the benchmarks' pictures: people lean, lie, sit on floors and at tables, bend, crouch and
carry; cameras are pitched, rolled and near; the image's edges and things in front hide parts of
people.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation
from tqdm import trange

from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.io.downloads import demo_clip
from pear_ros.landmarks.pose import ROI_SCALE, PoseModel, PoseVariant
from pear_ros.landmarks.roi import Roi
from testing.synthetic_people import (
    FACING_CAMERA,
    KINDS,
    RARE_KINDS,
    SyntheticPerson,
    SyntheticStudio,
    sample_rotations,
)

Doubles = npt.NDArray[np.float64]

SHARD = 250
VARIANTS: tuple[PoseVariant, ...] = ("full", "heavy")
TRACKED = 0.5
"""Share of pictures whose region comes from landmarks, as on video."""
SIDE = 288
"""Pixels of a picture's side; the landmark models see 256."""
RARE = 0.45
"""Share of RARE_KINDS."""
LEANING = 0.3
"""Share of people who lean by about 30 degrees in any direction."""
LYING = 0.05
"""Share of people of any kind who lie, besides those of the kind `lying`."""
CHILDREN = 0.06
"""Share of bodies far smaller than adults, with a child's proportions as far as the body has
them."""


def rotation_about(axis: int, degrees: float) -> Doubles:
    """Return the rotation (3, 3) about the x, y or z axis (0, 1, 2)."""
    vector = np.zeros(3)
    vector[axis] = degrees
    return np.asarray(Rotation.from_rotvec(vector, degrees=True).as_matrix())


def sample_pose(rng: np.random.Generator) -> tuple[str, Doubles]:
    """Return a kind and rotations (55, 3, 3), the root as it stands or lies in the world (y up)."""
    kinds = list(RARE_KINDS if rng.random() < RARE else KINDS)
    kind = kinds[rng.integers(len(kinds))]
    rotations = sample_rotations(rng, kind)
    if kind == "bending":
        hips = Rotation.from_matrix(rotations[1:3]).as_rotvec(degrees=True)
        rotations[0] = rotation_about(0, -float(hips[:, 0].mean())) @ rotations[0]
    if kind == "lying" or rng.random() < LYING:
        return kind, lie(rng, rotations)
    if rng.random() < LEANING:
        way, angle = rng.uniform(0, 2 * np.pi), rng.normal(0, 30)
        lean = Rotation.from_rotvec([angle * np.cos(way), 0, angle * np.sin(way)], degrees=True)
        rotations[0] = lean.as_matrix() @ rotations[0]
    return kind, rotations


def lie(rng: np.random.Generator, rotations: Doubles) -> Doubles:
    """Return the rotations of the same pose, lying on back, face or side."""
    roll = rng.choice([0.0, 180.0, 90.0, -90.0], p=[0.45, 0.2, 0.175, 0.175]) + rng.normal(0, 15)
    down = rotation_about(0, -90 + rng.normal(0, 12)) @ rotation_about(1, roll)
    return np.concatenate([(down @ rotations[0])[None], rotations[1:]])


def sample_camera(rng: np.random.Generator) -> tuple[Camera, Doubles]:
    """Return a pinhole and the rotation (3, 3) from the upright world to its optical frame."""
    focal = SIDE * np.exp(rng.uniform(np.log(0.5), np.log(2.0)))
    camera = Camera(SIDE, SIDE, focal, focal, (SIDE - 1) / 2, (SIDE - 1) / 2)
    pitch = rng.uniform(-50, 65) if rng.random() < 0.15 else rng.normal(0, 12)
    roll = rng.normal(0, 30) if rng.random() < 0.1 else rng.normal(0, 4)
    return camera, rotation_about(2, roll) @ rotation_about(0, pitch) @ FACING_CAMERA


@dataclass(frozen=True)
class Framing:
    """How much of a person the image is to show."""

    margin: float
    """Image over body; below 1 the body is cut by edges."""
    above: float
    """Height in the T-pose, metres, above which the body is framed."""


def sample_framing(rng: np.random.Generator) -> Framing:
    """Return a framing: mostly whole people, some cut at any edge, some close-ups."""
    chance = rng.random()
    if chance < 0.15:
        return Framing(rng.uniform(0.8, 1.3), rng.uniform(-0.5, 0.35))
    if chance < 0.35:
        return Framing(rng.uniform(0.45, 0.95), -np.inf)
    return Framing(rng.uniform(1.05, 1.6), -np.inf)


class RenderStudio:
    """Takes the pictures of which the pose prior's training knows the truth."""

    def __init__(self, photographs: list[Image]) -> None:
        """Draw before pieces of `photographs`, pictures without people, or before plain walls."""
        self._studio = SyntheticStudio(photographs)
        self.body = self._studio.body

    def shoot(self, rng: np.random.Generator) -> SyntheticPerson:
        """Return the picture of one person; it is SIDE pixels wide and high."""
        kind, rotations = sample_pose(rng)
        camera, view = sample_camera(rng)
        yaw, framing = rng.uniform(-180, 180), sample_framing(rng)
        rotations[0] = view @ rotation_about(1, yaw) @ rotations[0]
        betas = self._betas(rng)
        pose = Rotation.from_matrix(rotations).as_rotvec().astype(np.float32)
        expression = np.zeros(self.body.num_expression, np.float32)
        arguments = (pose[None], betas[None], expression[None])
        centred = self.body.vertices(*arguments, np.zeros((1, 3), np.float32))[0]
        framed = centred[self.body.v_template[:, 1] > framing.above]
        transl = self._studio.place(rng, camera, framed, framing.margin)
        # All of the body is in front of the camera.
        transl[2] = max(transl[2], 0.2 - float(centred[:, 2].min()))
        if rng.random() < 0.12:
            beyond = rng.uniform(-0.35, 0.35, 2) * SIDE / camera.fx * transl[2]
            transl[:2] += beyond.astype(np.float32)
        vertices = centred + transl
        image = self._studio.picture(rng, camera, vertices)
        joints = self.body.joints(*arguments, transl[None])[0]
        self._hide(rng, image, camera.project(joints[:NUM_BODY_JOINTS]))
        return SyntheticPerson(
            image=image,
            camera=camera,
            kind=kind,
            yaw=yaw,
            rotations=rotation_matrices(pose),
            betas=betas,
            expression=expression,
            joints=joints,
            vertices=vertices,
        )

    def _betas(self, rng: np.random.Generator) -> Array:
        betas = np.clip(rng.normal(0, 1, self.body.num_betas), -2.5, 2.5)
        if rng.random() < CHILDREN:
            # The first coefficient is height, the sixth age (tools/build_open_body.py).
            betas[[0, 5]] = -rng.uniform(2.5, 4.5), -rng.uniform(1.5, 3.0)
        return betas.astype(np.float32)

    @staticmethod
    def _hide(rng: np.random.Generator, image: Image, joints: Array) -> None:
        """Draw a table, or something upright, before the person, in some of the pictures."""
        chance, colour = rng.random(), rng.uniform(10, 240, 3).tolist()
        low, high = joints.min(axis=0), joints.max(axis=0)
        if chance < 0.1:
            edge = int(low[1] + rng.uniform(0.3, 0.8) * (high[1] - low[1]))
            left, right = (0, SIDE) if rng.random() < 0.6 else (int(low[0]) - 30, int(high[0]) + 30)
            depth = SIDE if rng.random() < 0.7 else int(rng.uniform(15, 50))
            cv2.rectangle(image, (left, edge), (right, edge + depth), colour, -1)
        elif chance < 0.15:
            edge = int(low[0] + rng.uniform(-0.1, 0.5) * (high[0] - low[0]))
            width = int(rng.uniform(0.1, 0.4) * (high[0] - low[0])) + 8
            if rng.random() < 0.5:
                edge = int(low[0] + high[0]) - edge - width
            cv2.rectangle(image, (edge, 0), (edge + width, SIDE), colour, -1)


def sample_region(rng: np.random.Generator, person: SyntheticPerson) -> Roi:
    """Return a region around the person, as inaccurate as a tracker's or a detector's."""
    joints = person.camera.project(person.joints[: NUM_BODY_JOINTS + 3])
    if rng.random() < 0.25:
        # A detector's box ends where the image does.
        shown = np.clip(joints, 0, SIDE)
        box = np.concatenate([shown.min(axis=0) - 12, shown.max(axis=0) + 12])
        box += rng.normal(0, 0.04, 4) * (box[2:] - box[:2]).max()
        return Roi.from_box(box, ROI_SCALE)
    hips, shoulders = (joints[1] + joints[2]) / 2, (joints[16] + joints[17]) / 2
    radius = 1.12 * np.linalg.norm(joints - hips, axis=1).max()
    x, y = hips + rng.normal(0, 0.05, 2) * radius
    up = shoulders - hips
    angle = 0.0 if rng.random() < 0.1 else np.arctan2(up[0], -up[1]) + rng.normal(0, 0.12)
    side = 2 * radius * ROI_SCALE * np.exp(rng.normal(0, 0.08))
    return Roi(float(x), float(y), float(side), float(angle))


def background() -> Image:
    """Return the demo clip's last image, which shows no people."""
    clip = cv2.VideoCapture(str(demo_clip()))
    clip.set(cv2.CAP_PROP_POS_FRAMES, clip.get(cv2.CAP_PROP_FRAME_COUNT) - 1)
    found, image = clip.read()
    if not found:
        raise SystemExit(f"{demo_clip()}: the last picture cannot be read")
    return np.asarray(image, np.uint8)


def render(folder: Path, shards: int, seed: int) -> None:
    """Write shards of landmarks and ground truth into `folder`; existing ones are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    studio = RenderStudio([background()])
    models = {variant: PoseModel(variant=variant) for variant in VARIANTS}
    for shard in trange(shards, unit="shard"):
        path = folder / f"{seed}_{shard:03d}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng([seed, shard])
        records = [record(rng, studio, models) for _ in range(SHARD)]
        arrays = {key: np.stack([r[key] for r in records]) for key in records[0]}
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        part.replace(path)


def record(
    rng: np.random.Generator, studio: RenderStudio, models: dict[PoseVariant, PoseModel]
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays that a shard holds of one picture; V landmark models see the same crop."""
    person = studio.shoot(rng)
    roi = sample_region(rng, person)
    if rng.random() < TRACKED:
        roi = models["full"](person.image, roi).roi
    found = [models[variant](person.image, roi) for variant in VARIANTS]
    camera = person.camera
    return {
        "image": np.stack([f.image for f in found]),
        "world": np.stack([f.world for f in found]),
        "visibility": np.stack([f.visibility for f in found]),
        "presence": np.stack([f.presence for f in found]),
        "score": np.array([f.score for f in found], np.float32),
        "roi": np.array([[f.roi.x, f.roi.y, f.roi.size, f.roi.angle] for f in found], np.float32),
        "cam": np.array([camera.fx, camera.cx, camera.cy], np.float32),
        "R": person.rotations[:25],
        "betas": person.betas,
        "joints": person.joints,
        "kind": np.array(person.kind),
    }
