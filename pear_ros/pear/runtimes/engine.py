# SPDX-License-Identifier: Apache-2.0
"""TensorRT engines: PEAR's network compiled for the GPU of this machine. TensorRT 10.3 to 11.

Precision is that of the graph: networks are strongly typed. A plan, as TensorRT calls a serialized
engine, is machine code: load none that another user could have written.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import tensorrt as trt

from pear_ros.core.log import get_logger
from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.pear.graph import INPUT
from pear_ros.pear.runtimes.build_progress import BuildProgress, Phases
from pear_ros.pear.runtimes.runtime import (
    MEMORY_ADVICE,
    DeviceUnavailableError,
    IncompatibleEngineError,
    RuntimeUnavailableError,
)

_OLDEST, _TOO_NEW = (10, 3), (12, 0)
_LEAST_WORKSPACE = 256 << 20
_WORKSPACE_SHARE = 4
_TICK = 0.2
"""Interval between reports of progress, seconds."""
_KEPT_ERRORS = 16
_LEAST_PEOPLE = (1, 3, 5)
"""Least number of people of each optimisation profile: kernels that suit one person are slow for
five."""
_NO_MEMORY = re.compile(
    r"out.?of.?(host |device )?memory|bad_alloc|insufficient memory|memory.*could not be allocated",
    re.I,
)
"""TensorRT's words where memory is lacking; an `illegal memory access` is something else."""
_INCOMPATIBLE = re.compile(r"version|platform|compatible|please rebuild", re.I)
"""TensorRT's words for an engine of another version, operating system or GPU."""

logger = get_logger(__name__)


class TensorRtError(RuntimeUnavailableError):
    """TensorRT failed; the text has the operation and the reason."""


class TensorRtMemoryError(TensorRtError, DeviceUnavailableError):
    """TensorRT failed for lack of memory."""


class TensorRtEngineError(TensorRtError, IncompatibleEngineError):
    """TensorRT does not take an engine of another version or platform."""


@dataclass(frozen=True)
class BuildSettings:
    """Settings for building an engine."""

    max_people: int
    """Largest batch; the engine takes all sizes up to it, see `people_ranges`."""
    workspace: int
    """Bytes of GPU memory that layers may use besides weights, see `workspace_of`."""
    level: int = 3
    """TensorRT's builder_optimization_level, 0 to 5: higher takes longer to build."""
    timing_cache: bytes = b""
    """TensorRT's timing cache of an earlier build, to build faster; one of another GPU or version
    is ignored."""


@dataclass(frozen=True)
class Built:
    """A new engine."""

    plan: memoryview
    """Engine, serialised by TensorRT."""
    timing_cache: bytes
    """TensorRT's timing cache, for the next build."""


