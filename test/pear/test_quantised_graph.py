# SPDX-License-Identifier: Apache-2.0
"""Graphs in 8 bits: Q/DQ where TensorRT wants them, numbers near those of fp32, or refused."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

for needed in ("torch", "onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(needed, reason="graphs are exported by torch with onnxscript")

import onnx  # noqa: E402
import torch  # noqa: E402

from pear_ros.core.configuration import CALIBRATED_PRECISIONS  # noqa: E402
from pear_ros.core.people import Array  # noqa: E402
from pear_ros.pear.calibration import QuantisedLayer, calibrate, quantise  # noqa: E402
from pear_ros.pear.checkpoint import build_network  # noqa: E402
from pear_ros.pear.deployed import DeployedNetwork  # noqa: E402
from pear_ros.pear.export import export_graph  # noqa: E402
from pear_ros.pear.graph import Graph, GraphError, find_graphs  # noqa: E402
from pear_ros.pear.network import PearNetwork  # noqa: E402
from pear_ros.pear.quantised_graph import export_quantised, outputs, write_quantised  # noqa: E402
from pear_ros.pear.runtimes.accuracy import judge  # noqa: E402
from pear_ros.pear.runtimes.reference_crops import bundled_crops  # noqa: E402
from testing.parity import recipe  # noqa: E402
from tools.rtx import rtx_as_tensorrt  # noqa: E402

pytestmark = pytest.mark.timeout(600)  # Exports and engines take most of it.

BLOCKS = recipe.CONFIG_SMALL["depth"]
MEAN_DEGREES = {"fp8": 6.0, "int8_static": 3.0}
"""Bounds of the mean error with synthetic weights, about twice what it was."""


@pytest.fixture(scope="module")
def network() -> PearNetwork:
    state = recipe.fill_state_dict(recipe.network_layout(**recipe.CONFIG_SMALL), seed=3)
    return build_network({key: torch.from_numpy(value) for key, value in state.items()}, 4)


@pytest.fixture(scope="module")
def source(network: PearNetwork, tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return export_graph(network, "fp16", tmp_path_factory.mktemp("source"))


def largest_inputs(network: PearNetwork, crops: Array) -> dict[str, tuple[Array, float]]:
    """Weights and largest inputs of the blocks' linear layers, by name."""
    deployed = DeployedNetwork(network, "fp32", explicit_attention=False)
    found: dict[str, tuple[Array, float]] = {}

    def note(name: str, layer: Any, inputs: Any) -> None:
        most = max(float(inputs[0].abs().max()), found.get(name, (None, 0.0))[1])
        found[name] = layer.weight.numpy(), most

    for name, module in deployed.body.blocks.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda m, x, name=name: note(name, m, x))
    with torch.no_grad():
        for crop in crops:
            deployed(torch.tensor(crop[None]))
    return found


@pytest.fixture(scope="module")
def layers(network: PearNetwork) -> dict[str, dict[str, QuantisedLayer]]:
    """Layers by precision and name, calibrated with the largest numbers, without ModelOpt."""
    found = largest_inputs(network, bundled_crops())
    rows = {name: np.abs(weight).max(axis=1) for name, (weight, _) in found.items()}
    return {
        precision: {
            name: quantise(weight, rows[name], most, None, precision)
            for name, (weight, most) in found.items()
        }
        for precision in CALIBRATED_PRECISIONS
    }


@pytest.mark.parametrize("precision", CALIBRATED_PRECISIONS)
@given(values=st.lists(st.floats(-50.0, 50.0, width=32), min_size=6, max_size=6))
def test_weights_come_back_within_a_step(precision: str, values: list[float]) -> None:
    weight = np.array(values, np.float32).reshape(2, 3)
    layer = quantise(weight, np.abs(weight).max(axis=1), 1.0, None, precision)
    scale = layer.weight_scale[:, None].astype(np.float64)
    back = layer.weight.astype(np.float64) * scale
    # int8 rounds to steps of one scale, E4M3 to a sixteenth; scales in fp16 to 2^-11.
    relative = 2.0**-4 if precision == "fp8" else 0.0
    allowed = 0.5001 * scale + (relative + 2.0**-11) * np.abs(weight)
    assert (np.abs(back - weight) <= allowed).all()


@pytest.mark.parametrize("precision", CALIBRATED_PRECISIONS)
def test_graph_is_near_fp32_and_has_qdq_where_tensorrt_fuses_it(
    source: Graph, layers: dict[str, dict[str, QuantisedLayer]], precision: str, tmp_path: Path
) -> None:
    path = tmp_path / "graph.onnx"
    write_quantised(source, layers[precision], precision, path)
    verdict = judge(outputs(path), source.reference, None)
    assert 0.0 < verdict.mean_rotation_deg < MEAN_DEGREES[precision]
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path, load_external_data=False)
    counts = Counter(node.op_type for node in model.graph.node)
    assert counts["QuantizeLinear"] == 4 * BLOCKS
    assert counts["DequantizeLinear"] == 8 * BLOCKS
    kind = onnx.TensorProto.INT8 if precision == "int8_static" else onnx.TensorProto.FLOAT8E4M3FN
    matrices = [
        one for one in model.graph.initializer if one.data_type == kind and len(one.dims) == 2
    ]
    assert len(matrices) == 4 * BLOCKS
    producers = {node.output[0]: node for node in model.graph.node}
    for matrix in matrices:
        (dequantised,) = (node for node in model.graph.node if matrix.name in node.input)
        (product,) = (node for node in model.graph.node if dequantised.output[0] in node.input)
        rounded = producers[product.input[0]]
        quantised = producers[rounded.input[0]]
        found = [node.op_type for node in (product, rounded, quantised)]
        assert found == ["MatMul", "DequantizeLinear", "QuantizeLinear"]
    assert model.ir_version <= 10, "which TensorRT 10.3 supports"


