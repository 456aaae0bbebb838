# SPDX-License-Identifier: Apache-2.0
"""DeployedNetwork computes what PearNetwork computes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pear_ros.pear.prediction import VECTOR_SIZE, Prediction
from testing.parity import recipe
from testing.parity.check_parity import SET_A, Report

torch = pytest.importorskip("torch", reason="the network is made by torch")

SMALL = recipe.CONFIG_SMALL
VIT_S = {**SMALL, "depth": 12, "dim": 384, "heads": 6}


def synthetic(config: dict[str, int]) -> Any:
    from pear_ros.pear.checkpoint import build_network

    state = recipe.fill_state_dict(recipe.network_layout(**config), seed=3)
    weights = {key: torch.from_numpy(value) for key, value in state.items()}
    return build_network(weights, config["heads"])


def deployed(network: Any, precision: str = "fp32", explicit_attention: bool = True) -> Any:
    from pear_ros.pear.deployed import DeployedNetwork

    return DeployedNetwork(network, precision, explicit_attention)


@pytest.fixture(scope="module")
def network() -> Any:
    return synthetic(SMALL)


@pytest.fixture(scope="module")
def crops() -> Any:
    """(2, 256, 256, 3) blue, green and red, not the same at all sides."""
    pictures = [recipe.synthetic_image(seed, (256, 256, 3)) for seed in range(2)]
    return torch.from_numpy(np.stack(pictures).astype(np.uint8))


def as_pictures(crops: Any) -> Any:
    return crops.flip(-1).permute(0, 3, 1, 2) / 255.0


@pytest.mark.parametrize("config", [SMALL, VIT_S], ids=["small", "ViT-S"])
def test_deployed_fp32_equals_pears_network(config: dict[str, int], crops: Any) -> None:
    network = synthetic(config)
    pictures = as_pictures(crops)
    expected = network(pictures)
    assert (expected[0] - expected[1]).abs().max() > 0.01, "the crops differ"
    for explicit_attention in (True, False):
        ours = deployed(network, "fp32", explicit_attention)
        torch.testing.assert_close(ours(crops), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(ours.from_pictures(pictures), expected, atol=1e-5, rtol=0)


def test_deployed_outputs_equal_the_original() -> None:
    from testing.parity import candidate

    fixture = np.load(SET_A / "net_small.npz")
    meta = json.loads(str(fixture["meta"]))
    state = recipe.fill_state_dict(recipe.network_layout(**meta["config"]), meta["weights_seed"])
    weights = {key: torch.from_numpy(value) for key, value in state.items()}
    ours = deployed(candidate.build_network(weights, meta["config"]["heads"]))
    pictures = [recipe.synthetic_image(seed, (256, 256, 3)) for seed in meta["image_seeds"]]
    images = np.stack([recipe.image_to_input(picture) for picture in pictures])
    found = Prediction.from_vectors(ours.from_pictures(torch.from_numpy(images)).numpy())
    outputs = {theirs: getattr(found, own) for theirs, own in candidate.NAMES.items()}
    outputs |= {name: getattr(found, name) for name in candidate.SAME_NAMES}
    outputs["pd_cam"] = candidate.view_matrices(found.camera)
    report = Report("float32")
    for name, values in outputs.items():
        report.compare("net_small", name, values, fixture[f"ref64.{name}"])
    assert len(report.rows) == 15
    assert not report.failures


@pytest.mark.parametrize(("precision", "most"), [("fp16", 0.005), ("bf16", 0.05)])
@pytest.mark.parametrize("explicit_attention", [True, False])
def test_deployed_half_precision_is_close(
    network: Any, crops: Any, precision: str, most: float, explicit_attention: bool
) -> None:
    ours = deployed(network, precision, explicit_attention)(crops)
    assert ours.dtype == torch.float32
    error = (ours - network(as_pictures(crops))).abs().max()
    assert most / 100 < error < most


def test_deployed_fp16_with_attention_in_fp32_has_the_backbone_of_fp16(
    network: Any, crops: Any
) -> None:
    """The decoder, which has attention, is in fp32, as beside bf16."""
    half, other_half, rung = (
        deployed(network, one) for one in ("fp16", "bf16", "fp16_fp32_attention")
    )

    def dtypes(part: Any) -> dict[str, torch.dtype]:
        return {name: one.dtype for name, one in part.named_parameters()}

    assert dtypes(rung.body) == dtypes(half.body) and torch.float16 in dtypes(rung.body).values()
    narrow = {name for name, one in dtypes(rung.decoder).items() if one != torch.float32}
    assert narrow == {
        name for name, one in dtypes(other_half.decoder).items() if one != torch.float32
    }
    wanted = network(as_pictures(crops))
    error, other = ((found(crops) - wanted).abs().max() for found in (rung, half))
    assert 5e-5 < error < 0.005 and error != other


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_deployed_layers_have_their_precision(network: Any, precision: str) -> None:
    for name, weight in deployed(network, precision).named_parameters():
        in_fp32 = "norm" in name or "read_out" in name or name in ("body.position", "decoder.token")
        of_decoder = name.startswith("decoder.") and name != "decoder.to_kv.weight"
        wide = in_fp32 or (of_decoder and precision == "bf16")
        half = {"fp16": torch.float16, "bf16": torch.bfloat16}[precision]
        assert weight.dtype == (torch.float32 if wide else half), name


def test_deployed_decoder_in_half_precision_reads_half_as_much(network: Any) -> None:
    size = {
        precision: sum(
            weight.nbytes for weight in deployed(network, precision).decoder.parameters()
        )
        for precision in ("fp32", "fp16")
    }
    assert size["fp16"] < 0.55 * size["fp32"]


def test_deployed_attention_needs_no_scale(network: Any, crops: Any) -> None:
    """It is in the query's weights, each rounded once: nothing is multiplied by a number."""
    from torch.utils._python_dispatch import TorchDispatchMode

    multiplied = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func.overloadpacket.__name__ == "mul":
                multiplied.append(args)
            return func(*args, **(kwargs or {}))

    ours = deployed(network, "fp16")
    with Watch():
        ours(crops)
    assert not multiplied
    block, theirs = ours.body.blocks[0], network.backbone.blocks[0].attn
    width = theirs.qkv.in_features
    exact = theirs.qkv.weight[:width].double() * (width // theirs.heads) ** -0.5
    torch.testing.assert_close(block.qkv.weight[:width], exact.half(), atol=0, rtol=0)


def test_deployed_weights_are_shared_unless_folded(network: Any) -> None:
    ours = deployed(network)
    shared = {weight.data_ptr() for weight in network.parameters()}
    kept = {
        "body": ours.body.blocks.named_parameters(),
        "decoder": ours.decoder.layers.named_parameters(),
    }
    folded = {
        f"{part}.{name}"
        for part, weights in kept.items()
        for name, weight in weights
        if weight.data_ptr() not in shared
    }
    blocks = range(len(ours.body.blocks))
    expected = {f"body.{n}.qkv.{kind}" for n in blocks for kind in ("weight", "bias")}
    expected |= {
        f"decoder.{n}.{layer}.weight" for n in range(1, 6) for layer in ("self_attention", "to_q")
    }
    assert folded == expected


def test_deployed_batch_of_zero_people(network: Any) -> None:
    empty = torch.zeros((0, 256, 256, 3), dtype=torch.uint8)
    for explicit_attention in (True, False):
        assert deployed(network, "fp32", explicit_attention)(empty).shape == (0, VECTOR_SIZE)
