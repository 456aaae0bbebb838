# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: loaded strictly, and refused in one sentence when they are not PEAR's."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from testing.parity import recipe

torch = pytest.importorskip("torch", reason="PEAR needs torch: pip install torch")

from pear_ros.pear.checkpoint import CheckpointError, build_network, load_checkpoint  # noqa: E402

CONFIG = {**recipe.CONFIG_SMALL, "dim": 128}
LAYOUT = recipe.network_layout(**CONFIG)
State = dict[str, Any]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@pytest.fixture(scope="module")
def state() -> State:
    weights = recipe.fill_state_dict(LAYOUT, seed=3)
    return {key: torch.from_numpy(value) for key, value in weights.items()}


def by_part(state: State) -> dict[str, State]:
    """The layout of PEAR's file."""
    parts: dict[str, State] = {"backbone": {}, "head": {}}
    for key, value in state.items():
        part, _, name = key.partition(".")
        parts[part][name] = value
    return parts


def flat_state() -> State:
    """A complete state dict of the smallest size: one number stands for each tensor."""
    return {key: torch.zeros(1).expand(shape) for key, shape in LAYOUT.items()}


def saved(folder: Path, content: object, name: str = "model.pt") -> Path:
    torch.save(content, folder / name)
    return folder / name


def test_both_formats_give_the_network_of_their_weights(folder: Path, state: State) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="the other format's library")
    safetensors.save_file(state, folder / "model.safetensors")
    paths = saved(folder, by_part(state)), folder / "model.safetensors"
    image = torch.rand(1, 3, 256, 256)
    expected = build_network(state)
    for path in paths:
        network = load_checkpoint(path)
        torch.testing.assert_close(network(image), expected(image), atol=1e-5, rtol=0)
        assert network.fingerprint == expected.fingerprint
        assert not network.training
        assert not any(weight.requires_grad for weight in network.parameters())
        assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_size_is_read_from_the_weights() -> None:
    network = build_network(flat_state())
    assert len(network.backbone.blocks) == CONFIG["depth"]
    assert network.backbone.blocks[0].attn.heads == CONFIG["dim"] // 64
    assert build_network(flat_state(), heads=8).backbone.blocks[0].attn.heads == 8
    huge = recipe.network_layout(**{**recipe.CONFIG_VITH, "depth": 1})
    network = build_network({key: torch.zeros(1).expand(shape) for key, shape in huge.items()})
    assert network.backbone.blocks[0].attn.heads == recipe.CONFIG_VITH["heads"]


def test_half_precision_files_become_single_precision(tmp_path: Path) -> None:
    half = {key: value[:1].half().expand(LAYOUT[key]) for key, value in flat_state().items()}
    network = load_checkpoint(saved(tmp_path, by_part(half)))
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_fingerprints_tell_weights_apart(state: State) -> None:
    changed = {**state, "head.cam_decoder.bias": state["head.cam_decoder.bias"] + 1e-3}
    unused = {**state, "head.init_betas": state["head.init_betas"] + 1.0}
    original = build_network(state).fingerprint
    assert build_network(changed).fingerprint != original
    assert build_network(unused).fingerprint == original


@pytest.mark.parametrize("key", [*LAYOUT][:5] + [*LAYOUT][-70:])
def test_every_missing_tensor_is_named(key: str) -> None:
    state = flat_state()
    del state[key]
    with pytest.raises(CheckpointError, match=key.replace(".", r"\.")):
        build_network(state)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("head.cam_decoder.weight", (4, 1024), "head.cam_decoder.weight: 4 x 1024 instead of 3 x"),
        ("head.init_betas", (10,), "head.init_betas: 10 instead of 1 x 10"),
        ("head.init_body_pose", (1, 144), "1 x 144 instead of 1 x 318"),
        ("head.another", (2,), r"1 unknown \(head.another\)"),
        ("backbone.blocks.5.norm1.weight", (128,), "missing .backbone.blocks.2"),
        ("backbone.pos_embed", (1, 193, 96), "96 cannot be divided|of another shape"),
        ("backbone.pos_embed", (), "cannot be divided"),
    ],
)
def test_other_tensors_are_named(key: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        build_network({**flat_state(), key: torch.zeros(shape)})


def test_of_many_faults_some_are_named_and_all_are_counted() -> None:
    few = {key: value for key, value in flat_state().items() if key.startswith("backbone.")}
    missing = len(LAYOUT) - len(few)
    with pytest.raises(CheckpointError, match=rf"{missing} missing \(head\.[^ ]*, .*, \.\.\.\)"):
        build_network(few)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_named(number: float) -> None:
    broken = torch.zeros(1024)
    broken[17] = number
    key = "head.transformer.to_token_embedding.bias"
    with pytest.raises(CheckpointError, match=f"NaN or infinity in {key}"):
        build_network({**flat_state(), key: broken})


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_files_that_could_run_code_are_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    hostile = {"backbone": Hostile(trace), "head": {}}
    archive = saved(tmp_path, hostile)
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(hostile))
    old = tmp_path / "old.pt"
    torch.save(hostile, old, _use_new_zipfile_serialization=False)
    for path in (archive, bare, old):
        with pytest.raises(CheckpointError, match="could run code"):
            load_checkpoint(path)
    assert not trace.exists()


