# SPDX-License-Identifier: Apache-2.0
"""Engine builds that end in a killed process, or would: refused with advice, not repeated."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import Squares
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes import build_guard
from pear_ros.pear.runtimes.build_guard import BuildGuard
from pear_ros.pear.runtimes.driver import Gpu
from pear_ros.pear.runtimes.engine_cache import EngineCache
from pear_ros.pear.runtimes.engine_record import EngineKey
from pear_ros.pear.runtimes.engines import PRECISIONS, Engines
from pear_ros.pear.runtimes.precision_fallback import first_available
from pear_ros.pear.runtimes.runtime import (
    DeviceUnavailableError,
    RuntimeInfo,
    RuntimeUnavailableError,
)
from testing.fake_machine import FakeGraphs

ROOT = Path(__file__).parents[3]
ORIN = Gpu("Orin", (8, 7), 8 << 30, True, 8)
REFERENCE = np.random.default_rng(0).normal(0.0, 1.0, (8, VECTOR_SIZE)).astype(np.float32)


def kill_this_process() -> None:
    """What the kernel does for lack of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def nothing() -> None:
    pass


@dataclass
class Runner:
    """A runtime without any error."""

    info: RuntimeInfo

    def infer(self, image: Image, places: Squares) -> Array:
        return REFERENCE

    def close(self) -> None:
        pass


@dataclass
class Compiler:
    """Builds nothing, after `on_build`."""

    on_build: Callable[[], None] = nothing
    on_load: Callable[[], None] = nothing
    built: list[str] = field(default_factory=list)
    version: str = "10.3.0"
    gpu: Gpu = ORIN

    def build(self, graph: Path, *_: Any) -> Any:
        self.built.append(graph.stem.split("_", 2)[2])
        self.on_build()
        return SimpleNamespace(plan=memoryview(b"plan"), timing_cache=b"")

    def load(self, plan: Any, info: RuntimeInfo) -> Any:
        self.on_load()
        return Runner(info)


def start(folder: Path, compiler: Compiler, insist: bool = False, max_people: int = 4) -> Engines:
    """Return the engines as a new process would open them."""
    guard = BuildGuard(EngineCache(folder / "engines"), insist)
    graphs = FakeGraphs(folder, REFERENCE, *PRECISIONS)
    return Engines(compiler, graphs, guard, None, max_people, lambda progress: None)


def killed(folder: Path, moment: str) -> None:
    """Let another process be killed at `moment`, on_build or on_load."""
    program = (
        f"import sys, pathlib; sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]\n"
        "from test_build_guard import *\n"
        f"compiler = Compiler({moment}=kill_this_process)\n"
        f"start(pathlib.Path({str(folder)!r}), compiler).runtime('fp16')"
    )
    done = subprocess.run([sys.executable, "-c", program])
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["on_build", "on_load"])
def test_a_killed_build_is_refused_until_a_person_asks(
    moment: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed(tmp_path, moment)
    for _ in ("second start", "third start"):
        compiler = Compiler(on_build=kill_this_process, on_load=kill_this_process)
        with pytest.raises(DeviceUnavailableError) as refused:
            first_available(PRECISIONS, start(tmp_path, compiler).runtime)
    text = str(refused.value)
    assert "was interrupted" in text and "`pear build-engine --max-people 4`" in text
    assert "GB of memory available" in text and str(tmp_path / "engines") in text

    assert start(tmp_path, Compiler(), insist=True).runtime("fp16").info.verdict is not None
    assert "An engine is built all the same: the build of its engine" in caplog.text
    later = Compiler()
    assert start(tmp_path, later).runtime("fp16").info.verdict is not None
    assert later.built == [], "it is in use from now on"


def test_a_note_that_is_removed_lets_the_next_start_build(tmp_path: Path) -> None:
    killed(tmp_path, "on_build")
    (note,) = (tmp_path / "engines").glob("*.unfinished")
    note.unlink()
    assert start(tmp_path, Compiler()).runtime("fp16").info.verdict is not None


def test_another_batch_size_is_another_build(tmp_path: Path) -> None:
    killed(tmp_path, "on_build")
    assert start(tmp_path, Compiler(), max_people=1).runtime("fp16").info.verdict is not None


@pytest.mark.parametrize("error", [RuntimeUnavailableError("full"), KeyboardInterrupt()])
def test_a_build_that_fails_or_is_ended_is_not_an_interrupted_one(
    error: BaseException, tmp_path: Path
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        start(tmp_path, Compiler(on_build=fail)).runtime("fp16")
    assert not list((tmp_path / "engines").glob("*.unfinished"))
    assert start(tmp_path, Compiler()).runtime("fp16").info.verdict is not None


@pytest.fixture
def large_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pear_ros.pear.graph.Graph.nbytes", 1_300_000_000)


@pytest.mark.usefixtures("large_graph")
def test_a_build_needs_about_four_times_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(build_guard, "available_memory", lambda: 5_100_000_000)
    compiler = Compiler()
    with pytest.raises(DeviceUnavailableError) as refused:
        first_available(PRECISIONS, start(tmp_path, compiler).runtime)
    assert compiler.built == []
    assert str(refused.value).startswith(
        "building an engine takes about 5.2 GB of memory, 4 times its graph, and 5.1 GB are "
        "available: end other programs"
    )
    assert "`pear build-engine --max-people 4`" in str(refused.value)
    with caplog.at_level(logging.WARNING):
        start(tmp_path, compiler, insist=True).runtime("fp16")
    assert compiler.built == ["fp16"] and "5.1 GB are available" in caplog.text


@pytest.mark.usefixtures("large_graph")
@pytest.mark.parametrize("available", [0, 5_200_000_000])
def test_enough_or_unknown_memory_is_no_reason_to_refuse(
    available: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_guard, "available_memory", lambda: available)
    compiler = Compiler()
    start(tmp_path, compiler).runtime("fp16")
    assert compiler.built == ["fp16"]


def test_size_of_a_graph_is_that_of_its_files(tmp_path: Path) -> None:
    graph = FakeGraphs(tmp_path, REFERENCE, "fp16").graph("fp16")
    assert graph.nbytes == len(b"graph") + len(b"fp16")


def test_notes_of_others_and_rubbish_in_them(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines")
    key = EngineKey("ab", "cd", "fp16", 8, 3, "10.3.0", "Orin", "8.7", 16, 32)
    assert cache.unfinished(key) == ""
    with cache.building(key, "now"):
        assert cache.unfinished(key) == "now"
    assert cache.unfinished(key) == ""
    path = cache.unfinished_path(key)
    path.write_bytes(b"\xff" * 5000)
    path.chmod(0o600)
    assert 0 < len(cache.unfinished(key)) <= 200
    path.write_bytes(b"")
    assert cache.unfinished(key) == "at an unknown time"
    path.chmod(0o666)
    assert cache.unfinished(key) == "", "another user may have written it"
    if os.geteuid() == 0:
        path.chmod(0o600)
        os.chown(path, 12345, 12345)
        assert cache.unfinished(key) == ""
