# SPDX-License-Identifier: Apache-2.0
"""The TensorRT runtime, driven through fakes of CUDA and TensorRT: order of calls and errors."""

from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from pear_ros.core.device_image import DeviceImage
from pear_ros.core.people import Image
from pear_ros.pear.crop import Squares, crop_pixels
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes import crop_kernel, device_crops
from pear_ros.pear.runtimes.cuda import DeviceBuffer, PinnedBuffer, Stream
from pear_ros.pear.runtimes.runtime import (
    CropRuntime,
    DeviceUnavailableError,
    IncompatibleEngineError,
    RuntimeInfo,
    RuntimeLostError,
    RuntimeUnavailableError,
)
from pear_ros.pear.runtimes.shared_runtime import share_runtime
from testing.fake_machine import MODULES
from testing.fakes import FakeCuda, fake_tensorrt

OUT_OF_MEMORY, CAPTURE_INVALIDATED = 2, 901
INFO = RuntimeInfo("tensorrt", "10.3.0", "Fake GPU", "fp16", "0123", None)
IMAGE = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
SURFACE = json.loads((Path(__file__).parents[2] / "tensorrt_api_surface.json").read_text())
_FREEING = ("Free", "Destroy", "Unload")
STEPS = ["cudaMemcpyAsync up {}", "kernel", "cudaMemcpyAsync down {}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fake_cuda")


@pytest.fixture
def fake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    fake = FakeCuda(folder, monkeypatch)
    monkeypatch.setattr(fake_tensorrt, "cuda", fake.library)
    yield fake
    fake.reset()


@pytest.fixture
def module(fake: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """with_tensorrt, with the fake in TensorRT's place."""
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, f"pear_ros.pear.runtimes.{name}", raising=False)
    yield importlib.import_module("pear_ros.pear.runtimes.with_tensorrt")
    for name in MODULES:
        sys.modules.pop(f"pear_ros.pear.runtimes.{name}", None)


def people(count: int, seed: int = 0) -> Squares:
    """Squares to crop, somewhere in IMAGE."""
    generator = np.random.default_rng(seed)
    return np.column_stack(
        [generator.uniform(0, 200, (count, 2)), generator.uniform(50, 150, count)]
    )


def expected(places: Squares) -> np.ndarray:
    return fake_tensorrt.network(crop_pixels(IMAGE, places))


def bytes_of(count: int) -> list[str]:
    sizes = (count * 256 * 256 * 3, None, count * VECTOR_SIZE * 4)
    return [step.format(size) for step, size in zip(STEPS, sizes, strict=True)]


def test_vectors_are_those_of_the_crops(module: ModuleType, fake: FakeCuda) -> None:
    """For all numbers of people, in batches where there are too many, and again and again."""
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(3), INFO)
    assert isinstance(runtime, CropRuntime)
    assert runtime.info is INFO and runtime.max_people == 3
    kept = []
    for seed, count in enumerate([1, 0, 2, 3, 3, 3, 1, 1, 2, 7, 2, 8, 4]):
        vectors = runtime.infer(IMAGE, people(count, seed))
        assert vectors.shape == (count, VECTOR_SIZE) and vectors.dtype == np.float32
        again = runtime.infer_crops(crop_pixels(IMAGE, people(count, seed)))
        np.testing.assert_array_equal(again, vectors)
        kept.append((vectors, expected(people(count, seed))))
    runtime.close()
    runtime.close()
    for vectors, reference in kept:
        np.testing.assert_array_equal(vectors, reference)
    assert fake.live == 0


def test_first_run_as_it_is_then_captured_then_replayed(module: ModuleType, fake: FakeCuda) -> None:
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(7), INFO)
    for count in (2, 4, 1, 7):
        fake.calls()
        runtime.infer(IMAGE, people(count))
        up, kernel, down = bytes_of(count)
        profile = f"profile {(count > 2) + (count > 4)}"
        allocation = ["cudaMalloc 64", "cudaFree"]  # The fake network's, which is none to capture.
        assert fake.calls() == [*(up, profile, *allocation, kernel, down, "cudaStreamSynchronize")]
        runtime.infer(IMAGE, people(count))
        started = ["cudaGraphLaunch", "cudaStreamSynchronize"]
        assert fake.calls() == [
            *(up, "cudaStreamBeginCapture 1", kernel, down, "cudaStreamEndCapture"),
            *("cudaGraphInstantiateWithFlags", *started),
        ]
        for _ in range(3):
            runtime.infer(IMAGE, people(count))
        assert fake.calls() == 3 * [up, *started]
    runtime.close()


