# SPDX-License-Identifier: Apache-2.0
"""The measurements of benchmarks.gpu."""

from __future__ import annotations

import importlib
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_original import Original
from benchmarks.report import Table
from pear_ros.body.ehm import EhmBody
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.people import Array
from pear_ros.pear.checkpoint import build_network
from pear_ros.pear.crop import squares
from pear_ros.pear.cuda_mesh import CudaMesh, body_on
from pear_ros.pear.deployed import DeployedNetwork
from pear_ros.pear.files import find_model_files, load_body_files
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.placement import place_people
from pear_ros.pear.prediction import LAYOUT, VECTOR_SIZE, Prediction
from pear_ros.pear.runtimes.accuracy import judge
from pear_ros.pear.runtimes.reference_crops import infer_bundled
from pear_ros.pear.runtimes.with_torch import TorchRuntime, _OnCuda
from pear_ros.pear.torch_crop import warp
from pear_ros.pear.torch_graphs import TorchGraphs, device_name, exact_float32
from testing.parity import recipe

PEOPLE = (1, 2, 4, 5, 8)
IN_SMOKE = (1, 5)
PEAKS = {
    "H200": (4.8e12, {"fp16": 989e12, "bf16": 989e12, "fp32": 67e12}),
    "H100": (3.35e12, {"fp16": 989e12, "bf16": 989e12, "fp32": 67e12}),
}
"""By the maker: bytes a second, and dense operations a second (fp32 without TF32)."""
DISTRIBUTION = ("median", "p90", "p99")
VITS = {**recipe.CONFIG_VITH, "depth": 12, "dim": 384, "heads": 6}

Times = NDArray[np.float64]


