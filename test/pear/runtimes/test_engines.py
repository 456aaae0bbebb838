# SPDX-License-Identifier: Apache-2.0
"""Tests of how an engine is come by: kept or built, judged, and if need be in another precision."""

from __future__ import annotations

import logging
import math
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pear_ros.body import load_open_body
from pear_ros.core.configuration import RuntimeChoice
from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import Squares, crop_pixels
from pear_ros.pear.graph import data_file
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.accuracy import Verdict
from pear_ros.pear.runtimes.build_guard import BuildGuard
from pear_ros.pear.runtimes.build_progress import BuildProgress
from pear_ros.pear.runtimes.cudart import CudaError
from pear_ros.pear.runtimes.driver import Gpu
from pear_ros.pear.runtimes.engine_cache import EngineCache
from pear_ros.pear.runtimes.engines import (
    PRECISIONS,
    Engines,
    ProgressLog,
    TensorRt,
    precisions_of,
    tensorrt_runtime,
    time_left,
)
from pear_ros.pear.runtimes.precision_fallback import first_available
from pear_ros.pear.runtimes.reference_crops import bundled_crops
from pear_ros.pear.runtimes.runtime import (
    DeviceUnavailableError,
    IncompatibleEngineError,
    RuntimeInfo,
    RuntimeUnavailableError,
)
from testing.fake_machine import WEIGHTS, FakeGraphs, fake_machine, fake_reference, unload_modules
from testing.fakes import FakeCuda, fake_tensorrt

ORIN = Gpu("Orin", (8, 7), 8 << 30, True, 8)
REFERENCE = np.random.default_rng(0).normal(0.0, 1.0, (8, VECTOR_SIZE)).astype(np.float32)
FINE, WRONG = 1e-4, 1.0
"""Errors of a network's numbers."""


