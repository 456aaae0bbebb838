# SPDX-License-Identifier: Apache-2.0
"""Calibration of the backbone for 8 bits: scales of its linear layers, by NVIDIA's ModelOpt.

ModelOpt (the package nvidia-modelopt) runs the network in fp32 on crops of people and records the
largest inputs of each layer. For int8 it also moves large input channels into the weights
(SmoothQuant, Xiao et al., ICML 2023). Only the four linear layers of each block are quantised:
attention, norms and the decoder lose accuracy and gain little.
"""

from __future__ import annotations

import contextlib
import copy
import io
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pear_ros.core.people import Array
from pear_ros.pear.crop import Crops
from pear_ros.pear.deployed import DeployedNetwork
from pear_ros.pear.graph import GraphError, Progress
from pear_ros.pear.network import PearNetwork

LAYERS = 4
"""Quantised layers of a block: queries with keys and values, projection, and the MLP's two."""

_PRESETS = {"fp8": "FP8_DEFAULT_CFG", "int8_static": "INT8_SMOOTHQUANT_CFG"}
"""ModelOpt's configurations: inputs have one scale a layer, weights one in fp8, and in int8 one for
each output."""
_FORMATS: dict[str, tuple[float, Any]] = {
    "fp8": (448.0, ml_dtypes.float8_e4m3fn),
    "int8_static": (127.0, np.int8),
}
"""Largest number of each format, and its type in NumPy."""
_LEAST_SCALE = 2.0**-14
"""The smallest normal number of fp16, in which scales are stored."""


@dataclass(frozen=True, eq=False)
class QuantisedLayer:
    """A linear layer y = x W^T in 8 bits: y = (s_x q(x m / s_x)) (s_w w)^T, per output channel."""

    weight: npt.NDArray[Any]
    """(outputs, inputs) w, int8 or float8_e4m3fn."""
    weight_scale: npt.NDArray[np.float16]
    """(outputs,) s_w."""
    input_scale: np.float16
    """s_x."""
    smoothing: npt.NDArray[np.float16] | None
    """(inputs,) m, by which inputs are multiplied and weights have been divided; None: 1."""


def calibrate(
    network: PearNetwork,
    precision: str,
    crops: Crops,
    progress: Progress = lambda stage, done, total: None,
) -> dict[str, QuantisedLayer]:
    """Return the backbone's quantised layers by name, such as "0.mlp.fc1", for `precision`.

    `network`: in fp32 on the CPU, not changed; `precision`: fp8 or int8_static; `crops`
    (N, 256, 256, 3): people as the network will see them; `progress`: called with the stage.

    Raises GraphError where ModelOpt is missing or fails.
    """
    deployed = DeployedNetwork(network, "fp32", explicit_attention=False)
    deployed.body = copy.deepcopy(deployed.body)  # ModelOpt changes modules and weights.
    blocks = deployed.body.blocks

    def run(_: nn.Module) -> None:
        progress(f"calibrating {precision} with {len(crops)} people", 0, 0)
        for crop in crops:
            deployed(torch.from_numpy(crop[None].copy()))

    try:
        # It prints tables of what it does.
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            import modelopt.torch.quantization as mtq

            mtq.quantize(blocks, copy.deepcopy(getattr(mtq, _PRESETS[precision])), run)
        layers = {
            name: _calibrated(module, precision)
            for name, module in blocks.named_modules()
            if isinstance(module, nn.Linear)
        }
    except ModuleNotFoundError as error:
        raise GraphError(
            f"{precision} needs NVIDIA's ModelOpt, of which {error.name} is missing: "
            "pip install nvidia-modelopt huggingface-hub"
        ) from error
    except (ImportError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise GraphError(
            f"ModelOpt cannot calibrate the network for {precision} ({error}): use version 0.47"
        ) from error
    if len(layers) != LAYERS * len(blocks):
        raise GraphError(f"ModelOpt found {len(layers)} linear layers in {len(blocks)} blocks")
    return layers


def quantise(
    weight: Array, weight_bound: Array, input_bound: float, smoothing: Array | None, precision: str
) -> QuantisedLayer:
    """Return the linear layer with `weight` (outputs, inputs) in 8 bits.

    `weight_bound` (1,) or (outputs,): the largest weights, `input_bound`: the largest input, both
    after `smoothing` (inputs,), which is already in `weight`; None: there is none. `precision`: one
    of CALIBRATED_PRECISIONS.
    """
    most, kind = _FORMATS[precision]
    weight_scale = np.broadcast_to(_scale(weight_bound, most), len(weight))
    steps = weight / weight_scale[:, None].astype(np.float32)
    if kind == np.int8:
        steps = np.rint(steps)
    return QuantisedLayer(
        weight=steps.clip(-most, most).astype(kind),
        weight_scale=weight_scale,
        input_scale=np.float16(_scale(np.array(input_bound), most)),
        smoothing=None if smoothing is None else smoothing.astype(np.float16),
    )


def _calibrated(module: Any, precision: str) -> QuantisedLayer:
    """The layer that ModelOpt has calibrated, `module`. Raises AttributeError if it has not."""
    smoothing = module.input_quantizer.pre_quant_scale
    return quantise(
        module.weight.numpy(),
        module.weight_quantizer.amax.numpy().reshape(-1),
        float(module.input_quantizer.amax),
        None if smoothing is None else smoothing.numpy().reshape(-1),
        precision,
    )


def _scale(bound: Array, most: float) -> npt.NDArray[np.float16]:
    """Scales with which numbers up to `bound` become numbers up to `most`."""
    scale: npt.NDArray[np.float64] = np.maximum(bound / most, _LEAST_SCALE)
    return scale.astype(np.float16)