class Bench:
    """All measurements on one GPU; with `smoke`, the code runs without a GPU."""

    def __init__(self, smoke: bool, folder: Path, until: float) -> None:
        """Make a synthetic network and bodies in `folder`; nothing is started after `until`."""
        self.left_out: list[str] = []
        self.failed: list[str] = []
        self._smoke, self._folder, self._until = smoke, folder, until
        self._people = IN_SMOKE if smoke else PEOPLE
        self._most = self._people[-1]
        self._device = torch.device("cpu" if smoke else "cuda")
        self.gpu = device_name(self._device)
        print(f"{self.gpu}: making synthetic weights and bodies", flush=True)
        self._network = network(recipe.CONFIG_SMALL if smoke else recipe.CONFIG_VITH)
        recipe.write_assets(folder, 5)
        self._smplx, self._flame = load_body_files(find_model_files(folder))
        self._body = EhmBody(self._smplx, self._flame)
        self._tables: dict[str, Table] = {}
        self._aims: list[tuple[str, float, float]] = []
        self._image = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)

    def measure(self, done: Callable[[], None]) -> None:
        """Run all measurements, the most important first, and call `done` after each.

        A failure does not end the others.
        """
        measurements: dict[str, Callable[[], None]] = {
            "network in fp16": lambda: self._run_network("fp16"),
            "mesh": self._run_mesh,
            "crops": self._run_crops,
            "whole path": self._run_whole,
            "network in bf16": lambda: self._run_network("bf16"),
            "network in fp32": lambda: self._run_network("fp32"),
            "accuracy": self._run_accuracy,
            "network compiled": self._run_compiled,
            "TensorRT-RTX": self._run_rtx,
        }
        if self._smoke:  # What the fake GPU has no part in, or what has been tried.
            del measurements["TensorRT-RTX"], measurements["network in bf16"]
        for name, measurement in measurements.items():
            if time.monotonic() > self._until:
                self.left_out.append(name)
                continue
            print(name, flush=True)
            try:
                measurement()
            except Exception:
                traceback.print_exc()
                self.failed.append(name)
            done()

    def tables(self) -> dict[str, Table]:
        """Return the tables by heading."""
        aims = [
            [name, f"{most:g}", f"{value:.2f}", "yes" if value <= most else "no"]
            for name, most, value in self._aims
        ]
        tables = {"Aims": (["", "at most", "measured", "reached"], aims), **self._tables}
        lacking = [[name, "failed"] for name in self.failed]
        lacking += [[name, "no time"] for name in self.left_out]
        if lacking:
            tables["Not measured"] = (["", "why"], lacking)
        return tables

    def _row(self, heading: str, head: Sequence[str], row: Sequence[str]) -> None:
        _, rows = self._tables.setdefault(heading, (head, []))
        assert isinstance(rows, list)
        rows.append(row)
        print(" ", *row, flush=True)

    def _latencies(self, call: Callable[[], object]) -> Times:
        """Return latencies of consecutive calls, after warm-up."""
        for _ in range(0 if self._smoke else 10):
            call()
        taken: list[float] = []
        seconds, fewest = (0.0, 1) if self._smoke else (2.0, 30)
        end = time.perf_counter() + seconds
        while len(taken) < fewest or time.perf_counter() < end:
            start = time.perf_counter()
            call()
            taken.append(1000.0 * (time.perf_counter() - start))
        return np.array(taken)

    def _run_network(self, precision: str) -> None:
        """Measure the network on images on the GPU, by kernels and as a CUDA graph."""
        deployed = DeployedNetwork(self._network, precision, False).to(self._device)
        flop = operations(deployed, self._pictures(1))
        bound = self._bound(deployed, precision, flop)
        medians = {}
        for people in self._people:
            for way, call in self._ways(deployed, people).items():
                taken = self._latencies(call)
                self._network_row(precision, way, people, taken, bound(people))
                medians[way, people] = float(np.median(taken))
        if precision == "fp16":
            one, five = medians["CUDA graph", 1], medians["CUDA graph", 5]
            self._aims.append(("network, one person, ms", 2.0, one))
            self._aims.append(("network, five people / one", 2.0, five / one))

    def _run_compiled(self) -> None:
        """Measure the network with each block compiled by torch."""
        deployed = DeployedNetwork(self._network, "fp16", False).to(self._device)
        bound = self._bound(deployed, "fp16", operations(deployed, self._pictures(1)))
        if not self._smoke:
            for block in deployed.body.blocks:
                block.compile(dynamic=False)
        for people in (1, 5):
            for way, call in self._ways(deployed, people).items():
                taken = self._latencies(call)
                self._network_row("fp16", f"compiled, {way}", people, taken, bound(people))

    def _ways(self, deployed: DeployedNetwork, people: int) -> dict[str, Callable[[], object]]:
        pictures = self._pictures(people)

        def compute(rows: Tensor) -> Tensor:
            return deployed.from_pictures(pictures[: len(rows)])

        @torch.inference_mode()
        def eager() -> object:
            with exact_float32():
                return deployed.from_pictures(pictures).cpu()

        graphs = TorchGraphs(compute, torch.zeros((people, 1), device=self._device))
        nothing = np.zeros((people, 1), np.float32)
        return {"eager": eager, "CUDA graph": lambda: graphs.run(nothing)}

    def _network_row(
        self, precision: str, way: str, people: int, taken: Times, bound: float
    ) -> None:
        head = ["precision", "way", "people", *DISTRIBUTION, "bound", "bound / median"]
        share = f"{100.0 * bound / np.median(taken):.0f} %"
        cells = [precision, way, str(people), *distribution(taken), f"{bound:.2f}", share]
        self._row("Network", head, cells)

    def _bound(
        self, deployed: DeployedNetwork, precision: str, flop: float
    ) -> Callable[[int], float]:
        """Return the least milliseconds for a number of people; NaN on an unknown GPU."""
        known = [peaks for name, peaks in PEAKS.items() if name in self.gpu]
        bandwidth, rates = known[0] if known else (np.nan, {precision: np.nan})
        weights = sum(weight.nbytes for weight in deployed.parameters())
        return lambda people: float(
            1000.0 * np.maximum(weights / bandwidth, people * flop / rates[precision])
        )

    def _mesh(self) -> CudaMesh:
        return CudaMesh(body_on(self._device, self._body), self._device, self._most)

    def _run_mesh(self) -> None:
        mesh = self._mesh()
        for people in self._people:
            persons = some_people(people)
            taken = self._latencies(lambda: mesh(persons))  # noqa: B023
            off = 1e3 * np.abs(mesh(persons) - self._body.vertices(persons)).max()
            head = ["people", *DISTRIBUTION, "largest difference from NumPy, mm"]
            self._row("EHM-s mesh", head, [str(people), *distribution(taken), f"{off:.4f}"])
            if people in (1, 8):
                most = {1: 0.3, 8: 1.0}[people]
                self._aims.append((f"mesh of {people}, ms", most, float(np.median(taken))))
        mesh.close()

    def _run_crops(self) -> None:
        """Measure upload and warp by the runtime's code, with a network that reads one pixel."""
        crops = Crops(network(recipe.CONFIG_SMALL), "fp32", self._device, self._most)
        for people in self._people:
            places = squares(boxes(people), 1920, 1080)
            taken = self._latencies(lambda: crops.infer(self._image, places))  # noqa: B023
            side = f"{places[0, 2]:.0f} pixels"
            head = ["people", "side of each square", *DISTRIBUTION]
            self._row("Upload and crops", head, [str(people), side, *distribution(taken)])
            if people == 1:
                self._aims.append(("upload and crop of one, ms", 0.3, float(np.median(taken))))
        crops.close()

    def _run_whole(self) -> None:
        runtime, mesh = self._runtime("fp16"), self._mesh()
        runtime.warmup(self._most)
        original = Original(deepcopy(self._network), self._smplx, self._flame, self._device)
        guessed = Camera.from_field_of_view(1920, 1080)
        camera = replace(guessed, source=IntrinsicsSource.CAMERA_INFO)

        def ours(people: int) -> tuple[EhmParameters, Array]:
            places = squares(boxes(people), 1920, 1080)
            seen = Prediction.from_vectors(runtime.infer(self._image, places))
            persons = parameters(seen)
            joints = self._body.joints(persons)
            turn, transl = place_people(joints, seen.camera, places, camera)
            placed = replace(turned(persons, turn), transl=transl)
            return placed, mesh(placed)

        def theirs(people: int) -> Array:
            return original(self._image, squares(boxes(people), 1920, 1080))

        for people in (1, 5):
            fast = self._latencies(lambda: ours(people))  # noqa: B023
            with tf32():
                slow = self._latencies(lambda: theirs(people))  # noqa: B023
                expected = theirs(people)
            seen = runtime.infer(self._image, squares(boxes(people), 1920, 1080))
            off = 1e3 * np.abs(mesh(parameters(Prediction.from_vectors(seen))) - expected).max()
            ratio = float(np.median(slow) / np.median(fast))
            head = ["people", "way", *DISTRIBUTION, "ratio", "largest difference, mm"]
            for way, taken, cell in (("ours", fast, f"{ratio:.1f} x"), ("original", slow, "")):
                cells = [str(people), way, *distribution(taken), cell, f"{off:.2f}"]
                self._row("1080p image to parameters and vertices", head, cells)
            if people == 1:
                median = float(np.median(fast))
                late = float(np.percentile(fast, 99)) / median
                self._aims.append(("image to vertices, one person, ms", 4.0, median))
                self._aims.append(("the same, p99 / median", 1.3, late))
            self._aims.append((f"ours / the original, {people} in the image", 0.2, 1.0 / ratio))
        runtime.close()
        mesh.close()

    def _run_accuracy(self) -> None:
        """Measure the accuracy against the network in fp32 on the CPU."""
        reference = infer_bundled(TorchRuntime(self._network, "fp32", torch.device("cpu"), 1))
        for precision in ("fp32", "bf16", "fp16"):
            runtime = self._runtime(precision)
            verdict = judge(infer_bundled(runtime), reference, self._body)
            runtime.close()
            head = ["precision", "passes", "synthetic weights, eight bundled crops"]
            passed = "yes" if verdict.passed else "no"
            self._row("Accuracy", head, [precision, passed, str(verdict)])

    def _run_rtx(self) -> None:
        """Try TensorRT-RTX, which is not made for GPUs of data centres."""
        self._row("TensorRT-RTX, ViT-S in fp16", ["", ""], ["", self._ask_rtx()])

    def _ask_rtx(self) -> str:
        try:
            trt: Any = importlib.import_module("tensorrt_rtx")
        except (ImportError, OSError) as error:
            return f"not tried: {error}"
        from pear_ros.pear.export import export_graph
        from pear_ros.pear.graph import INPUT

        graph = export_graph(network(VITS), "fp16", self._folder)
        log = trt.Logger(trt.Logger.ERROR)
        builder = trt.Builder(log)
        definition = builder.create_network(0)
        parser = trt.OnnxParser(definition, log)
        if not parser.parse_from_file(str(graph.path)):
            return f"does not read the graph: {parser.get_error(0)}"
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        profile.set_shape(INPUT, *((people, 256, 256, 3) for people in (1, 1, self._most)))
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(definition, config)
        if plan is None:
            return f"{trt.__version__} builds no engine"
        engine = trt.Runtime(log).deserialize_cuda_engine(plan)
        outcome = "loads it" if engine is not None else "does not load it on this GPU"
        return f"{trt.__version__} builds an engine of {plan.nbytes / 1e6:.0f} MB and {outcome}"

    def _runtime(self, precision: str) -> Any:
        return torch_runtime(self._network, precision, self._device, self._most)

    def _pictures(self, people: int) -> Tensor:
        made = np.random.default_rng(people).random((people, 3, 256, 256), np.float32)
        return torch.from_numpy(made).to(self._device)


