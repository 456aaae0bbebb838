# SPDX-License-Identifier: Apache-2.0
"""Meshes on an NVIDIA GPU by torch: one upload, one CUDA graph, one download.

Not yet run on a GPU, only on a stand-in for one.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.flame import NUM_EXPRESSION, NUM_SHAPE
from pear_ros.body.kinematics import float32_array
from pear_ros.core.estimator import DeviceLostError
from pear_ros.core.people import Array
from pear_ros.pear.body import PearBody, body_vertices
from pear_ros.pear.torch_errors import is_lost, lost_text
from pear_ros.pear.torch_graphs import TorchGraphs, device_name


class CudaMesh:
    """Meshes on an NVIDIA GPU: a pear_ros.pear.mesh.MeshStep."""

    def __init__(
        self, body: PearBody, device: torch.device, max_people: int, blocking_wait: bool = False
    ) -> None:
        """Record CUDA graphs for 1 to `max_people` people, the largest batch.

        `body`: of `body_on`, on `device`; several objects may share it. `blocking_wait`: see
        TorchGraphs.

        Raises torch's RuntimeError where the GPU fails, for example for lack of memory.
        """
        self.device = device_name(device)
        """The GPU's name."""
        self._device = device
        self._layout = ParameterRows(body)
        rows = torch.zeros((max_people, self._layout.width), device=device)
        self._graphs: TorchGraphs | None = TorchGraphs(
            lambda rows: body_vertices(body, self._layout.unpack(rows)), rows, blocking_wait
        )
        self._graphs.record(max_people)

    def __call__(self, people: EhmParameters) -> Array:
        """Return (B, V, 3) vertices in metres of B people, whose parameters are NumPy arrays.

        Raises torch's RuntimeError where the GPU fails, DeviceLostError where it is lost.
        """
        assert self._graphs is not None, "closed"
        rows = self._layout.pack(people)
        try:
            return self._graphs.run(rows)
        except RuntimeError as error:
            if is_lost(self._device):
                raise DeviceLostError(lost_text(error)) from error
            raise

    def close(self) -> None:
        """Free the GPU's memory; may be called twice."""
        if self._graphs is not None:
            self._graphs.close()
            self._graphs = None


def body_on(device: torch.device, body: PearBody) -> PearBody:
    """Return `body` with its constants on `device`. Raises torch's RuntimeError."""

    def asarray(values: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(float32_array(values)).to(device)

    return body.on(asarray)


class ParameterRows:
    """Layout of EhmParameters as one row of numbers for each person."""

    def __init__(self, body: PearBody) -> None:
        """Lay out the parameters of `body`."""
        shapes: dict[str, tuple[int, ...]] = {
            "pose": (len(body.parents), 3),
            "betas": (body.num_betas,),
            "expression": (body.num_expression,),
            "flame_shape": (NUM_SHAPE,),
            "flame_expression": (NUM_EXPRESSION,),
            "jaw": (3,),
            "eyes": (6,),
            "eyelids": (2,),
            "head_scale": (3,),
            "transl": (3,),
        }
        self._shapes = shapes
        self.width = sum(map(prod, shapes.values()))
        """Numbers in a row."""

    def pack(self, people: EhmParameters) -> Array:
        """Return rows (B, width) float32 of parameters that are NumPy arrays.

        Raises ValueError when a parameter has another shape than the body takes.
        """
        count = len(people.transl)
        parts = []
        for name, shape in self._shapes.items():
            values = getattr(people, name)
            if values.shape[1:] != shape:
                raise ValueError(f"{name} of people has shape {values.shape[1:]} and not {shape}")
            parts.append(values.reshape(count, prod(shape)))
        rows: Array = np.concatenate(parts, axis=1, dtype=np.float32)
        return rows

    def unpack(self, rows: Tensor) -> EhmParameters:
        """Return the parameters of `rows` (B, width), as views."""
        ends = accumulate(map(prod, self._shapes.values()))
        return EhmParameters(
            **{
                name: rows[:, end - prod(shape) : end].view(len(rows), *shape)
                for (name, shape), end in zip(self._shapes.items(), ends, strict=True)
            }
        )
