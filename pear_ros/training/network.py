# SPDX-License-Identifier: Apache-2.0
"""The network that is trained: PEAR's, with read-outs only for what the body has.

Its output is PEAR's vector, in which all else is 0, so that runtimes and their checks stay the
same; `release` returns its weights as those of a whole PearNetwork.
"""

# mypy: disable-error-code="no-any-return"
# (calls of modules have no type of their own)

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pear_ros.pear.checkpoint import NOT_KEPT
from pear_ros.pear.decoder import MEAN_POSE, MEAN_SCALE, Head
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.prediction import LAYOUT
from pear_ros.training.first_weights import initialise

_EYES, _JAW = LAYOUT["eyes"], LAYOUT["jaw"]
_JAW_BEGIN = _EYES + LAYOUT["flame_pose"]
"""First row of the jaw in the read-out `flame_poses_decoder`, after eyes and FLAME's own pose."""
_FACING = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
_UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Six numbers of a person who faces the camera (diag(1, -1, -1)), and of no rotation."""
_OWN_HEAD = _EYES + _JAW
"""Rows of the read-out `flame_poses_decoder` of a body with its own head."""
_SPREAD = 0.02
"""Standard deviation of the decoder's position embeddings at first; read-outs start at a tenth."""


@dataclass(frozen=True)
class NetworkSize:
    """Size of the network; by default that of ViT-Ti with a small decoder."""

    depth: int = 12
    """Blocks of the backbone."""
    width: int = 192
    """Channels of the backbone."""
    heads: int = 3
    """Attention heads of the backbone."""
    decoder_width: int = 256
    """Channels of the decoder; 1024 in PEAR's release."""
    decoder_layers: int = 3
    """Layers of the decoder; 6 in PEAR's release."""


class BodyHead(Head):
    """PEAR's head for a body with its own head: no FLAME, no scales, fewer coefficients."""

    def __init__(self, size: NetworkSize, num_betas: int, num_expression: int) -> None:
        """`num_betas`, `num_expression`: coefficients that are predicted, at most the vector's."""
        super().__init__(size.width, size.decoder_width, size.decoder_layers)
        del self.smplx_scale_decoder, self.flame_shape_decoder, self.flame_expression_decoder
        width = size.decoder_width
        self.smplx_shape_decoder = nn.Linear(width, num_betas)
        self.smplx_expression_decoder = nn.Linear(width, num_expression)
        self.flame_poses_decoder = nn.Linear(width, _OWN_HEAD)

    def read_out(self, token: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) float32 in the order of LAYOUT, of the decoder's token (B, E)."""
        rotations = self.smplx_poses_decoder(token).float()
        eyes, jaw = self.flame_poses_decoder(token).float().tensor_split((_EYES,), dim=1)
        camera = self.cam_decoder(token).float()
        parts = {
            "rotations": torch.cat(
                [
                    rotations[:, :MEAN_POSE] + self.init_body_pose[:, :MEAN_POSE],
                    rotations[:, MEAN_POSE:],
                ],
                dim=1,
            ),
            "betas": self.smplx_shape_decoder(token).float(),
            "expression": self.smplx_expression_decoder(token).float(),
            "eyes": eyes,
            "jaw": jaw,
            "camera": torch.cat([camera[:, :2], camera[:, 2:] + MEAN_SCALE], dim=1),
        }
        none = rotations[:, :0]
        return torch.cat(
            [
                nn.functional.pad(found := parts.get(name, none), (0, size - found.shape[1]))
                for name, size in LAYOUT.items()
            ],
            dim=1,
        )


class EhmHead(Head):
    """PEAR's head as it is, for EHM-s; whatever the precision, its vector is summed in float32."""

    def read_out(self, token: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) float32 in the order of LAYOUT, of the decoder's token (B, E)."""
        with torch.autocast(token.device.type, enabled=False):
            return super().read_out(token.float())


class TrainedNetwork(PearNetwork):
    """PEAR's network for a body, with random weights at first."""

    head: BodyHead | EhmHead

    def __init__(
        self, size: NetworkSize, num_betas: int, num_expression: int, flame: bool = False
    ) -> None:
        """`num_betas`, `num_expression`: coefficients of the body, cut to the vector's.

        `flame`: whether its head is FLAME's, that of EHM-s, which takes all of PEAR's vector.
        """
        with torch.device("meta"):
            super().__init__(
                *(size.depth, size.width, size.heads, size.decoder_width, size.decoder_layers)
            )
        self.backbone = type(self.backbone)(size.depth, size.width, size.heads)
        self.head = (
            EhmHead(size.width, size.decoder_width, size.decoder_layers)
            if flame
            else BodyHead(
                size,
                min(num_betas, LAYOUT["betas"]),
                min(num_expression, LAYOUT["expression"]),
            )
        )
        self.size = size
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Draw weights; the mean person stands upright, faces the camera and has open hands."""
        initialise(self.backbone)
        nn.init.normal_(self.head.transformer.pos_embedding, std=_SPREAD)
        for layer in self.head.children():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.1 * _SPREAD)
                nn.init.zeros_(layer.bias)
        joints = LAYOUT["rotations"] // 6
        rotations = torch.tensor([*_FACING, *(_UPRIGHT * (joints - 1))])
        self.head.init_body_pose[0, :MEAN_POSE] = rotations[:MEAN_POSE]
        self.head.smplx_poses_decoder.bias[MEAN_POSE:] = rotations[MEAN_POSE:]
        self.head.cam_decoder.bias[2] = 1.0 - MEAN_SCALE
        if isinstance(self.head, EhmHead):
            nn.init.ones_(self.head.smplx_scale_decoder.bias)


def release(network: TrainedNetwork, state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return weights as the state dicts `backbone` and `head` of a whole PearNetwork, float32.

    `state`: weights of `network`, its own or their average. What the network lacks is 0.
    """
    size = network.size
    with torch.device("meta"):
        whole = PearNetwork(
            *(size.depth, size.width, size.heads, size.decoder_width, size.decoder_layers)
        )
    full = {
        key: _filled(key, tuple(value.shape), state.get(key))
        for key, value in whole.state_dict().items()
    }
    for key, shape in NOT_KEPT.items():
        of_width = (shape[0], size.decoder_width) if key.endswith("weight") else shape
        full[key] = torch.zeros(of_width)
    return {
        part: {k[len(part) + 1 :]: v for k, v in full.items() if k.startswith(f"{part}.")}
        for part in ("backbone", "head")
    }


def _filled(key: str, shape: tuple[int, ...], value: Tensor | None) -> Tensor:
    """Return a tensor of `shape` that begins with `value`; eyes and jaw go to their own rows."""
    full = torch.zeros(shape)
    if value is None:
        return full
    value = value.detach().to("cpu", torch.float32)
    if _has_own_head(key, value):
        full[:_EYES] = value[:_EYES]
        full[_JAW_BEGIN : _JAW_BEGIN + _JAW] = value[_EYES:]
    else:
        full[: len(value)] = value
    return full


def partial(network: TrainedNetwork, whole: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of `network` out of those of a whole PearNetwork, by their full names."""
    own: dict[str, Tensor] = {}
    for key, value in network.state_dict().items():
        given = whole[key]
        if _has_own_head(key, value):
            given = torch.cat([given[:_EYES], given[_JAW_BEGIN : _JAW_BEGIN + _JAW]])
        own[key] = given[: len(value)].clone()
    return own


def _has_own_head(key: str, value: Tensor) -> bool:
    """Whether a tensor is the read-out of eyes and jaw alone, whose rows have other places."""
    return key.startswith("head.flame_poses_decoder.") and len(value) == _OWN_HEAD
