# SPDX-License-Identifier: Apache-2.0
"""The layer over CUDA: on a fake in C, and on NVIDIA's libraries where there is no GPU."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np
import pytest

from pear_ros.pear.runtimes import cuda, cudart, driver
from pear_ros.pear.runtimes.cuda import DeviceBuffer, Graph, PinnedBuffer, Stream
from pear_ros.pear.runtimes.cudart import CudaError, CudaLostError, Cudart
from pear_ros.pear.runtimes.driver import Gpu, NoGpuError
from testing.fakes import FakeCuda

OUT_OF_MEMORY, NO_DEVICE, ILLEGAL_ADDRESS = 2, 100, 700
WHEELS = {"libcudart.so.13": "nvidia-cuda-runtime", "libcudart.so.12": "nvidia-cuda-runtime-cu12"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fake_cuda")


@pytest.fixture
def fake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    fake = FakeCuda(folder, monkeypatch)
    yield fake
    fake.reset()


def test_bytes_go_to_the_gpu_and_come_back(fake: FakeCuda) -> None:
    stream, there, back = Stream(), PinnedBuffer((3, 5), np.uint8), PinnedBuffer((15,), np.uint8)
    device = DeviceBuffer(15)
    there.array[:] = np.arange(15).reshape(3, 5)
    stream.upload(there, device, 15)
    stream.download(device, back, 10)
    assert (back.array != np.arange(15)).all(), "nothing is done before synchronize()"
    stream.synchronize()
    np.testing.assert_array_equal(back.array[:10], np.arange(10))
    assert (back.array[10:] != np.arange(10, 15)).all(), "only the bytes of the copy"
    assert fake.live == 4
    for owner in (device, there, back, stream):
        owner.close()
        owner.close()
    assert fake.live == 0
    assert not hasattr(there, "array"), "memory that is gone cannot be read by mistake"


def test_a_graph_runs_again_with_what_is_in_memory_then(fake: FakeCuda) -> None:
    stream, host, device = Stream(), PinnedBuffer((2, 4), np.float32), DeviceBuffer(32)
    back = PinnedBuffer((2, 4), np.float32)

    def work() -> None:
        stream.upload(host, device, 32)
        stream.download(device, back, 32)

    graph = stream.capture(work)
    back.array[:] = -1.0
    stream.synchronize()
    assert (back.array == -1.0).all(), "a capture runs nothing"
    for value in (3.0, 7.0):
        host.array[:] = value
        stream.launch(graph)
        stream.synchronize()
        assert (back.array == value).all()
    for owner in (graph, graph, stream, host, device, back):
        owner.close()
    assert fake.live == 0
    assert fake.counted()["cudaGraphDestroy"] == 1


def test_a_capture_that_fails_leaves_the_stream_usable(fake: FakeCuda) -> None:
    stream, host, device = Stream(), PinnedBuffer((4,), np.uint8), DeviceBuffer(4)
    with pytest.raises(CudaError, match="not permitted when stream is capturing"):
        stream.capture(stream.synchronize)
    with pytest.raises(ZeroDivisionError):
        stream.capture(lambda: [][1 // 0])
    with pytest.raises(CudaError, match="cudaMalloc failed: operation not permitted"):
        stream.capture(lambda: DeviceBuffer(4).close())
    for call in ("cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiateWithFlags"):
        fake.fail(call, 1, OUT_OF_MEMORY)
        with pytest.raises(CudaError, match=f"{call} failed: out of memory"):
            stream.capture(lambda: stream.upload(host, device, 4))
    assert fake.live == 3, "no graph is left"
    stream.capture(lambda: stream.upload(host, device, 4)).close()
    stream.synchronize()


def test_errors_say_what_to_do(fake: FakeCuda) -> None:
    fake.machine(memory=1 << 20)
    with pytest.raises(CudaError) as error:
        DeviceBuffer(2 << 20)
    assert str(error.value) == (
        "cudaMalloc failed: out of memory (cudaErrorMemoryAllocation); end other programs that use"
        " the GPU, or set max_people lower"
    )
    assert error.value.code == OUT_OF_MEMORY
    assert fake.library.cudaGetLastError() == 0, "the error is cleared"


@pytest.mark.parametrize("code", [214, 226, 700, 702, 710, 714, 715, 716, 717, 718, 719, 999])
def test_errors_after_which_the_process_must_end_are_told_apart(fake: FakeCuda, code: int) -> None:
    stream = Stream()
    fake.break_down(code)
    with pytest.raises(CudaLostError, match="no longer use the GPU: start it again"):
        stream.synchronize()


@pytest.mark.parametrize("code", [OUT_OF_MEMORY, NO_DEVICE, 701, 713, 720, 901])
def test_errors_that_pass_are_not_taken_for_the_loss_of_the_gpu(fake: FakeCuda, code: int) -> None:
    stream = Stream()
    fake.fail("cudaStreamSynchronize", 1, code)
    with pytest.raises(CudaError) as error:
        stream.synchronize()
    assert not isinstance(error.value, CudaLostError)
    stream.synchronize()


def test_freeing_goes_on_where_cuda_is_broken(fake: FakeCuda) -> None:
    stream = Stream()
    graph = stream.capture(lambda: None)
    fake.break_down()
    fake.calls()
    with pytest.raises(CudaError, match="illegal memory access"):
        graph.close()
    assert fake.calls() == ["cudaGraphExecDestroy", "cudaGraphDestroy"]
    graph.close()
    assert fake.calls() == [], "it is not tried twice"


def test_the_fake_knows_memory_from_what_is_none(fake: FakeCuda) -> None:
    """A fake that takes everything would prove nothing."""
    stream, host, device = Stream(), PinnedBuffer((4,), np.uint8), DeviceBuffer(4)
    stream.upload(host, device, 5)
    with pytest.raises(CudaError, match="illegal memory access"):
        stream.synchronize()
    with pytest.raises(CudaError, match="illegal memory access"):
        Stream()


def test_gpu(fake: FakeCuda) -> None:
    found = cuda.gpu()
    assert found == Gpu("Fake GPU", (8, 7), 8 << 30, True, 14)
    assert str(found) == "Fake GPU, compute capability 8.7"


def test_memory(fake: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Gpu("", (8, 9), 8 << 30, False, 128)
    shared = Gpu("", (8, 7), 8 << 30, True, 14)
    fake.machine(memory=1000)
    monkeypatch.setattr(cuda, "available_memory", lambda: 5000)
    assert cuda.memory(alone) == (1000, 8 << 30)
    assert cuda.memory(shared) == (5000, 8 << 30)
    monkeypatch.setattr(cuda, "available_memory", lambda: 500)
    assert cuda.memory(shared) == (1000, 8 << 30)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/meminfo is Linux's")
def test_available_memory() -> None:
    assert 1 << 20 < cuda.available_memory() < 1 << 50


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        ({"start": NO_DEVICE}, "NVIDIA's driver finds no GPU: check nvidia-smi"),
        ({"devices": 0}, "NVIDIA's driver finds no GPU: check nvidia-smi"),
        ({"start": OUT_OF_MEMORY}, r"NVIDIA's driver does not start: out of memory \(2\)"),
        ({"driver": 11040}, "driver is too old: it supports CUDA 11.4 at most, and 12.0"),
        ({"driver": 12060}, "is of CUDA 13.0, newer than the driver, which supports CUDA 12.6"),
        ({"runtime": 11080}, r"no CUDA runtime library \(libcudart.so.12 or libcudart.so.13\):"),
        ({"runtime": 14000}, "no CUDA runtime library"),
    ],
)
def test_without_a_gpu_it_says_what_is_missing(
    fake: FakeCuda, machine: dict[str, int], sentence: str
) -> None:
    fake.machine(**machine)
    with pytest.raises(NoGpuError, match=sentence):
        cuda.gpu()


def test_a_driver_that_fails_later(fake: FakeCuda) -> None:
    fake.fail("cuDeviceGetName", 1, NO_DEVICE)
    with pytest.raises(NoGpuError, match="cannot query the GPU: cuDeviceGetName: no CUDA-capable"):
        cuda.gpu()


def test_without_any_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(driver, "_LIBRARY", "libnosuchcuda.so.1")
    with pytest.raises(NoGpuError, match=r"there is no driver of NVIDIA \(libnosuchcuda.so.1"):
        cuda.gpu()
    (tmp_path / "libcudart.so").write_bytes(b"no library")
    monkeypatch.setattr(cudart, "_libraries", lambda: [str(tmp_path / "libcudart.so"), "libm.so.6"])
    cudart.cudart.cache_clear()
    with pytest.raises(NoGpuError, match="there is no CUDA runtime library"):
        cudart.cudart()


@pytest.mark.parametrize("name", WHEELS)
def test_the_real_runtime_has_all_that_is_called(name: str) -> None:
    library = real(name)
    loaded = Cudart(library)
    assert loaded.version("cudaRuntimeGetVersion") // 1000 == int(name[-2:])


@pytest.mark.parametrize("name", WHEELS)
def test_the_real_runtime_without_a_driver(name: str) -> None:
    """In a process of its own, as a library that misses its driver may end it."""
    program = f"""
