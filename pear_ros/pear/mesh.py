# SPDX-License-Identifier: Apache-2.0
"""Where the meshes of PEAR's people are computed: on the GPU where torch has one, else by NumPy."""

from __future__ import annotations

from typing import Protocol

from pear_ros.body.ehm import EhmParameters
from pear_ros.body.skinning import packed_skin
from pear_ros.core.log import get_logger
from pear_ros.core.people import Array
from pear_ros.pear.body import PearBody, body_vertices

_logger = get_logger(__name__)


class MeshStep(Protocol):
    """What computes meshes. Not thread-safe: one thread at a time."""

    def __call__(self, people: EhmParameters) -> Array:
        """(B, V, 3) vertices in metres, as the body has them; the result is the caller's to keep.

        `people`: NumPy arrays, the pose as axis-angle (B, 55, 3).
        """
        ...

    def close(self) -> None:
        """Free a device's memory; nothing may be asked of it afterwards. May be called twice."""
        ...


class NumpyMesh:
    """Meshes on the CPU."""

    def __init__(self, body: PearBody) -> None:
        self._body = body

    def __call__(self, people: EhmParameters) -> Array:
        """See MeshStep."""
        vertices: Array = body_vertices(self._body, people)
        return vertices

    def close(self) -> None:
        """See MeshStep."""


def make_meshes(body: PearBody, count: int, max_people: int = 8) -> list[MeshStep]:
    """`count` times what computes meshes of `body` the quickest on this machine, each for a thread
    of its own; where goes to the log.

    `max_people`: the most to be computed in one go on a GPU.
    """
    meshes: list[MeshStep] = []
    try:
        import torch

        device = torch.device("cuda")
        if torch.cuda.is_available():
            from pear_ros.pear.cuda_mesh import CudaMesh, body_on

            shared = body_on(device, body)
            for _ in range(count):
                meshes.append(mesh := CudaMesh(shared, device, max_people))
            _logger.info("Meshes on %s, by torch %s", mesh.device, torch.__version__)
            return meshes
    except ImportError:
        pass
    except RuntimeError as error:  # Such as too little memory.
        _logger.warning("Meshes on the CPU, as the GPU does not do it: %s", error)
        for made in meshes:
            made.close()
    packed_skin()  # Compiled now, so that no image has to wait for it.
    return [NumpyMesh(body) for _ in range(count)]
