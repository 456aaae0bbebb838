# SPDX-License-Identifier: Apache-2.0
"""PEAR's released weights, read without executing code and loaded strictly."""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pear_ros.pear.decoder import DECODER_LAYERS, DECODER_WIDTH
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.origin import ORIGIN_KEYS, Origin, read_origin

NOT_KEPT: dict[str, tuple[int, ...]] = {
    "head.smplx_joint_decoder.weight": (165, DECODER_WIDTH),
    "head.smplx_joint_decoder.bias": (165,),
    "head.init_betas": (1, 10),
    "head.init_betas_kid": (1, 11),
    "head.init_cam": (1, 3),
    "head.init_expression": (1, 10),
}
"""Shapes of tensors that PEAR's file holds besides the network's weights: a read-out that is never
called, and mean parameters that are never added."""

_PARTS = ("backbone", "head")
_ADVICE = "download pear_model.pt of BestWJH/PEAR_models (2.7 GB) and name that file"
_MAX_BLOCKS = 200
_MAX_REPEATED = 1 << 28
"""Numbers that tensors may have beyond those in the file, as one that is expanded does."""
_NAMED = 3
"""Most names in an error message."""
_SAMPLE = 1024
"""Numbers of each tensor that the fingerprint covers; training changes all of them."""


class CheckpointError(ValueError):
    """A file is not a checkpoint of PEAR's network; the message has the reason and a remedy."""


def load_checkpoint(path: Path, heads: int | None = None) -> PearNetwork:
    """Return the network of a checkpoint: float32, on the CPU, in eval mode, without gradients.

    `path`: PEAR's file, which holds the state dicts `backbone` and `head`; one of `pear train`,
    which also names model and body; or a safetensors file with `backbone.*` and `head.*`. The
    weights are memory-mapped: replace a file that is in use, do not overwrite it. `heads`:
    attention heads of the backbone, see `build_network`.

    Raises CheckpointError when the file is missing, damaged, of another kind or could run code, or
    when a tensor is missing, unknown, of another shape or not finite; OSError when it cannot be
    read.
    """
    try:
        found, origin = _read(path)
        _check_held(found)
        state = {key: _float32(key, value) for key, value in found.items()}
        network = build_network(state, heads or origin.heads)
        network.model, network.body = origin.model, origin.body
        return network
    except CheckpointError as error:
        raise CheckpointError(f"{path} is no checkpoint of PEAR: {error}; {_ADVICE}") from error


def build_network(state: Mapping[str, Tensor], heads: int | None = None) -> PearNetwork:
    """Return the network with the weights `state`, which are not copied and keep their precision.

    Depth and width of the backbone are read from the weights; its number of attention `heads`
    cannot be. By default each head has 80 channels from a width of 1280 on (as ViT-H has) and 64
    below (as ViT-S, ViT-B and ViT-L have).

    Raises CheckpointError when a tensor is missing, unknown, of another shape or not finite.
    """
    blocks = {found[1] for key in state if (found := re.match(r"backbone\.blocks\.(\d+)\.", key))}
    if len(blocks) > _MAX_BLOCKS:
        raise CheckpointError(f"it has {len(blocks)} blocks; PEAR's has 32")
    positions = state.get("backbone.pos_embed")
    if positions is None or not blocks:
        raise CheckpointError("backbone.pos_embed or backbone.blocks is missing")
    width = positions.shape[-1] if positions.ndim else 0
    heads = heads or width // (80 if width >= 1280 else 64)
    if heads == 0 or width % heads:
        raise CheckpointError(f"its width of {width} cannot be divided into {heads} heads")
    decoder_width, layers = _decoder_size(state)
    # The meta device allocates and initialises nothing.
    with torch.device("meta"):
        network = PearNetwork(len(blocks), width, heads, decoder_width, layers)
    _check(state, {key: tuple(value.shape) for key, value in network.state_dict().items()})
    kept = {key: value for key, value in state.items() if key not in NOT_KEPT}
    network.load_state_dict(kept, strict=True, assign=True)
    network.fingerprint = _fingerprint(kept)
    return network.requires_grad_(False).eval()


