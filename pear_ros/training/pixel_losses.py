# SPDX-License-Identifier: Apache-2.0
"""Losses of training, stage 2: predicted bodies are rendered and compared with what pixels show.

Shapes in comments: B people, V vertices, S pixels of a side, P parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pear_ros.body import BodyModel
from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.training.body_parts import PARTS, vertex_parts
from pear_ros.training.losses import known_mean
from pear_ros.training.people import PredictedPeople, project
from pear_ros.training.soft_raster import Blur, SoftImage, render

_LEAST = 1e-4
"""Least probability of a part whose logarithm is taken."""


@dataclass(frozen=True)
class TruePixels:
    """What is known of the pixels of B crops, in S x S pixels; where it is not, as stated."""

    mask: Tensor
    """(B, S, S) from 0 to 1 where the body is; NaN: unknown, as behind a table."""
    parts: Tensor
    """(B, S, S) int64 index into PARTS, BACKGROUND or UNKNOWN."""
    normals: Tensor
    """(B, S, S, 3) unit normals of the surface in the crop camera's frame; NaN: unknown."""
    picture: Tensor
    """(B, S, S, 3) the crop, BGR from 0 to 1."""
    colours: Tensor
    """(B, V, 3) colours of the vertices as lit, BGR; NaN: unknown, as on photographs."""
    confidence: Tensor
    """(B, 4) weights of mask, parts, normals and colours, from 0 to 1."""


class PixelLosses:
    """Renders predicted bodies softly, and compares them with the truth."""

    def __init__(
        self, body: BodyModel, size: int, device: torch.device, blur: Blur | None = None
    ) -> None:
        """Render the body's lightest mesh in `size` x `size` pixels, a divisor of 256."""
        faces = body.faces_of("low")
        used, low = np.unique(faces, return_inverse=True)
        self._size, self._blur = size, blur or Blur(sigma=0.3)
        self._used = torch.from_numpy(used.astype(np.int64)).to(device)
        self._faces = torch.from_numpy(low.reshape(-1, 3).astype(np.int64)).to(device)
        parts = torch.from_numpy(vertex_parts(body)[used])
        self._parts = F.one_hot(parts, len(PARTS)).float().to(device)  # (V', P)

    def __call__(self, found: PredictedPeople, true: TruePixels) -> dict[str, Tensor]:
        """Return the losses of stage 2 by name, each a number, not weighted.

        `mask`: 1 - soft intersection over union (SoftRas). `parts`: negative log-likelihood of the
        true part where the predicted body is. `normals`: 1 - cosine. `colours`: mean absolute
        difference of colours. The latter two count where both bodies are, weighted by the
        predicted silhouette, which is held constant.
        """
        vertices = found.vertices.index_select(1, self._used)
        vertex_colours = true.colours.index_select(1, self._used)
        image = self._render(vertices, found.camera, torch.nan_to_num(vertex_colours))
        shares = torch.tensor_split(image.attributes, (len(PARTS), len(PARTS) + 3), dim=-1)
        parts, normals, colours = shares
        weight = true.confidence[:, :, None, None]  # (B, 4, 1, 1)
        both = image.silhouette.detach() * (true.parts >= 0)
        shown = torch.where(torch.isnan(vertex_colours).any(-1).any(-1)[:, None, None], 0.0, both)
        return {
            "mask": _mask_loss(image.silhouette, true.mask, weight[:, 0]),
            "parts": _part_loss(parts, image.silhouette, true.parts, weight[:, 1]),
            "normals": _normal_loss(normals, true.normals, weight[:, 2] * both),
            "colours": known_mean(
                colours, true.picture, 1, (weight[:, 3] * shown)[..., None].expand_as(colours)
            ),
        }

    def silhouettes(self, found: PredictedPeople) -> Tensor:
        """Return the soft silhouettes (B, S, S) of people."""
        vertices = found.vertices.index_select(1, self._used)
        return self._render(vertices, found.camera, vertices).silhouette

    def _render(self, vertices: Tensor, camera: Tensor, colours: Tensor) -> SoftImage:
        points = project(vertices, camera)
        # A pixel here is `step` pixels of the crop; whole numbers are centres in both.
        step = INPUT_SIZE // self._size
        pixels = (points[..., :2] - (step - 1) / 2) / step
        parts = self._parts.expand(len(vertices), -1, -1)
        attributes = torch.cat([parts, vertex_normals(vertices, self._faces), colours], dim=2)
        points = torch.cat([pixels, points[..., 2:]], dim=2)
        return render(points, self._faces, self._size, attributes, self._blur)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Return the outward unit normals (B, V, 3), means of the adjoining triangles' by area.

    `vertices` (B, V, 3), `faces` (F, 3) int64, counter-clockwise seen from outside.
    """
    a, b, c = (vertices.index_select(1, corner) for corner in faces.unbind(1))
    across = torch.cross(b - a, c - a, dim=2)
    total = torch.zeros_like(vertices)
    for corner in faces.unbind(1):
        total = total.index_add(1, corner, across)
    return F.normalize(total, dim=2, eps=1e-12)


def _mask_loss(silhouette: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Return 1 - sum(a b) / sum(a + b - a b) per person, weighted by `weight` (B, 1, 1)."""
    known = ~torch.isnan(mask)
    a, b = silhouette * known, torch.nan_to_num(mask)
    common = (a * b).sum((1, 2))
    union = (a + b - a * b).sum((1, 2))
    share = weight[:, 0, 0] * (union.detach() > 0.0)
    error = 1.0 - common / union.clamp_min(1e-6)
    return (share * error).sum() / share.sum().clamp_min(1e-9)


def _part_loss(parts: Tensor, silhouette: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of -log of the true part's probability where the truth shows a part."""
    seen = true >= 0
    index = true.clamp_min(0)[..., None]
    probability = silhouette * parts.gather(-1, index)[..., 0]  # (B, S, S)
    loss = -torch.log(probability.clamp_min(_LEAST))
    share = weight * seen * (silhouette.detach() > _LEAST)
    return (share * loss).sum() / share.sum().clamp_min(1e-9)


def _normal_loss(normals: Tensor, true: Tensor, share: Tensor) -> Tensor:
    known = ~torch.isnan(true).any(-1)
    cosine = (F.normalize(normals, dim=-1, eps=1e-6) * torch.nan_to_num(true)).sum(-1)
    share = share * known
    return (share * (1.0 - cosine)).sum() / share.sum().clamp_min(1e-9)
