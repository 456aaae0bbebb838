# SPDX-License-Identifier: Apache-2.0
"""Renders for the pose prior, and the landmarks that are found on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import trange

from pear_ros.core.people import Image
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.io.downloads import demo_clip
from pear_ros.landmarks.pose import ROI_SCALE, PoseModel, PoseVariant
from pear_ros.landmarks.roi import Roi
from pear_ros.training.renders import SIDE, RenderStudio
from pear_ros.training.studio import SyntheticPerson

SHARD = 250
VARIANTS: tuple[PoseVariant, ...] = ("full", "heavy")
TRACKED = 0.5
"""Share of pictures whose region comes from landmarks, as on video."""


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
