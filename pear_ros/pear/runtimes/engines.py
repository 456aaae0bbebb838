# SPDX-License-Identifier: Apache-2.0
"""TensorRT engines of PEAR's network for this machine's GPU: cached, or built and measured.

TensorRT is imported only after a GPU was found: without one it may end the process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pear_ros.core.configuration import (
    CALIBRATED_PRECISIONS,
    FP16_FP32_ATTENTION,
    GRAPH_PRECISIONS,
    RuntimeChoice,
)
from pear_ros.core.log import get_logger
from pear_ros.pear.body import PearBody
from pear_ros.pear.graph import Graph, GraphError
from pear_ros.pear.graph import Progress as FileProgress
from pear_ros.pear.runtimes.accuracy import Verdict
from pear_ros.pear.runtimes.build_guard import BuildGuard
from pear_ros.pear.runtimes.build_progress import BuildProgress
from pear_ros.pear.runtimes.cuda import gpu, memory
from pear_ros.pear.runtimes.driver import Gpu, memory_gib
from pear_ros.pear.runtimes.engine_cache import EngineCache
from pear_ros.pear.runtimes.engine_record import EngineKey
from pear_ros.pear.runtimes.precision_fallback import first_available, require_accurate
from pear_ros.pear.runtimes.private_files import Bytes
from pear_ros.pear.runtimes.runtime import (
    DeviceUnavailableError,
    IncompatibleEngineError,
    Runtime,
    RuntimeInfo,
    RuntimeUnavailableError,
)

if TYPE_CHECKING:
    from pear_ros.pear.runtimes.engine import Built

Progress: TypeAlias = Callable[[BuildProgress], None]
"""Called regularly with the progress of a file or an engine; an exception cancels the operation."""

PRECISIONS = ("fp16", "bf16", "fp32")
"""Precisions to try, the fastest first. fp16 has more digits than bf16, bf16 more range."""

_LEVEL = 3
"""TensorRT's builder_optimization_level: its default."""

logger = get_logger(__name__)


class Graphs(Protocol):
    """Source of graphs, such as pear_ros.pear.weights.Weights."""

    def graph(self, precision: str, progress: FileProgress | None = None) -> Graph:
        """Return the network in `precision`. Raises GraphError if there is none."""
        ...

    def existing(self, precision: str) -> Graph | None:
        """Return the network in `precision`; None if that graph has not been exported."""
        ...


class Compiler(Protocol):
    """Builds engines for one GPU from graphs, and loads them."""

    @property
    def version(self) -> str:
        """TensorRT's version."""
        ...

    @property
    def gpu(self) -> Gpu:
        """The GPU."""
        ...

    def build(
        self, graph: Path, max_people: int, level: int, measured: bytes, progress: Progress
    ) -> Built:
        """Build an engine; `measured`: timing cache. Raises RuntimeUnavailableError."""
        ...

    def load(self, plan: Bytes, info: RuntimeInfo) -> Runtime:
        """Load an engine. Raises RuntimeUnavailableError.

        In particular IncompatibleEngineError if it must be built again, DeviceUnavailableError if
        the plan is not at fault.
        """
        ...


class TensorRt:
    """The Compiler of this machine's GPU, by TensorRT."""

    def __init__(self, blocking_wait: bool = False) -> None:
        """Find GPU and TensorRT. Raises RuntimeUnavailableError where one is missing.

        `blocking_wait`: whether the CPU sleeps, instead of polling, while the GPU works.
        """
        self._blocking_wait = blocking_wait
        self.gpu = gpu()
        try:
            from pear_ros.pear.runtimes import engine, with_tensorrt
        except Exception as error:  # A broken library raises anything.
            raise RuntimeUnavailableError(
                f"TensorRT cannot be imported ({error}): install its Python package, 10.3 or newer"
            ) from error
        self._engine, self._with_tensorrt = engine, with_tensorrt
        self.version = engine.tensorrt_version()

    def build(
        self, graph: Path, max_people: int, level: int, measured: bytes, progress: Progress
    ) -> Built:
        """Build an engine of the ONNX file `graph` with the timing cache `measured`."""
        free, _ = memory(self.gpu)
        workspace = self._engine.workspace_of(free)
        settings = self._engine.BuildSettings(max_people, workspace, level, measured)
        return self._engine.build_plan(graph, settings, progress)

    def load(self, plan: Bytes, info: RuntimeInfo) -> Runtime:
        """Load the engine `plan` as a runtime with the description `info`."""
        return self._with_tensorrt.TensorRtRuntime(plan, info, self._blocking_wait)


