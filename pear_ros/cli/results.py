# SPDX-License-Identifier: Apache-2.0
"""Results of `pear run`: parameters of all people as arrays, and side views of one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from pear_ros.core.estimate_arrays import ESTIMATE_ARRAYS
from pear_ros.core.estimator import Body
from pear_ros.core.people import (
    NUM_JOINTS,
    Array,
    FlameParams,
    Image,
    People,
    Person,
)
from pear_ros.core.people import stack as stack_parameters
from pear_ros.io.output_files import replaced
from pear_ros.io.run_arrays import ARRAYS
from pear_ros.rendering.raster import Faces
from pear_ros.rendering.side_view import SideWindow, draw_side_view, side_width

_NO_HEAD = FlameParams(*(np.full(size, np.nan, np.float32) for size in (0, 0, 3, 6, 2, 3)))


class ParameterTable:
    """Collects people frame by frame and saves them as the arrays of pear_ros.io.run_arrays."""

    def __init__(self, body: Body) -> None:
        """Create an empty table; `body`: the body of all people's parameters."""
        self._body = body
        self._frame_stamps: list[float] = []
        self._rows: list[tuple[int, Person]] = []
        self._people: People | None = None

    @property
    def frame_count(self) -> int:
        """Number of frames so far."""
        return len(self._frame_stamps)

    @property
    def person_count(self) -> int:
        """Number of distinct track ids so far."""
        return len({person.id for _, person in self._rows})

    def append(self, stamp_seconds: float, people: People, persons: Sequence[Person]) -> None:
        """Add a frame; `persons`: those of `people` who are present."""
        self._rows += [(len(self._frame_stamps), person) for person in persons]
        self._frame_stamps.append(stamp_seconds)
        self._people = people

    def save(self, path: Path) -> None:
        """Write the npz file. Raises ValueError where there was no frame."""
        if self._people is None:
            raise ValueError("no frame was processed, so there is nothing to save")
        with replaced(path) as file:
            np.savez_compressed(file, **self._arrays(self._people))

    def _arrays(self, people: People) -> dict[str, Any]:
        frames = np.array([frame for frame, _ in self._rows], np.int32)
        stamps = np.array(self._frame_stamps, np.float64)
        persons = [person for _, person in self._rows]
        camera = people.camera

        def stack(values: list[Array], *shape: int) -> Array:
            return np.array(values, np.float32).reshape(-1, *shape)

        arrays: dict[str, Any] = {
            "frame": frames,
            "stamp": stamps[frames],
            "id": np.array([person.id for person in persons], np.str_),
            "state": np.array([int(person.state) for person in persons], np.uint8),
            "box": stack([person.box for person in persons], 4),
            "pose": stack([person.smplx.pose for person in persons], NUM_JOINTS, 3),
            "betas": stack([person.smplx.betas for person in persons], self._body.num_betas),
            "expression": stack(
                [person.smplx.expression for person in persons], self._body.num_expression
            ),
            "transl": stack([person.smplx.transl for person in persons], 3),
            **{
                name: stack([getattr(person, name) for person in persons], *array_field.shape)
                for name, array_field in ESTIMATE_ARRAYS.items()
            },
            "frame_stamp": stamps,
            "camera": np.array(
                [camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy]
            ),
            "model_id": np.array(people.model_id),
            "body_model": np.array(people.body_model),
        }
        heads = stack_parameters([person.flame or _NO_HEAD for person in persons] or [_NO_HEAD])
        for part in fields(heads):
            values = getattr(heads, part.name)[: len(persons)]
            arrays[f"flame_{part.name}"] = values.astype(np.float32)
        return {name: arrays[name] for name in ARRAYS}


class SideView:
    """Side views of one video, whose window only grows, so that their scale is steady."""

    def __init__(self, faces: Faces) -> None:
        """Create the views of a body with the (F, 3) triangles `faces`."""
        self._faces = faces
        self._window: SideWindow | None = None

    def draw(self, meshes: Array, ids: Sequence[str], height: int) -> Image:
        """Return the view of `meshes` (N, V, 3), metres, as an image of `height` pixels."""
        if len(ids):
            window = SideWindow.containing(meshes)
            self._window = window if self._window is None else self._window.union(window)
        width = side_width(height)
        return draw_side_view(meshes, self._faces, ids, height, width, self._window)
