# SPDX-License-Identifier: Apache-2.0
"""`pear evaluate --dataset`, from folder to report, with an estimator that knows the answer."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.cli import main
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Region
from pear_ros.core.people import SMPLX_JOINT_NAMES, Estimate, Image, Person
from pear_ros.evaluation.datasets.agora import read_agora
from pear_ros.evaluation.datasets.ehf import in_camera
from pear_ros.evaluation.datasets.estimating import DetectedBodies
from pear_ros.evaluation.datasets.protocol_files import find_protocol_files
from pear_ros.evaluation.datasets.runs import agora_figures
from pear_ros.evaluation.datasets.threedpw import read_threedpw
from pear_ros.evaluation.datasets.ubody import read_ubody
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS
from pear_ros.io.downloads import AssetError, landmark_model
from pear_ros.training.studio import SyntheticStudio
from testing.dataset_files import (
    SMPLX_VERTICES,
    threedpw_sequence,
    ubody_fit,
    write_agora,
    write_ehf,
    write_lsp,
    write_posetrack,
    write_regressors,
    write_smpl,
    write_threedpw,
    write_ubody,
)
from testing.open_people import open_body, person, t_pose

MESH = np.random.default_rng(0).normal(0.0, 0.4, (SMPLX_VERTICES, 3)).astype(np.float32)


class Oracle:
    """An estimator that finds a given body in each box of a picture, in turn."""

    model_id = "oracle/1"

    def __init__(self, bodies: Sequence[tuple[np.ndarray, np.ndarray] | None]) -> None:
        """`bodies`: joints (55, 3) and vertices of each person in turn; None: nobody is seen."""
        self._bodies = list(bodies)
        self._meshes: list[np.ndarray] = []
        self.regions: list[Region] = []
        self.cameras: list[Camera] = []
        self.body = SimpleNamespace(vertex_count=SMPLX_VERTICES)

    def estimate(
        self, image: Image, camera: Camera, regions: Sequence[Region], stamp: float
    ) -> list[Estimate | None]:
        found: list[Estimate | None] = []
        self._meshes = []
        self.cameras.append(camera)
        for region in regions:
            self.regions.append(region)
            body = self._bodies.pop(0)
            found.append(None if body is None else estimate(camera, region, body[0]))
            if body is not None:
                self._meshes.append(body[1])
        return found

    def meshes(self, persons: Sequence[Person]) -> np.ndarray:
        return np.array(self._meshes, np.float32)

    def close(self) -> None: ...


def estimate(camera: Camera, region: Region, joints: np.ndarray) -> Person:
    one = person(t_pose())
    points = joints.astype(np.float32)
    return replace(one, joints=points, keypoints=camera.project(points), box=region.box)


def joints_of(truth: np.ndarray) -> np.ndarray:
    """SMPL-X's 55 joints of which the first 22 are given."""
    return np.concatenate([truth, np.tile(truth[:1], (33, 1))])


def run(
    monkeypatch: pytest.MonkeyPatch, oracle: Oracle, folder: Path, name: str, *more: str
) -> tuple[int, dict[str, Any]]:
    monkeypatch.setattr("pear_ros.estimators.factory.make_estimator", lambda choice: oracle)
    out = folder.parent / "out"
    models = folder.parent / "models"
    models.mkdir(exist_ok=True)
    arguments = ["evaluate", str(folder), "--dataset", name, "--output", str(out)]
    code = main([*arguments, "--models", str(models), *more])
    report = out / "report.json"
    return code, json.loads(report.read_text()) if report.exists() else {}


def values(report: dict[str, Any], method: str = "oracle/1") -> dict[str, float]:
    (table,) = report["methods"][method].values()
    return {name: figure["value"] for name, figure in table.items()}


