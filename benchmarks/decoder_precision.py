# SPDX-License-Identifier: Apache-2.0
"""PEAR's decoder in half precision: errors against fp32, memory read, number of kernels.

    python -m benchmarks.decoder_precision

The deployed network with its backbone, keys and values in half precision, computed by torch on the
CPU on the bundled crops, with synthetic weights. The decoder's other layers are in the precision of
the second column, its token, norms and read-outs in fp32. Errors are those of the gate that every
runtime passes before it is used (pear_ros.pear.runtimes.accuracy), and the root mean square (RMS)
over all outputs. Random weights put the six numbers of some joints almost on a line, where any
error turns the joint, so that the largest errors are larger than those of a trained network, also
with the decoder in fp32.

`MB`: the decoder's weights, keys and values apart, all of which are read for each image.
`kernels`: operations of the whole network that compute or copy, by torch with its fused attention;
TensorRT fuses more. Not run on a GPU. pear_ros uses the decoder in fp16 beside a backbone in fp16,
and in fp32 beside one in bf16.
"""

# mypy: disable-error-code="no-untyped-call"
# (torch has calls without types)

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.report import write_report
from pear_ros.body.ehm import EhmBody
from pear_ros.pear.checkpoint import build_network
from pear_ros.pear.deployed import PRECISIONS, DeployedNetwork
from pear_ros.pear.deployed_decoder import DeployedDecoder
from pear_ros.pear.files import find_model_files, load_body_files
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.runtimes.accuracy import judge
from pear_ros.pear.runtimes.reference_crops import bundled_crops
from testing.parity import recipe

SIZES = {
    "2 blocks": recipe.CONFIG_SMALL,
    "ViT-S": {**recipe.CONFIG_SMALL, "depth": 12, "dim": 384, "heads": 6},
}


class KernelCount(TorchDispatchMode):
    """Counts operations that make a tensor of their own, not a view."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {leaf.untyped_storage()._cdata for leaf in _tensors((args, kwargs))}
        fresh = [out for out in _tensors(result) if out.untyped_storage()._cdata not in given]
        self.kernels += bool(fresh)
        return result


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def network(config: dict[str, int]) -> PearNetwork:
    """Return a network of synthetic weights."""
    state = recipe.fill_state_dict(recipe.network_layout(**config), seed=3)
    weights = {name: torch.from_numpy(values) for name, values in state.items()}
    return build_network(weights, config["heads"])


def measure(size: str, body: EhmBody) -> list[list[str]]:
    """Return the rows of a size of network."""
    made = network(SIZES[size])
    crops = torch.tensor(bundled_crops())
    reference = DeployedNetwork(made, "fp32", False)(crops).numpy()
    rows = []
    for precision in ("fp16", "bf16"):
        half = PRECISIONS[precision]
        for weights in (torch.float32, half):
            deployed = DeployedNetwork(made, precision, False)
            decoder = deployed.decoder = DeployedDecoder(made.head, half, weights).eval()
            with KernelCount() as count:
                found = deployed(crops).numpy()
            verdict = judge(found, reference, body)
            read = sum(weight.nbytes for weight in decoder.parameters())
            read -= decoder.to_kv.weight.nbytes
            rows.append(
                [
                    *(size, precision, precision if weights is half else "fp32"),
                    *(f"{1e-6 * read:.0f}", str(count.kernels)),
                    f"{np.sqrt(np.mean((found - reference) ** 2)):.2g}",
                    f"{verdict.mean_rotation_deg:.2g}, {verdict.max_rotation_deg:.2g}",
                    f"{verdict.mean_vertex_mm:.2g}, {verdict.max_vertex_mm:.2g}",
                    f"{verdict.max_place_mm:.2g}",
                    verdict.fault or "passed",
                ]
            )
    return rows


@torch.inference_mode()
def main() -> None:
    """Measure and write the report."""
    with tempfile.TemporaryDirectory() as name:
        recipe.write_assets(Path(name), 5)
        body = EhmBody(*load_body_files(find_model_files(Path(name))))
    rows = [row for size in SIZES for row in measure(size, body)]
    head = [
        *("network", "backbone", "decoder", "MB", "kernels", "RMS"),
        *("degrees: mean, largest", "mm: mean, largest", "position mm", "gate"),
    ]
    write_report("decoder_precision", __doc__ or "", {"Errors against fp32": (head, rows)})


if __name__ == "__main__":
    main()