import numpy as np
from pear_ros.pear.runtimes import cuda, cudart
cudart._libraries = lambda: [{real(name)!r}]
if cudart.cudart().version("cudaDriverGetVersion"):
    raise SystemExit("driver")
for make in (cuda.Stream, lambda: cuda.DeviceBuffer(1), lambda: cuda.PinnedBuffer((1,), np.uint8)):
    try:
        make()
    except cudart.CudaError as error:
        print(error)
try:
    cuda.gpu()
except cudart.NoGpuError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.stderr == "driver\n":
        pytest.skip("there is a driver")
    assert done.returncode == 0, done.stderr
    *errors, no_gpu = done.stdout.splitlines()
    calls = ("cudaStreamCreateWithFlags", "cudaMalloc", "cudaHostAlloc")
    for call, error in zip(calls, errors, strict=True):
        assert error.startswith(f"{call} failed: CUDA driver version is insufficient for CUDA")
        assert error.endswith("or install the CUDA runtime of an older version")
    assert no_gpu.startswith("there is no driver of NVIDIA (libcuda.so.1")


def test_wheels_are_found() -> None:
    """The newest first."""
    found = list(cudart._libraries())
    wheels = [real(name) for name in WHEELS]
    assert [library for library in found if library in wheels] == wheels
    assert found.index("libcudart.so.13") < found.index("libcudart.so.12")


