# SPDX-License-Identifier: Apache-2.0
"""The people on whom runtimes are judged."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from pear_ros.core.people import Array
from pear_ros.pear.crop import INPUT_SIZE, Crops
from pear_ros.pear.runtimes.runtime import Runtime

CROPS_FILE = Path(__file__).with_name("reference_crops.npz")


@cache
def bundled_crops() -> Crops:
    """(8, 256, 256, 3) real people: whole, close, half out of the image, hidden and in the dark.

    Read-only. See tools/build_reference_crops.py.
    """
    with np.load(CROPS_FILE, allow_pickle=False) as data:
        crops: Crops = data["crops"]
    crops.flags.writeable = False
    return crops


def infer_bundled(runtime: Runtime) -> Array:
    """(8, VECTOR_SIZE) numbers of `runtime` on the bundled crops. Raises what `infer` does."""
    crops = bundled_crops()
    # Side by side in one image, so that each square shows one crop as it is.
    image = np.concatenate(list(crops), axis=1)
    sides = np.full(len(crops), float(INPUT_SIZE))
    starts = np.arange(len(crops)) * sides
    return runtime.infer(image, np.stack([starts, 0.0 * starts, sides], axis=1))