def test_3dpw_by_the_papers_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first person is found exactly, elsewhere; the second one with a body twice as large."""
    folder, models = tmp_path / "3DPW", tmp_path / "models"
    models.mkdir()
    write_threedpw(folder, threedpw_sequence(people=2))
    write_smpl(models)
    regressor = write_regressors(models)
    benchmark = read_threedpw(folder, find_protocol_files([models]))
    bodies, expected = [], []
    for picture in benchmark.pictures:
        for number, one in enumerate(picture.people):
            mesh = one.mesh()
            size = (1.0, 2.0)[number]
            vertices = np.zeros((SMPLX_VERTICES, 3))
            vertices[: len(mesh)] = size * mesh + [0.5, 0.0, 1.0]
            joints = regressor @ mesh
            hips = joints[[1, 4]].mean(axis=0)
            chosen = joints[[1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16]] - hips
            expected.append((size - 1.0) * 1000 * np.linalg.norm(chosen, axis=1).mean())
            assert one.joints is not None
            bodies.append((joints_of(one.joints), vertices))
    oracle = Oracle(bodies)
    code, report = run(monkeypatch, oracle, folder, "3dpw")
    assert code == 0
    found = values(report)
    assert found["MPJPE"] == pytest.approx(np.mean(expected), rel=1e-3)
    assert found["PA-MPJPE"] == pytest.approx(0.0, abs=0.01)
    assert found["PVE"] > 1.0 and found["MPJPE, model's joints"] == pytest.approx(0.0, abs=0.01)
    assert found["seen, %"] == 100.0
    np.testing.assert_allclose(oracle.regions[0].box, benchmark.pictures[0].people[0].box, 1e-4)
    assert oracle.cameras[0].fx == 900.0 and oracle.cameras[0].width == 600
    assert values(report, "PEAR, paper")["PA-MPJPE"] == 45.3
    assert values(report, "PEAR, released")["PVE"] == 82.28
    text = capsys.readouterr().out
    assert "an independent run of the released ViT-H" in text and "arXiv 2601.22693" in text


def test_3dpw_without_licensed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "3DPW"
    write_threedpw(folder, threedpw_sequence())
    people = [one for p in read_threedpw(folder, {}).pictures for one in p.people]
    shift = np.zeros((22, 3))
    shift[20] = [0.0, 0.028, 0.0]  # The left wrist, one of 14 joints.
    bodies = [(joints_of(one.joints + shift), MESH) for one in people if one.joints is not None]
    code, report = run(monkeypatch, Oracle([bodies[0], None]), folder, "3dpw")
    assert code == 0
    assert values(report)["MPJPE, model's joints"] == pytest.approx(2.0, abs=1e-3)
    assert values(report)["seen, %"] == 50.0 and "PVE" not in values(report)
    out = capsys.readouterr().out
    assert "are left out, as files are missing below --models" in out and "smplx2smpl.pkl" in out


def write_parts(models: Path) -> None:
    """Write the files of hands, head and joints for SMPL-X's vertices."""
    models.mkdir(exist_ok=True)
    hands = {"left_hand": np.arange(778), "right_hand": np.arange(800, 1578)}
    (models / "MANO_SMPLX_vertex_ids.pkl").write_bytes(pickle.dumps(hands, 2))
    np.save(models / "SMPL-X__FLAME_vertex_ids.npy", np.arange(5000, 10023))
    regressor = np.zeros((14, SMPLX_VERTICES), np.float32)
    regressor[np.arange(14), np.arange(14) * 700] = 1.0
    (models / "SMPLX_to_J14.pkl").write_bytes(pickle.dumps(regressor, 2))


def write_smplx(models: Path) -> Path:
    """Write SMPLX_NEUTRAL.npz, a random body with hands whose mean pose is bent."""
    rng = np.random.default_rng(2)
    models.mkdir(exist_ok=True)
    weights = np.zeros((SMPLX_VERTICES, 55), np.float32)
    weights[np.arange(SMPLX_VERTICES), rng.integers(0, 55, SMPLX_VERTICES)] = 1.0
    regressor = np.zeros((55, SMPLX_VERTICES), np.float32)
    regressor[np.arange(55), np.arange(55) * 150] = 1.0
    parents = open_body().parents.astype(np.int64)
    arrays: dict[str, Any] = {
        "v_template": MESH,
        "f": rng.integers(0, SMPLX_VERTICES, (60, 3)).astype(np.uint32),
        "shapedirs": rng.normal(0.0, 1e-3, (SMPLX_VERTICES, 3, 400)).astype(np.float32),
        "posedirs": np.zeros((SMPLX_VERTICES, 3, 486), np.float32),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.stack([parents % 2**32, np.arange(55)]),
        "lmk_faces_idx": np.arange(51),
        "lmk_bary_coords": np.full((51, 3), 1 / 3, np.float32),
        "dynamic_lmk_faces_idx": np.zeros((79, 17), np.int64),
        "dynamic_lmk_bary_coords": np.full((79, 17, 3), 1 / 3, np.float32),
    }
    for side in "lr":
        arrays[f"hands_mean{side}"] = rng.normal(0.0, 0.3, 45).astype(np.float32)
        arrays[f"hands_components{side}"] = np.eye(45, dtype=np.float32)
    path = models / "SMPLX_NEUTRAL.npz"
    np.savez(path, **arrays)
    return path


