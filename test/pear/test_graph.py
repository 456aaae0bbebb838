# SPDX-License-Identifier: Apache-2.0
"""Graphs on disk: written as TensorRT wants them, checked, and refused when they are not whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pear_ros.pear.graph import (
    SCHEMA,
    Graph,
    GraphError,
    data_file,
    find_graphs,
    graph_name,
    read_graph,
    record_file,
    write_record,
)
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.reference_crops import bundled_crops
from testing.parity import recipe

WEIGHTS = hashlib.sha256(b"made up").hexdigest()
REFERENCE = np.random.default_rng(0).normal(size=(2, VECTOR_SIZE)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A graph, as far as can be seen without opening its ONNX file."""
    path = tmp_path / graph_name(WEIGHTS, "fp16")
    path.write_bytes(b"graph")
    data_file(path).write_bytes(bytes(100))
    write_record(path, "fp16", WEIGHTS, REFERENCE)
    return path


def edit(path: Path, **changes: Any) -> None:
    record = json.loads(record_file(path).read_text())
    record_file(path).write_text(json.dumps(record | changes))


def test_what_is_written_is_read(path: Path) -> None:
    graph = read_graph(path)
    assert (graph.path, graph.precision, graph.weights) == (path, "fp16", WEIGHTS)
    np.testing.assert_array_equal(graph.reference, REFERENCE)
    assert graph.reference.dtype == np.float32
    graph.verify()
    assert find_graphs(path.parent) == [path]


def test_hash_is_of_both_files(path: Path) -> None:
    hashes = {read_graph(path).sha256}
    for file in (path, data_file(path)):
        file.write_bytes(b"x" + file.read_bytes()[1:])
        write_record(path, "fp16", WEIGHTS, REFERENCE)
        hashes.add(read_graph(path).sha256)
    assert len(hashes) == 3


def test_other_bytes_of_the_same_number_are_found_by_their_hash(path: Path) -> None:
    graph = read_graph(path)
    for file in (path, data_file(path)):
        content = file.read_bytes()
        file.write_bytes(content[:-1] + b"?")
        with pytest.raises(GraphError, match=f"{file} is damaged; export it again"):
            read_graph(path).verify()
        file.write_bytes(content)
    graph.verify()


def remove(suffix: str) -> Callable[[Path], None]:
    return lambda path: path.with_name(path.stem + suffix).unlink()


FAULTS: dict[str, Callable[[Path], object]] = {
    r"cannot be used without pear_\w+\.json, which belongs beside it": remove(".json"),
    r"\.onnx\.data cannot be read \(No such file": remove(".onnx.data"),
    r"\.onnx cannot be read \(No such file": remove(".onnx"),
    r"\.data has 3 bytes instead of 100; copy it": lambda p: data_file(p).write_bytes(b"cut"),
    r"another version of this package \(schema 99, not 1\)": lambda p: edit(p, schema=99),
    r"has another layout of outputs": lambda p: edit(p, layout={"camera": 3, "rotations": 932}),
    r"is damaged: its reference is": lambda p: edit(p, reference=[[1.0, 2.0]]),
    r"its reference is; ": lambda p: edit(p, reference=[[float("nan")] * VECTOR_SIZE]),
    r"json is damaged; export it again": lambda p: record_file(p).write_bytes(b'{"schema": 1'),
    r"json is damaged; ": lambda p: edit(p, files={}),
    r"json is damaged": lambda p: record_file(p).write_text("[]"),
}


@pytest.mark.parametrize("reason", FAULTS)
def test_what_is_not_whole_is_refused(path: Path, reason: str) -> None:
    FAULTS[reason](path)
    with pytest.raises(GraphError, match=reason) as error:
        read_graph(path)
    assert str(path.parent) in str(error.value) and "\n" not in str(error.value)