def test_after_warming_up_everything_is_captured(module: ModuleType, fake: FakeCuda) -> None:
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(3), INFO)
    runtime.warmup(5)
    assert fake.counted()["cudaStreamBeginCapture"] == 3
    for count in (3, 1, 2):
        np.testing.assert_array_equal(
            runtime.infer(IMAGE, people(count, 9)), expected(people(count, 9))
        )
    assert set(fake.counted()) == {"cudaMemcpyAsync", "cudaGraphLaunch", "cudaStreamSynchronize"}
    runtime.close()


def test_the_cpu_sleeps_while_it_waits_if_asked_to(module: ModuleType, fake: FakeCuda) -> None:
    """For an event without timing that blocks; CUDA would poll the stream."""
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(3), INFO, blocking_wait=True)
    assert "cudaEventCreateWithFlags 3" in fake.calls()
    for seed, count in enumerate((1, 3, 3, 7)):
        vectors = runtime.infer(IMAGE, people(count, seed))
        np.testing.assert_array_equal(vectors, expected(people(count, seed)))
    fake.calls()
    runtime.infer(IMAGE, people(3))
    assert fake.calls()[1:] == ["cudaGraphLaunch", "cudaEventRecord", "cudaEventSynchronize"]
    fake.fail("cudaEventSynchronize", 1, OUT_OF_MEMORY)
    with pytest.raises(RuntimeUnavailableError, match="cudaEventSynchronize failed"):
        runtime.infer(IMAGE, people(1))
    runtime.close()
    assert fake.live == 0


class OnGpu:
    """An image in the memory of the fake GPU, copied there in a stream that nobody waited for."""

    def __init__(self, image: Image) -> None:
        self._host, self._buffer = PinnedBuffer(image.shape, np.uint8), DeviceBuffer(image.nbytes)
        self._host.array[:] = image
        self._stream = Stream()
        self._stream.upload(self._host, self._buffer, image.nbytes)
        address, stream = self._buffer.handle, self._stream.handle
        self.__cuda_array_interface__ = {"data": (address, False), "stream": stream}

    def close(self) -> None:
        for owned in (self._stream, self._host, self._buffer):
            owned.close()


SMOOTH = cv2.GaussianBlur(IMAGE, (0, 0), 9)


def never() -> Image:
    raise AssertionError("downloaded")


def test_images_on_the_gpu_are_cropped_there(module: ModuleType, fake: FakeCuda) -> None:
    """In batches, with the same graphs as others, and nothing but numbers is uploaded."""
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(3), INFO)
    assert runtime.takes_device_images and runtime.cropping.endswith("by one kernel")
    runtime.warmup(3)
    owner = OnGpu(SMOOTH)
    image = DeviceImage(owner, SMOOTH.shape, never)
    for seed, count in enumerate((1, 3, 2, 7, 0)):
        places = people(count, seed)
        fake.calls()
        found = runtime.infer(image, places)
        calls = fake.calls()
        assert not [call for call in calls if "Capture" in call]
        copied = [int(call.split()[-1]) for call in calls if call.startswith("cudaMemcpyAsync up")]
        assert sum(copied) == 40 * count
        cropped = fake_tensorrt.network(crop_pixels(SMOOTH, places))
        np.testing.assert_allclose(found, cropped, atol=2)
        np.testing.assert_array_equal(runtime.infer(SMOOTH, places), cropped)
    with pytest.raises(ValueError, match="NaN"):
        runtime.infer(image, np.full((1, 3), np.nan))
    runtime.close()
    owner.close()
    assert fake.live == 0


@pytest.mark.parametrize("fault", ["not loaded", "no file", "wrong"])
def test_where_the_kernel_is_not_usable_images_are_downloaded(
    module: ModuleType, fake: FakeCuda, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "not loaded":
        fake.fail("cuModuleLoadData", 1, 218)
    elif fault == "no file":
        monkeypatch.setattr(crop_kernel, "PTX_FILE", Path("missing"))
    else:
        monkeypatch.setattr(device_crops, "crop_pixels", lambda *_: np.uint8(9))
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(3), INFO)
    assert not runtime.takes_device_images
    reason = {"not loaded": "cuModuleLoadData failed", "no file": "missing", "wrong": "grey levels"}
    assert runtime.cropping.startswith("on the CPU, as") and reason[fault] in runtime.cropping
    image = DeviceImage(None, IMAGE.shape, lambda: IMAGE)
    np.testing.assert_array_equal(runtime.infer(image, people(2)), expected(people(2)))
    runtime.close()
    assert fake.live == 0


