# SPDX-License-Identifier: Apache-2.0
"""SubMesh: some triangles of a mesh, with only the vertices that they use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class SubMesh:
    """Triangles of a mesh of V vertices that index only the U vertices that they use."""

    vertices: npt.NDArray[np.intp] | slice
    """(U,) indices of these vertices in the mesh, ascending; a slice if all are used."""
    vertex_count: int
    """U, the number of vertices that are used."""
    faces: npt.NDArray[np.int32]
    """(F, 3) indices into `vertices`, counter-clockwise seen from outside."""

    @classmethod
    def of(cls, faces: npt.NDArray[np.integer], vertex_count: int) -> SubMesh:
        """Return the sub-mesh of triangles `faces` (F, 3) of a mesh of `vertex_count` vertices."""
        used, corners = np.unique(faces, return_inverse=True)
        if len(used) == vertex_count:
            return cls(slice(None), vertex_count, faces.astype(np.int32))
        return cls(used.astype(np.intp), len(used), corners.reshape(-1, 3).astype(np.int32))

    def take(self, values: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Return values (..., U, C) of the used vertices from all (..., V, C); a view if U = V."""
        if isinstance(self.vertices, slice):
            return values
        taken: npt.NDArray[Scalar] = values.take(self.vertices, axis=-2)
        return taken
