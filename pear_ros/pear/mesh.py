# SPDX-License-Identifier: Apache-2.0
"""Meshes of PEAR's people: on the GPU where torch has one, otherwise by NumPy and Numba."""

from __future__ import annotations

from typing import Protocol

from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.skinning import packed_skin
from pear_ros.core.log import get_logger
from pear_ros.core.people import Array
from pear_ros.pear.body import PearBody, body_vertices

_logger = get_logger(__name__)


class MeshStep(Protocol):
    """Computes meshes of people. Not thread-safe: one thread at a time."""

    def __call__(self, people: EhmParameters) -> Array:
        """Return (B, V, 3) vertices in metres, in the frame of `people.transl`, in a new array.

        `people`: NumPy arrays, the pose as axis-angle (B, 55, 3). Raises DeviceLostError where a
        GPU fails for good.
        """
        ...

    def close(self) -> None:
        """Free the device's memory. May be called twice; nothing else may be called afterwards."""
        ...


class NumpyMesh:
    """Meshes on the CPU: a MeshStep."""

    def __init__(self, body: PearBody) -> None:
        self._body = body

    def __call__(self, people: EhmParameters) -> Array:
        """Return (B, V, 3) vertices in metres of B people, whose parameters are NumPy arrays."""
        vertices: Array = body_vertices(self._body, people)
        return vertices

    def close(self) -> None:
        """Free nothing: all memory is that of the process."""


def make_meshes(
    body: PearBody, count: int, max_people: int, blocking_wait: bool = False
) -> list[MeshStep]:
    """Return `count` of the fastest MeshStep for `body` on this machine, each for its own thread.

    The choice is logged. `max_people`: largest batch on a GPU; `blocking_wait`: whether the CPU
    sleeps, instead of polling, while the GPU works.
    """
    try:
        import torch

        on_gpu = torch.cuda.is_available()
        meshes = _on_gpu(body, count, max_people, blocking_wait) if on_gpu else None
    except ModuleNotFoundError:  # A robot needs no torch.
        meshes = None
    except Exception as error:  # Nor one that works: a broken library raises anything.
        _logger.warning("Meshes are computed on the CPU, as torch is broken: %s", error)
        meshes = None
    if meshes:
        return meshes
    packed_skin()  # Compiles now, not during the first image.
    return [NumpyMesh(body) for _ in range(count)]


def _on_gpu(
    body: PearBody, count: int, max_people: int, blocking_wait: bool
) -> list[MeshStep] | None:
    """`count` steps on torch's GPU; None where that fails, for example for lack of memory."""
    from pear_ros.pear.torch_errors import release_memory

    meshes: list[MeshStep] = []
    try:
        _append_on_gpu(meshes, body, count, max_people, blocking_wait)
    except RuntimeError as error:
        _logger.warning("Meshes are computed on the CPU, as the GPU failed: %s", error)
        for made in meshes:
            made.close()
        release_memory(error)
        return None
    return meshes


def _append_on_gpu(
    meshes: list[MeshStep], body: PearBody, count: int, max_people: int, blocking_wait: bool
) -> None:
    import torch

    from pear_ros.pear.cuda_mesh import CudaMesh, body_on

    device = torch.device("cuda")
    shared = body_on(device, body)
    for _ in range(count):
        meshes.append(mesh := CudaMesh(shared, device, max_people, blocking_wait))
    _logger.info("Meshes are computed on %s by torch %s", mesh.device, torch.__version__)