def test_order_of_frees(module: ModuleType, fake: FakeCuda) -> None:
    """Graphs before the contexts that they are of, these before the memory that they use."""
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(2), INFO)
    runtime.warmup(2)
    fake.calls()
    runtime.close()
    graph = ["cudaGraphExecDestroy", "cudaGraphDestroy", "~IExecutionContext"]
    assert fake.calls() == [
        "cudaStreamSynchronize",
        *(2 * graph),
        *("cudaFree", "cudaFreeHost", "cuModuleUnload"),
        *(3 * ["cudaFree"]),
        *(2 * ["cudaFreeHost"]),
        "cudaStreamDestroy",
        *("~ICudaEngine", "~Runtime"),
    ]
    runtime.close()
    assert fake.calls() == []


@pytest.mark.parametrize("failures", [1, 2])
def test_it_is_captured_again_where_it_failed(
    module: ModuleType, fake: FakeCuda, failures: int, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(2), INFO)
    runtime.infer(IMAGE, people(2))
    for number in range(1, failures + 1):
        fake.fail("cudaStreamEndCapture", number, CAPTURE_INVALIDATED)
    for seed in range(failures + 2):
        fake.calls()
        vectors = runtime.infer(IMAGE, people(2, seed))
        np.testing.assert_array_equal(vectors, expected(people(2, seed)))
        assert fake.counted()["cudaGraphLaunch"] == (seed >= failures)
    assert not caplog.records
    runtime.close()
    assert fake.live == 0


def test_without_graphs_it_runs_all_the_same(
    module: ModuleType, fake: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    """And logs it once."""
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(2), INFO)
    for number in range(1, 9):
        fake.fail("cudaStreamBeginCapture", number, CAPTURE_INVALIDATED)
    for seed in range(7):
        vectors = runtime.infer(IMAGE, people(1 + seed % 2, seed))
        np.testing.assert_array_equal(vectors, expected(people(1 + seed % 2, seed)))
    counted = fake.counted()
    assert counted["cudaStreamBeginCapture"] == 3 and not counted["cudaGraphLaunch"]
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("The network cannot be captured as a CUDA graph (cuda")
    runtime.close()
    assert fake.live == 0


def test_each_call_that_fails_leaves_nothing_behind(module: ModuleType, fake: FakeCuda) -> None:
    """Every call of CUDA that a whole life makes fails once; TensorRT's refusals follow below."""

    def live() -> None:
        runtime = module.TensorRtRuntime(fake_tensorrt.plan(2), INFO)
        try:
            for seed, count in enumerate((1, 2, 2, 1)):
                vectors = runtime.infer(IMAGE, people(count, seed))
                np.testing.assert_array_equal(vectors, expected(people(count, seed)))
        finally:
            runtime.close()

    live()
    counted = fake.counted()
    freeing = {name for name in counted if any(word in name for word in _FREEING)}
    noted = {name for name in counted if name.startswith(("~", "profile"))}
    survived = {"cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiateWithFlags"}
    survived |= {"cuModuleLoadData"}  # Of what images on the GPU need.
    tried = 0
    for name in counted.keys() - freeing - noted - {"cudaMemcpyAsync", "kernel"}:
        for number in range(1, counted[name] + 1):
            fake.reset()
            fake.fail(name, number, OUT_OF_MEMORY)
            at_the_end = (name, number) == ("cudaStreamSynchronize", counted[name])
            if name in survived or at_the_end:
                live()
            else:
                with pytest.raises(RuntimeUnavailableError, match=r"out of memory|allocated"):
                    live()
            assert fake.live == 0, f"call {number} of {name}"
            tried += 1
    assert tried > 15


@pytest.mark.parametrize("call", ["cudaMemcpyAsync up", "cudaMemcpyAsync down", "kernel"])
def test_a_step_that_fails(module: ModuleType, fake: FakeCuda, call: str) -> None:
    """Outside of a graph it is an error; within, it is captured again."""
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(2), INFO)
    fake.fail(call, 1, OUT_OF_MEMORY)
    if call != "cudaMemcpyAsync up":  # Which is not in the graph.
        fake.fail(call, 3, OUT_OF_MEMORY)
    with pytest.raises(RuntimeUnavailableError, match=r"out of memory|does not run"):
        runtime.infer(IMAGE, people(1))
    for seed in range(4):
        vectors = runtime.infer(IMAGE, people(1, seed))
        np.testing.assert_array_equal(vectors, expected(people(1, seed)))
    runtime.close()
    assert fake.live == 0