def workspace_of(free: int) -> int:
    """Return BuildSettings.workspace for `free` bytes of GPU memory: a quarter, at least 256 MiB.

    The rest is for weights, which the build holds twice, and for other programs of a robot.
    """
    return max(free // _WORKSPACE_SHARE, _LEAST_WORKSPACE)


def tensorrt_version() -> str:
    """Return TensorRT's version. Raises TensorRtError if it is not supported."""
    version = str(trt.__version__)
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if not numbers or not _OLDEST <= (int(numbers[1]), int(numbers[2])) < _TOO_NEW:
        raise TensorRtError(
            f"TensorRT {version} is not supported: install one from {_OLDEST[0]}.{_OLDEST[1]} on,"
            f" older than {_TOO_NEW[0]}"
        )
    return version


class Log(trt.ILogger):  # type: ignore[misc]  # TensorRT has no type hints.
    """TensorRT's logger: forwards to Python's and keeps errors, as reasons of failures."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self._errors: deque[str] = deque(maxlen=_KEPT_ERRORS)
        # TensorRT also logs errors of tactics that it tries and does without: failures are raised
        # separately. Its verbose messages are left out.
        self._levels = {
            trt.ILogger.INTERNAL_ERROR: logging.WARNING,
            trt.ILogger.ERROR: logging.WARNING,
            trt.ILogger.WARNING: logging.INFO,
            trt.ILogger.INFO: logging.DEBUG,
        }

    def log(self, severity: object, msg: str) -> None:
        """Log `msg` of `severity`; called by TensorRT from any thread."""
        level = self._levels.get(severity)
        if level is None:
            return
        if level == logging.WARNING:
            self._errors.append(msg)
        logger.log(level, "TensorRT: %s", msg)

    def clear(self) -> None:
        """Drop the kept errors, before another operation."""
        self._errors.clear()

    def reason(self) -> str:
        """Return the first error since `clear`, from which the others follow, on one line."""
        return one_line(next(iter(self._errors), "it gives no reason"))

    def error(self, what: str) -> TensorRtError:
        """Return the error for what failed since `clear`, such as "TensorRT runs nothing".

        It is a TensorRtMemoryError, with a remedy, where the reason is lack of memory.
        """
        reason = self.reason()
        if _NO_MEMORY.search(reason):
            return TensorRtMemoryError(f"{what}: {reason}; {MEMORY_ADVICE}")
        return TensorRtError(f"{what}: {reason}")

    def loading_error(self, what: str) -> TensorRtError:
        """Return the error where an engine was not loaded, as `error` does.

        It is a TensorRtEngineError where TensorRT names another version or platform.
        """
        error = self.error(what)
        if isinstance(error, TensorRtMemoryError) or not _INCOMPATIBLE.search(self.reason()):
            return error
        return TensorRtEngineError(str(error))


LOG = Log()
"""The logger of all of TensorRT, which supports only one."""


class _Monitor(trt.IProgressMonitor):  # type: ignore[misc]
    """Receives progress of a build from TensorRT, in any thread, and can cancel it."""

    def __init__(self) -> None:
        trt.IProgressMonitor.__init__(self)
        self.phases = Phases()
        self.cancelled = threading.Event()

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        self.phases.start(phase_name, parent_phase, num_steps)

    def phase_finish(self, phase_name: str) -> None:
        self.phases.finish(phase_name)

    def step_complete(self, phase_name: str, step: int) -> bool:
        self.phases.step(phase_name, step)
        return not self.cancelled.is_set()


def build_plan(
    graph: Path, settings: BuildSettings, progress: Callable[[BuildProgress], None]
) -> Built:
    """Build the engine of the ONNX file `graph`, which takes minutes.

    `progress` is called regularly in the caller's thread. What it raises cancels the build, and so
    does Ctrl-C, as soon as TensorRT can be stopped.

    Raises TensorRtError, and what `progress` raises.
    """
    version = tensorrt_version()
    LOG.clear()
    builder = make_builder(version)
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network: trt.INetworkDefinition = builder.create_network(flags)
    parser = trt.OnnxParser(network, LOG)
    if not parser.parse_from_file(str(graph)):
        reason = one_line(parser.get_error(0)) if parser.num_errors else LOG.reason()
        raise TensorRtError(f"TensorRT {version} cannot read {graph}: {reason}")
    config: trt.IBuilderConfig = builder.create_builder_config()
    config.builder_optimization_level = settings.level
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace)
    # fp32 means fp32.
    config.clear_flag(trt.BuilderFlag.TF32)
    # The network has no parallel branches: other streams would only add waits to the CUDA graph in
    # which it is captured, and memory.
    config.max_aux_streams = 0
    cache = _attach_timing_cache(config, settings.timing_cache)
    _add_profiles(builder, config, settings.max_people)
    monitor = _Monitor()
    config.progress_monitor = monitor
    plan = _watched(lambda: builder.build_serialized_network(network, config), monitor, progress)
    if plan is None:
        raise LOG.error(f"TensorRT {version} cannot build {graph}")
    return Built(_bytes_of(plan), bytes(_bytes_of(cache.serialize())))


def make_builder(version: str) -> trt.Builder:
    """Return TensorRT's builder for this GPU. Raises TensorRtError where it does not start."""
    try:
        return trt.Builder(LOG)
    except (RuntimeError, TypeError) as error:
        raise LOG.error(f"TensorRT {version} cannot be used here") from error


def people_ranges(max_people: int) -> list[tuple[int, int]]:
    """Return the least and the greatest batch of each optimisation profile of an engine.

    1 or 2 people, 3 or 4, and 5 to 8, as far as `max_people`. None of several is of one size: the
    builder keeps all weights for it once more.
    """
    least = [people for people in _LEAST_PEOPLE if people < max_people] or [1]
    greatest = [*(people - 1 for people in least[1:]), max_people]
    return [*zip(least, greatest, strict=True)]


def _add_profiles(builder: trt.Builder, config: trt.IBuilderConfig, max_people: int) -> None:
    """Support batches of up to `max_people`.

    The first profile is optimised for one person, the others for their largest, slowest batch.
    """
    crop = (INPUT_SIZE, INPUT_SIZE, 3)
    for least, greatest in people_ranges(max_people):
        best = 1 if least == 1 else greatest
        profile: trt.IOptimizationProfile = builder.create_optimization_profile()
        profile.set_shape(INPUT, (least, *crop), (best, *crop), (greatest, *crop))
        config.add_optimization_profile(profile)


def _attach_timing_cache(config: trt.IBuilderConfig, measured: bytes) -> trt.ITimingCache:
    """Attach a timing cache with the content `measured`, where that can be used."""
    cache: trt.ITimingCache | None = config.create_timing_cache(measured)
    if cache is None or not config.set_timing_cache(cache, False):
        logger.info("The timing cache is of another GPU or TensorRT and ignored.")
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def _watched(
    build: Callable[[], object], monitor: _Monitor, progress: Callable[[BuildProgress], None]
) -> object:
    """Return the result of `build`, run in another thread so that signals reach this one."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tensorrt") as pool:
        building = pool.submit(build)
        try:
            while not building.done():
                wait([building], _TICK)
                progress(monitor.phases.progress())
        except BaseException:
            monitor.cancelled.set()
            raise
    return building.result()


def _bytes_of(memory: object) -> memoryview:
    """TensorRT's memory as bytes, not copied; it lives as long as the result."""
    # TensorRT declares the items as floats, but they are bytes.
    return memoryview(memory).cast("B")  # type: ignore[arg-type]


def one_line(reason: object) -> str:
    """Return the text of `reason` on one line."""
    return " ".join(str(reason).split())
