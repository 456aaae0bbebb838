# SPDX-License-Identifier: Apache-2.0
"""First weights: of PEAR's checkpoint, of an earlier training, of a ViT by the usual names."""

from __future__ import annotations

from pathlib import Path

import pytest

from pear_ros.body import load_open_body

torch = pytest.importorskip("torch", reason="training needs torch")

from pear_ros.pear.checkpoint import load_checkpoint  # noqa: E402
from pear_ros.training.initial import InitialWeightsError, load_initial  # noqa: E402
from pear_ros.training.network import NetworkSize, TrainedNetwork  # noqa: E402
from pear_ros.training.results import Results  # noqa: E402

BODY = load_open_body()
SIZE = NetworkSize(depth=2, width=64, heads=1, decoder_width=32, decoder_layers=1)


def new(size: NetworkSize = SIZE, seed: int = 0) -> TrainedNetwork:
    torch.manual_seed(seed)
    return TrainedNetwork(size, BODY.num_betas, BODY.num_expression)


def differing(one: TrainedNetwork, other: TrainedNetwork) -> set[str]:
    weights = other.state_dict()
    return {key for key, v in one.state_dict().items() if not torch.equal(v, weights[key])}


def test_a_trained_checkpoint_gives_all(tmp_path: Path) -> None:
    first, second = new(seed=1), new(seed=2)
    results = Results(tmp_path)
    results.write_weights(first, first.state_dict(), "desk", BODY.name)
    assert differing(second, first)
    assert "tensors" in load_initial(second, results.weights_file, BODY.name)
    assert not differing(second, first)


def test_weights_for_another_body_give_all_but_its_coefficients(pear_checkpoint: Path) -> None:
    given = load_checkpoint(pear_checkpoint)
    attention = given.backbone.blocks[0].attn
    width, decoder = given.backbone.pos_embed.shape[-1], given.head.transformer
    size = NetworkSize(
        depth=len(given.backbone.blocks),
        width=width,
        heads=attention.heads,
        decoder_width=decoder.pos_embedding.shape[-1],
        decoder_layers=len(decoder.transformer["layers"]),
    )
    network = new(size)
    before = new(size)
    load_initial(network, pear_checkpoint, BODY.name)
    kept = {key for key in network.state_dict() if key not in differing(network, before)}
    assert {"head.smplx_shape_decoder.weight", "head.flame_poses_decoder.weight"} <= kept
    assert torch.equal(network.backbone.pos_embed, given.backbone.pos_embed)
    assert torch.equal(network.head.cam_decoder.weight, given.head.cam_decoder.weight)
    with pytest.raises(InitialWeightsError, match=r"another size: set network\.depth") as refused:
        load_initial(new(), pear_checkpoint, BODY.name)
    assert f"width {width}" in str(refused.value)


@pytest.mark.parametrize(
    ("prefix", "nested", "norm"),
    [
        ("backbone.", "state_dict", "last_norm"),  # ViTPose, HMR 2.0
        ("", "model", "norm"),  # MAE
        ("", "", "last_norm"),
    ],
)
def test_a_vit_gives_the_backbone(tmp_path: Path, prefix: str, nested: str, norm: str) -> None:
    first, second = new(seed=1), new(seed=2)
    weights = {
        prefix + key.replace("last_norm", norm): value
        for key, value in first.backbone.state_dict().items()
    }
    weights["keypoint_head.final_layer.weight"] = torch.zeros(3)
    torch.save({nested: weights} if nested else weights, tmp_path / "vit.pth")
    assert load_initial(second, tmp_path / "vit.pth", BODY.name).startswith("the backbone of")
    changed = differing(second, first)
    assert changed and not any(key.startswith("backbone.") for key in changed)


def test_other_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "vit.pth"
    weights = new().backbone.state_dict()
    shorter = {key: value for key, value in weights.items() if "blocks.1." not in key}
    wider = {**weights, "pos_embed": torch.zeros(1, 197, 64)}
    for content, message in (
        (shorter, r"blocks\.1\.norm1\.weight and 11 others are missing"),
        (wider, r"pos_embed has the shape \(1, 197, 64\)"),
        ([1], "holds no weights by name"),
        ({"epoch": 3}, "neither PEAR's nor a ViT"),
    ):
        torch.save(content, path)
        with pytest.raises(InitialWeightsError, match=message) as refused:
            load_initial(new(), path, BODY.name)
        assert "\n" not in str(refused.value)
    path.write_text("no weights")
    with pytest.raises(InitialWeightsError, match="cannot be read as weights alone"):
        load_initial(new(), path, BODY.name)
    with pytest.raises(InitialWeightsError, match="No such file"):
        load_initial(new(), tmp_path / "nothing.pth", BODY.name)