@pytest.mark.parametrize(
    "name", ["cudaFree", "cudaFreeHost", "cudaStreamDestroy", "cudaGraphDestroy"]
)
def test_what_cannot_be_freed_is_logged_and_the_rest_is_freed(
    module: ModuleType, fake: FakeCuda, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(1), INFO)
    runtime.warmup(1)
    fake.fail(name, 1, OUT_OF_MEMORY)
    runtime.close()
    assert fake.live == 1
    [record] = caplog.records
    assert record.getMessage().startswith(f"GPU memory may leak: {name} failed: out of")


def test_a_gpu_that_breaks_down(module: ModuleType, fake: FakeCuda) -> None:
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(1), INFO)
    runtime.warmup(1)
    fake.break_down()
    for _ in range(2):
        with pytest.raises(RuntimeLostError, match="illegal memory access"):
            runtime.infer(IMAGE, people(1))
    fake.calls()
    runtime.close()
    assert {"cudaFree", "cudaStreamDestroy", "~Runtime"} <= set(fake.calls()), "all was tried"


def test_a_kernel_that_breaks_the_gpu(
    module: ModuleType, fake: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    """TensorRT tells no code of CUDA, and that the memory is gone is not worth a word."""
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(1), INFO)
    fake.fail("kernel", 1, 700)
    with pytest.raises(RuntimeLostError, match=r"illegal memory access.*start it again"):
        runtime.infer(IMAGE, people(1))
    runtime.close()
    assert not caplog.records


EXIT = """
import atexit, sys
from pathlib import Path
import pytest
from pear_ros.pear.runtimes.runtime import RuntimeInfo
from testing.fakes import FakeCuda, fake_tensorrt

fake = FakeCuda(Path(sys.argv[1]), pytest.MonkeyPatch())
fake_tensorrt.cuda, sys.modules["tensorrt"] = fake.library, fake_tensorrt
atexit.register(lambda: print(fake.live))  # After what is registered later.
from pear_ros.pear.runtimes.with_tensorrt import TensorRtRuntime
runtime = TensorRtRuntime(fake_tensorrt.plan(1), RuntimeInfo(*"012345"))
runtime.warmup(1)
"""


@pytest.mark.parametrize("in_use", [False, True])
def test_the_end_of_python_frees_what_no_thread_uses(folder: Path, in_use: bool) -> None:
    program = EXIT + ("runtime._in_use.acquire()" if in_use else "")
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (int(done.stdout) > 0) == in_use


@pytest.mark.parametrize(
    ("method", "words", "error"),
    [
        ("deserialize_cuda_engine", "Error Code 2: OutOfMemory (Requested", DeviceUnavailableError),
        ("create_execution_context", "Cuda Runtime (out of memory)", DeviceUnavailableError),
        ("execute_async_v3", "Error Code 1: Cuda Runtime (out of memory)", DeviceUnavailableError),
        ("deserialize_cuda_engine", "expecting library version 10.3 got", IncompatibleEngineError),
        ("deserialize_cuda_engine", "Platform tag mismatch detected", IncompatibleEngineError),
        ("deserialize_cuda_engine", "on an incompatible device", IncompatibleEngineError),
    ],
)
def test_reasons_of_tensorrt_are_told_apart(
    module: ModuleType,
    fake: FakeCuda,
    method: str,
    words: str,
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fake_tensorrt, "refusal", method)
    monkeypatch.setattr(fake_tensorrt, "words", words)
    with pytest.raises(error) as caught:
        module.TensorRtRuntime(fake_tensorrt.plan(2), INFO).infer(IMAGE, people(2))
    assert isinstance(caught.value, module.TensorRtError) and words in str(caught.value)
    kinds = {DeviceUnavailableError, IncompatibleEngineError} - {error}
    assert not isinstance(caught.value, tuple(kinds))


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("Runtime", "TensorRT 10.3.0 cannot be used here: Runtime was refused"),
        ("deserialize_cuda_engine", "TensorRT 10.3.0 cannot load the engine: deserialize_cuda"),
        ("create_execution_context", "TensorRT creates no context for 2 people: create_execution"),
        ("set_input_shape", "TensorRT does not take 2 people: set_input_shape was refused"),
        ("set_optimization_profile_async", "TensorRT does not take 2 people: set_optimization_pro"),
        ("set_tensor_address", "TensorRT does not take 2 people: set_tensor_address was refused"),
        ("execute_async_v3", "TensorRT does not run 2 people: execute_async_v3 was refused"),
    ],
)
def test_what_tensorrt_refuses(
    module: ModuleType,
    fake: FakeCuda,
    method: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fake_tensorrt, "refusal", method)
    runtime = None
    with pytest.raises(module.TensorRtError, match=sentence):
        runtime = module.TensorRtRuntime(fake_tensorrt.plan(2), INFO)
        runtime.infer(IMAGE, people(2))
    if runtime:
        monkeypatch.setattr(fake_tensorrt, "refusal", "")
        np.testing.assert_array_equal(runtime.infer(IMAGE, people(2)), expected(people(2)))
        runtime.close()
    assert fake.live == 0


