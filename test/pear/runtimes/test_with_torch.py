# SPDX-License-Identifier: Apache-2.0
"""The network by torch: on the CPU, and as it would be on a GPU, on one that is none."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network by torch")

from torch.nn.attention import SDPBackend  # noqa: E402

from pear_ros.core.device_image import DeviceImage  # noqa: E402
from pear_ros.core.people import Array, Image  # noqa: E402
from pear_ros.pear import torch_attention, torch_crop_kernel  # noqa: E402
from pear_ros.pear.checkpoint import load_checkpoint  # noqa: E402
from pear_ros.pear.crop import Squares, crop_pixels  # noqa: E402
from pear_ros.pear.prediction import VECTOR_SIZE  # noqa: E402
from pear_ros.pear.runtimes import with_torch  # noqa: E402
from pear_ros.pear.runtimes.choose import _ready  # noqa: E402
from pear_ros.pear.runtimes.cuda import Stream  # noqa: E402
from pear_ros.pear.runtimes.precision_fallback import first_available  # noqa: E402
from pear_ros.pear.runtimes.runtime import (  # noqa: E402
    DeviceUnavailableError,
    RuntimeLostError,
    RuntimeUnavailableError,
)
from pear_ros.pear.runtimes.with_torch import TorchRuntime  # noqa: E402
from pear_ros.pear.torch_crop import covered, crop_people, put_bordered, room, warp  # noqa: E402
from pear_ros.pear.torch_crop_kernel import KernelWarp, fastest_warp  # noqa: E402
from pear_ros.pear.torch_graphs import TorchGraphs  # noqa: E402
from testing.fake_torch_cuda import FakeGpu  # noqa: E402  (needs torch)
from testing.fakes import FakeCuda  # noqa: E402

CPU = torch.device("cpu")
PLACES = np.array([[30.5, -20.25, 150.0], [100.0, 60.0, 96.5], [-40.0, 10.0, 280.0]])


@pytest.fixture(scope="module")
def network(pear_checkpoint: Path) -> Any:
    return load_checkpoint(pear_checkpoint)


def picture(seed: int = 0, height: int = 180, width: int = 240) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def expected(network: Any, image: Image, places: Squares) -> Array:
    with torch.inference_mode():
        vectors: Array = network(crop_people(image, places, CPU)).numpy()
    return vectors


@pytest.fixture(autouse=True)
def quick_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention is measured in full in test_torch_attention.py."""
    monkeypatch.setattr(torch_attention, "_LAYERS", 1)
    monkeypatch.setattr(torch_attention, "_RUNS", 1)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGpu]:
    with FakeGpu(monkeypatch) as gpu:
        yield gpu


def on_gpu(network: Any, precision: str = "fp32", max_people: int = 2) -> Any:
    """What TorchRuntime does on a GPU, with its tensors on the CPU."""
    return with_torch._OnCuda(network, precision, CPU, max_people)


