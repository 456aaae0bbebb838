# SPDX-License-Identifier: Apache-2.0
"""The kernel that crops people: its arithmetic as C, and its translation for GPUs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import INPUT_SIZE, Squares, crop_geometry, crop_pixels
from pear_ros.pear.runtimes.crop_kernel import PTX_FILE, TO_BYTES, TO_FLOATS, CropKernel
from pear_ros.pear.runtimes.cuda import Stream
from pear_ros.pear.runtimes.cudart import CudaError, CudaLostError
from pear_ros.pear.runtimes.driver import NoGpuError
from testing.fakes import FakeCuda
from tools.compile_crop_kernel import SOURCE_FILE, CompilerError, compiled, fingerprint

IMAGE = np.random.default_rng(3).integers(0, 256, (61, 103, 3), np.uint8)
PLACES = np.array(
    [
        [10.25, 5.5, 40.0],  # Inside.
        [-7.3, -9.8, 130.7],  # All of it, and black around it.
        [90.0, 50.0, 300.0],  # Beyond the lower right corner.
        [102.0, 60.0, 0.5],  # Within the last pixel.
        [500.0, -500.0, 64.0],  # Beside it.
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fake_cuda")


@pytest.fixture
def fake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    fake = FakeCuda(folder, monkeypatch)
    yield fake
    fake.reset()


def crops(image: Image, places: Squares, name: str) -> Array:
    """Crops by the kernel, compiled as C."""
    geometry = crop_geometry(places, image.shape[1], image.shape[0])
    dtype = np.uint8 if name == TO_BYTES else np.float32
    found = np.zeros((len(places), INPUT_SIZE, INPUT_SIZE, 3), dtype)
    with ExitStack() as owned:
        stream, kernel = Stream(), CropKernel(name)
        owned.callback(stream.close)
        owned.callback(kernel.close)
        assert stream.handle is not None
        addresses = image.ctypes.data, geometry.ctypes.data, found.ctypes.data
        kernel(*addresses, len(places), stream.handle)
        assert not found.any(), "it is only enqueued"
        stream.synchronize()
    return found


def reference(image: Image, place: Array) -> Array:
    """One crop (256, 256, 3) from 0 to 255, by SciPy."""
    v, u = np.mgrid[:INPUT_SIZE, :INPUT_SIZE] * (place[2] / INPUT_SIZE)
    where = [place[1] + v, place[0] + u]
    colours = [
        map_coordinates(image[..., n].astype(float), where, order=1, mode="grid-constant")
        for n in range(3)
    ]
    return np.stack(colours, axis=-1)


def test_crops_are_bilinear_and_black_outside(fake: FakeCuda) -> None:
    floats, rounded = crops(IMAGE, PLACES, TO_FLOATS), crops(IMAGE, PLACES, TO_BYTES)
    for n, place in enumerate(PLACES):
        expected = reference(IMAGE, place)
        np.testing.assert_allclose(floats[n], expected, atol=1e-3)
        np.testing.assert_allclose(rounded[n], expected, atol=0.501)
    assert not floats[-1].any() and floats[2, 100:].max() == 0.0
    assert fake.live == 0


def test_crops_are_those_of_opencv(fake: FakeCuda) -> None:
    """On a smooth picture, as OpenCV rounds places to 1/32 pixel."""
    smooth = np.asarray(cv2.GaussianBlur(IMAGE, (0, 0), 5), np.uint8)
    inside = PLACES[[0]]  # The edge to black is not smooth.
    found = crops(smooth, inside, TO_BYTES)
    np.testing.assert_allclose(found.astype(int), crop_pixels(smooth, inside), atol=1)


def test_crops_are_those_of_torch(fake: FakeCuda) -> None:
    torch = pytest.importorskip("torch", reason="PEAR by torch")
    from pear_ros.pear.torch_crop import crop_people

    found = crops(IMAGE, PLACES, TO_FLOATS)[..., ::-1].transpose(0, 3, 1, 2) / 255.0
    expected = crop_people(IMAGE, PLACES, torch.device("cpu")).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_failures_name_the_call(fake: FakeCuda) -> None:
    for code, kind in ((218, CudaError), (700, CudaLostError)):
        fake.reset()
        fake.fail("cuModuleLoadData", 1, code)
        with pytest.raises(kind, match="cuModuleLoadData failed"):
            CropKernel(TO_BYTES)
        assert fake.live == 0
    fake.reset()
    with pytest.raises(CudaError, match="cuModuleGetFunction failed"):
        CropKernel("crop_to_nothing")
    assert fake.live == 0


def test_without_a_driver_there_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pear_ros.pear.runtimes.driver._LIBRARY", "libmissing.so.1")
    with pytest.raises(NoGpuError, match="there is no driver"):
        CropKernel(TO_BYTES)


def test_the_translation_is_of_this_source() -> None:
    """Else: python -m tools.compile_crop_kernel."""
    ptx = PTX_FILE.read_text()
    assert ptx.startswith(fingerprint(SOURCE_FILE.read_text()))
    entries = re.findall(r"\.visible \.entry (\w+)\(", ptx)
    assert sorted(entries) == [TO_BYTES, TO_FLOATS]
    # Of CUDA 12.0, the oldest driver, and for older GPUs than any that TensorRT supports.
    assert ".version 8.0\n" in ptx and ".target sm_52\n" in ptx


def test_the_translation_is_the_compilers() -> None:
    try:
        ptx = compiled(SOURCE_FILE.read_text())
    except CompilerError as error:
        pytest.skip(str(error))
    # A number in the names of constants that nobody uses differs from time to time.
    assert _code(PTX_FILE.read_text()) == _code(ptx)


def _code(ptx: str) -> list[str]:
    return [line for line in ptx.splitlines() if line and not line.startswith(("//", ".global"))]


@pytest.mark.parametrize("gpu", ["sm_75", "sm_87", "sm_90", "sm_110"])
def test_gpus_get_the_translation(gpu: str, tmp_path: Path) -> None:
    """By NVIDIA's assembler, which is part of the driver as well."""
    assembler = shutil.which("ptxas")
    if assembler is None:
        pytest.skip("there is no ptxas of CUDA's toolkit")
    command = [assembler, f"-arch={gpu}", str(PTX_FILE), "-o", str(tmp_path / "crop.cubin")]
    done = subprocess.run(command, capture_output=True, text=True)
    if "not defined for option 'gpu-name'" in done.stderr:
        pytest.skip(f"this ptxas does not know {gpu}")
    assert done.returncode == 0, done.stderr
