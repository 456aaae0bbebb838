# SPDX-License-Identifier: Apache-2.0
"""Weights of `pear train` in the node: with the body that they name, and no files of others."""

from __future__ import annotations

import json
import os
import struct
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pear_ros.body import load_open_body
from pear_ros.cli import main
from pear_ros.core.configuration import EstimatorChoice, EstimatorError, RuntimeChoice
from pear_ros.estimators.factory import make_estimator, make_estimators
from pear_ros.io.downloads import AssetError
from pear_ros.pear.files import find_model_files
from pear_ros.pear.graph import record_file
from pear_ros.pear.origin import Origin, peek_origin
from pear_ros.pear.weights import Weights
from pear_ros.pipeline import Pipeline
from pear_ros.training.studio import SyntheticStudio
from testing.bounded import run_bounded

torch = pytest.importorskip("torch", reason="training needs torch")

from pear_ros.training.network import NetworkSize, TrainedNetwork  # noqa: E402
from pear_ros.training.results import Results  # noqa: E402

BODY = load_open_body()
SIZE = NetworkSize(depth=1, width=64, heads=2, decoder_width=64, decoder_layers=2)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with weights of `pear train`, of a network that sees the mean person."""
    torch.manual_seed(0)
    network = TrainedNetwork(SIZE, BODY.num_betas, BODY.num_expression)
    with torch.no_grad():
        network.head.flame_poses_decoder.bias[6] = 0.2  # The jaw is open.
        network.head.smplx_expression_decoder.bias[3] = 0.5
        network.head.smplx_shape_decoder.bias[0] = 1.5
    results = Results(tmp_path_factory.mktemp("training"))
    results.write_weights(network, network.state_dict(), "desk", BODY.name)
    return results.weights_file.parent


def choice(folder: Path, runtime: str = "torch") -> EstimatorChoice:
    return EstimatorChoice("pear", folder, runtime=RuntimeChoice(runtime, strict=True))


def test_no_body_files_are_asked_for(models: Path) -> None:
    files = find_model_files(models)
    assert files.body == BODY.name and not files.missing
    assert Weights(files).origin == Origin("pear-train/desk", BODY.name)
    assert Weights(files).network().backbone.blocks[0].attn.heads == SIZE.heads


def test_people_have_the_open_body_and_the_models_name(models: Path) -> None:
    estimator = make_estimator(choice(models))
    fingerprint = Weights(find_model_files(models)).fingerprint[:8]
    assert estimator.model_id == f"pear-train/desk/{fingerprint}/torch-fp32"
    assert estimator.body.name == BODY.name
    pipeline = Pipeline(estimator)
    shot = SyntheticStudio().shoot(np.random.default_rng(4), "standing", 0.0)
    people = pipeline(shot.image, shot.camera, 0.0)
    assert people.model_id.startswith("pear-train/desk/") and people.body_model == BODY.name
    (person,) = people.persons
    assert person.flame is None
    smplx = person.smplx
    assert smplx.betas.shape == (10,) and smplx.expression.shape == (52,)
    assert smplx.betas[0] == pytest.approx(1.5, abs=0.3)
    assert smplx.expression[3] == pytest.approx(0.5, abs=0.3)
    assert not smplx.expression[50:].any()
    assert smplx.pose[22, 0] == pytest.approx(0.2, abs=0.1)
    meshes = pipeline.meshes(people)
    assert meshes.shape == (1, BODY.vertex_count, 3)
    middle = np.median(shot.camera.project(meshes[0]), axis=0)
    assert np.abs(middle - np.median(shot.camera.project(shot.vertices), axis=0)).max() < 80
    estimator.close()


def test_a_graph_carries_model_and_body(models: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="a graph is written by it")
    pytest.importorskip("onnxruntime", reason="a graph is run by it")
    from pear_ros.pear.export import export_graph

    weights = Weights(find_model_files(models))
    graph = export_graph(weights.network(), "fp32", tmp_path)
    assert graph.origin == Origin("pear-train/desk", BODY.name)
    files = find_model_files(tmp_path)
    assert files.body == BODY.name and not files.missing
    estimator = make_estimator(choice(tmp_path, "onnxruntime"))
    assert estimator.model_id.startswith("pear-train/desk/")
    assert estimator.body.name == BODY.name
    estimator.close()

    record = json.loads(record_file(graph.path).read_text())
    record_file(graph.path).write_text(json.dumps({**record, "body": "other-body/3"}))
    with pytest.raises(EstimatorError, match=r"trained for the body other-body/3, but this"):
        make_estimator(choice(tmp_path, "onnxruntime"))


def test_import_model_shows_body_and_model(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "body.png"
    assert main(["import-model", str(models), "--output", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert f"Body: {BODY.name}" in shown and "pear-train/desk, not PEAR's release" in shown
    assert "not needed, as the body is anny-smplx/2" in shown
    assert picture.exists()


def test_files_of_others_name_no_body(pear_checkpoint: Path, tmp_path: Path) -> None:
    assert peek_origin(pear_checkpoint) == Origin()
    for content in (b"", b"text", b"PK\x03\x04 cut"):
        (tmp_path / "pear_model.pt").write_bytes(content)
        assert peek_origin(tmp_path / "pear_model.pt") == Origin()


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_looking_for_the_body_runs_no_code(tmp_path: Path) -> None:
    path, trace = tmp_path / "pear_model.pt", tmp_path / "trace"
    torch.save({"body": BODY.name, "model_id": "pear-train/x", "head": Hostile(trace)}, path)
    assert peek_origin(path).body == BODY.name
    assert not trace.exists()


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ({"body": 3, "model_id": "pear-train/x"}, "its body is not the name of one"),
        ({"body": "anny-smplx/2"}, "its model_id is not pear-train/NAME"),
        ({"body": "anny-smplx/2", "model_id": "pear"}, "its model_id is not pear-train/NAME"),
        ({"body": "a", "model_id": "pear-train/x", "heads": 0}, "its heads are not"),
    ],
)
def test_invalid_origins_are_refused(
    tmp_path: Path, models: Path, origin: dict[str, object], message: str
) -> None:
    from pear_ros.pear.checkpoint import CheckpointError, load_checkpoint

    content = torch.load(models / "pear_model.pt", weights_only=True)
    parts = {part: content[part] for part in ("backbone", "head")}
    torch.save({**origin, **parts}, tmp_path / "pear_model.pt")
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "pear_model.pt")


def test_looking_for_the_body_takes_little_memory(tmp_path: Path) -> None:
    """The number that an object is kept under is memory that the unpickler takes."""
    path = tmp_path / "pear_model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02]r" + struct.pack("<I", 1 << 25) + b".")
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from pear_ros.pear.origin import peek_origin\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "peek_origin(Path(sys.argv[1]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    assert int(run_bounded(code, str(path), megabytes=8000)) < 100_000, "kB"


def test_a_network_whose_estimators_cannot_be_made_is_closed(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEAR_ROS_CACHE", str(tmp_path))  # without the landmark models
    before = {thread.name for thread in threading.enumerate()}
    with pytest.raises(AssetError):
        make_estimators(choice(models), 2)
    assert {thread.name for thread in threading.enumerate()} == before