def test_a_renamed_graph_is_refused(path: Path) -> None:
    for file in (path, data_file(path), record_file(path)):
        file.rename(str(file).replace("fp16", "fp32"))
    with pytest.raises(GraphError, match=rf"_fp32.onnx was renamed: call it {path.name} again"):
        read_graph(path.with_name(graph_name(WEIGHTS, "fp32")))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    key=st.sampled_from(["schema", "weights", "precision", "layout", "files", "reference"]),
    value=json_values.filter(lambda value: value != SCHEMA),
)
def test_no_record_makes_it_stumble(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    path = tmp_path_factory.mktemp("graph") / graph_name(WEIGHTS, "fp16")
    path.write_bytes(b"graph")
    data_file(path).write_bytes(bytes(100))
    write_record(path, "fp16", WEIGHTS, REFERENCE)
    edit(path, **{key: value})
    with pytest.raises(GraphError):
        read_graph(path)


def test_only_graphs_are_found_the_least_deep_first(tmp_path: Path) -> None:
    names = (
        *("z/deep/pear_0a1b2c3d_fp16.onnx", "a/pear_0a1b2c3d_fp32.onnx", "pear_ffffffff_bf16.onnx"),
        *(".pear_export_x/pear_0a1b2c3d_fp16.onnx", "pear_0a1b2c3d_int8.onnx", "pear_model.onnx"),
        *("pear_0a1b2c3d_fp16.onnx.data", "a/pear_0a1b2c3d_fp32.json", "face.onnx"),
    )
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert find_graphs(tmp_path) == [tmp_path / names[n] for n in (2, 1, 0)]


def test_references_are_of_the_crops_that_they_were_made_of() -> None:
    crops = hashlib.sha256(bundled_crops().tobytes()).hexdigest()
    found = "graphs on users' disks hold outputs for the crops: change SCHEMA with them"
    assert (SCHEMA, crops[:16]) == (1, "1946ce959bbeab08"), found


class Exported:
    """A small network, and its graphs by precision, each exported on first use."""

    def __init__(self, folder: Path) -> None:
        torch = pytest.importorskip("torch", reason="graphs are exported by torch")
        pytest.importorskip("onnxscript", reason="graphs are exported with onnxscript")
        from pear_ros.pear.checkpoint import build_network

        state = recipe.fill_state_dict(recipe.network_layout(**recipe.CONFIG_SMALL), seed=3)
        self.network = build_network({key: torch.from_numpy(v) for key, v in state.items()}, 4)
        self.stages: list[tuple[str, int, int]] = []
        self._folder = folder
        self._graphs: dict[str, Graph] = {}

    def graph(self, precision: str) -> Graph:
        from pear_ros.pear.export import export_graph

        if precision not in self._graphs:
            self._graphs[precision] = export_graph(
                *(self.network, precision, self._folder),
                progress=lambda *stage: self.stages.append(stage),
            )
        return self._graphs[precision]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    folder = tmp_path_factory.mktemp("graphs")
    yield Exported(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16_fp32_attention"])
def test_a_graph_says_what_it_is(exported: Exported, precision: str) -> None:
    import onnx

    graph = exported.graph(precision)
    graph.verify()
    assert graph.path.name == f"pear_{exported.network.fingerprint[:8]}_{precision}.onnx"
    files = sorted(graph.path.parent.glob(f"*_{precision}.*"))
    assert files == sorted([graph.path, data_file(graph.path), record_file(graph.path)])
    umask = os.umask(0)
    os.umask(umask)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask for file in files)
    model = onnx.load(graph.path, load_external_data=False)
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert found["pear_ros.weights"] == graph.weights == exported.network.fingerprint
    assert found["pear_ros.precision"] == graph.precision == precision
    assert sum(json.loads(found["pear_ros.layout"]).values()) == VECTOR_SIZE
    (people,) = {value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input}
    assert people == "people"
    assert model.ir_version <= 10, "which TensorRT 10.3 supports"
    assert str(Path.cwd()).encode() not in graph.path.read_bytes(), "where it was made"


def test_onnxruntime_says_what_torch_says(exported: Exported) -> None:
    import onnxruntime

    graph = exported.graph("fp32")
    session = onnxruntime.InferenceSession(graph.path)
    batches = np.split(bundled_crops(), [1, 4])
    people = np.concatenate([session.run(["people"], {"crops": batch})[0] for batch in batches])
    np.testing.assert_allclose(people, graph.reference, atol=2e-5)


def test_attention_that_is_not_fused_is_in_fp32_between_linears_in_fp16(exported: Exported) -> None:
    import onnx

    def softmaxes(precision: str) -> list[int]:
        graph = exported.graph(precision)
        model = onnx.shape_inference.infer_shapes(onnx.load(graph.path, load_external_data=False))
        types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
        return [types[node.input[0]] for node in model.graph.node if node.op_type == "Softmax"]

    wide, half = onnx.TensorProto.FLOAT, onnx.TensorProto.BFLOAT16
    assert half in softmaxes("bf16"), "fused"
    assert set(softmaxes("fp16_fp32_attention")) == {wide}

    def linears(precision: str) -> Counter[int]:
        model = onnx.load(exported.graph(precision).path, load_external_data=False)
        return Counter(one.data_type for one in model.graph.initializer if len(one.dims) == 2)

    narrow = linears("fp16_fp32_attention")[onnx.TensorProto.FLOAT16]
    assert narrow == linears("bf16")[half] > 4


def test_progress_is_reported_in_bytes(exported: Exported) -> None:
    path = exported.graph("fp32").path
    size = path.stat().st_size
    assert ("tracing the network", 0, 0) in exported.stages
    assert (f"hashing {path.name}", size, size) in exported.stages
    for stage, done, total in exported.stages:
        assert stage and 0 <= done <= total


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_that_came_out_wrong_are_found(
    exported: Exported, precision: str, tmp_path: Path
) -> None:
    import onnx

    from pear_ros.pear.graph_check import check_file

    graph = exported.graph(precision)
    path = tmp_path / graph.path.name
    shutil.copy(graph.path, path)
    shutil.copy(data_file(graph.path), data_file(path))
    check_file(path, exported.network, precision)
    tensors = onnx.load(path, load_external_data=False).graph.initializer
    (bias,) = (tensor for tensor in tensors if tensor.name == "decoder.read_out.bias")
    place = {entry.key: entry.value for entry in bias.external_data}
    values = np.memmap(data_file(path), np.float32, "r+", int(place["offset"]), (VECTOR_SIZE,))
    values[100] += 0.01
    values.flush()
    with pytest.raises(GraphError, match=r"outputs of pear_.* by onnxruntime differ .* by 0\.01,"):
        check_file(path, exported.network, precision)


def test_a_graph_that_was_taken_apart_is_refused(exported: Exported, tmp_path: Path) -> None:
    import onnx

    from pear_ros.pear.graph_check import check_file

    graph = exported.graph("fp32")
    model = onnx.load(graph.path, load_external_data=False)
    gelu = next(node for node in model.graph.node if node.op_type == "Gelu")
    gelu.op_type = "Erf"
    del gelu.attribute[:]
    onnx.save(model, tmp_path / graph.path.name)
    fault = r"TensorRT is slow or wrong with \(7 Gelu instead of 8, Erf\)"
    with pytest.raises(GraphError, match=fault):
        check_file(tmp_path / graph.path.name, exported.network, "fp32")


def test_folder_that_cannot_be_written_is_named(exported: Exported, tmp_path: Path) -> None:
    from pear_ros.pear.export import export_graph

    file = tmp_path / "models"
    file.touch()
    with pytest.raises(GraphError, match=f"cannot be written to its model folder {file} "):
        export_graph(exported.network, "fp16", file)


def test_a_record_that_is_nested_too_deeply_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "pear_0a1b2c3d_fp16.onnx"
    path.touch()
    record_file(path).write_text("[" * 100_000)
    with pytest.raises(GraphError, match="is damaged"):
        read_graph(path)
