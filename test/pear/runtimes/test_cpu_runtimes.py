# SPDX-License-Identifier: Apache-2.0
"""The network by every runtime that computes on a CPU: equal to torch and the original."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from testing.parity import recipe
from testing.parity.check_parity import SET_A, Report

pytest.importorskip("torch", reason="graphs are exported by torch")
pytest.importorskip("onnxscript", reason="graphs are exported by onnxscript")
pytest.importorskip("onnxruntime", reason="the CPU's runtime")

import torch

from pear_ros.core.people import Array, Image
from pear_ros.pear.checkpoint import build_network
from pear_ros.pear.crop import Crops, Squares, crop_pixels
from pear_ros.pear.export import export_graph
from pear_ros.pear.graph import Graph, data_file
from pear_ros.pear.prediction import VECTOR_SIZE, Prediction
from pear_ros.pear.runtimes import cpu
from pear_ros.pear.runtimes.reference_crops import bundled_crops, infer_bundled
from pear_ros.pear.runtimes.runtime import CropRuntime, Runtime, RuntimeUnavailableError
from pear_ros.pear.runtimes.shared_runtime import share_runtime
from pear_ros.pear.runtimes.with_onnxruntime import OnnxRuntime
from testing.parity import candidate

PLACES = np.array([[30.5, -20.25, 150.0], [100.0, 60.0, 96.5], [-40.0, 10.0, 280.0]])
WHOLE = np.array([[0.0, 0.0, 256.0]])
"""The square of a picture that is a crop already."""


@pytest.fixture(scope="module")
def fixture() -> Any:
    """Outputs of the original, on the weights and images of its `meta`."""
    with np.load(SET_A / "net_small.npz") as data:
        return dict(data)


@pytest.fixture(scope="module")
def network(fixture: Any) -> Any:
    meta = json.loads(str(fixture["meta"]))
    layout = recipe.network_layout(**meta["config"])
    state = recipe.fill_state_dict(layout, meta["weights_seed"])
    weights = {key: torch.from_numpy(value) for key, value in state.items()}
    return build_network(weights, meta["config"]["heads"])


@pytest.fixture(scope="module")
def graph(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    folder = tmp_path_factory.mktemp("graph")
    graph = export_graph(network, "fp32", folder)
    yield graph
    for file in folder.rglob("*.data"):
        file.unlink()


def make(name: str, network: Any, graph: Graph) -> Runtime:
    if name == "openvino":
        pytest.importorskip("openvino", reason="optional")
        from pear_ros.pear.runtimes.with_openvino import OpenVinoRuntime

        return OpenVinoRuntime(graph)
    if name == "torch":
        from pear_ros.pear.runtimes.with_torch import TorchRuntime

        return TorchRuntime(network, "fp32", torch.device("cpu"), 3)
    return OnnxRuntime(graph)


@pytest.fixture(scope="module", params=["onnxruntime", "openvino", "torch"])
def runtime(request: pytest.FixtureRequest, network: Any, graph: Graph) -> Iterator[Runtime]:
    """Each runtime in fp32; to test one more with all that follows, name it here."""
    runtime = make(request.param, network, graph)
    assert runtime.info.name == request.param
    runtime.warmup(2)
    yield runtime
    runtime.close()
    runtime.close()


def picture(seed: int = 0) -> Image:
    return recipe.synthetic_image(seed, (180, 240, 3))


def by_torch(network: Any, image: Image, places: Squares) -> Array:
    crops = torch.from_numpy(crop_pixels(image, places)[..., ::-1].copy())
    vectors: Array = network(crops.permute(0, 3, 1, 2) / 255.0).numpy()
    return vectors


def test_outputs_are_those_of_the_original(runtime: Runtime, fixture: Any) -> None:
    seeds = json.loads(str(fixture["meta"]))["image_seeds"]
    pictures = [recipe.synthetic_image(seed, (256, 256, 3))[..., ::-1] for seed in seeds]
    vectors = np.concatenate([runtime.infer(bgr.copy(), WHOLE) for bgr in pictures])
    found = Prediction.from_vectors(vectors)
    outputs = {theirs: getattr(found, ours) for theirs, ours in candidate.NAMES.items()}
    outputs |= {name: getattr(found, name) for name in candidate.SAME_NAMES}
    outputs["pd_cam"] = candidate.view_matrices(found.camera)
    assert len(outputs) == len(dataclasses.fields(found)), "all that there is"
    report = Report()
    for name, got in outputs.items():
        report.compare("net_small", name, got, fixture[f"ref64.{name}"])
    assert not report.failures


def test_numbers_are_those_of_torch(runtime: Runtime, network: Any) -> None:
    kept = []
    for people in (1, 3, 2, 1, 3):
        image, places = picture(people), PLACES[:people] + people
        found = runtime.infer(image, places)
        assert found.shape == (people, VECTOR_SIZE) and found.dtype == np.float32
        kept.append((found, found.copy(), by_torch(network, image, places)))
    # The tolerance is that for crops which torch makes in another way, to a part of a grey level.
    tolerance = 5e-3 if runtime.info.name == "torch" else 2e-5
    for found, as_given, expected in kept:
        np.testing.assert_array_equal(found, as_given, "results are the caller's to keep")
        np.testing.assert_allclose(found, expected, atol=tolerance)
    assert np.abs(kept[0][0] - kept[3][0]).max() == 0.0
    assert np.abs(kept[1][0][0] - kept[1][0][1]).max() > 10 * tolerance, "people differ"


def test_people_who_are_cropped_already(runtime: Runtime) -> None:
    if runtime.info.name == "torch":
        assert not isinstance(runtime, CropRuntime)
        return
    assert isinstance(runtime, CropRuntime)
    crops = crop_pixels(picture(), PLACES)
    found = runtime.infer_crops(crops)
    kept = found.copy()
    assert found.tobytes() == runtime.infer(picture(), PLACES).tobytes()
    assert runtime.infer_crops(crops[:0]).shape == (0, VECTOR_SIZE)
    np.testing.assert_array_equal(found, kept, "results are the caller's to keep")


def test_runtime_zero_people_and_nan_squares(runtime: Runtime) -> None:
    assert runtime.infer(picture(), PLACES[:0]).shape == (0, VECTOR_SIZE)
    with pytest.raises(ValueError, match="NaN"):
        runtime.infer(picture(), PLACES * np.nan)


def test_pixels_are_blue_green_and_red(runtime: Runtime, graph: Graph) -> None:
    found = infer_bundled(runtime)
    np.testing.assert_allclose(found, graph.reference, atol=2e-5)
    swapped = bundled_crops()[0, ..., ::-1].copy()
    assert np.abs(runtime.infer(swapped, WHOLE) - found[:1]).max() > 1e-3


def test_read_only_and_strided_images(runtime: Runtime) -> None:
    image = picture()[::-1]
    image.flags.writeable = False
    expected = runtime.infer(image.copy(), PLACES)
    np.testing.assert_allclose(runtime.infer(image, PLACES), expected, atol=1e-5)


def test_int8_is_near_and_kept(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    stages: list[str] = []
    runtime = OnnxRuntime(graph, "int8", lambda stage, done, total: stages.append(stage))
    assert runtime.info.precision == "int8" and len(stages) == 1
    off = np.abs(infer_bundled(runtime) - graph.reference)
    assert 1e-4 < off.max() < 0.2
    (made,) = graph.path.parent.glob("pear_*_int8_*/graph.onnx")
    times = made.stat().st_mtime_ns
    OnnxRuntime(graph, "int8", lambda stage, done, total: stages.append(stage)).close()
    assert len(stages) == 1 and made.stat().st_mtime_ns == times
    left = {path.name for path in graph.path.parent.iterdir()} - {made.parent.name}
    assert all(name.startswith(graph.path.stem) for name in left), "nothing is left lying about"
    # On a processor of the other kind it is another one.
    signed = cpu.has_int8_dot_product()
    monkeypatch.setattr("pear_ros.pear.runtimes.quantise.has_int8_dot_product", lambda: not signed)
    OnnxRuntime(graph, "int8").close()
    assert len(list(graph.path.parent.glob("pear_*_int8_*/graph.onnx"))) == 2


def test_int8_without_onnx_or_room(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = dataclasses.replace(graph, path=tmp_path / "missing" / graph.path.name)
    with pytest.raises(RuntimeUnavailableError, match=r"cannot be written to .*missing"):
        OnnxRuntime(elsewhere, "int8")
    elsewhere = dataclasses.replace(graph, path=tmp_path / graph.path.name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(RuntimeUnavailableError, match="pip install onnx"):
        OnnxRuntime(elsewhere, "int8")


@pytest.mark.parametrize(
    ("name", "precision"),
    [("onnxruntime", "fp32"), ("onnxruntime", "int8"), ("openvino", "fp32"), ("torch", "fp32")],
)
def test_threads_that_share_a_network(
    name: str, precision: str, network: Any, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit what each would have alone; where that allows it, they share batches."""
    if precision == "int8":
        alone, shared = (OnnxRuntime(graph, precision) for _ in range(2))
    else:
        alone, shared = (make(name, network, graph) for _ in range(2))
    sharing = share_runtime(shared, 3, 8)
    batches = []
    if isinstance(shared, CropRuntime):
        infer = shared.infer_crops

        def counted(crops: Crops) -> Array:
            if len(crops):
                batches.append(len(crops))
            return infer(crops)

        monkeypatch.setattr(shared, "infer_crops", counted)

    def infer_crops(number: int) -> list[tuple[Squares, Array]]:
        random = np.random.default_rng(number)
        counts = [*random.integers(0, 5, 8), 10 if number == 0 else 1]
        crops = [random.uniform((-50, -50, 90), (150, 90, 280), (count, 3)) for count in counts]
        return [(places, sharing[number].infer(picture(), places)) for places in crops]

    with ThreadPoolExecutor(3) as pool:
        found = [pair for pairs in pool.map(infer_crops, range(3)) for pair in pairs]
    for places, vectors in found:
        assert vectors.tobytes() == alone.infer(picture(), places).tobytes()
    if name != "torch":
        images = sum(len(places) > 0 for places, _ in found)
        assert len(batches) < images if precision == "fp32" else len(batches) == images
    for one in (*sharing, alone):
        one.close()


