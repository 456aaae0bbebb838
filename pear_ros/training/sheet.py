# SPDX-License-Identifier: Apache-2.0
"""The sheet of pictures of a training: crops, and what the network sees in them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from pear_ros.pear.placement import DISTANCE
from pear_ros.rendering.overlay import draw_overlay
from pear_ros.rendering.raster import Faces
from pear_ros.training.learner import Learner
from pear_ros.training.sample import CROP_CAMERA
from pear_ros.training.stream import Batch


def draw_sheet(learner: Learner, batch: Batch, faces: Faces) -> npt.NDArray[np.uint8]:
    """Return a picture: crops of a batch in the first row, below them the predicted meshes."""
    crops = batch.arrays["crop"].astype(np.uint8)
    found = learner.predict(torch.from_numpy(crops).to(learner.device))
    vertices, camera = found.vertices.cpu().numpy(), found.camera.cpu().numpy()
    drawn = [
        draw_overlay(crop, CROP_CAMERA, _placed(mesh, tx, ty, s)[None], faces, [""])
        for crop, mesh, (tx, ty, s) in zip(crops, vertices, camera, strict=True)
    ]
    return np.vstack([np.hstack(list(crops)), np.hstack(drawn)])


def _placed(
    vertices: npt.NDArray[np.float32], tx: float, ty: float, scale: float
) -> npt.NDArray[np.float32]:
    """Vertices (V, 3) in the frame of the crop's camera; NaN, which is not drawn, if behind it."""
    depth = DISTANCE / scale if scale > 0.0 else np.nan
    return vertices + np.array([-tx, -ty, depth], np.float32)