@dataclass
class Runner:
    """Returns REFERENCE for the bundled crops, with some error."""

    error: float
    info: RuntimeInfo
    closed: bool = False

    def infer(self, image: Image, places: Squares) -> Array:
        np.testing.assert_array_equal(crop_pixels(image, places), bundled_crops())
        noise = np.random.default_rng(1).normal(0.0, 1.0, REFERENCE.shape)
        return (REFERENCE + self.error * noise).astype(np.float32)

    def warmup(self, people: int) -> None:
        pass

    def memory(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@dataclass
class Maker:
    """Builds plans that are nothing but the error that their runtime will have."""

    errors: dict[str, float | Exception] = field(default_factory=dict)
    version: str = "10.3.0"
    gpu: Gpu = ORIN
    built: list[str] = field(default_factory=list)
    measured: list[bytes] = field(default_factory=list)
    runners: list[Runner] = field(default_factory=list)
    unloadable: Exception | None = None

    def build(
        self, graph: Path, max_people: int, level: int, measured: bytes, progress: Any
    ) -> Any:
        precision = graph.stem.split("_", 2)[2]
        self.built.append(precision)
        self.measured.append(measured)
        progress(BuildProgress("tactics", 0.5, 3.0))
        error = self.errors.get(precision, FINE)
        if isinstance(error, Exception):
            raise error
        plan = memoryview(repr(error).encode())
        return SimpleNamespace(plan=plan, timing_cache=f"{len(self.built)} builds".encode())

    def load(self, plan: Any, info: RuntimeInfo) -> Any:
        if self.unloadable is not None:
            error, self.unloadable = self.unloadable, None
            raise error
        self.runners.append(Runner(float(bytes(plan)), info))
        return self.runners[-1]


@pytest.fixture
def engines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Engines:
    caplog.set_level(logging.INFO)
    files = FakeGraphs(tmp_path, REFERENCE, *PRECISIONS)
    guard = BuildGuard(EngineCache(tmp_path / "engines"), insist=False)
    return Engines(Maker(), files, guard, None, 4, lambda progress: None)


def maker_of(engines: Engines) -> Maker:
    assert isinstance(engines.compiler, Maker)
    return engines.compiler


def restarted(engines: Engines, **changes: Any) -> Engines:
    """Return the engines as a later process would open them."""
    maker = replace(maker_of(engines), built=[], measured=[], runners=[])
    guard = replace(engines.guard, cache=EngineCache(engines.cache.folder))
    return replace(engines, **{"compiler": maker, "guard": guard} | changes)


def test_an_engine_is_built_once(engines: Engines, caplog: pytest.LogCaptureFixture) -> None:
    first = engines.runtime("fp16")
    assert maker_of(engines).built == ["fp16"]
    assert first.info == RuntimeInfo(
        "tensorrt", "10.3.0", str(ORIN), "fp16", WEIGHTS, first.info.verdict
    )
    assert first.info.verdict is not None and 0.0 < first.info.verdict.mean_rotation_deg < 1.0
    later = restarted(engines)
    again = later.runtime("fp16")
    assert maker_of(later).built == []
    assert repr(again.info) == repr(first.info)  # There are NaN in it.
    assert "Using the fp16 engine" in caplog.text
    assert not maker_of(later).runners[0].closed


def test_a_kept_verdict_is_not_found_again(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines.runtime("fp16")
    monkeypatch.setattr(Runner, "infer", None)
    assert restarted(engines).runtime("fp16").info.verdict is not None


def test_another_body_has_a_verdict_of_its_own(engines: Engines) -> None:
    assert math.isnan(engines.runtime("fp16").info.verdict.mean_vertex_mm)  # type: ignore[union-attr]
    body = replace(load_open_body(), name="another")
    later = restarted(engines, body=body)
    with pytest.MonkeyPatch.context() as patch:  # The open body takes fewer numbers than PEAR has.
        patch.setattr(
            "pear_ros.pear.runtimes.accuracy._vertex_distances", lambda *_: np.array([[0.7]])
        )
        verdict = later.runtime("fp16").info.verdict
    assert verdict is not None and verdict.mean_vertex_mm == 0.7
    assert maker_of(later).built == []
    assert restarted(engines, body=body).runtime("fp16").info.verdict == verdict


@pytest.mark.parametrize("error", [WRONG, math.nan])
def test_inaccurate_engines_are_refused_once_and_for_all(
    error: float, engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    maker_of(engines).errors["fp16"] = error
    runtime = first_available(PRECISIONS, engines.runtime)
    assert runtime.info.precision == "bf16"
    assert maker_of(engines).built == ["fp16", "bf16"]
    assert [runner.closed for runner in maker_of(engines).runners] == [True, False]
    assert "fp16 cannot be used: it is not accurate enough: " in caplog.text
    assert "; falling back to bf16" in caplog.text
    later = restarted(engines)
    assert first_available(PRECISIONS, later.runtime).info.precision == "bf16"
    assert maker_of(later).built == []
    assert "was not accurate enough when it was built" in caplog.messages[-2]


def test_precisions_in_which_nothing_can_be_built_are_passed_over(engines: Engines) -> None:
    maker_of(engines).errors["fp16"] = RuntimeUnavailableError("no kernel for a layer")
    maker_of(engines).errors["bf16"] = RuntimeUnavailableError("no bf16 here")
    assert first_available(PRECISIONS, engines.runtime).info.precision == "fp32"
    assert maker_of(engines).built == ["fp16", "bf16", "fp32"]


def test_without_an_accurate_engine_all_reasons_are_given(engines: Engines) -> None:
    maker_of(engines).errors.update(fp16=WRONG, bf16=math.nan, fp32=RuntimeUnavailableError("full"))
    with pytest.raises(RuntimeUnavailableError) as caught:
        first_available(PRECISIONS, engines.runtime)
    fp16, bf16, fp32 = str(caught.value).split("; ")
    assert fp16.startswith("fp16 cannot be used: it is not accurate enough: ")
    assert bf16.endswith("its outputs contain NaN or infinity")
    assert fp32 == "fp32 cannot be used: full"


def test_a_missing_graph_says_how_to_get_it(engines: Engines) -> None:
    for file in engines.graphs.folder.glob("pear_*fp16*"):  # type: ignore[attr-defined]
        file.unlink()
    with pytest.raises(RuntimeUnavailableError, match=r"pear export-graph.*auto"):
        first_available(("fp16",), engines.runtime)
    assert first_available(PRECISIONS, engines.runtime).info.precision == "bf16"


def test_a_damaged_graph_is_not_built(engines: Engines) -> None:
    path = engines.graphs.graph("fp16").path
    data_file(path).write_bytes(b"fp61")
    with pytest.raises(RuntimeUnavailableError, match="is damaged"):
        engines.runtime("fp16")
    assert maker_of(engines).built == []


@pytest.mark.parametrize(
    "change",
    [
        {"version": "10.13.3"},
        {"gpu": replace(ORIN, name="Thor")},
        {"gpu": replace(ORIN, compute_capability=(11, 0))},
        {"gpu": replace(ORIN, multiprocessors=16)},
        {"gpu": replace(ORIN, memory=61 << 30)},
    ],
)
def test_engines_for_something_else_are_not_used(
    change: dict[str, Any], engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    engines.runtime("fp16")
    later = restarted(engines)
    later = replace(later, compiler=replace(maker_of(later), **change))
    later.runtime("fp16")
    assert maker_of(later).built == ["fp16"]
    assert "instead of" in caplog.text


def test_another_graph_or_number_of_people_is_another_engine(engines: Engines) -> None:
    engines.runtime("fp16")
    later = restarted(engines, max_people=2)
    later.runtime("fp16")
    assert maker_of(later).built == ["fp16"]
    engines.graphs.write("fp16", b"another")  # type: ignore[attr-defined]
    later = restarted(engines)
    later.runtime("fp16")
    assert maker_of(later).built == ["fp16"]


def test_an_engine_of_another_version_or_platform_is_built_once_more(
    engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    engines.runtime("fp16")
    later = restarted(engines)
    maker_of(later).unloadable = IncompatibleEngineError("expecting library version 10.3")
    assert later.runtime("fp16").info.verdict is not None
    assert maker_of(later).built == ["fp16"]
    assert "is rebuilt: expecting library version 10.3" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        CudaError("cudaMalloc", 2, "cudaErrorMemoryAllocation", "no memory"),
        DeviceUnavailableError("TensorRT cannot load the engine: out of memory"),
        RuntimeUnavailableError("TensorRT cannot load the engine: no reason"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_accepted_engine_that_does_not_load_now_is_no_reason_to_build(
    error: Exception, engines: Engines
) -> None:
    """Neither the same engine again nor one in another precision."""
    engines.runtime("fp16")
    later = restarted(engines)
    maker_of(later).unloadable = error
    with pytest.raises(DeviceUnavailableError, match=f"{str(error)[-6:]}"):
        first_available(PRECISIONS, later.runtime)
    assert maker_of(later).built == []
    assert first_available(PRECISIONS, later.runtime).info.precision == "fp16"
    assert maker_of(later).built == [], "the engine is still there"


def test_a_gpu_that_is_too_full_for_a_build_gets_no_other_build(engines: Engines) -> None:
    maker_of(engines).errors["fp16"] = DeviceUnavailableError("out of memory")
    with pytest.raises(DeviceUnavailableError):
        first_available(PRECISIONS, engines.runtime)
    assert maker_of(engines).built == ["fp16"]


def test_what_cannot_be_kept_is_used_all_the_same(
    engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    engines.cache.folder.write_text("a file")
    assert engines.runtime("fp16").info.verdict is not None
    maker_of(engines).errors["bf16"] = WRONG
    with pytest.raises(RuntimeUnavailableError, match="not accurate"):
        engines.runtime("bf16")
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert ["cannot be kept" in record.getMessage() for record in warnings] == [True]


def test_what_a_build_measured_is_there_for_the_next(engines: Engines) -> None:
    for precision in PRECISIONS:
        engines.runtime(precision)
    assert maker_of(engines).measured == [b"", b"1 builds", b"2 builds"]


def test_progress_is_reported_and_can_end_it(engines: Engines) -> None:
    reported: list[BuildProgress] = []
    replace(engines, progress=reported.append).runtime("fp16")
    assert [progress.done for progress in reported] == [1.0, 1.0, 0.5]
    assert "hashing" in reported[0].phase and reported[2].phase == "tactics"

    def stop(progress: BuildProgress) -> None:
        if progress.phase == "tactics":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(engines, progress=stop).runtime("bf16")
    assert restarted(engines).runtime("bf16").info.precision == "bf16", "the lock is still held"


def test_two_at_once_build_one(engines: Engines) -> None:
    building, go_on = threading.Event(), threading.Event()

    def wait(progress: BuildProgress) -> None:
        if progress.phase == "tactics":
            building.set()
            assert go_on.wait(30)

    slow, other = replace(engines, progress=wait), restarted(engines)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(slow.runtime("fp16")))]
    threads[0].start()
    assert building.wait(30)
    threads.append(threading.Thread(target=lambda: found.append(other.runtime("fp16"))))
    threads[1].start()
    threads[1].join(0.3)
    assert found == []
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert len(found) == 2
    assert maker_of(other).built == []


def test_progress_goes_to_the_log_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = ProgressLog(interval=3600.0)
    log(BuildProgress("tactics", 0.5, 100.0))
    assert not caplog.messages
    log = ProgressLog(interval=0.0)
    log(BuildProgress("tactics", 0.25, 150.0))
    log(BuildProgress("hashing", 0.5, math.nan))
    assert caplog.messages == ["25 %, about 2 min left: tactics", "50 %: hashing"]
    assert time_left(89.0) == "89 s"


def test_int8_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"not run in int8.*fp16, bf16, fp32"):
        tensorrt_runtime(None, None, RuntimeChoice(precision="int8"))  # type: ignore[arg-type]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    with fake_machine(tmp_path, monkeypatch) as fake:
        yield fake


def test_auto_tries_a_calibrated_graph_first(machine: FakeCuda, tmp_path: Path) -> None:
    graphs = ("fp16", "int8_static", "fp8")
    for number, expected in enumerate(("fp16", "int8_static", "fp8"), 1):
        files = FakeGraphs(tmp_path, fake_reference(), *graphs[:number])
        runtime = tensorrt_runtime(files, None, RuntimeChoice(max_people=2))
        assert runtime.info.precision == expected
        runtime.close()


def test_a_calibrated_graph_that_is_not_accurate_enough_gives_way(
    engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    graphs = engines.graphs
    assert isinstance(graphs, FakeGraphs)
    graphs.write("fp8")
    maker_of(engines).errors["fp8"] = WRONG
    runtime = first_available(precisions_of(graphs), engines.runtime)
    assert runtime.info.precision == "fp16"
    assert "fp8 cannot be used: it is not accurate enough" in caplog.text


def test_the_whole_way_on_a_machine_with_a_gpu(machine: FakeCuda, tmp_path: Path) -> None:
    """All but TensorRT and CUDA themselves is real."""
    files = FakeGraphs(tmp_path, fake_reference(), "fp16")
    for _ in ("built", "kept"):
        runtime = tensorrt_runtime(files, None, RuntimeChoice(precision="fp16", max_people=3))
        assert runtime.info.device == str(TensorRt().gpu)
        assert runtime.info.version == "10.3.0"
        assert runtime.info.verdict is not None
        assert runtime.info.verdict.max_rotation_deg == 0.0
        runtime.close()
        assert machine.live == 0
    assert len(list((tmp_path / "cache" / "engines").glob("*.plan"))) == 1
    cut = next((tmp_path / "cache" / "engines").glob("*.plan"))
    cut.write_bytes(cut.read_bytes()[:-1])
    tensorrt_runtime(files, None, RuntimeChoice(precision="fp16", max_people=3)).close()


def test_a_gpu_that_is_full_at_the_start_keeps_its_engine(
    machine: FakeCuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is built, neither at that start nor at the next one."""
    files = FakeGraphs(tmp_path, fake_reference(), *PRECISIONS)
    choice = RuntimeChoice(max_people=3)
    tensorrt_runtime(files, None, choice).close()
    kept = {path: path.read_bytes() for path in (tmp_path / "cache" / "engines").iterdir()}
    machine.machine(memory=1 << 16)
    with pytest.raises(DeviceUnavailableError, match=r"cuda\w+ failed: out of memory"):
        tensorrt_runtime(files, None, choice)
    machine.machine()
    monkeypatch.setattr(fake_tensorrt, "refusal", "deserialize_cuda_engine")
    for words in ("Error Code 1: Cuda Runtime (out of memory)", ""):
        monkeypatch.setattr(fake_tensorrt, "words", words)
        with pytest.raises(DeviceUnavailableError, match="cannot load the engine"):
            tensorrt_runtime(files, None, choice)
    monkeypatch.setattr(fake_tensorrt, "refusal", "")
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(list((tmp_path / "cache" / "engines").glob("*.plan"))) == 1
    runtime = tensorrt_runtime(files, None, choice)
    assert runtime.info.precision == "fp16"
    runtime.close()


@pytest.mark.parametrize("error", [OSError, ValueError, RuntimeError])
def test_a_broken_tensorrt_is_no_reason_to_end(
    error: type[Exception], machine: FakeCuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unload_modules(monkeypatch)
    monkeypatch.delitem(sys.modules, "tensorrt")
    (tmp_path / "tensorrt.py").write_text(f"raise {error.__name__}('broken')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeUnavailableError, match=r"TensorRT cannot be imported \(broken"):
        tensorrt_runtime(None, None, RuntimeChoice())  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["auto", "fp16"])
def test_fp16_without_fused_attention_is_tried_where_fp16_is_not_accurate(
    precision: str,
    machine: FakeCuda,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    files = FakeGraphs(tmp_path, fake_reference(), "fp16", "fp16_fp32_attention", "bf16")
    engine = sys.modules["pear_ros.pear.runtimes.engine"]
    build, built = engine.build_plan, []

    def build_plan(graph: Path, *arguments: Any) -> Any:
        built.append(graph.stem.split("_", 2)[2])
        return build(graph, *arguments)

    def verdict(found: Any, *_: Any) -> Verdict:
        off = 90.0 if built[-1] == "fp16" else 0.1
        return Verdict(off, off, 0.0, 0.0, 0.0)

    monkeypatch.setattr(engine, "build_plan", build_plan)
    monkeypatch.setattr("pear_ros.pear.runtimes.precision_fallback.judge", verdict)
    runtime = tensorrt_runtime(files, None, RuntimeChoice(precision=precision))
    assert built == ["fp16", "fp16_fp32_attention"]
    assert runtime.info.precision == "fp16_fp32_attention"
    assert "falling back to fp16_fp32_attention" in caplog.text
    runtime.close()


def test_without_a_gpu_tensorrt_is_not_imported(
    machine: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.machine(devices=0)
    unload_modules(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(RuntimeUnavailableError, match="finds no GPU"):
        tensorrt_runtime(None, None, RuntimeChoice())  # type: ignore[arg-type]
    machine.machine()
    with pytest.raises(RuntimeUnavailableError, match=r"TensorRT cannot be imported.*install"):
        tensorrt_runtime(None, None, RuntimeChoice())  # type: ignore[arg-type]