def _decoder_size(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Width and layers of the decoder; those of PEAR's release where they cannot be read."""
    pattern = re.compile(r"head\.transformer\.transformer\.layers\.(\d+)\.")
    layers = {found[1] for key in state if (found := pattern.match(key))}
    embedding = state.get("head.transformer.pos_embedding")
    if embedding is None or embedding.ndim != 3 or not 0 < len(layers) <= _MAX_BLOCKS:
        return DECODER_WIDTH, DECODER_LAYERS
    return embedding.shape[-1], len(layers)


def _fingerprint(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over name, shape and first numbers of every tensor: fast at any size."""
    digest = hashlib.sha256()
    for key, value in sorted(state.items()):
        digest.update(f"{key} {tuple(value.shape)}\n".encode())
        digest.update(value.flatten()[:_SAMPLE].to("cpu", torch.float32).numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], Origin]:
    """Return the tensors of a file by their full names, not checked, and whose they are."""
    if not path.is_file():
        raise CheckpointError("there is no such file")
    with path.open("rb") as file:
        start = file.read(16)
    if zipfile.is_zipfile(path):
        return _read_torch(path)
    if start[8:9] == b"{":
        return _read_safetensors(path), Origin()
    if start.startswith(b"PK"):
        raise CheckpointError("its end is missing")
    if start.startswith(b"\x80"):
        raise CheckpointError("it is a bare pickle, which could run code and is not opened")
    if not start:
        raise CheckpointError("it is empty")
    if start.isascii() and b"\0" not in start:
        raise CheckpointError("it is a text, maybe a web page or a pointer of Git LFS")
    raise CheckpointError("it is neither of torch.save nor of safetensors")


def _read_torch(path: Path) -> tuple[dict[str, Any], Origin]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError("it holds more than weights, which could run code") from error
    except OSError:
        raise
    except Exception as error:  # What torch raises for a damaged file depends on the damage.
        raise CheckpointError("it is damaged, or an archive but not of torch.save") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(p), dict) for p in _PARTS):
        raise CheckpointError("it does not hold the two state dicts backbone and head")
    if others := [str(key) for key in content if key not in (*_PARTS, *ORIGIN_KEYS)]:
        raise CheckpointError(f"beside backbone and head it holds {_named(others)}")
    try:
        origin = read_origin(content)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    tensors = {f"{part}.{key}": value for part in _PARTS for key, value in content[part].items()}
    return tensors, origin


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"safetensors cannot read it ({error})") from error


def _float32(key: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise CheckpointError(f"its {key} is not a tensor of floating-point numbers")
    tensor: Tensor = value.detach()
    return tensor.float()


def _check_held(state: Mapping[str, Any]) -> None:
    """Raise CheckpointError where tensors without data, or of repeated numbers, would be large."""
    repeated = 0
    for key, value in state.items():
        if not isinstance(value, Tensor):
            continue
        if value.layout is not torch.strided or value.device.type != "cpu":
            raise CheckpointError(f"its {key} has no data")
        if value.untyped_storage().nbytes() < value.numel() * value.element_size():
            repeated += value.numel()
    if repeated > _MAX_REPEATED:
        raise CheckpointError("it declares many more numbers than it holds")


def _check(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise CheckpointError unless `state` is complete, has no more, and is finite."""
    not_kept = _not_kept(shapes)
    shapes = {**shapes, **not_kept}
    misshaped = [
        f"{key}: {_size(state[key].shape)} instead of {_size(shape)}"
        for key, shape in shapes.items()
        if key in state and state[key].shape != shape
    ]
    faults = {
        "missing": [key for key in shapes if key not in state],
        "unknown": [key for key in state if key not in shapes],
        "of another shape": misshaped,
    }
    if any(faults.values()):
        texts = [f"{len(k)} {what} ({_named(k)})" for what, k in faults.items() if k]
        raise CheckpointError(f"of its tensors are {', '.join(texts)}")
    broken = [
        key
        for key in shapes.keys() - NOT_KEPT.keys()
        if not all(extreme.isfinite() for extreme in state[key].aminmax())
    ]
    if broken:
        raise CheckpointError(f"there is NaN or infinity in {_named(sorted(broken))}")


def _not_kept(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return NOT_KEPT for a decoder of the width in `shapes`."""
    width = shapes["head.transformer.pos_embedding"][-1]
    return {**NOT_KEPT, "head.smplx_joint_decoder.weight": (165, width)}


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"
