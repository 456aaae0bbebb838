# SPDX-License-Identifier: Apache-2.0
"""TensorRT engines are built, by NVIDIA's own parser and builder: TensorRT-RTX needs no GPU for it.

What it builds cannot be run here.
"""

from __future__ import annotations

import importlib
import logging
import math
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pear_ros.pear.graph import INPUT, OUTPUT, Graph
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.build_progress import BuildProgress, Phases
from pear_ros.pear.runtimes.runtime import RuntimeUnavailableError
from testing.fakes import FakeCuda
from tools.rtx import rtx_as_tensorrt

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:.*Timing cache.*:DeprecationWarning",  # TensorRT-RTX takes no heed of it.
        "ignore:Use del obj:DeprecationWarning",  # Said when one of its objects is freed.
    ),
    pytest.mark.timeout(600),  # Of which the export takes most.
]

DEPTH, WIDTH, HEADS = 4, 384, 6
"""Of ViT-S, with a third of its blocks."""


@pytest.fixture(scope="module")
def trt() -> ModuleType:
    try:
        return rtx_as_tensorrt()
    except ImportError as error:
        pytest.skip(f"TensorRT-RTX is not there: {error}")


@pytest.fixture(scope="module")
def engine(trt: ModuleType) -> Iterator[ModuleType]:
    """pear_ros.pear.runtimes.engine, with TensorRT-RTX in TensorRT's place."""
    name = "pear_ros.pear.runtimes.engine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorrt", trt)
        patch.delitem(sys.modules, name, raising=False)
        yield importlib.import_module(name)
        sys.modules.pop(name)