def tensorrt_runtime(
    weights: Graphs,
    body: PearBody | None,
    choice: RuntimeChoice,
    progress: Progress | None = None,
    insist: bool = False,
) -> Runtime:
    """Return PEAR's network on this machine's GPU by TensorRT, in the first accurate precision.

    `body`: see pear_ros.pear.runtimes.accuracy.judge. `progress`: by default it is logged. An
    engine takes minutes to build and is cached. `insist`: see BuildGuard.

    Raises RuntimeUnavailableError where no engine can be used; what `progress` raises; ValueError
    and MissingFilesError where the weights are damaged or missing.
    """
    if choice.precision not in ("auto", *GRAPH_PRECISIONS):
        raise RuntimeUnavailableError(
            f"TensorRT does not run in {choice.precision} here: set precision to auto or one of "
            f"{', '.join(PRECISIONS)}"
        )
    guard = BuildGuard(EngineCache(), insist)
    engines = Engines(
        TensorRt(choice.blocking_wait),
        weights,
        guard,
        body,
        choice.max_people,
        progress or ProgressLog(),
    )
    # After the GPU was found, as weights may take long to read.
    precisions = precisions_of(weights) if choice.precision == "auto" else (choice.precision,)
    if "fp16" in precisions:
        # The same weights, without the fused attention that some versions of TensorRT have wrong.
        after = precisions.index("fp16") + 1
        precisions = (*precisions[:after], FP16_FP32_ATTENTION, *precisions[after:])
    return first_available(precisions, engines.runtime)


def precisions_of(weights: Graphs) -> tuple[str, ...]:
    """Return the precisions to try: calibrated ones of which there are graphs, then PRECISIONS."""
    calibrated = (one for one in CALIBRATED_PRECISIONS if weights.existing(one) is not None)
    return (*calibrated, *PRECISIONS)