def test_precisions_that_cannot_be_had(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeUnavailableError, match="not in fp16"):
        OnnxRuntime(graph, "fp16")
    openvino = pytest.importorskip("pear_ros.pear.runtimes.with_openvino", reason="optional")
    with pytest.raises(RuntimeUnavailableError, match="not in int8"):
        openvino.OpenVinoRuntime(graph, "int8")
    monkeypatch.setattr(openvino, "has_bf16", lambda: False)
    with pytest.raises(RuntimeUnavailableError, match="no instructions for bf16"):
        openvino.OpenVinoRuntime(graph, "bf16")


@pytest.mark.skipif(not cpu.has_bf16(), reason="needs a processor with bf16")
def test_bf16_is_near(graph: Graph) -> None:
    openvino = pytest.importorskip("pear_ros.pear.runtimes.with_openvino", reason="optional")
    off = np.abs(infer_bundled(openvino.OpenVinoRuntime(graph, "bf16")) - graph.reference)
    assert 1e-5 < off.max() < 0.1


def test_signals_are_handled_after_networks_of_openvino_are_freed(graph: Graph) -> None:
    """Its plugin replaces the stack on which this thread's signal handlers run."""
    openvino = pytest.importorskip("pear_ros.pear.runtimes.with_openvino", reason="optional")
    runtimes = [openvino.OpenVinoRuntime(graph) for _ in range(2)]
    while runtimes:
        runtimes.pop(0).close()
    child = os.fork()
    if child == 0:  # Only this process ends if the stack is not there.
        signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
        signal.raise_signal(signal.SIGUSR1)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("damage", ["cut", "text", "weights", "gone"])
