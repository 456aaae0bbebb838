# SPDX-License-Identifier: Apache-2.0
"""PEAR by torch on a GPU: graphs against eager torch, crops and meshes against the CPU."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.gpu_check.findings import Findings
from benchmarks.gpu_check.torch_device import torch_device
from benchmarks.gpu_measure import VITS, boxes, network, some_people, torch_runtime
from pear_ros.body.ehm import EhmBody
from pear_ros.core.people import Image
from pear_ros.pear.crop import crop_pixels, squares
from pear_ros.pear.cuda_mesh import CudaMesh, body_on
from pear_ros.pear.deployed import DeployedNetwork
from pear_ros.pear.files import find_model_files, load_body_files
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.torch_crop import crop_people
from pear_ros.pear.torch_graphs import device_name, exact_float32
from testing.parity import recipe

_PEOPLE, _IN_SMOKE = (8, 1, 5, 3), (3, 1, 2)
"""Batch sizes in mixed order: graphs share their memory."""
_MOST = {"fp32": 1e-3, "fp16": 2e-2}
"""Largest difference of outputs, which are about 1, from eager torch in the same precision."""
_CROP_MOST = 1e-5
_MESH_MOST = 0.01
"""Millimetres."""


def run(findings: Findings, smoke: bool) -> None:
    """Compare on the GPU, or on its stand-in."""
    with torch_device(smoke) as device:
        findings.note("torch", f"{torch.__version__}, {device_name(device)}")
        batches = _IN_SMOKE if smoke else _PEOPLE
        with findings.trying("crops"):
            _check_crops(findings, device, batches)
        with findings.trying("meshes"):
            _check_mesh(findings, device, batches)
        weights = network(recipe.CONFIG_SMALL if smoke else VITS)
        for precision in ("fp32",) if smoke else _MOST:
            with findings.trying(f"graphs in {precision}"):
                _check_graphs(findings, device, weights, precision, batches)


def _image(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (1080, 1920, 3), np.uint8)


def _check_crops(findings: Findings, device: torch.device, batches: tuple[int, ...]) -> None:
    off, levels = 0.0, 0.0
    for people in batches:
        image, places = _image(people), squares(boxes(people), 1920, 1080)
        found = crop_people(image, places, device).cpu().numpy()
        expected = crop_people(image, places, torch.device("cpu")).numpy()
        off = max(off, float(np.abs(found - expected).max()))
        opencv = crop_pixels(image, places)[..., ::-1].transpose(0, 3, 1, 2)
        levels = max(levels, float(np.abs(255.0 * found - opencv).max()))
    findings.check("crops as on the CPU", off < _CROP_MOST, f"largest difference {off:.1e} of 1")
    findings.note("crops against OpenCV's", f"largest difference {levels:.1f} grey levels")


def _check_mesh(findings: Findings, device: torch.device, batches: tuple[int, ...]) -> None:
    with TemporaryDirectory() as folder:
        recipe.write_assets(Path(folder), 5)
        body = EhmBody(*load_body_files(find_model_files(Path(folder))))
    mesh = CudaMesh(body_on(device, body), device, max(batches))
    for people in batches:
        persons = some_people(people)
        off = 1e3 * float(np.abs(mesh(persons) - body.vertices(persons)).max())
        what = f"meshes of {people} as by NumPy"
        findings.check(what, off < _MESH_MOST, f"largest difference {off:.5f} mm")
    mesh.close()


def _check_graphs(
    findings: Findings,
    device: torch.device,
    weights: PearNetwork,
    precision: str,
    batches: tuple[int, ...],
) -> None:
    """Compare graphs with eager torch; the image differs, so that stale memory shows."""
    runtime = torch_runtime(weights, precision, device, max(batches))
    eager = DeployedNetwork(weights, precision, explicit_attention=False).to(device)
    for people in batches:
        image, places = _image(people), squares(boxes(people), 1920, 1080)
        found = runtime.infer(image, places)
        with torch.inference_mode(), exact_float32():
            pictures = crop_people(image, places, device)
            expected = eager.from_pictures(pictures).cpu().numpy()
        off = float(np.abs(found - expected).max())
        what = f"graph of {people} in {precision} as eager torch"
        findings.check(what, off < _MOST[precision], f"largest difference {off:.1e}")
    runtime.close()
