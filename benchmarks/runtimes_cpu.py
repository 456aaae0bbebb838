# SPDX-License-Identifier: Apache-2.0
"""PEAR's runtimes on the CPU, and the overhead of the estimator.

    python -m benchmarks.runtimes_cpu [ViT-S ViT-B ViT-H]

One person of the demo clip; weights and body are synthetic, by the recipe of the parity tests.
Entries of one table alternate in the same run; times are medians of wall time, in milliseconds.

Whole estimator: from image and region to the placed person (PearEstimator.estimate: crop, network,
parameters, placement), by the fp32 graph on ONNX Runtime. For comparison a bare `session.run` of
the same graph on a crop made before: once with ONNX Runtime's default settings, once with those of
pear_ros. Ratios are medians of those of each round. Person detection by BlazePose, which precedes
the crop, is not included and listed separately.

Runtimes: crop and network. Differences from torch in fp32 are over the bundled crops: the largest
of any number, and what the accuracy check compares, angles between rotations and distances between
vertices. With trained weights they will be others: there the check decides. bf16 by torch is
measured, but not offered on the CPU.

Busy: alone and beside a process that keeps one core busy, alternating, as other nodes of a robot
do.

Writes benchmarks/results/runtimes_cpu.md; takes 18 minutes, 6 GB of disk and 16 GB of memory.
"""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from benchmarks.report import Table, write_report
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.estimator import Region
from pear_ros.core.people import Array, Image
from pear_ros.estimators.pear import PearEstimator
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pear.body import PearBody, load_body
from pear_ros.pear.checkpoint import build_network
from pear_ros.pear.crop import Squares, crop_pixels, squares
from pear_ros.pear.deployed import DeployedNetwork
from pear_ros.pear.export import export_graph
from pear_ros.pear.files import find_model_files
from pear_ros.pear.graph import INPUT, OUTPUT, Graph
from pear_ros.pear.mesh import NumpyMesh
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.person_detector import DetectedPerson
from pear_ros.pear.runtimes.accuracy import judge
from pear_ros.pear.runtimes.cpu import thread_count
from pear_ros.pear.runtimes.reference_crops import bundled_crops
from pear_ros.pear.runtimes.runtime import RuntimeUnavailableError
from pear_ros.pear.runtimes.with_onnxruntime import OnnxRuntime, session_options
from pear_ros.pear.runtimes.with_openvino import OpenVinoRuntime
from pear_ros.pear.runtimes.with_torch import TorchRuntime
from testing.parity import recipe

SIZES = {"ViT-S": (12, 384, 6), "ViT-B": (12, 768, 12), "ViT-H": (32, 1280, 16)}
"""Depth, width and heads."""
ROUNDS = {"ViT-S": 31, "ViT-B": 15, "ViT-H": 7}
BUSY_SIZE = "ViT-B"
FRAME = 50
"""Frame of the demo clip in which MAN is."""
MAN = Region("man", np.array([452, 29, 841, 459], np.float32))
CPU = torch.device("cpu")
WHOLE = np.array([[0.0, 0.0, 256.0]])
REST_S = 0.05
"""Pause between calls, until the threads of the one before are idle."""

Infer = Callable[[Image, Squares], Array]


class Timed:
    """Calls a person detector and measures its time, seconds, as `spent`."""

    def __init__(
        self, detect: Callable[[Image, Sequence[Region]], list[DetectedPerson | None]]
    ) -> None:
        self._detect = detect
        self.spent = 0.0

    def __call__(self, image: Image, regions: Sequence[Region]) -> list[DetectedPerson | None]:
        start = time.perf_counter()
        found = self._detect(image, regions)
        self.spent = time.perf_counter() - start
        return found


