# SPDX-License-Identifier: Apache-2.0
"""Bundled crops of real people, with which the accuracy of runtimes is measured."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from pear_ros.core.people import Array
from pear_ros.pear.crop import INPUT_SIZE, Crops
from pear_ros.pear.runtimes.runtime import Runtime

CROPS_FILE = Path(__file__).with_name("reference_crops.npz")
"""The file of the bundled crops."""


@cache
def bundled_crops() -> Crops:
    """Return 8 crops (8, 256, 256, 3) of real people: blue, green and red; read-only.

    Whole, close, truncated by the image's border, occluded and in the dark. They are made by
    tools/build_reference_crops.py.
    """
    with np.load(CROPS_FILE, allow_pickle=False) as data:
        crops: Crops = data["crops"]
    crops.flags.writeable = False
    return crops


def infer_bundled(runtime: Runtime) -> Array:
    """Return outputs (8, VECTOR_SIZE) of `runtime` for the bundled crops.

    Raises what `runtime.infer` raises.
    """
    crops = bundled_crops()
    # Side by side in one image: each square is exactly one crop.
    image = np.concatenate(list(crops), axis=1)
    sides = np.full(len(crops), float(INPUT_SIZE))
    starts = np.arange(len(crops)) * sides
    return runtime.infer(image, np.stack([starts, 0.0 * starts, sides], axis=1))
