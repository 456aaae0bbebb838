# SPDX-License-Identifier: Apache-2.0
"""First weights of a training: from PEAR's checkpoint, one of `pear train`, or a ViT's."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pear_ros.body.ehm import EHM_S
from pear_ros.pear.checkpoint import CheckpointError, load_checkpoint
from pear_ros.pear.files import BODIES_OF_FILES
from pear_ros.training.network import TrainedNetwork, partial

_NESTED = ("state_dict", "model", "module")
_PREFIXES = ("backbone.", "encoder.", "")
_OTHER_NAMES = {"norm.weight": "last_norm.weight", "norm.bias": "last_norm.bias"}
"""Names of other ViTs (timm, MAE), with those of ViTPose, HMR2 and PEAR."""
_OF_A_SHAPE = ("smplx_shape_decoder", "smplx_expression_decoder")
"""Read-outs of coefficients, which SMPL-X and EHM-s share, and no other bodies."""
_OF_A_HEAD = (
    "flame_poses_decoder",
    "flame_shape_decoder",
    "flame_expression_decoder",
    "smplx_scale_decoder",
)
"""Read-outs that mean nothing for a body with another head."""


class InitialWeightsError(ValueError):
    """A file cannot be begun with; the message has its name and the reason."""


def load_initial(network: TrainedNetwork, path: Path, body: str) -> str:
    """Fill `network` for `body` with the weights of a file; return in words what was taken.

    PEAR's checkpoint, which is for EHM-s, and one of `pear train` give all for the same body; for
    another they give all but the read-outs of jaw, eyes and the rest of the head, and, unless both
    bodies are SMPL-X's, of shape and expression. A ViT's file, with the names of ViTPose and HMR
    2.0 (or timm's), gives the backbone.

    Raises InitialWeightsError where the file is neither, or is of another size than `network`.
    """
    content = _read(path)
    if isinstance(content.get("backbone"), dict) and isinstance(content.get("head"), dict):
        return _load_pear(network, path, body)
    return _load_vit(network, path, content)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        first = str(error).splitlines()[0]
        raise InitialWeightsError(
            f"{path} cannot be read as weights alone by torch ({first})"
        ) from error
    if not isinstance(content, dict):
        raise InitialWeightsError(f"{path} holds no weights by name")
    return content


def _load_pear(network: TrainedNetwork, path: Path, body: str) -> str:
    try:
        given = load_checkpoint(path, network.size.heads)
    except CheckpointError as error:
        raise InitialWeightsError(str(error)) from error
    state, own = given.state_dict(), network.state_dict()
    fits = all(key in state and _fits(state[key], own[key]) for key in own)
    if not fits:
        raise InitialWeightsError(
            f"{path} has a network of another size: set network.depth, width, heads, decoder_width "
            f"and decoder_layers to its own ({_size(state)})"
        )
    taken = partial(network, state)
    left_out = _foreign(given.body or EHM_S, body)
    taken = {k: v for k, v in taken.items() if not any(name in k for name in left_out)}
    network.load_state_dict(taken, strict=False)
    return f"{len(taken)} of {len(own)} tensors of {path}"


def _foreign(given: str, body: str) -> tuple[str, ...]:
    """Return the read-outs of weights for the body `given` that mean nothing for `body`."""
    if given == body:
        return ()
    of_smplx = {given, body} <= set(BODIES_OF_FILES.values())
    return _OF_A_HEAD if of_smplx else (*_OF_A_SHAPE, *_OF_A_HEAD)


def _fits(given: Tensor, own: Tensor) -> bool:
    """Whether all but the first axis agree, and the first is long enough."""
    return given.shape[1:] == own.shape[1:] and len(given) >= len(own)


def _size(state: Mapping[str, Tensor]) -> str:
    depth = len({key.split(".")[2] for key in state if key.startswith("backbone.blocks.")})
    layers = {k.split(".")[4] for k in state if k.startswith("head.transformer.transformer.layers")}
    width = state["backbone.pos_embed"].shape[-1]
    decoder = state["head.transformer.pos_embedding"].shape[-1]
    return f"depth {depth}, width {width}, decoder_width {decoder}, decoder_layers {len(layers)}"


def _load_vit(network: TrainedNetwork, path: Path, content: dict[str, Any]) -> str:
    for key in _NESTED:
        if isinstance(content.get(key), dict):
            content = content[key]
    own = network.backbone.state_dict()
    for prefix in _PREFIXES:
        found = {
            _OTHER_NAMES.get(key[len(prefix) :], key[len(prefix) :]): value
            for key, value in content.items()
            if key.startswith(prefix) and isinstance(value, Tensor)
        }
        if "pos_embed" in found:
            break
    if missing := [key for key in own if key not in found]:
        raise InitialWeightsError(
            f"{path} is neither PEAR's nor a ViT of the same depth: {missing[0]} and "
            f"{len(missing) - 1} others are missing"
        )
    for key, value in own.items():
        if found[key].shape != value.shape:
            raise InitialWeightsError(
                f"{path}: {key} has the shape {tuple(found[key].shape)}, the network here "
                f"{tuple(value.shape)}: its size is another, or its pictures are not 256 x 192"
            )
    network.backbone.load_state_dict({key: found[key].float() for key in own})
    return f"the backbone of {path}"