class Crops(_OnCuda):
    """A runtime's crops without the network: of each, one number goes back to the host."""

    def _compute(self, geometry: Tensor) -> Tensor:
        return warp(self._pixels, geometry)[:, 0, 0, :1]


def torch_runtime(network: PearNetwork, precision: str, device: torch.device, people: int) -> Any:
    """Return torch's runtime on a GPU; for the CPU its code for a GPU, for FakeGpu."""
    made = _OnCuda if device.type == "cpu" else TorchRuntime
    return made(network, precision, device, people)


def network(config: Mapping[str, Any]) -> PearNetwork:
    """Return a network with synthetic weights, by the recipe of the parity tests."""
    weights = recipe.iter_state_dict(recipe.network_layout(**config), 5)
    return build_network({key: torch.from_numpy(value) for key, value in weights}, config["heads"])


def operations(deployed: DeployedNetwork, pictures: Tensor) -> float:
    """Return the floating-point operations of the matrix products."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        deployed.from_pictures(pictures)
    return float(counter.get_total_flops())


def boxes(people: int) -> Array:
    """Return boxes (B, 4) of people side by side in an image of 1920 x 1080 pixels."""
    left = 60.0 + 220.0 * np.arange(people)
    top, right, bottom = (np.full(people, edge) for edge in (240.0, 220.0, 840.0))
    return np.stack([left, top, left + right, bottom], axis=1).astype(np.float32)


def parameters(seen: Prediction) -> EhmParameters:
    """Return the network's parameters, not placed in space, with the pose as axis-angle."""
    people = len(seen.betas)
    still = np.broadcast_to(np.eye(3, dtype=np.float32), (people, 3, 3, 3))
    parts = (seen.global_orient, seen.body_pose, still, seen.left_hand_pose, seen.right_hand_pose)
    matrices = np.concatenate(parts, axis=1).reshape(-1, 3, 3)
    vectors = Rotation.from_matrix(matrices).as_rotvec()
    return EhmParameters(
        pose=vectors.reshape(people, -1, 3).astype(np.float32),
        betas=seen.betas,
        expression=seen.expression,
        flame_shape=seen.flame_shape,
        flame_expression=seen.flame_expression,
        jaw=seen.jaw,
        eyes=seen.eyes,
        eyelids=seen.eyelids,
        head_scale=seen.head_scale,
        transl=np.zeros((people, 3), np.float32),
    )


def some_people(people: int) -> EhmParameters:
    """Return parameters of different random people."""
    rng = np.random.default_rng(people)
    vectors = rng.normal(0.0, 0.3, (people, VECTOR_SIZE)).astype(np.float32)
    vectors[:, : LAYOUT["rotations"]] += np.tile([1, 0, 0, 0, 1, 0], LAYOUT["rotations"] // 6)
    return parameters(Prediction.from_vectors(vectors))


def turned(people: EhmParameters, turn: Array) -> EhmParameters:
    """Return the people with a rotation (B, 3, 3) applied before the global orientation."""
    pose = people.pose.copy()
    pose[:, 0] = (Rotation.from_matrix(turn) * Rotation.from_rotvec(pose[:, 0])).as_rotvec()
    return replace(people, pose=pose)


def distribution(taken: Times) -> list[str]:
    """Return median, 90th and 99th percentile, formatted."""
    return [f"{value:.3f}" for value in np.percentile(taken, [50, 90, 99])]


@contextmanager
def tf32() -> Iterator[None]:
    """Compute float32 products and convolutions in TF32 in this context, as the original does."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
