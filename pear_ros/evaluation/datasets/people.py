# SPDX-License-Identifier: Apache-2.0
"""People of a dataset with meshes or joints in space: what readers return and metrics take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Person
from pear_ros.evaluation.labels import Doubles

SMPL_VERTICES = 6890
SMPLX_VERTICES = 10475


@dataclass(frozen=True)
class TruePerson:
    """One labelled person. Positions are in the camera's optical frame, metres."""

    box: Doubles
    """(4,) x0 y0 x1 y1 that the estimator is given, pixels."""
    mesh: Callable[[], Doubles]
    """Computes the vertices (V, 3) of SMPL or SMPL-X."""
    joints: Doubles | None = None
    """(22, 3) body joints of SMPL-X's names; None: only the mesh is known."""
    visible: Callable[[Doubles], npt.NDArray[np.bool_]] | None = None
    """Whether each vertex (V,) of the mesh (V, 3) is inside the picture; None: all count."""


@dataclass(frozen=True)
class TruePicture:
    """One picture and the people labelled in it."""

    path: Path
    people: Sequence[TruePerson]
    intrinsics: tuple[float, float, float, float] | None = None
    """fx, fy, cx, cy, pixels; None: not known."""


@dataclass(frozen=True)
class FoundBody:
    """One person as the estimator found them."""

    person: Person
    vertices: Doubles
    """(V, 3) of the estimator's mesh in the optical frame, metres."""


class Comparison(Protocol):
    """The metrics of a protocol."""

    def __call__(self, found: FoundBody, truth: TruePerson) -> Mapping[str, float]:
        """Return the errors of one person by the names of the figures; NaN: unknown."""


@dataclass(frozen=True)
class MeshBenchmark:
    """A dataset with its protocol."""

    title: str
    """Dataset and part, heading of the table."""
    pictures: Sequence[TruePicture]
    compare: Comparison
    about: Sequence[str] = ()
    """What a reader of the figures has to know, as sentences."""
