# SPDX-License-Identifier: Apache-2.0
"""The interface of all estimators: regions of an image in, people out.

The pipeline depends on nothing else of an estimator, be it a fit to landmarks or a network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Estimate, Image, Person


class DeviceLostError(Exception):
    """A device, such as the GPU, failed, and this process cannot use it again; a new one may.

    The text has the reason and a remedy.
    """


@dataclass(frozen=True)
class Detection:
    """A box in which a detector found a person, or proposes one."""

    box: Array
    """(4,) x0 y0 x1 y1 around the whole person, pixels; may reach outside the image."""
    score: float = math.nan
    """Confidence that it is a person, 0 to 1; NaN: a proposal, which the estimator has to judge."""


@dataclass(frozen=True)
class Region:
    """The part of an image in which an estimator estimates one person."""

    id: str
    """The key of the estimator's state of earlier images; the same in successive images while the
    tracker keeps the region. Not the person's track id: a track may get a new region."""
    box: Array
    """(4,) x0 y0 x1 y1 around the whole person, pixels; may reach outside the image."""
    score: float = math.nan
    """Confidence of a detector that it is a person, 0 to 1, in this image; NaN: there is none, the
    estimator has to judge."""


class Body(Protocol):
    """The description of a body model, to which parameters and meshes belong."""

    @property
    def name(self) -> str:
        """Name and version, as published in HumanArray.body_model."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of the model's files, hexadecimal."""
        ...

    @property
    def license_note(self) -> str:
        """Licence under which the body may be used."""
        ...

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the J joints."""
        ...

    @property
    def parents(self) -> npt.NDArray[np.int32]:
        """(J,) index of each joint's parent, -1 for the root."""
        ...

    @property
    def faces(self) -> npt.NDArray[np.int32]:
        """(F, 3) vertex indices, counter-clockwise seen from outside."""
        ...

    def faces_of(self, detail: str) -> npt.NDArray[np.int32]:
        """Return the triangles (F', 3) of the mesh in a level of detail.

        `detail`: one of MESH_DETAILS in pear_ros.core.parameters. The triangles index the same
        vertices as `faces`, and are equal to `faces` where the body has no reduced mesh.
        """
        ...

    @property
    def vertex_count(self) -> int:
        """V, the number of vertices of the mesh."""
        ...

    @property
    def num_betas(self) -> int:
        """Number of shape coefficients."""
        ...

    @property
    def num_expression(self) -> int:
        """Number of expression coefficients."""
        ...

    @property
    def expression_names(self) -> tuple[str, ...]:
        """Names of the expression coefficients; empty where they have none."""
        ...


class Estimator(Protocol):
    """Estimates the people in regions of an image, all regions of the image in one call."""

    @property
    def model_id(self) -> str:
        """Name and version, as published in HumanArray.model_id."""
        ...

    @property
    def body(self) -> Body:
        """The body model that the parameters belong to."""
        ...

    @property
    def diagnostics(self) -> Mapping[str, str]:
        """Short texts for /diagnostics, by key, such as runtime and device."""
        ...

    def estimate(
        self, image: Image, camera: Camera, regions: Sequence[Region], stamp: float
    ) -> list[Estimate | None]:
        """Return the person in each region, in the regions' order; None: there is no person.

        `image` (height, width, 3) uint8 BGR, taken by `camera` at `stamp`, seconds. The state of a
        region that is no longer among `regions` may be dropped. Raises DeviceLostError where only a
        new process can go on.
        """
        ...

    def joints(self, persons: Sequence[Person]) -> Array:
        """Compute the joints (N, 55, 3) of people with these parameters, metres.

        In the frame of their transl, with Person.scale taken as 1: pear_ros.body.scaled_bodies
        applies the scale.
        """
        ...

    def meshes(self, persons: Sequence[Person]) -> Array:
        """Compute the vertices (N, V, 3) of people with these parameters, metres.

        In the frame of their transl, with Person.scale taken as 1: pear_ros.body.scaled_bodies
        applies the scale. Raises DeviceLostError where only a new process can go on.
        """
        ...

    def heights(self, persons: Sequence[Person]) -> Array:
        """Compute the standing heights (N,) of people of these shapes, soles to crown, metres.

        With Person.scale taken as 1: pear_ros.body.scaled_bodies applies the scale.
        """
        ...

    def reset(self) -> None:
        """Drop the state of all earlier images."""
        ...

    def state(self) -> Any:
        """Return the state of earlier images: dataclasses, arrays and numbers."""
        ...

    def restore(self, state: Any) -> None:
        """Replace the state by one that `state` returned; the estimator owns it from then on."""
        ...

    def close(self) -> None:
        """Free threads and device memory; the estimator cannot be used afterwards."""
        ...