def test_importing_loads_nothing() -> None:
    program = (
        "import sys; import pear_ros.pear.runtimes.cuda;"
        "maps = open('/proc/self/maps').read(); assert 'libcuda' not in maps, maps;"
        "assert not {'torch', 'tensorrt', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_on_a_real_gpu() -> None:
    cudart.cudart.cache_clear()
    try:
        found = cuda.gpu()
    except NoGpuError as error:
        pytest.skip(str(error))
    free, total = cuda.memory(found)
    assert 0 < free <= max(total, cuda.available_memory())
    stream, host, device = Stream(), PinnedBuffer((1000,), np.float32), DeviceBuffer(4000)
    back = PinnedBuffer((1000,), np.float32)

    def work() -> None:
        stream.upload(host, device, 4000)
        stream.download(device, back, 4000)

    graph: Graph = stream.capture(work)
    for value in range(3):
        host.array[:] = value
        stream.launch(graph)
        stream.synchronize()
        assert (back.array == value).all()
    with pytest.raises(CudaError, match="not permitted when stream is capturing"):
        stream.capture(stream.synchronize)
    work()
    stream.synchronize()
    for owner in (graph, stream, host, device, back):
        owner.close()


def real(name: str) -> str:
    """Path of NVIDIA's library in its wheel."""
    try:
        found = [file for file in files(WHEELS[name]) or () if file.name == name]
    except PackageNotFoundError:
        pytest.skip(f"{WHEELS[name]} is not installed")
    return str(found[0].locate())
