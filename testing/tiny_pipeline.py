# SPDX-License-Identifier: Apache-2.0
"""A pipeline that takes no time: for each bright square in the first row of squares, one person."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection
from pear_ros.core.ground import GroundPlane
from pear_ros.core.parameters import Settings
from pear_ros.core.people import (
    NUM_JOINTS,
    SMPLX_JOINT_NAMES,
    Array,
    Image,
    People,
    Person,
    SmplxParams,
    TrackingState,
)
from pear_ros.core.rigid_transform import RigidTransform

SQUARE = 16
"""Side of the squares in pixels."""


@dataclasses.dataclass(frozen=True)
class TinyBody:
    """A tetrahedron in place of a body."""

    name: str = "tetrahedron/1"
    sha256: str = "0" * 64
    license_note: str = "none"
    joint_names: tuple[str, ...] = SMPLX_JOINT_NAMES
    expression_names: tuple[str, ...] = ("smile",)
    num_betas: int = 2
    num_expression: int = 1
    vertex_count: int = 4

    @property
    def parents(self) -> np.ndarray:
        return np.arange(-1, NUM_JOINTS - 1, dtype=np.int32)

    @property
    def faces(self) -> np.ndarray:
        return np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]], np.int32)

    def faces_of(self, detail: str) -> np.ndarray:
        """In low detail a single triangle, without vertex 0."""
        return self.faces[3:] if detail == "low" else self.faces


TETRAHEDRON = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)


def picture(*squares: int, width: int = 64, height: int = 48) -> Image:
    """A dark image with the given squares bright."""
    image = np.zeros((height, width, 3), np.uint8)
    for square in squares:
        image[:SQUARE, square * SQUARE : (square + 1) * SQUARE] = 255
    return image


class TinyPipeline:
    """Person `<prefix><square + 1>` for each bright square; said to be lost once when it goes dark.

    Counts its calls, waits while `gate` is closed, and fails while `fault` is set.
    """

    model_id = "tiny/1"
    diagnostics: ClassVar = {"runtime": "none"}

    def __init__(self) -> None:
        self.body = TinyBody()
        self.id_prefix = "h"
        self.stamps: list[float] = []
        self.cameras: list[Camera] = []
        self.detections: list[Sequence[Detection] | None] = []
        self.depths: list[Array | None] = []
        self.camera_poses: list[RigidTransform | None] = []
        self.grounds: list[GroundPlane | None] = []
        self.settings: list[Settings | None] = []
        self.mesh_calls = 0
        self.resets = 0
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()
        self.fault: Exception | None = None
        self._before: set[int] = set()

    def __call__(
        self,
        image: Image,
        camera: Camera,
        stamp: float = 0.0,
        *,
        detections: Sequence[Detection] | None = None,
        depth: Array | None = None,
        camera_pose: RigidTransform | None = None,
        ground: GroundPlane | None = None,
        settings: Settings | None = None,
    ) -> People:
        self.stamps.append(stamp)
        self.detections.append(detections)
        self.depths.append(depth)
        self.camera_poses.append(camera_pose)
        self.grounds.append(ground)
        self.settings.append(settings)
        self.cameras.append(camera)
        assert self.gate.wait(timeout=30)
        if self.fault:
            raise self.fault
        bright = image[:SQUARE, :, 0].reshape(SQUARE, -1, SQUARE).mean(axis=(0, 2)) > 200
        now = {int(square) for square in np.flatnonzero(bright)}
        persons = [
            self._person(square, TrackingState.TRACKED if square in self._before else state)
            for square, state in [(square, TrackingState.NEW) for square in sorted(now)]
        ]
        lost = [
            dataclasses.replace(self._person(square, TrackingState.LOST))
            for square in sorted(self._before - now)
        ]
        self._before = now
        return People(camera, self.model_id, self.body.name, persons=persons + lost)

    def meshes(self, people: People) -> Array:
        self.mesh_calls += 1
        transl = np.array([p.smplx.transl for p in people.persons], np.float32).reshape(-1, 1, 3)
        return TETRAHEDRON + transl

    def reset(self) -> None:
        self.resets += 1
        self._before = set()

    def components(self) -> dict[str, object]:
        return {"people": self}

    def state(self) -> object:
        return sorted(self._before)

    def restore(self, state: list[int]) -> None:
        self._before = set(state)

    def close(self) -> None:
        self.closed = True

    def _person(self, square: int, state: TrackingState) -> Person:
        place = np.array([square, 0.0, 5.0], np.float32)
        left = square * SQUARE
        return Person(
            id=f"{self.id_prefix}{square + 1}",
            state=state,
            score=0.75,
            box=np.array([left, 0.0, left + SQUARE, SQUARE], np.float32),
            smplx=SmplxParams(
                pose=np.zeros((NUM_JOINTS, 3), np.float32),
                betas=np.zeros(2, np.float32),
                expression=np.zeros(1, np.float32),
                transl=place,
            ),
            joints=np.tile(place, (NUM_JOINTS, 1)),
            joint_confidence=np.ones(NUM_JOINTS, np.float32),
            keypoints=np.zeros((NUM_JOINTS, 2), np.float32),
        )
