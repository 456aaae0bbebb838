# SPDX-License-Identifier: Apache-2.0
"""One step of training: network, losses, gradients, optimiser, average of weights.

In a training by several processes each computes its share of every batch; gradients are averaged
over them (DistributedDataParallel).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pear_ros.pear.body import PearBody, body_joints, body_vertices
from pear_ros.pear.cuda_mesh import body_on
from pear_ros.training.bodies import parameters_of, surface
from pear_ros.training.config import Config, Stage
from pear_ros.training.joint_tokens import SupervisedNetwork, token_loss
from pear_ros.training.losses import TruePeople, parameter_losses
from pear_ros.training.network import TrainedNetwork
from pear_ros.training.people import PredictedPeople, predicted_people
from pear_ros.training.pixel_losses import PixelLosses, TruePixels
from pear_ros.training.soft_raster import Blur
from pear_ros.training.stream import Batch

_BETAS = (0.9, 0.98)
"""Decay of AdamW's first and second moments."""


class Learner:
    """A network that learns from batches."""

    def __init__(
        self, network: TrainedNetwork, body: PearBody, config: Config, device: torch.device
    ) -> None:
        """Train `network`, which is moved to `device`, for `body`."""
        self.network = network.to(device)
        # Its input is the number 0: it never matters.
        network.head.transformer.to_token_embedding.weight.requires_grad_(False)
        self.average = {name: v.detach().clone() for name, v in network.state_dict().items()}
        """Exponential moving average of the weights (EMA), by name."""
        self.device = device
        self._config = config
        self._body = body_on(device, body)
        weights = surface(body).weights.toarray()
        self._skin_weights = torch.from_numpy(weights.T).float().to(device)  # (55, V)
        blur = Blur(sigma=config.sigma)
        self.pixels = PixelLosses(surface(body), config.map_size, device, blur)
        self._supervised = SupervisedNetwork(self.network).to(device)
        self._optimiser = torch.optim.AdamW(
            _groups(self._supervised, config.weight_decay), betas=_BETAS, lr=0.0
        )
        self._forward: nn.Module = self._supervised
        if torch.distributed.is_initialized():
            self._forward = nn.parallel.DistributedDataParallel(
                self._supervised, find_unused_parameters=config.losses.tokens == 0.0
            )

    def step(self, batches: Iterable[Batch], stage: Stage, step: int) -> dict[str, float] | None:
        """Learn from the batches of one step; return the mean losses by name, `loss` their sum.

        `step`: number in its stage. None, and nothing learnt, where the gradient is not finite.
        """
        batches = [*batches]
        sums: dict[str, float] = {}
        for number, batch in enumerate(batches, 1):
            last = number == len(batches)
            with nullcontext() if last else self._unsynchronised():
                losses = self._losses(batch, stage)
                loss = losses["loss"] / len(batches)
                # An infinite one can have a finite gradient; NaN reaches all processes.
                (loss * (loss.detach() - loss.detach() + 1.0)).backward()  # type: ignore[no-untyped-call]
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + float(loss.detach()) / len(batches)
        norm = nn.utils.clip_grad_norm_(self._forward.parameters(), self._config.clip)
        learnt = bool(norm.isfinite())
        if learnt:
            for group in self._optimiser.param_groups:
                group["lr"] = learning_rate(stage, step)
            self._optimiser.step()
            self._update_average()
        self._optimiser.zero_grad(set_to_none=True)
        return sums if learnt else None

    @torch.no_grad()
    def predict(self, crops: Tensor) -> PredictedPeople:
        """Return the people whom the average of the weights sees in crops (B, 256, 256, 3), BGR."""
        vectors = torch.func.functional_call(self.network, self.average, (pictures(crops),))
        return predicted_people(vectors, self._body)

    def state(self) -> dict[str, Any]:
        """Return weights, their average and the optimiser's state."""
        return {
            "network": self._supervised.state_dict(),
            "average": self.average,
            "optimiser": self._optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a result of `state`; that of another network raises RuntimeError."""
        self._supervised.load_state_dict(state["network"])
        for name, value in state["average"].items():
            self.average[name].copy_(value)
        self._optimiser.load_state_dict(state["optimiser"])

    def _losses(self, batch: Batch, stage: Stage) -> dict[str, Tensor]:
        """Return the losses by name, not weighted, and `loss`, their weighted sum."""
        arrays = {n: torch.from_numpy(a).to(self.device) for n, a in batch.arrays.items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._config.bf16):
            vectors, logits = self._forward(pictures(arrays["crop"]))
        found = predicted_people(vectors.float(), self._body)
        losses = parameter_losses(found, self._true_people(arrays))
        losses["tokens"] = token_loss(logits, arrays["keypoints"], arrays["joint_weights"])
        if stage.pixels:
            losses |= self.pixels(found, true_pixels(arrays, self._config.map_size))
        weights = vars(self._config.losses)
        weighted = [weights[name] * loss for name, loss in losses.items() if weights[name] > 0.0]
        losses["loss"] = torch.stack(weighted).sum()
        return losses

    @torch.no_grad()
    def _true_people(self, arrays: dict[str, Tensor]) -> TruePeople:
        face = (torch.nan_to_num(arrays[name]) for name in ("expression", "flame"))
        people = parameters_of(self._body, arrays["rotations"], arrays["betas"], *face)
        return TruePeople(
            joints=body_joints(self._body, people),
            vertices=body_vertices(self._body, people),
            vertex_weights=arrays["joint_weights"] @ self._skin_weights,
            **{
                field.name: arrays[field.name]
                for field in fields(TruePeople)
                if field.name in arrays
            },
        )

    @torch.no_grad()
    def _update_average(self) -> None:
        for name, value in self.network.state_dict().items():
            self.average[name].lerp_(value, 1.0 - self._config.ema)

    def _unsynchronised(self) -> Any:
        """Keep DistributedDataParallel from averaging gradients that are not yet complete."""
        no_sync: Callable[[], Any] = getattr(self._forward, "no_sync", nullcontext)
        return no_sync()


def learning_rate(stage: Stage, step: int) -> float:
    """Return the learning rate of step number `step` of a stage."""
    if step < stage.warmup:
        return stage.learning_rate * (step + 1) / stage.warmup
    share = (step - stage.warmup) / max(1, stage.steps - stage.warmup)
    return stage.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))


def pictures(crops: Tensor) -> Tensor:
    """Return (B, 3, 256, 256), RGB from 0 to 1, of crops (B, 256, 256, 3), BGR bytes."""
    return crops.flip(-1).permute(0, 3, 1, 2).float() / 255.0


def true_pixels(arrays: dict[str, Tensor], size: int) -> TruePixels:
    """Return what samples know of pixels; the picture is reduced to `size` pixels a side."""
    picture = F.adaptive_avg_pool2d(pictures(arrays["crop"]), size)
    return TruePixels(
        mask=arrays["mask"],
        parts=arrays["parts"],
        normals=arrays["normals"],
        picture=picture.flip(1).permute(0, 2, 3, 1),
        colours=arrays["colours"],
        confidence=arrays["confidence"],
    )


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Parameters with and without weight decay: biases, norms and positions have none."""
    trained = [p for p in network.named_parameters() if p[1].requires_grad]
    is_plain = {name: p.ndim < 2 or "pos_embed" in name for name, p in trained}
    return [
        {"params": [p for n, p in trained if not is_plain[n]], "weight_decay": decay},
        {"params": [p for n, p in trained if is_plain[n]], "weight_decay": 0.0},
    ]