def test_a_damaged_graph_is_reported(name: str, damage: str, graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / graph.path.name
    content = graph.path.read_bytes()
    if damage != "gone":
        path.write_bytes({"cut": content[:-1000], "text": b"<html>"}.get(damage, content))
    with data_file(path).open("wb") as file:
        file.truncate(1000)
    broken = dataclasses.replace(graph, path=path)
    with pytest.raises(RuntimeUnavailableError, match=r"cannot load .*\.onnx") as caught:
        make(name, None, broken)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("library", ["onnxruntime", "openvino"])
def test_a_missing_library_is_an_import_error(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"pear_ros.pear.runtimes.with_{library}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=library):
        importlib.import_module(module)


def test_torch_is_not_needed() -> None:
    """Nor onnx, as long as nothing is quantised."""
    program = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = None;"
        "import pear_ros.pear.runtimes.with_onnxruntime"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


CpuFiles = Callable[..., None]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CpuFiles:
    """Write the files of Linux for a fictitious machine."""

    def write(allowed: set[int], siblings: dict[int, str], quota: str = "", info: str = "") -> None:
        for number, shared in siblings.items():
            folder = tmp_path / f"cpu{number}" / "topology"
            folder.mkdir(parents=True)
            (folder / "thread_siblings_list").write_text(shared)
        for name, text in (("max", quota), ("info", info)):
            if text:
                (tmp_path / name).write_text(text)
        monkeypatch.setattr(cpu, "_CPUS", tmp_path)
        monkeypatch.setattr(cpu, "_QUOTA", tmp_path / "max")
        monkeypatch.setattr(cpu, "_INFO", tmp_path / "info")
        monkeypatch.setattr("os.sched_getaffinity", lambda pid: allowed)
        monkeypatch.setattr("os.cpu_count", lambda: 8)

    return write


@pytest.mark.parametrize(
    ("allowed", "quota", "threads"),
    [
        ({0, 1, 2, 3, 4, 5, 6, 7}, "", 4),
        ({0, 1, 2, 3, 4, 5, 6, 7}, "max 100000\n", 4),
        ({0, 4}, "", 1),
        ({0, 1, 5}, "", 2),
        ({0, 1, 2, 3}, "250000 100000\n", 3),
        ({0, 1, 2, 3}, "5000 100000\n", 1),
        ({0, 1, 2, 3}, "gibberish", 4),
    ],
)
def test_threads_are_physical_cores(
    files: CpuFiles, allowed: set[int], quota: str, threads: int
) -> None:
    files(allowed, {n: f"{n % 4},{n % 4 + 4}\n" for n in range(8)}, quota)
    assert cpu.thread_count() == threads


def test_a_machine_that_tells_nothing(files: CpuFiles) -> None:
    files({0, 1, 2}, {})
    assert cpu.thread_count() == 3
    assert not cpu.has_bf16() and not cpu.has_int8_dot_product()


@pytest.mark.parametrize(
    ("info", "bf16", "int8"),
    [
        ("flags\t\t: fpu avx2 fma\nflags\t\t: amx_bf16\n", False, False),
        ("processor\t: 0\nflags\t\t: avx512_vnni avx512f\n", False, True),
        ("flags\t\t: avx2 avx_vnni\n", False, True),
        ("flags\t\t: amx_bf16 amx_tile amx_int8\n", True, True),
        ("Features\t: fp asimd asimddp bf16\n", True, True),
    ],
)
def test_number_formats_of_processors(files: CpuFiles, info: str, bf16: bool, int8: bool) -> None:
    files({0}, {}, info=info)
    assert (cpu.has_bf16(), cpu.has_int8_dot_product()) == (bf16, int8)


def test_a_damaged_graph_has_a_remedy(graph: Graph, tmp_path: Path) -> None:
    damaged = dataclasses.replace(graph, path=tmp_path / graph.path.name)
    damaged.path.write_bytes(graph.path.read_bytes()[::-1])
    for precision in ("fp32", "int8"):
        with pytest.raises(RuntimeUnavailableError, match=r"damaged.*pear export-graph"):
            OnnxRuntime(damaged, precision)
    assert list(tmp_path.iterdir()) == [damaged.path]