@pytest.fixture(scope="module")
def vit_s(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """PEAR's network with four blocks of a ViT-S and weights by chance, in fp16."""
    torch = pytest.importorskip("torch", reason="the network is exported by torch")
    pytest.importorskip("onnxscript", reason="the network is exported by onnxscript")
    from pear_ros.pear.export import export_graph
    from pear_ros.pear.network import PearNetwork

    torch.manual_seed(0)
    network = PearNetwork(DEPTH, WIDTH, HEADS).eval()
    network.fingerprint = 16 * "0"
    return export_graph(network, "fp16", tmp_path_factory.mktemp("vit_s"))


@pytest.fixture
def seen(engine: ModuleType, trt: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the builder is given, filled in when it builds."""
    seen: dict[str, Any] = {}

    class Builder(trt.Builder):
        def build_serialized_network(self, network: Any, config: Any) -> Any:
            flag = trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
            seen["strongly_typed"] = network.get_flag(flag)
            seen["tensors"] = {
                tensor.name: (tensor.dtype, tuple(tensor.shape))
                for tensor in (network.get_input(0), network.get_output(0))
            }
            kinds = (network.get_layer(n).type for n in range(network.num_layers))
            seen["layers"] = Counter(kinds)
            seen["tf32"] = config.get_flag(trt.BuilderFlag.TF32)
            seen["level"] = config.builder_optimization_level
            seen["workspace"] = config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE)
            seen["profiles"] = config.num_optimization_profiles
            seen["streams"] = config.max_aux_streams
            return super().build_serialized_network(network, config)

    monkeypatch.setattr(trt, "Builder", Builder)
    return seen


def nothing(progress: BuildProgress) -> None:
    pass


def settings(engine: ModuleType, **others: Any) -> Any:
    return engine.BuildSettings(**{"max_people": 4, "workspace": 512 << 20} | others)


def write(folder: Path, *nodes: tuple[str, list[str], list[str], dict[str, Any]]) -> Path:
    """A network that begins with bytes as numbers, `f`; `nodes`: operator, inputs, outputs..."""
    onnx = pytest.importorskip("onnx")
    crops = onnx.helper.make_tensor_value_info(INPUT, onnx.TensorProto.UINT8, ["b", 256, 256, 3])
    found = onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, None)
    axes = onnx.numpy_helper.from_array(np.array([1, 2]), "axes")
    first = ("Cast", [INPUT], ["f"], {"to": onnx.TensorProto.FLOAT})
    made = [
        onnx.helper.make_node(kind, before, after, **others)
        for kind, before, after, others in (first, *nodes)
    ]
    graph = onnx.helper.make_graph(made, "network", [crops], [found], [axes])
    opset = onnx.helper.make_opsetid("", 20)
    path = folder / "network.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset]), path)
    return path


@pytest.fixture
def mean(tmp_path: Path) -> Path:
    """The smallest network."""
    return write(tmp_path, ("ReduceMean", ["f", "axes"], [OUTPUT], {"keepdims": 0}))


def test_pears_network_with_vit_s(
    engine: ModuleType,
    trt: ModuleType,
    vit_s: Graph,
    seen: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NVIDIA's parser takes our graph as it is meant, and the builder makes an engine of it."""
    monkeypatch.setattr(engine, "_TICK", 0.01)
    reported: list[BuildProgress] = []
    threads = set()

    def progress(now: BuildProgress) -> None:
        reported.append(now)
        threads.add(threading.get_ident())

    chosen = settings(engine, level=2, max_people=8)
    built = engine.build_plan(vit_s.path, chosen, progress)
    weights = vit_s.path.with_name(vit_s.path.name + ".data").stat().st_size
    # Kernels of profiles lay out the weights of the blocks' four linear layers differently.
    blocks = 2 * DEPTH * 12 * WIDTH**2
    assert weights < len(built.plan) < 1.3 * weights + blocks
    assert built.plan.format == "B" and isinstance(built.timing_cache, bytes)
    assert seen["tensors"] == {
        INPUT: (trt.DataType.UINT8, (-1, 256, 256, 3)),
        OUTPUT: (trt.DataType.FLOAT, (-1, VECTOR_SIZE)),
    }
    # Two in each block, one behind them; three in each of the decoder's layers, less the first's
    # two that do not depend on the crop.
    norms = 2 * DEPTH + 1 + 3 * 6 - 2
    assert seen["layers"][trt.LayerType.NORMALIZATION] == norms
    assert seen["layers"][trt.LayerType.ACTIVATION] == DEPTH + 6, "GELU, whole"
    assert seen["strongly_typed"] and not seen["tf32"]
    assert (seen["level"], seen["workspace"], seen["profiles"]) == (2, 512 << 20, 3)
    assert seen["streams"] == 0
    assert threads == {threading.get_ident()}
    done = [now.done for now in reported]
    assert done == sorted(done) and 0 < done[-1] <= 1
    assert reported[-1].phase != Phases().progress().phase


def test_a_build_can_be_ended(
    engine: ModuleType,
    vit_s: Graph,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(engine, "_TICK", 0.01)

    def progress(now: BuildProgress) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        engine.build_plan(vit_s.path, settings(engine), progress)
    assert "BuildCanceled" in caplog.text
    assert not [thread for thread in threading.enumerate() if "tensorrt" in thread.name]


def test_ctrl_c_ends_a_build(vit_s: Graph) -> None:
    """In a process of its own, with its own signal handling."""
    program = f"""
import logging, os, pathlib, signal, sys, threading
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from tools.rtx import rtx_as_tensorrt
sys.modules["tensorrt"] = rtx_as_tensorrt()
from pear_ros.pear.runtimes import engine
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
engine._TICK = 0.01
settings = engine.BuildSettings(2, 512 << 20, 2)
try:
    engine.build_plan(
        pathlib.Path({str(vit_s.path)!r}), settings, lambda _: os.kill(os.getpid(), signal.SIGINT)
    )
except KeyboardInterrupt:
    print("ended, threads:", [t.name for t in threading.enumerate() if "tensorrt" in t.name])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "BuildCanceled" in done.stdout and "ended, threads: []" in done.stdout


def test_a_small_network(engine: ModuleType, mean: Path) -> None:
    """What is returned holds on its own, and an earlier build's timings are taken."""
    built = engine.build_plan(mean, settings(engine), nothing)
    again = engine.build_plan(mean, settings(engine, timing_cache=built.timing_cache), nothing)
    assert 0 < len(bytes(built.plan)) == len(bytes(again.plan))


def test_an_engine_cannot_be_loaded_without_a_driver(
    engine: ModuleType, mean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a fake CUDA, by the real bindings, which take a plan however it is held in memory."""
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there is a driver")
    FakeCuda(tmp_path, monkeypatch)  # Compiled here, where the test can be skipped.
    built = engine.build_plan(mean, settings(engine), nothing)
    (tmp_path / "plan").write_bytes(built.plan)
    program = f"""
import mmap, pathlib, sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
import pytest
from testing.fakes import FakeCuda
from pear_ros.pear.runtimes.runtime import RuntimeInfo, RuntimeUnavailableError
from tools.rtx import rtx_as_tensorrt
sys.modules["tensorrt"] = rtx_as_tensorrt()
fake = FakeCuda(pathlib.Path({str(tmp_path)!r}), pytest.MonkeyPatch())
from pear_ros.pear.runtimes.with_tensorrt import TensorRtRuntime
with open({str(tmp_path / "plan")!r}, "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
for plan in (mapped, memoryview(mapped), bytes(mapped), b"rubbish"):
    try:
        TensorRtRuntime(plan, RuntimeInfo("tensorrt", "", "", "fp16", "", None))
    except RuntimeUnavailableError as error:
        print(fake.live, error)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *missing, rubbish = done.stdout.splitlines()
    assert len(missing) == 3
    for line in missing:
        assert line.startswith("0 TensorRT 11.1.0 cannot load the engine: IRuntime::deserialize")
    assert rubbish.startswith("0 TensorRT 11.1.0 cannot load the engine: ")


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (("NoSuchOperator", ["f"], [OUTPUT], {}), r"NoSuchOperator .*Plugin not found"),
        (("Unique", ["f"], [OUTPUT], {}), r"operator: Unique .* UNSUPPORTED_NODE"),
        (("Add", ["f", "h"], [OUTPUT], {}), "must have same input types"),
    ],
    ids=["unknown", "unsupported", "mixed precision"],
)
def test_networks_that_tensorrt_does_not_take(
    engine: ModuleType, tmp_path: Path, node: Any, sentence: str
) -> None:
    half = ("Cast", ["f"], ["h"], {"to": 10})
    path = write(tmp_path, half, node)
    with pytest.raises(engine.TensorRtError) as error:
        engine.build_plan(path, settings(engine), nothing)
    assert str(error.value).startswith(f"TensorRT 11.1.0 cannot read {path}: In node ")
    assert re.search(sentence, str(error.value))
    assert "\n" not in str(error.value)
    assert isinstance(error.value, RuntimeUnavailableError)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "Input file cannot be found"),
        (b"no network" * 99, "Failed to parse the ONNX model"),
        (b"", "cannot build .*: .* must have at least one output"),
    ],
    ids=["missing", "rubbish", "empty"],
)
def test_damaged_files(
    engine: ModuleType, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "network.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(engine.TensorRtError, match=sentence):
        engine.build_plan(path, settings(engine), nothing)


def test_weights_that_are_cut_off(engine: ModuleType, vit_s: Graph, tmp_path: Path) -> None:
    path = tmp_path / vit_s.path.name
    path.write_bytes(vit_s.path.read_bytes())
    path.with_name(path.name + ".data").write_bytes(b"short")
    with pytest.raises(engine.TensorRtError, match=r"cannot read .* Failed to import initializer"):
        engine.build_plan(path, settings(engine), nothing)


def test_a_builder_that_cannot_be_made(
    engine: ModuleType, trt: ModuleType, mean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without a driver, for TensorRT other than RTX."""

    def fail(log: Any) -> None:
        log.log(trt.ILogger.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(trt, "Builder", fail)
    with pytest.raises(engine.TensorRtError, match="cannot be used here: CUDA initialization"):
        engine.build_plan(mean, settings(engine), nothing)


def test_a_build_without_enough_memory(
    engine: ModuleType, trt: ModuleType, mean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        engine.LOG.log(trt.ILogger.ERROR, "Error Code 2: OutOfMemory (Requested size was 9 bytes)")

    monkeypatch.setattr(engine, "_watched", fail)
    with pytest.raises(engine.TensorRtError) as error:
        engine.build_plan(mean, settings(engine), nothing)
    assert str(error.value) == (
        f"TensorRT 11.1.0 cannot build {mean}: Error Code 2: OutOfMemory (Requested size was 9"
        " bytes); end other programs that use the GPU, or set max_people lower"
    )


@pytest.mark.parametrize("refused", ["at creation", "when attached"])
def test_timings_of_another_gpu_are_left_out(
    engine: ModuleType, refused: str, caplog: pytest.LogCaptureFixture
) -> None:
    """TensorRT-RTX takes no heed of them, so its part is played."""
    attached = []

    class Config:
        def create_timing_cache(self, content: bytes) -> bytes | None:
            return None if content and refused == "at creation" else content

        def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
            assert not ignore_mismatch
            attached.append(cache)
            return not cache

    with caplog.at_level(logging.INFO):
        assert engine._attach_timing_cache(Config(), b"another's") == b""
    assert attached[-1] == b"" and "another GPU or TensorRT" in caplog.text


@pytest.mark.parametrize("version", ["10.3.0", "10.13.3.9.post1", "11.4.1", "11.99"])
def test_versions_that_are_supported(
    engine: ModuleType, trt: ModuleType, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trt, "__version__", version)
    assert engine.tensorrt_version() == version


@pytest.mark.parametrize("version", ["8.6.1", "10.2.0", "12.0.0", "1.7.1.116", "unknown"])
def test_versions_that_are_not(
    engine: ModuleType, trt: ModuleType, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trt, "__version__", version)
    sentence = f"TensorRT {version} is not supported: install one from 10.3 on, older than 12"
    with pytest.raises(engine.TensorRtError, match=sentence):
        engine.tensorrt_version()


@pytest.mark.parametrize(
    ("most", "ranges"),
    [
        (1, [(1, 1)]),
        (2, [(1, 2)]),
        (3, [(1, 3)]),
        (4, [(1, 2), (3, 4)]),
        (5, [(1, 2), (3, 5)]),
        (8, [(1, 2), (3, 4), (5, 8)]),
    ],
)
def test_profiles_by_people(
    engine: ModuleType, mean: Path, seen: dict[str, Any], most: int, ranges: list[tuple[int, int]]
) -> None:
    assert engine.people_ranges(most) == ranges
    engine.build_plan(mean, settings(engine, max_people=most), nothing)
    assert seen["profiles"] == len(ranges)


def test_workspace(engine: ModuleType) -> None:
    assert engine.workspace_of(8 << 30) == 2 << 30
    assert engine.workspace_of(100 << 20) == 256 << 20


def test_what_tensorrt_calls_is_what_is_overridden(engine: ModuleType, trt: ModuleType) -> None:
    """A method under another name would never be called."""
    for ours, theirs in ((engine._Monitor, trt.IProgressMonitor), (engine.Log, trt.ILogger)):
        expected = {name for name, value in vars(theirs).items() if callable(value)} - {"Severity"}
        expected = {name for name in expected if not name.startswith("_")}
        assert expected and expected <= vars(ours).keys()


def test_phases_within_phases() -> None:
    phases = Phases()
    assert phases.progress().done == 0 and math.isnan(phases.progress().seconds_left)
    phases.start("all", None, 4)
    phases.step("all", 0)
    assert phases.progress().done == 1 / 4
    phases.start("inner", "all", 2)
    phases.step("inner", 0)
    assert (phases.progress().phase, phases.progress().done) == ("inner", 3 / 8)
    phases.start("innermost", "inner", 5)
    phases.step("innermost", 3)
    assert phases.progress().done == pytest.approx(1 / 4 + (1 + 4 / 5) / 8)
    phases.finish("innermost")
    phases.finish("inner")
    assert phases.progress().done == pytest.approx(1 / 4 + (1 + 4 / 5) / 8), "it never goes back"
    phases.step("all", 3)
    phases.finish("all")
    phases.step("all", 0)
    assert phases.progress().done == 1.0


def test_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    phases = Phases()
    phases.start("all", None, 4)
    now = 110.0
    phases.step("all", 0)
    assert phases.progress().seconds_left == 30.0
    phases.step("all", 2)
    assert phases.progress().seconds_left == pytest.approx(10 / 3)
    now = 150.0
    assert phases.progress().seconds_left == 40.0, "no step for so long"