def take_turns(calls: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return milliseconds of each call in each round; calls return seconds, round 0 is warm-up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            time.sleep(REST_S)
            spent = 1000 * call()
            if turn > 0:
                times[name].append(spent)
    return times


def seconds(call: Callable[[], object]) -> float:
    """Return the duration of `call` in seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def make_network(size: str) -> PearNetwork:
    """Return PEAR's network of a size in SIZES with synthetic weights."""
    depth, width, heads = SIZES[size]
    layout = recipe.network_layout(
        **{**recipe.CONFIG_SMALL, "depth": depth, "dim": width, "heads": heads}
    )
    state = {key: torch.from_numpy(value) for key, value in recipe.iter_state_dict(layout, 5)}
    return build_network(state, heads)


def torch_bf16(network: PearNetwork) -> Infer:
    """Return inference in bf16 by torch on the CPU, which TorchRuntime refuses."""
    deployed = DeployedNetwork(network, "bf16", explicit_attention=False)

    @torch.inference_mode()
    def infer(image: Image, places: Squares) -> Array:
        vectors: Array = deployed(torch.from_numpy(crop_pixels(image, places))).numpy()
        return vectors

    return infer


def measure_estimator(
    size: str, graph: Graph, body: PearBody, image: Image, camera: Camera
) -> list[str]:
    """Return a table row: the whole estimator against the session alone."""
    runtime = OnnxRuntime(graph)
    estimator = PearEstimator(runtime, "measured", body, NumpyMesh(body))
    detect = Timed(estimator._detect)
    estimator._detect = detect  # type: ignore[assignment]
    providers = ["CPUExecutionProvider"]
    default = onnxruntime.InferenceSession(graph.path, providers=providers)
    ours = onnxruntime.InferenceSession(
        graph.path, session_options(thread_count()), providers=providers
    )
    crops = crop_pixels(image, squares(MAN.box[None], image.shape[1], image.shape[0]))
    detecting = []

    def estimate() -> float:
        spent = seconds(lambda: estimator.estimate(image, camera, [MAN], 0.0))
        detecting.append(1000 * detect.spent)
        return spent - detect.spent

    times = take_turns(
        {
            "default": lambda: seconds(lambda: default.run([OUTPUT], {INPUT: crops})),
            "ours": lambda: seconds(lambda: ours.run([OUTPUT], {INPUT: crops})),
            "whole": estimate,
        },
        ROUNDS[size],
    )
    whole = np.array(times["whole"])
    ratios = [float(np.median(whole / times[bare])) for bare in ("default", "ours")]
    medians = [float(np.median(times[name])) for name in ("default", "ours", "whole")]
    estimator.close()
    return [
        *(size, *(f"{value:.1f}" for value in medians), *(f"{ratio:.3f}" for ratio in ratios)),
        f"{np.median(detecting):.1f}",
    ]


def runtimes(network: PearNetwork, graph: Graph) -> dict[tuple[str, str], Infer | str]:
    """By library and precision: what infers, or why nothing does."""
    found: dict[tuple[str, str], Infer | str] = {
        ("torch", "fp32"): TorchRuntime(network, "fp32", CPU, 1).infer,
        ("torch", "bf16"): torch_bf16(network),
        ("torch", "int8"): "not offered",
    }
    for make in (OnnxRuntime, OpenVinoRuntime):
        for precision in ("fp32", "bf16", "int8"):
            name = "onnxruntime" if make is OnnxRuntime else "OpenVINO"
            try:
                found[name, precision] = make(graph, precision).infer
            except RuntimeUnavailableError as error:
                found[name, precision] = str(error).partition(":")[0]
    return found


def measure_runtimes(
    size: str,
    found: Mapping[tuple[str, str], Infer | str],
    graph: Graph,
    body: PearBody,
    image: Image,
) -> list[list[str]]:
    """Rows: each library and precision with its time and its error."""
    places = squares(MAN.box[None], image.shape[1], image.shape[0])
    calls = {" ".join(key): infer for key, infer in found.items() if not isinstance(infer, str)}
    times = take_turns(
        {name: _turn(infer, image, places) for name, infer in calls.items()}, ROUNDS[size]
    )
    base = np.array(times["torch fp32"])
    rows = []
    for (library, precision), infer in found.items():
        if isinstance(infer, str):
            rows.append([size, library, precision, *[""] * 5, infer])
            continue
        spent = times[f"{library} {precision}"]
        vectors = np.concatenate([infer(crop, WHOLE) for crop in bundled_crops()])
        off = float(np.abs(vectors - graph.reference).max())
        verdict = judge(vectors, graph.reference, body)
        rows.append(
            [
                *(size, library, precision, f"{np.median(spent):.0f}"),
                *(f"{np.median(spent / base):.2f}", f"{off:.0e}"),
                f"{verdict.mean_rotation_deg:.2f}, {verdict.max_rotation_deg:.2f}",
                f"{verdict.mean_vertex_mm:.2f}, {verdict.max_vertex_mm:.2f}",
                "passes" if verdict.passed else f"fails: {verdict.fault}",
            ]
        )
    return rows


def measure_busy(found: Mapping[tuple[str, str], Infer | str], image: Image) -> list[list[str]]:
    """Rows: the same alone, and beside a process that keeps one core busy, in turns."""
    places = squares(MAN.box[None], image.shape[1], image.shape[0])
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])

    def beside(call: Callable[[], float], number: signal.Signals) -> Callable[[], float]:
        def timed() -> float:
            process.send_signal(number)
            return call()

        return timed

    turns, names = {}, []
    for key, infer in found.items():
        if not isinstance(infer, str) and key != ("torch", "bf16"):
            names.append(name := " ".join(key))
            turn = _turn(infer, image, places)
            turns[name + " alone"] = beside(turn, signal.SIGSTOP)
            turns[name + " busy"] = beside(turn, signal.SIGCONT)
    try:
        times = take_turns(turns, ROUNDS[BUSY_SIZE])
    finally:
        process.kill()
        process.wait()
    rows = []
    for name in names:
        alone, busy = (np.array(times[f"{name} {how}"]) for how in ("alone", "busy"))
        rows.append(
            [
                *(BUSY_SIZE, name, f"{np.median(alone):.0f}", f"{np.median(busy):.0f}"),
                *(f"{np.median(busy / alone):.2f}", f"{np.percentile(busy, 90):.0f}"),
            ]
        )
    return rows