def test_on_the_cpu_it_is_the_network(network: Any) -> None:
    runtime = TorchRuntime(network, "fp32", CPU, 2)
    runtime.warmup(2)
    assert runtime.memory() is None, "no GPU"
    info = runtime.info
    assert (info.name, info.precision, info.verdict) == ("torch", "fp32", None)
    assert info.weights == network.fingerprint and "CPU" in info.device
    found = runtime.infer(picture(), PLACES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(network, picture(), PLACES), atol=1e-5)
    assert runtime.infer(picture(), PLACES[:0]).shape == (0, VECTOR_SIZE)
    with pytest.raises(ValueError, match="NaN"):
        runtime.infer(picture(), PLACES * np.nan)
    runtime.close()
    runtime.close()


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("cpu", "fp16", "fp32 alone"),
        ("cpu", "int8", "torch has no int8"),
        ("cuda", "fp16", "finds no NVIDIA GPU"),
        ("meta", "fp32", "finds no NVIDIA GPU"),
    ],
)
def test_what_cannot_be_had(network: Any, device: str, precision: str, message: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(RuntimeUnavailableError, match=message):
        TorchRuntime(network, precision, torch.device(device), 2)


def test_old_gpus_have_no_bf16(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeGpu(monkeypatch):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
        with pytest.raises(RuntimeUnavailableError, match="no bf16"):
            TorchRuntime(network, "bf16", torch.device("cuda"), 2)


def test_a_gpu_without_memory_is_reported(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nDetails")

    with FakeGpu(monkeypatch):
        monkeypatch.setattr(with_torch, "_OnCuda", full)
        with pytest.raises(RuntimeUnavailableError, match=r"on Fake GPU.*: CUDA out of memory\.$"):
            TorchRuntime(network, "fp16", torch.device("cuda"), 2)


def full(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory.\nDetails")


def lost(*_: object) -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered\nDetails")


@pytest.fixture
def runtime(network: Any, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> TorchRuntime:
    """On a GPU, with its tensors on the CPU."""
    path = on_gpu(network)
    monkeypatch.setattr(with_torch, "_OnCuda", lambda *_: path)
    return TorchRuntime(network, "fp32", torch.device("cuda"), 2)


def test_a_gpu_that_is_full_is_no_fault_of_the_precision(
    network: Any, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_torch, "_OnCuda", full)
    tried = []

    def make(precision: str) -> Any:
        tried.append(precision)
        return TorchRuntime(network, precision, torch.device("cuda"), 2)

    with pytest.raises(DeviceUnavailableError, match="out of memory"):
        first_available(("fp16", "fp32"), make)
    assert tried == ["fp16"]


@pytest.mark.parametrize("memory", ["of the GPU", "pinned", "of cuBLAS"])
def test_a_gpu_that_is_full_while_warming_up_or_judging(
    runtime: TorchRuntime, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = {
        "of the GPU": torch.OutOfMemoryError("CUDA out of memory."),
        "pinned": RuntimeError("CUDA error: out of memory"),
        "of cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
    }[memory]

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(with_torch.TorchGraphs, "run", fail)
    with pytest.raises(DeviceUnavailableError, match=r"on Fake GPU.*: CUDA"):
        runtime.infer(picture(), PLACES)
    monkeypatch.setattr(with_torch.TorchGraphs, "record", fail)
    with pytest.raises(DeviceUnavailableError, match=r"on Fake GPU.*: CUDA"):
        _ready(runtime, 2)
    assert runtime.memory() is None, "it is closed"


def test_after_a_failure_nothing_keeps_the_gpus_memory(
    network: Any, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even while the error is in use, as for the choice of the next runtime."""
    made, emptied = [], []

    class Network(with_torch.DeployedNetwork):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            made.append(weakref.ref(self))

    build = with_torch._OnCuda
    monkeypatch.setattr(with_torch, "DeployedNetwork", Network)
    monkeypatch.setattr(with_torch, "fastest_attention", lambda *_: SDPBackend.MATH)
    monkeypatch.setattr(
        with_torch, "_OnCuda", lambda network, p, _, n, wait: build(network, p, CPU, n, wait)
    )
    monkeypatch.setattr(with_torch.TorchGraphs, "record", full)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(made[0]() is None))
    with pytest.raises(RuntimeUnavailableError) as error:
        TorchRuntime(network, "fp16", torch.device("cuda"), 2)
    assert error.value.__cause__ is not None
    assert emptied == [True]


def test_a_gpu_that_is_lost(runtime: TorchRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_torch.TorchGraphs, "run", lost)
    with pytest.raises(RuntimeUnavailableError, match="illegal memory access") as error:
        runtime.infer(picture(), PLACES)
    assert not isinstance(error.value, RuntimeLostError), "later calls of CUDA succeed"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lost)
    with pytest.raises(RuntimeLostError, match=r"illegal memory access[^\n]*start it again$"):
        runtime.infer(picture(), PLACES)
    monkeypatch.setattr(torch.cuda, "empty_cache", lost)
    runtime.close()


def test_a_larger_image_without_room_fails_alone(
    network: Any, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_torch, "_ROOM", 300 * 300)
    path = on_gpu(network)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", full)
        for _ in range(2):
            with pytest.raises(torch.OutOfMemoryError):
                path.infer(picture(0, 400, 400), np.array([[0.0, 0.0, 400.0]]))
    found = path.infer(picture(), PLACES[:1])
    np.testing.assert_allclose(found, expected(network, picture(), PLACES[:1]), atol=2e-5)
    path.close()


def test_graphs_give_what_the_network_gives(network: Any, gpu: FakeGpu) -> None:
    path = on_gpu(network)
    path.warmup(8)
    assert len(path._graphs._graphs) == 2
    recorded, waits = len(gpu.graphs), gpu.waits
    for people in (3, 1):
        image, places = picture(people, height=150 + 10 * people), PLACES[:people] + 7.3 * people
        found = path.infer(image, places)
        np.testing.assert_allclose(found, expected(network, image, places), atol=2e-5)
    assert len(gpu.graphs) == recorded, "nothing is recorded while images wait"
    assert gpu.waits == waits + 2, "one wait for each image"


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_is_near(network: Any, gpu: FakeGpu, precision: str) -> None:
    found = on_gpu(network, precision).infer(picture(), PLACES[:1])
    off = np.abs(found - expected(network, picture(), PLACES[:1])).max()
    assert 1e-6 < off < (5e-3 if precision == "fp16" else 5e-2)


def test_crops_are_few_kernels(gpu: FakeGpu) -> None:
    piece, geometry = covered(picture(), PLACES)
    pixels = torch.empty((room(piece), 3), dtype=torch.uint8)
    put_bordered(piece, pixels)
    pixels = pixels.clone()  # On the GPU.
    graphs = TorchGraphs(lambda rows: warp(pixels, rows), torch.ones_like(torch.tensor(geometry)))
    found = graphs.run(geometry)[..., ::-1].transpose(0, 3, 1, 2) / 255.0
    np.testing.assert_allclose(found, crop_people(picture(), PLACES, CPU), atol=1e-6)
    assert gpu.graphs[0].kernels <= 16


def test_memory_of_the_gpu(network: Any, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    path = on_gpu(network)
    assert path.memory() == (3 << 30, 8 << 30)

    def broken(device: object) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "mem_get_info", broken)
    assert path.memory() is None


def test_images_above_4k_are_cropped_on_the_cpu_and_record_nothing(
    network: Any, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recording takes seconds, in which no image is processed."""
    monkeypatch.setattr(with_torch, "_ROOM", 4 * 256 * 256)
    path = on_gpu(network)
    path.warmup(2)
    recorded = len(gpu.graphs)
    for size in (180, 600, 700):
        image, places = picture(size, size, size), PLACES * size / 180
        found = path.infer(image, places)
        crops = torch.from_numpy(crop_pixels(image, places)).flip(-1).permute(0, 3, 1, 2) / 255.0
        with torch.inference_mode():
            cropped = network(crops).numpy()
        on_device = expected(network, image, places)
        np.testing.assert_allclose(found, on_device if size == 180 else cropped, atol=2e-5)
    assert len(gpu.graphs) == recorded
    path.close()


def never() -> Image:
    raise AssertionError("downloaded")


def on_device(image: Image) -> DeviceImage:
    return DeviceImage(torch.from_numpy(image), image.shape, never)


def test_images_on_the_gpu_are_cropped_there(network: Any, gpu: FakeGpu) -> None:
    """Nothing is staged on the host, and the graphs are those of other images."""
    path = on_gpu(network)
    path.warmup(2)
    recorded = len(gpu.graphs)
    for people in (3, 1, 2):
        image, places = picture(people, height=150 + 10 * people), PLACES[:people] + 7.3 * people
        path._staging[:] = 77
        path._pixels[:] = 99
        found = path.infer(on_device(image), places)
        np.testing.assert_allclose(found, expected(network, image, places), atol=2e-5)
        assert (path._staging == 77).all()
        np.testing.assert_array_equal(path.infer(image, places), found)
    assert len(gpu.graphs) == recorded
    with pytest.raises(ValueError, match="NaN"):
        path.infer(on_device(image), PLACES * np.nan)
    path.close()


def test_images_on_the_gpu_above_4k_are_downloaded(
    network: Any, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_torch, "_ROOM", 4 * 256 * 256)
    path, image = on_gpu(network), picture(0, 600, 600)
    device_image = DeviceImage(torch.from_numpy(image), image.shape, lambda: image)
    found = path.infer(device_image, PLACES * 3.0)
    assert device_image.is_downloaded
    np.testing.assert_array_equal(found, path.infer(image, PLACES * 3.0))
    path.close()


def test_runtimes_say_where_they_crop(network: Any, runtime: TorchRuntime) -> None:
    assert runtime.takes_device_images and runtime.cropping == "on the GPU, by torch"
    image = picture()
    found = runtime.infer(on_device(image), PLACES)
    np.testing.assert_array_equal(found, runtime.infer(image, PLACES))
    on_cpu = TorchRuntime(network, "fp32", CPU, 2)
    assert not on_cpu.takes_device_images and on_cpu.cropping == "on the CPU"
    found = on_cpu.infer(DeviceImage(None, image.shape, lambda: image), PLACES)
    np.testing.assert_array_equal(found, on_cpu.infer(image, PLACES))


class Cuda:
    """torch's stream on the fake CUDA, while its tensors are on the CPU."""

    type = "cuda"

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stream = Stream()
        names = SimpleNamespace(cuda_stream=stream.handle, synchronize=stream.synchronize)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: names)
        monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: tensor)
        self.stream = stream


@pytest.fixture
def cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    fake = FakeCuda(tmp_path, monkeypatch)
    yield fake
    fake.reset()


def test_crops_are_one_kernel(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is compared with torch's first."""
    device: Any = Cuda(monkeypatch)
    crop, how = fastest_warp(device)
    assert isinstance(crop, KernelWarp) and how == "by one kernel"
    cuda.calls()
    piece, geometry = covered(picture(), PLACES)
    pixels = torch.empty((room(piece), 3), dtype=torch.uint8)
    put_bordered(piece, pixels)
    rows = torch.from_numpy(geometry)
    found = crop(pixels, rows)
    assert cuda.calls() == ["cuLaunchKernel 3"]
    device.stream.synchronize()
    np.testing.assert_allclose(found, warp(pixels, rows), atol=1e-2)
    crop.close()
    device.stream.close()
    assert cuda.live == 0


@pytest.mark.parametrize("fault", ["not loaded", "wrong", "lost"])
def test_where_the_kernel_is_not_usable_torch_crops(
    cuda: FakeCuda, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device: Any = Cuda(monkeypatch)
    if fault == "wrong":
        monkeypatch.setattr(torch_crop_kernel, "TO_FLOATS", "crop_to_bytes")
    else:
        cuda.fail("cuModuleLoadData", 1, 218 if fault == "not loaded" else 700)
    if fault == "lost":
        with pytest.raises(RuntimeLostError, match="cuModuleLoadData"):
            fastest_warp(device)
        return
    crop, how = fastest_warp(device)
    assert crop is warp and how.startswith("by torch, as the kernel")
    device.stream.close()
    assert cuda.live == 0


def test_attention_is_pinned_while_graphs_are_recorded(
    network: Any, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_torch, "fastest_attention", lambda *_: SDPBackend.MATH)
    path = on_gpu(network)
    allowed: list[tuple[bool, bool, bool]] = []
    infer = path._network.from_pixels

    def spy(pixels: Any) -> Any:
        cuda = torch.backends.cuda
        allowed.append(
            (cuda.math_sdp_enabled(), cuda.flash_sdp_enabled(), cuda.cudnn_sdp_enabled())
        )
        return infer(pixels)

    monkeypatch.setattr(path._network, "from_pixels", spy)
    path.warmup(2)
    assert set(allowed) == {(True, False, False)}
    assert torch.backends.cuda.flash_sdp_enabled(), "restored"


def test_overflow_is_left_in(network: Any, gpu: FakeGpu) -> None:
    weight = network.backbone.blocks[1].mlp.fc2.bias
    before = weight.clone()
    weight.fill_(1e38)
    try:
        assert not np.isfinite(on_gpu(network, "fp16").infer(picture(), PLACES[:1])).all()
    finally:
        weight.copy_(before)


def test_read_only_and_strided_images(network: Any, gpu: FakeGpu) -> None:
    image = picture()[::-1]
    image.flags.writeable = False
    found = on_gpu(network).infer(image, PLACES[:1])
    np.testing.assert_allclose(found, expected(network, image.copy(), PLACES[:1]), atol=2e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_on_a_gpu(network: Any, precision: str) -> None:
    runtime = TorchRuntime(network, precision, torch.device("cuda"), 2)
    runtime.warmup(2)
    limit = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 1e-1}[precision]
    for seed in range(3):
        found = runtime.infer(picture(seed), PLACES)
        np.testing.assert_allclose(found, expected(network, picture(seed), PLACES), atol=limit)
    runtime.close()
    runtime.close()
