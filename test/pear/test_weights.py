# SPDX-License-Identifier: Apache-2.0
"""PEAR's weights, with and without a checkpoint, torch and graphs."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pear_ros.pear.files import MissingFilesError, find_model_files
from pear_ros.pear.graph import (
    GraphError,
    data_file,
    graph_name,
    read_graph,
    record_file,
    write_record,
)
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.weights import Weights

ONE, OTHER = "1" * 64, "2" * 64


def weights(folder: Path) -> Weights:
    return Weights(find_model_files(folder))


def unread_graph(folder: Path, fingerprint: str, precision: str) -> Path:
    """Write a graph that has not been read yet."""
    folder.mkdir(exist_ok=True)
    path = folder / graph_name(fingerprint, precision)
    path.write_bytes(b"graph")
    data_file(path).write_bytes(bytes(100))
    write_record(path, precision, fingerprint, np.ones((2, VECTOR_SIZE), np.float32))
    return path


def test_graphs_alone_will_do(tmp_path: Path) -> None:
    paths = [unread_graph(tmp_path, ONE, precision) for precision in ("bf16", "fp16")]
    robot = weights(tmp_path)
    assert robot.fingerprint == ONE
    assert [robot.graph(precision).path for precision in ("bf16", "fp16")] == paths
    assert (robot.reference() == 1.0).all()
    with pytest.raises(GraphError, match=r"no usable fp32 graph of .*11111111 in .*export-graph"):
        robot.graph("fp32")
    assert [robot.existing(one) is None for one in ("fp16", "fp32", "fp8")] == [False, True, True]
    with pytest.raises(
        GraphError, match=r"no usable fp8 graph .*`pear export-graph --precision fp8`"
    ):
        robot.graph("fp8")
    with pytest.raises(MissingFilesError, match=r"pear_model\.pt.*\n.*or graphs that `pear export"):
        robot.network()


def test_a_robot_imports_neither_torch_nor_onnx(tmp_path: Path) -> None:
    unread_graph(tmp_path, ONE, "fp16")
    program = f"""
import sys
from pathlib import Path
from pear_ros.pear.files import find_model_files
from pear_ros.pear.weights import Weights
weights = Weights(find_model_files(Path({str(tmp_path)!r})))
weights.graph("fp16").verify()
weights.reference()
print(*({{"torch", "onnx", "onnxscript", "onnxruntime"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_nothing_at_all_is_missing_files(tmp_path: Path) -> None:
    for ask in (Weights.network, Weights.reference, lambda w: w.graph("fp16")):
        with pytest.raises(MissingFilesError, match=r"pear_model\.pt"):
            ask(weights(tmp_path))


def test_graphs_of_several_weights_are_named(tmp_path: Path) -> None:
    paths = [unread_graph(tmp_path / part, part * 64, "fp16") for part in "12"]
    with pytest.raises(
        GraphError, match=r"different weights are in .*move the others away"
    ) as error:
        _ = weights(tmp_path).fingerprint
    assert all(str(path) in str(error.value) for path in paths)


def test_weights_ignore_a_damaged_graph(tmp_path: Path) -> None:
    unread_graph(tmp_path, ONE, "fp16")
    broken = unread_graph(tmp_path, ONE, "bf16")
    data_file(broken).unlink()
    robot = weights(tmp_path)
    assert robot.graph("fp16").weights == ONE
    with pytest.raises(GraphError, match=r"no usable bf16 graph .*onnx\.data cannot be read"):
        robot.graph("bf16")
    unread_graph(tmp_path, ONE, "fp16").unlink()
    with pytest.raises(GraphError, match=r"onnx\.data cannot be read"):
        weights(tmp_path).graph("bf16")


@pytest.fixture
def folder(pear_checkpoint: Path, tmp_path: Path) -> Path:
    """A model folder of one's own with a checkpoint."""
    (tmp_path / "pear_model.pt").symlink_to(pear_checkpoint)
    return tmp_path


def test_a_checkpoint_is_read_once_and_decides(folder: Path) -> None:
    other = unread_graph(folder, OTHER, "fp16")
    user = weights(folder)
    assert user.network() is user.network()
    assert user.fingerprint == user.network().fingerprint != OTHER
    assert user.reference().shape[1] == VECTOR_SIZE and not (user.reference() == 1.0).all()
    assert other.exists()


def test_the_reference_of_a_graph_spares_its_computation(folder: Path) -> None:
    unread_graph(folder, weights(folder).fingerprint, "fp16")
    assert (weights(folder).reference() == 1.0).all()


def test_a_graph_is_exported_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("onnxscript", reason="graphs are exported with onnxscript")
    from pear_ros.pear.export import reference

    caplog.set_level(logging.DEBUG)
    data_file(unread_graph(folder, weights(folder).fingerprint, "fp16")).unlink()
    user = weights(folder)
    stages: list[str] = []
    graph = user.graph("fp16", lambda stage, done, total: stages.append(stage))
    assert graph.path.parent == folder
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2, "torch and onnxscript keep to themselves what they do"
    assert "onnx.data cannot be read" in said[0]
    assert f"no usable fp16 graph of PEAR's weights {user.fingerprint[:8]} in {folder}" in said[1]
    assert stages
    graph.verify()
    np.testing.assert_allclose(graph.reference, reference(user.network()), atol=1e-6)
    assert user.graph("fp16") is graph
    caplog.clear()
    assert weights(folder).graph("fp16").sha256 == graph.sha256
    assert not caplog.records
    # Without the checkpoint the same files will do.
    (folder / "pear_model.pt").unlink()
    assert weights(folder).graph("fp16").sha256 == graph.sha256
    assert read_graph(graph.path).weights == weights(folder).fingerprint
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in (graph.path, data_file(graph.path), record_file(graph.path))
    )


@pytest.mark.parametrize("error", [ImportError, OSError, ValueError])
def test_with_a_broken_torch_the_graphs_decide(
    error: type[Exception],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "torch.py").write_text(f"raise {error.__name__}('broken')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    unread_graph(folder, OTHER, "fp16")
    assert weights(folder).graph("fp16").weights == OTHER
    assert "as torch is broken: broken" in caplog.text


def test_without_torch_the_graphs_decide(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(GraphError, match=r"pear_model\.pt cannot be read without torch: install"):
        _ = weights(folder).fingerprint
    unread_graph(folder, OTHER, "fp16")
    assert weights(folder).graph("fp16").weights == OTHER
