# SPDX-License-Identifier: Apache-2.0
"""Choice of the runtime. Each library is imported only when its runtime is tried."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pear_ros.core.configuration import RuntimeChoice
from pear_ros.core.log import get_logger
from pear_ros.pear.body import PearBody
from pear_ros.pear.graph import Graph, GraphError
from pear_ros.pear.runtimes.precision_fallback import first_available, require_accurate
from pear_ros.pear.runtimes.runtime import (
    DeviceUnavailableError,
    Runtime,
    RuntimeUnavailableError,
)
from pear_ros.pear.weights import Weights

logger = get_logger(__name__)


@dataclass(frozen=True)
class Chosen:
    """The chosen runtime, warmed up."""

    runtime: Runtime
    reason: str
    """Why this runtime was chosen: the faults of all that precede it, or that it was named."""


def choose_runtime(weights: Weights, body: PearBody, choice: RuntimeChoice) -> Chosen:
    """Return the requested runtime, or the first that is available, and log the choice.

    `auto` tries TensorRT, torch on the GPU, onnxruntime, OpenVINO and torch on the CPU, in that
    order; a named runtime is tried first, then the others. `body`: see
    pear_ros.pear.runtimes.accuracy.judge.

    Raises RuntimeUnavailableError with all reasons when none is available, or, with
    `choice.strict`, when the named one is not.
    """
    if choice.strict and choice.name == "auto":
        raise RuntimeUnavailableError(
            "strict requires one named runtime, but runtime is auto: set runtime to "
            "tensorrt, torch, onnxruntime or openvino, or do not set strict"
        )
    obstacles: list[str] = []
    gpu_failed = False
    for name, make in _candidates(choice):
        try:
            runtime = _ready(make(weights, body, choice), choice.prepared_people)
        except RuntimeUnavailableError as error:
            obstacles.append(f"{name}: {error}")
            gpu_failed |= isinstance(error, DeviceUnavailableError)
            continue
        reason = "; ".join(obstacles) or ("named" if choice.name != "auto" else "the fastest")
        is_fallback = choice.name not in ("auto", name)
        info = runtime.info
        logger.log(
            logging.WARNING if is_fallback or gpu_failed else logging.INFO,
            "PEAR runs on %s (%s)%s",
            info,
            reason,
            f", not on {choice.name}, which was named" if is_fallback else "",
        )
        return Chosen(runtime, reason)
    raise RuntimeUnavailableError("; ".join(obstacles))


def _ready(runtime: Runtime, people: int) -> Runtime:
    """Warm up `runtime`; close it where that fails, for example for lack of memory."""
    try:
        runtime.warmup(people)
    except BaseException:
        runtime.close()
        raise
    return runtime


def _tensorrt(weights: Weights, body: PearBody, choice: RuntimeChoice) -> Runtime:
    from pear_ros.pear.runtimes.engines import tensorrt_runtime

    return tensorrt_runtime(weights, body, choice)


def _torch(weights: Weights, body: PearBody, choice: RuntimeChoice) -> Runtime:
    if _finds_gpu(_import("torch")):
        return _torch_on_gpu(weights, body, choice)
    return _torch_on_cpu(weights, body, choice)


def _torch_on_gpu(weights: Weights, body: PearBody, choice: RuntimeChoice) -> Runtime:
    torch = _import("torch")
    if not _finds_gpu(torch):
        raise RuntimeUnavailableError(f"torch {torch.__version__} finds no NVIDIA GPU")
    runtime = _import("torch", "with_torch").TorchRuntime
    device = torch.device("cuda")

    def make(precision: str) -> Runtime:
        made: Runtime = runtime(
            weights.network(), precision, device, choice.max_people, choice.blocking_wait
        )
        return made

    return _judged(make, _precisions(choice, "fp16", "bf16", "fp32"), weights, body)


def _finds_gpu(torch: Any) -> bool:
    try:
        return bool(torch.cuda.is_available())
    except Exception as error:  # Of a broken installation.
        raise RuntimeUnavailableError(f"torch cannot look for a GPU ({error})") from error


def _onnxruntime(weights: Weights, body: PearBody, choice: RuntimeChoice) -> Runtime:
    runtime = _import("onnxruntime", "with_onnxruntime").OnnxRuntime
    return _of_graph(runtime, weights, body, choice)


def _openvino(weights: Weights, body: PearBody, choice: RuntimeChoice) -> Runtime:
    runtime = _import("openvino", "with_openvino").OpenVinoRuntime
    return _of_graph(runtime, weights, body, choice)


def _torch_on_cpu(weights: Weights, body: PearBody, choice: RuntimeChoice) -> Runtime:
    torch, runtime = _import("torch"), _import("torch", "with_torch").TorchRuntime
    (precision,) = _precisions(choice, "fp32")
    made: Runtime = runtime(weights.network(), precision, torch.device("cpu"), choice.max_people)
    return made


def _of_graph(
    runtime: Callable[[Graph, str], Runtime],
    weights: Weights,
    body: PearBody,
    choice: RuntimeChoice,
) -> Runtime:
    """A runtime on the CPU of the fp32 graph, which is exported if there is none."""

    def make(precision: str) -> Runtime:
        try:
            return runtime(weights.graph("fp32"), precision)
        except GraphError as error:
            raise RuntimeUnavailableError(str(error)) from error

    return _judged(make, _precisions(choice, "fp32"), weights, body)


def _judged(
    make: Callable[[str], Runtime],
    precisions: tuple[str, ...],
    weights: Weights,
    body: PearBody,
) -> Runtime:
    """The runtime in the first of `precisions` that is accurate enough; fp32 is the reference."""

    def made(precision: str) -> Runtime:
        runtime = make(precision)
        return (
            runtime if precision == "fp32" else require_accurate(runtime, weights.reference(), body)
        )

    return first_available(precisions, made)


def _precisions(choice: RuntimeChoice, *own: str) -> tuple[str, ...]:
    """Precisions to try: the chosen one, or all of a runtime's `own`, the fastest first."""
    return own if choice.precision == "auto" else (choice.precision,)


def _import(library: str, runtime: str = "") -> Any:
    """Import a library, or the module `runtime` that uses it.

    Raises RuntimeUnavailableError where the library is missing or broken.
    """
    try:
        module = importlib.import_module(library)
        return importlib.import_module(f"{__package__}.{runtime}") if runtime else module
    except Exception as error:  # A broken library raises anything.
        if isinstance(error, ModuleNotFoundError) and error.name == library:
            raise RuntimeUnavailableError(
                f"{library} is not installed (python3 -m pip install {library})"
            ) from error
        raise RuntimeUnavailableError(f"{library} cannot be loaded ({error})") from error


_Maker = Callable[[Weights, PearBody, RuntimeChoice], Runtime]
_AUTO: tuple[tuple[str, _Maker], ...] = (
    ("tensorrt", _tensorrt),
    ("torch", _torch_on_gpu),
    ("onnxruntime", _onnxruntime),
    ("openvino", _openvino),
    ("torch", _torch_on_cpu),
)


def _candidates(choice: RuntimeChoice) -> list[tuple[str, _Maker]]:
    named = dict(_AUTO) | {"torch": _torch}
    first = [] if choice.name == "auto" else [(choice.name, named[choice.name])]
    if choice.strict:
        return first
    return first + [candidate for candidate in _AUTO if candidate[0] != choice.name]
