# SPDX-License-Identifier: Apache-2.0
"""What every estimator of people offers, be it fitted to landmarks or a network on the GPU."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, FlameParams, Image, Person, SmplxParams


@dataclass(frozen=True)
class Detection:
    """Where somebody may be."""

    box: Array
    """(4,) x0 y0 x1 y1 around the whole person, pixels; may reach outside the image."""
    score: float = math.nan
    """Confidence that it is a person, 0 to 1; NaN: whether it is one is for others to say."""


@dataclass(frozen=True)
class Region:
    """Where one person is to be looked at."""

    id: str
    """The same in successive images as long as it is the same look at somebody: what an estimator
    remembers belongs to it. Not the person's track id, who may be looked at anew."""
    box: Array
    """(4,) x0 y0 x1 y1 around the whole person, pixels; may reach outside the image."""
    score: float = math.nan
    """Confidence of a detector that can tell people from other things, 0 to 1, in this very image;
    NaN: whether somebody is there is for the estimator to say."""


@dataclass(frozen=True)
class Estimate:
    """One person as an estimator sees them; fields as in pear_ros.core.people.Person."""

    score: float
    box: Array
    smplx: SmplxParams
    joints: Array
    joint_confidence: Array
    keypoints: Array
    flame: FlameParams | None = None


class Body(Protocol):
    """What is told about the body that parameters and meshes belong to."""

    @property
    def name(self) -> str:
        """As published in HumanArray.body_model."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of the model's files."""
        ...

    @property
    def license_note(self) -> str:
        """Under which licence it may be used."""
        ...

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Of the J joints."""
        ...

    @property
    def parents(self) -> npt.NDArray[np.int32]:
        """(J,) parent of each joint, -1 for the root."""
        ...

    @property
    def faces(self) -> npt.NDArray[np.int32]:
        """(F, 3) vertex indices, counter-clockwise seen from outside."""
        ...

    def faces_of(self, detail: str) -> npt.NDArray[np.int32]:
        """(F', 3) triangles of the mesh in that `detail`, one of pear_ros.core.choice.MESH_DETAILS.

        They are indices of the same vertices as `faces`, and all of these where the body has no
        reduced mesh.
        """
        ...

    @property
    def vertex_count(self) -> int:
        """Number of vertices of the mesh."""
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
    """Turns regions of an image into people: all in one call, so that they can be a batch."""

    @property
    def model_id(self) -> str:
        """Name and version, as published in HumanArray.model_id."""
        ...

    @property
    def body(self) -> Body:
        """The body that the parameters belong to."""
        ...

    @property
    def diagnostics(self) -> Mapping[str, str]:
        """What else is to be known of it, by short names, for diagnostics."""
        ...

    def estimate(
        self, image: Image, camera: Camera, regions: Sequence[Region], stamp: float
    ) -> list[Estimate | None]:
        """The person in each region, in the regions' order; None where there is nobody.

        `stamp` in seconds. Whoever is no longer among the regions may be forgotten.
        """
        ...

    def joints(self, persons: Sequence[Person]) -> Array:
        """(N, 55, 3) joints of people with these parameters; as for `meshes`."""
        ...

    def meshes(self, persons: Sequence[Person]) -> Array:
        """(N, V, 3) vertices of people with these parameters, in the frame of their transl, metres.

        Person.scale is left out of account, see pear_ros.body.scaled_bodies.
        """
        ...

    def heights(self, persons: Sequence[Person]) -> Array:
        """(N,) metres from the soles to the top of the head, standing, of people of these shapes.

        Person.scale is left out of account, see pear_ros.body.scaled_bodies.
        """
        ...

    def reset(self) -> None:
        """Forget everybody: the next image has nothing to do with the last."""
        ...

    def state(self) -> Any:
        """What is remembered of earlier images; see pear_ros.core.state."""
        ...

    def restore(self, state: Any) -> None:
        """Remember this instead."""
        ...

    def close(self) -> None:
        """Free what is held on a device; nothing may be asked of it afterwards."""
        ...