def write_npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, weights=np.zeros(3))


def write_cut(path: Path) -> None:
    torch.save(by_part(flat_state()), path)
    path.write_bytes(path.read_bytes()[:-1000])


def write_cut_safetensors(path: Path) -> None:
    path.write_bytes((200).to_bytes(8, "little") + b'{"backbone.pos_embed":')


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "no such file"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1"), "a text"),
        (lambda path: path.write_text("<!DOCTYPE html><html>"), "a text"),
        (lambda path: path.write_bytes(bytes(range(256))), "neither"),
        (write_npz, "damaged, or an archive but not of torch.save"),
        (write_cut, "its end is missing"),
        (write_cut_safetensors, "safetensors cannot read it"),
        (lambda path: torch.save(torch.zeros(3), path), "state dicts backbone and head"),
        (lambda path: torch.save(flat_state(), path), "state dicts backbone and head"),
        (lambda path: torch.save({**by_part(flat_state()), "epoch": 3}, path), "it holds epoch"),
        (
            lambda path: torch.save({"backbone": {"pos_embed": 1.0}, "head": {}}, path),
            "backbone.pos_embed is not a tensor",
        ),
        (
            lambda path: torch.save({"backbone": {}, "head": {}}, path),
            "backbone.pos_embed or backbone.blocks is missing",
        ),
    ],
)
def test_other_files_are_refused_in_one_sentence(
    tmp_path: Path, write: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "pear_model.pt"
    write(path)
    with pytest.raises(CheckpointError, match=message) as refused:
        load_checkpoint(path)
    sentence = str(refused.value)
    assert sentence.startswith(f"{path} is no checkpoint of PEAR: ")
    assert sentence.endswith("name that file")
    assert "\n" not in sentence


def test_parameters_are_weights_like_others(tmp_path: Path) -> None:
    state = {key: torch.nn.Parameter(value) for key, value in flat_state().items()}
    network = load_checkpoint(saved(tmp_path, by_part(state)))
    assert network.fingerprint == build_network(flat_state()).fingerprint
    assert not any(weight.requires_grad for weight in network.parameters())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(1).expand(1, 192, 10**12), "many more numbers than it holds"),
        (torch.zeros(1, 192, 10**12, device="meta"), "has no data"),
        (torch.zeros(1, 192, 80).to_sparse(), "has no data"),
    ],
)
def test_tensors_without_data_take_no_memory(tmp_path: Path, value: Any, message: str) -> None:
    state = {**flat_state(), "backbone.pos_embed": value}
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved(tmp_path, by_part(state)))


def test_number_of_blocks_is_bounded(tmp_path: Path) -> None:
    more = {f"backbone.blocks.{n}.norm1.bias": torch.zeros(1) for n in range(500)}
    with pytest.raises(CheckpointError, match="it has 500 blocks"):
        load_checkpoint(saved(tmp_path, by_part({**flat_state(), **more})))


@pytest.mark.parametrize("seed", range(5))
def test_damage_anywhere_is_a_checkpoint_error_or_harmless(tmp_path: Path, seed: int) -> None:
    path = saved(tmp_path, by_part(flat_state()))
    damaged = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for position in rng.integers(0, len(damaged), 200):
        damaged[position] = rng.integers(256)
    path.write_bytes(damaged)
    try:
        load_checkpoint(path)
    except CheckpointError as error:
        assert str(path) in str(error)