def test_ehf_has_parts_of_the_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hand is turned and the rest moved: PA of the hands is 0, of the whole it is not."""
    folder, models = tmp_path / "EHF", tmp_path / "models"
    folder.mkdir()
    write_ehf(folder, MESH)
    write_parts(models)
    write_smplx(models)
    truth = in_camera(MESH)
    vertices = truth + np.array([0.0, 0.0, 1.0])
    turn = Rotation.from_rotvec([0.0, 1.0, 0.0]).as_matrix()
    vertices[:778] = 1.2 * vertices[:778] @ turn.T
    vertices[5000] += [0.5, 0.0, 0.0]
    joints = np.tile([0.0, 0.0, 2.0], (55, 1))
    code, report = run(monkeypatch, Oracle([(joints, vertices)]), folder, "ehf")
    assert code == 0
    found = values(report)
    assert found["hands' PA-PVE"] == pytest.approx(0.0, abs=0.01)
    assert 0.0 < found["head's PA-PVE"] < 1.0
    assert found["PA-PVE"] > 10.0 and found["PVE"] > 10.0 and found["PA-MPJPE"] > 1.0
    assert found["face's landmarks, PA"] <= found["lips' landmarks, greatest, PA"]
    assert values(report, "PEAR, paper") == {"hands' PA-PVE": 12.8}
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "| hands' PA-PVE | 1 | 0.0 | 12.8 | 11.0 | 15.9 | 16.4 |" in markdown


def test_the_open_body_has_no_figures_of_vertices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "EHF"
    folder.mkdir()
    write_ehf(folder, MESH)
    oracle = Oracle([(np.tile([0.0, 0.0, 2.0], (55, 1)), MESH[:500])])
    oracle.body.vertex_count = 500
    code, report = run(monkeypatch, oracle, folder, "ehf")
    assert code == 0 and values(report) == {"PA-PVE": None, "seen, %": 100.0}
    assert "This estimator's mesh is not of SMPL-X" in capsys.readouterr().out


def test_ubody_is_smplx_with_mean_hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The labels' meshes are those of the smplx package; vertices outside the picture are not."""
    smplx = pytest.importorskip("smplx")
    torch = pytest.importorskip("torch")
    folder, models = tmp_path / "UBody", tmp_path / "models"
    fit = ubody_fit()
    write_ubody(folder, fit)
    write_parts(models)
    path = write_smplx(models)
    benchmark = read_ubody(folder, find_protocol_files([models]))
    assert len(benchmark.pictures) == 1, "one annotation of a test video is the hundredth"
    (one,) = benchmark.pictures[0].people
    mesh = one.mesh()
    part = {k: torch.tensor([v], dtype=torch.float32) for k, v in fit["smplx_param"].items()}
    model = smplx.SMPLX(str(path), use_pca=False, flat_hand_mean=False, num_betas=10)
    with torch.no_grad():
        expected = model(
            global_orient=part["root_pose"],
            body_pose=part["body_pose"],
            left_hand_pose=part["lhand_pose"],
            right_hand_pose=part["rhand_pose"],
            jaw_pose=part["jaw_pose"],
            betas=part["shape"],
            expression=part["expr"],
            transl=part["trans"],
        ).vertices[0]
    np.testing.assert_allclose(mesh, expected.numpy(), atol=2e-5)
    assert one.visible is not None
    inside = one.visible(mesh)
    pixels = mesh[:, :2] / mesh[:, 2:] * 500 + [160, 120]
    within = (pixels > 0).all(axis=1) & (pixels[:, 0] < 320) & (pixels[:, 1] < 240)
    np.testing.assert_array_equal(inside, within & (mesh[:, 2] > 0))
    assert inside.any() and not inside.all()
    joints = np.tile([0.0, 0.0, 2.0], (55, 1))
    code, report = run(monkeypatch, Oracle([(joints, mesh)]), folder, "ubody")
    assert code == 0 and values(report)["hands' PA-PVE"] == pytest.approx(0.0, abs=0.01)
    assert values(report, "PEAR, paper")["hands' PA-PVE"] == 9.8


def test_ubody_needs_smplx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ubody(tmp_path / "UBody", ubody_fit())
    code, _ = run(monkeypatch, Oracle([]), tmp_path / "UBody", "ubody")
    assert code == 1
    error = capsys.readouterr().err
    assert "UBody's labels are parameters of SMPL-X" in error and "SMPLX_NEUTRAL.npz" in error
    assert "https://osx-ubody.github.io" in error and error.count("\n") == 1


@pytest.mark.parametrize("name", ["lsp-extended", "posetrack"])
def test_keypoint_sets_print_pck_beside_the_papers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / "set"
    write_lsp(folder) if name == "lsp-extended" else write_posetrack(folder)
    people = {"lsp-extended": 2, "posetrack": 1}[name]
    far = (person(t_pose()).joints + np.array([30.0, 0.0, 0.0]), MESH)
    code, report = run(monkeypatch, Oracle([far, None][:people]), folder, name)
    assert code == 0
    found = values(report)
    assert found["PCK@0.05, %"] == 0.0 and found["seen, %"] == 100.0 / people
    assert values(report, "PEAR, paper")["PCK@0.05, %"] in (55.0, 87.0)