def test_an_accurate_graph_is_written(
    source: Graph, layers: dict[str, dict[str, QuantisedLayer]], tmp_path: Path
) -> None:
    write_quantised(source, layers["fp8"], "fp8", tmp_path / "first.onnx")
    same = replace(source, reference=outputs(tmp_path / "first.onnx"))
    (tmp_path / "models").mkdir()
    graph, verdict = export_quantised(same, layers["fp8"], "fp8", tmp_path / "models")
    graph.verify()
    assert verdict.passed and (graph.precision, graph.weights) == ("fp8", source.weights)
    np.testing.assert_array_equal(graph.reference, same.reference)
    assert find_graphs(tmp_path / "models") == [graph.path]


def test_smoothing_multiplies_inputs(
    source: Graph,
    layers: dict[str, dict[str, QuantisedLayer]],
    network: PearNetwork,
    tmp_path: Path,
) -> None:
    """Inputs divided by 4, weights multiplied by 4: exactly the same numbers."""
    found = largest_inputs(network, bundled_crops())
    plain = layers["int8_static"]
    smooth = {
        name: quantise(
            4.0 * weight,
            4.0 * np.abs(weight).max(axis=1),
            found[name][1] / 4.0,
            np.full(weight.shape[1], 0.25, np.float32),
            "int8_static",
        )
        for name, (weight, _) in found.items()
    }
    for name, chosen in (("plain", plain), ("smooth", smooth)):
        write_quantised(source, chosen, "int8_static", tmp_path / f"{name}.onnx")
    np.testing.assert_allclose(
        outputs(tmp_path / "smooth.onnx"), outputs(tmp_path / "plain.onnx"), atol=2e-3
    )


def test_a_graph_that_is_not_accurate_enough_is_not_written(
    source: Graph, layers: dict[str, dict[str, QuantisedLayer]], tmp_path: Path
) -> None:
    with pytest.raises(GraphError, match=r"fp8 is not accurate enough: .* degrees"):
        export_quantised(source, layers["fp8"], "fp8", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_graph_with_other_layers_is_refused(
    source: Graph, layers: dict[str, dict[str, QuantisedLayer]], tmp_path: Path
) -> None:
    fewer = dict(list(layers["fp8"].items())[1:])
    with pytest.raises(GraphError, match=rf"{4 * BLOCKS} instead of {4 * BLOCKS - 1}.*torch"):
        write_quantised(source, fewer, "fp8", tmp_path / "graph.onnx")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """pear_ros.pear.runtimes.engine, with TensorRT-RTX in TensorRT's place."""
    try:
        monkeypatch.setitem(sys.modules, "tensorrt", rtx_as_tensorrt())
    except ImportError as error:
        pytest.skip(f"TensorRT-RTX is not there: {error}")
    name = "pear_ros.pear.runtimes.engine"
    monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module(name)
    sys.modules.pop(name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TensorRT-RTX's own
@pytest.mark.parametrize("precision", CALIBRATED_PRECISIONS)
def test_tensorrt_builds_an_engine(
    engine: ModuleType,
    source: Graph,
    layers: dict[str, dict[str, QuantisedLayer]],
    precision: str,
    tmp_path: Path,
) -> None:
    write_quantised(source, layers[precision], precision, tmp_path / "graph.onnx")
    settings = engine.BuildSettings(2, 256 << 20, 2)
    assert engine.build_plan(tmp_path / "graph.onnx", settings, lambda _: None).plan


@pytest.mark.parametrize("precision", CALIBRATED_PRECISIONS)
def test_modelopt_calibrates_all_layers(network: PearNetwork, precision: str) -> None:
    pytest.importorskip("modelopt.torch.quantization", reason="ModelOpt is not there")
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    crops = bundled_crops()[:2]
    found = calibrate(network, precision, crops)
    expected = largest_inputs(network, crops)
    assert found.keys() == expected.keys()
    for name, layer in found.items():
        weight, most = expected[name]
        assert layer.weight.shape == weight.shape
        if precision == "fp8":
            assert layer.smoothing is None
            np.testing.assert_allclose(layer.input_scale, most / 448.0, rtol=2e-3)
        else:
            assert layer.smoothing is not None and (layer.smoothing > 0.0).all()
    for key, value in network.state_dict().items():
        assert torch.equal(value, weights[key]), "the network was changed"


def test_missing_modelopt_is_named(network: PearNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] == "modelopt":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "modelopt", None)  # type: ignore[arg-type]
    with pytest.raises(
        GraphError, match=r"fp8 needs NVIDIA's ModelOpt.*pip install nvidia-modelopt"
    ):
        calibrate(network, "fp8", bundled_crops()[:1])
