# SPDX-License-Identifier: Apache-2.0
"""Storage of arrays as accessors of a glTF file (glTF 2.0, section 3.6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pygltflib as gltf

_COMPONENTS = {
    "uint8": gltf.UNSIGNED_BYTE,
    "uint16": gltf.UNSIGNED_SHORT,
    "uint32": gltf.UNSIGNED_INT,
    "float32": gltf.FLOAT,
}
_KINDS = {(): gltf.SCALAR, (3,): gltf.VEC3, (4,): gltf.VEC4, (4, 4): gltf.MAT4}


class GltfBuffer:
    """The binary chunk of a glTF file, to which arrays are appended."""

    def __init__(self, file: gltf.GLTF2) -> None:
        """Create the buffer of `file`, to which the accessors are added."""
        self._file = file
        self._data = bytearray()

    def add(
        self, array: npt.NDArray[Any], target: int | None = None, *, bounds: bool = False
    ) -> int:
        """Add an array (N, ...) of uint8, uint16, uint32 or float32; return its accessor's index.

        Matrices (N, 4, 4) are column-major. `target`: the view's target, as glTF names it;
        `bounds`: add minimum and maximum, which glTF requires for positions and times.
        """
        accessor = _accessor(array, len(array), array.dtype, bounds)
        accessor.bufferView = self._view(array, target)
        return self._append(accessor)

    def add_sparse(
        self, count: int, indices: npt.NDArray[np.uint16], values: npt.NDArray[np.float32]
    ) -> int:
        """Add a sparse array (count, 3) and return its accessor's index.

        It is zero except for `values` (n, 3) at the ascending `indices` (n,).
        """
        # All other elements are zero, so the bounds include it.
        around = np.concatenate([values, np.zeros((1, 3), np.float32)])
        accessor = _accessor(around, count, values.dtype, bounds=True)
        accessor.byteOffset = None  # forbidden where there is no view
        if len(indices):
            accessor.sparse = gltf.Sparse(
                count=len(indices),
                indices=gltf.AccessorSparseIndices(
                    bufferView=self._view(indices), componentType=_COMPONENTS[indices.dtype.name]
                ),
                values=gltf.AccessorSparseValues(bufferView=self._view(values)),
            )
        return self._append(accessor)

    def finish(self) -> None:
        """Store the bytes in the file, which can then be saved."""
        self._file.buffers = [gltf.Buffer(byteLength=len(self._data))]
        self._file.set_binary_blob(bytes(self._data))

    def _append(self, accessor: gltf.Accessor) -> int:
        self._file.accessors.append(accessor)
        return len(self._file.accessors) - 1

    def _view(self, array: npt.NDArray[Any], target: int | None = None) -> int:
        content = np.ascontiguousarray(array).tobytes()
        view = gltf.BufferView(
            buffer=0, byteOffset=len(self._data), byteLength=len(content), target=target
        )
        self._data += content  # aligned by the library when it is saved
        self._file.bufferViews.append(view)
        return len(self._file.bufferViews) - 1


def _accessor(
    values: npt.NDArray[Any], count: int, kind: np.dtype[Any], bounds: bool
) -> gltf.Accessor:
    accessor = gltf.Accessor(
        componentType=_COMPONENTS[kind.name], count=count, type=_KINDS[values.shape[1:]]
    )
    if bounds:
        accessor.min = np.atleast_1d(values.min(axis=0)).tolist()
        accessor.max = np.atleast_1d(values.max(axis=0)).tolist()
    return accessor
