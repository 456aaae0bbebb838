# SPDX-License-Identifier: Apache-2.0
"""The reference of benchmarks.gpu computes the same vertices."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the original runs by torch")
pytest.importorskip("smplx", reason="the original's bodies are those of the smplx package")

from benchmarks import gpu_measure  # noqa: E402
from benchmarks.gpu_original import Original  # noqa: E402
from pear_ros.body.ehm import EhmBody  # noqa: E402
from pear_ros.pear.crop import crop_pixels, squares  # noqa: E402
from pear_ros.pear.files import find_model_files, load_body_files  # noqa: E402
from pear_ros.pear.prediction import Prediction  # noqa: E402
from testing.parity import recipe  # noqa: E402  (needs torch)


def test_the_original_gives_our_vertices(pear_assets: Path) -> None:
    network = gpu_measure.network(recipe.CONFIG_SMALL)
    smplx, flame = load_body_files(find_model_files(pear_assets))
    image = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    places = squares(gpu_measure.boxes(2), 1920, 1080)
    found = Original(deepcopy(network), smplx, flame, torch.device("cpu"))(image, places)
    pictures = torch.from_numpy(crop_pixels(image, places)[..., ::-1].copy()).permute(0, 3, 1, 2)
    vectors = network(pictures / 255.0).numpy()
    people = gpu_measure.parameters(Prediction.from_vectors(vectors))
    np.testing.assert_allclose(found, EhmBody(smplx, flame).vertices(people), atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-4
