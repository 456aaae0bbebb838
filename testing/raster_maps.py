# SPDX-License-Identifier: Apache-2.0
"""Rasters as images of depths and triangles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Array
from pear_ros.rendering.raster import Raster


def depth_map(raster: Raster) -> Array:
    """Return the depth (height, width), metres; infinity where there is no surface."""
    full = np.full(raster.height * raster.width, np.inf, np.float32)
    full[raster.pixel] = raster.depth
    return full.reshape(raster.height, raster.width)


def face_map(raster: Raster) -> npt.NDArray[np.int32]:
    """Return the triangle indices (height, width); -1 where there is no surface."""
    full = np.full(raster.height * raster.width, -1, np.int32)
    full[raster.pixel] = raster.face
    return full.reshape(raster.height, raster.width)