class Crowd:
    """A pipeline that finds given people."""

    model_id = "crowd/1"

    def __init__(self, persons: Sequence[Person], meshes: np.ndarray) -> None:
        self._persons, self._meshes = persons, meshes

    def __call__(self, image: Image, camera: Camera, stamp: float) -> Any:
        from pear_ros.core.people import People

        persons = [replace(one, keypoints=camera.project(one.joints)) for one in self._persons]
        return People(camera, "crowd/1", "smplx", persons)

    def meshes(self, people: Any) -> np.ndarray:
        return self._meshes

    def reset(self) -> None: ...

    def close(self) -> None: ...


def test_agora_divides_errors_by_f1(tmp_path: Path) -> None:
    """Of two who count one is found, 10 mm off in the body; a stranger is found as well."""
    rng = np.random.default_rng(4)
    joints = [rng.normal([x, 0.0, 9.0], 0.3, (127, 3)) for x in (0.0, 2.0, -2.0)]
    meshes = [MESH + np.array([x, 0.0, 9.0]) for x in (0.0, 2.0, -2.0)]
    write_agora(tmp_path, meshes, joints)
    found = [joints_of(joints[0][:22]), joints_of(joints[0][:22] + np.array([0, 3.0, 0]))]
    found[0][22:24] = joints[0][22:24]
    off = meshes[0].copy()
    body = np.arange(100)
    off[body] += [0.010, 0.0, 0.0]
    off[500:] += 1.0  # Not of the body.
    base = person(t_pose())
    people = [replace(base, joints=one.astype(np.float32)) for one in found]
    method = DetectedBodies(Crowd(people, np.array([off, off], np.float32)))
    figures = {one.name: one for one in agora_figures(read_agora(tmp_path), method, body)}
    assert figures["body, MVE"].value == pytest.approx(10.0, abs=0.01)
    assert figures["F1"].value == 0.5 and figures["recall, %"].value == 50.0
    assert figures["body, N-MVE"].value == pytest.approx(20.0, abs=0.02)
    assert figures["body, MPJPE"].value == pytest.approx(0.0, abs=0.01)
    assert np.isnan(
        {f.name: f for f in agora_figures(read_agora(tmp_path), method, None)}["body, MVE"].value
    )


def test_options_that_do_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--output", str(tmp_path / "out")]
    assert main(["evaluate", str(tmp_path), "--dataset", "ehf", "--images", "x", *out]) == 1
    assert "do not go with --dataset" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path), "--every", "2", *out]) == 1
    assert "--every goes with --dataset" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "no"), "--dataset", "agora", *out]) == 1
    error = capsys.readouterr().err
    assert "no is no folder; AGORA, validation is at https://agora.is.tue.mpg.de" in error


def test_each_nth_picture_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "3DPW"
    write_threedpw(folder, threedpw_sequence(frames=5))
    joints = joints_of(np.ones((22, 3)))
    oracle = Oracle([(joints, MESH)] * 2)
    code, report = run(monkeypatch, oracle, folder, "3dpw", "--every", "2")
    assert code == 0 and len(oracle.regions) == 2
    assert "One picture in 2 alone: not the whole set" in report["about"]


def test_the_open_estimator_reads_labelled_boxes(tmp_path: Path) -> None:
    """Renders of people, as COCO's val2017: what a real estimator does with boxes."""
    try:
        landmark_model("pose_landmark_full")
    except AssetError as error:
        pytest.skip(str(error))
    studio = SyntheticStudio()
    one = studio.shoot(np.random.default_rng([2026, 7]), "standing", 10.0, (640, 480), 1.2)
    folder = tmp_path / "coco"
    (folder / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    cv2.imwrite(str(folder / "val2017" / "1.png"), one.image)
    pixels = one.camera.project(one.joints)
    points = np.zeros((17, 3))
    for index, name in enumerate(COCO_KEYPOINTS):
        if name in SMPLX_JOINT_NAMES:
            points[index] = [*pixels[SMPLX_JOINT_NAMES.index(name)], 2]
    outline = one.camera.project(one.vertices)
    low, high = outline.min(axis=0), outline.max(axis=0)
    label = {
        **{"id": 1, "image_id": 1, "category_id": 1, "keypoints": points.ravel().tolist()},
        **{"bbox": [*low.tolist(), *(high - low).tolist()], "area": float(np.prod(high - low))},
    }
    data = {"images": [{"id": 1, "file_name": "1.png"}], "annotations": [label]}
    (folder / "annotations" / "person_keypoints_val2017.json").write_text(json.dumps(data))
    out = tmp_path / "out"
    arguments = ["evaluate", str(folder), "--dataset", "coco-val", "--output", str(out)]
    assert main([*arguments, "--estimator", "landmarks"]) == 0
    report = json.loads((out / "report.json").read_text())
    method = next(iter(report["methods"]))
    assert values(report, method)["PCK@0.1, %"] > 80 and values(report, method)["seen, %"] == 100