@dataclass(frozen=True)
class Engines:
    """Engines for one GPU, from the cache or newly built."""

    compiler: Compiler
    graphs: Graphs
    guard: BuildGuard
    body: PearBody | None
    """Body with which accuracy is measured; None: by rotations alone."""
    max_people: int
    """Largest batch."""
    progress: Progress

    @property
    def cache(self) -> EngineCache:
        """Engines that were built before."""
        return self.guard.cache

    def runtime(self, precision: str) -> Runtime:
        """Return the network in `precision`, by an engine of the cache or a new one.

        Raises RuntimeUnavailableError where that fails or is not accurate enough, of it
        DeviceUnavailableError where the precision is not at fault; what `progress` raises.
        """
        try:
            graph = self.graphs.graph(precision, self._file_progress)
            key = self._key(graph)
            with self.cache.lock(key):
                return self._load_cached(key, graph) or self._build(key, graph)
        except GraphError as error:
            raise RuntimeUnavailableError(str(error)) from error

    def _key(self, graph: Graph) -> EngineKey:
        major, minor = self.compiler.gpu.compute_capability
        return EngineKey(
            weights=graph.weights,
            graph=graph.sha256,
            precision=graph.precision,
            max_people=self.max_people,
            level=_LEVEL,
            tensorrt=self.compiler.version,
            device=self.compiler.gpu.name,
            compute_capability=f"{major}.{minor}",
            multiprocessors=self.compiler.gpu.multiprocessors,
            memory_gib=memory_gib(self.compiler.gpu.memory),
        )

    def _load_cached(self, key: EngineKey, graph: Graph) -> Runtime | None:
        kept = self.cache.load(key)
        if kept is None:
            return None
        if kept.plan is None:
            fault = kept.verdict.fault if kept.verdict else "unknown"
            raise RuntimeUnavailableError(
                f"it was not accurate enough when it was built: {fault}; to build it again, remove "
                f"{kept.path}"
            )
        if kept.verdict is None:
            self.guard.require_uninterrupted(key)
        try:
            runtime = self.compiler.load(kept.plan, self._info(key))
        except IncompatibleEngineError as error:
            logger.warning("The engine %s is rebuilt: %s", kept.path, error)
            return None
        except DeviceUnavailableError:
            raise
        except RuntimeUnavailableError as error:
            # The plan is the one that was built: another build, of minutes, would give the same.
            raise DeviceUnavailableError(
                f"the engine {kept.path} is undamaged, but cannot be loaded: {error}; if that "
                "persists, remove it to build it again"
            ) from error
        if kept.verdict is None or not kept.verdict.passed or kept.body != self._body_name:
            return self._measured(runtime, key, graph)
        logger.info("Using the %s engine %s", key.precision, kept.path)
        runtime.info = replace(runtime.info, verdict=kept.verdict)
        return runtime

    def _build(self, key: EngineKey, graph: Graph) -> Runtime:
        self.guard.require_uninterrupted(key)
        self.guard.require_memory(key, graph.nbytes)
        graph.verify(self._file_progress)
        logger.info(
            "Building an engine in %s by TensorRT %s for %s, which may take minutes",
            *(key.precision, key.tensorrt, self.compiler.gpu),
        )
        # Loading and judging, too, take memory for the first time.
        with self.guard.building(key):
            plan = self._built(key, graph)
            return self._measured(self.compiler.load(plan, self._info(key)), key, graph)

    def _built(self, key: EngineKey, graph: Graph) -> Bytes:
        start = time.monotonic()
        measured = self.cache.timing_cache(key)
        built = self.compiler.build(graph.path, key.max_people, key.level, measured, self.progress)
        logger.info("The engine took %.0f s to build", time.monotonic() - start)
        self.cache.store_timing_cache(key, built.timing_cache)
        plan: Bytes = built.plan
        if self.cache.store(key, plan) and (kept := self.cache.load(key)) and kept.plan:
            # A mapped file can be paged out: a robot has little memory.
            plan = kept.plan
            del built
            logger.info("The engine is kept in %s", kept.path)
        return plan

    def _measured(self, runtime: Runtime, key: EngineKey, graph: Graph) -> Runtime:
        def store(verdict: Verdict) -> None:
            logger.info("The engine in %s is %s", key.precision, verdict)
            self.cache.store_verdict(key, verdict, self._body_name)

        return require_accurate(runtime, graph.reference, self.body, store)

    @property
    def _body_name(self) -> str:
        return f"{self.body.name} {self.body.sha256}" if self.body else "none"

    def _info(self, key: EngineKey) -> RuntimeInfo:
        device = str(self.compiler.gpu)
        return RuntimeInfo("tensorrt", key.tensorrt, device, key.precision, key.weights, None)

    def _file_progress(self, stage: str, done: int, total: int) -> None:
        self.progress(BuildProgress(stage, done / total if total else 0.0, math.nan))


class ProgressLog:
    """Logs progress at intervals."""

    def __init__(self, interval: float = 15.0) -> None:
        """`interval` between two lines, seconds."""
        self._interval = interval
        self._last = time.monotonic()

    def __call__(self, progress: BuildProgress) -> None:
        """Log `progress`, if the interval has passed."""
        if (now := time.monotonic()) - self._last >= self._interval:
            self._last = now
            left = progress.seconds_left
            guess = f", about {time_left(left)} left" if math.isfinite(left) else ""
            logger.info("%.0f %%%s: %s", 100.0 * progress.done, guess, progress.phase)


def time_left(seconds: float) -> str:
    """Format an estimated remaining time in seconds as minutes or seconds."""
    return f"{seconds / 60.0:.0f} min" if seconds >= 90.0 else f"{seconds:.0f} s"