def test_an_engine_of_another_network(module: ModuleType, fake: FakeCuda) -> None:
    with pytest.raises(module.TensorRtError, match=r"not of PEAR's network: it has .*1000"):
        module.TensorRtRuntime(fake_tensorrt.plan(2, vector=1000), INFO)
    assert fake.live == 0


@pytest.mark.parametrize("profiles", [[], [(1, 1), (3, 4)], [(2, 4)], [(1, 2), (2, 4)]])
def test_an_engine_that_leaves_batches_out_is_of_another_network(
    module: ModuleType, fake: FakeCuda, profiles: list[tuple[int, int]]
) -> None:
    with pytest.raises(module.TensorRtError, match="it takes batches of"):
        module.TensorRtRuntime(fake_tensorrt.plan(4, profiles=profiles), INFO)
    assert fake.live == 0


def test_an_engine_for_one_person_has_a_fixed_batch(module: ModuleType, fake: FakeCuda) -> None:
    """TensorRT reports 1, not -1, where least, usual and greatest size are the same."""
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(1), INFO)
    assert runtime.max_people == 1
    np.testing.assert_array_equal(runtime.infer(IMAGE, people(3)), expected(people(3)))
    runtime.close()


def test_an_earlier_engine_with_one_profile_is_run(module: ModuleType, fake: FakeCuda) -> None:
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(4, profiles=[(1, 4)]), INFO)
    np.testing.assert_array_equal(runtime.infer(IMAGE, people(3)), expected(people(3)))
    runtime.close()


def test_without_a_gpu_tensorrt_is_not_touched(module: ModuleType, fake: FakeCuda) -> None:
    """It may end the process."""
    fake.fail("cudaStreamCreateWithFlags", 1, 100)
    with pytest.raises(RuntimeUnavailableError, match="no CUDA-capable device"):
        module.TensorRtRuntime(fake_tensorrt.plan(2), INFO)
    assert fake.calls() == ["cudaStreamCreateWithFlags 1"]


def test_memory_of_the_gpu(module: ModuleType, fake: FakeCuda) -> None:
    """Also where it is broken: diagnostics must not fail."""
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(1), INFO)
    free, total = runtime.memory()
    assert free > 0 and total == 8 << 30
    fake.break_down()
    assert runtime.memory() is None
    runtime.close()


def test_squares_that_are_none(module: ModuleType, fake: FakeCuda) -> None:
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(2), INFO)
    with pytest.raises(ValueError, match="NaN"):
        runtime.infer(IMAGE, np.full((1, 3), np.nan))
    np.testing.assert_array_equal(runtime.infer(IMAGE, people(1)), expected(people(1)))
    runtime.close()


def test_tensorrts_log_goes_to_pythons(
    module: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    log = module.LOG
    severities = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")
    with caplog.at_level(1):
        for name in severities:
            log.log(getattr(fake_tensorrt.ILogger, name), f"said {name}")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "TensorRT: said INTERNAL_ERROR"),
        ("WARNING", "TensorRT: said ERROR"),
        ("INFO", "TensorRT: said WARNING"),
        ("DEBUG", "TensorRT: said INFO"),
    ]
    assert log.reason() == "said INTERNAL_ERROR"
    log.clear()
    assert log.reason() == "it gives no reason"


def test_the_fake_has_nothing_that_tensorrt_lacks() -> None:
    for version, classes in SURFACE.items():
        for name, members in classes.items():
            public = {key for key in vars(getattr(fake_tensorrt, name, object)) if key[0] != "_"}
            assert public <= set(members), f"{name} of TensorRT {version}"


def test_threads_share_an_engine(module: ModuleType, fake: FakeCuda) -> None:
    """Also when what they share is more than it takes at once."""
    runtime = module.TensorRtRuntime(fake_tensorrt.plan(3), INFO)
    first, second = share_runtime(runtime, 2, 8)
    with ThreadPoolExecutor(2) as pool:
        for count in (1, 4, 9):
            one = pool.submit(first.infer, IMAGE, people(2, count))
            two = pool.submit(second.infer, IMAGE, people(count))
            np.testing.assert_array_equal(one.result(), expected(people(2, count)))
            np.testing.assert_array_equal(two.result(), expected(people(count)))
    first.close()
    assert fake.live
    second.close()
    assert fake.live == 0