def _turn(infer: Infer, image: Image, places: Squares) -> Callable[[], float]:
    return lambda: seconds(lambda: infer(image, places))


def main() -> None:
    """Measure and write the report."""
    sizes = sys.argv[1:] or list(SIZES)
    image = next(frame for n, (_, frame) in enumerate(FrameSource(str(demo_clip()))) if n == FRAME)
    camera = dataclasses.replace(
        Camera.from_field_of_view(image.shape[1], image.shape[0]),
        source=IntrinsicsSource.CAMERA_INFO,
    )
    whole, table, busy = [], [], []
    with tempfile.TemporaryDirectory(prefix="pear_runtimes_") as folder:
        assets = Path(folder) / "assets"
        assets.mkdir()
        recipe.write_assets(assets, 5)
        body = load_body(find_model_files(assets), "ehm-s")
        for size in sizes:
            network = make_network(size)
            graph = export_graph(network, "fp32", Path(folder))
            whole.append(measure_estimator(size, graph, body, image, camera))
            print(whole[-1], flush=True)
            found = runtimes(network, graph)
            table += measure_runtimes(size, found, graph, body, image)
            print(*table, sep="\n", flush=True)
            if size == BUSY_SIZE:
                busy = measure_busy(found, image)
    tables: dict[str, Table] = {
        "Whole estimator on ONNX Runtime, fp32, one person": (
            [
                *("network", "bare session ms", "bare, our settings ms", "estimator ms"),
                *("estimator / bare", "estimator / bare, our settings", "detecting beside it ms"),
            ],
            whole,
        ),
        "Runtimes, one person": (
            [
                *("network", "library", "body", "ms", "of torch fp32", "largest difference"),
                *("degrees, mean and largest", "mm, mean and largest", "accuracy gate"),
            ],
            table,
        ),
    }
    if busy:
        tables["One core busy with something else"] = (
            ["network", "runtime", "alone ms", "busy ms", "busy / alone", "busy, 90 % ms"],
            busy,
        )
    write_report("runtimes_cpu", __doc__ or "", tables)


if __name__ == "__main__":
    main()
