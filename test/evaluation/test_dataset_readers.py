# SPDX-License-Identifier: Apache-2.0
"""Datasets in their owners' formats, made here, are read as they are meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pear_ros.evaluation.datasets.agora import focal_length, read_agora
from pear_ros.evaluation.datasets.catalogue import DATASETS
from pear_ros.evaluation.datasets.ehf import ROTATION, TRANSLATION, read_ehf
from pear_ros.evaluation.datasets.keypoint_sets import (
    read_coco_val,
    read_lsp_extended,
    read_posetrack,
)
from pear_ros.evaluation.datasets.ply import read_vertices
from pear_ros.evaluation.datasets.protocol_files import (
    PROTOCOL_FILES,
    find_protocol_files,
    left_out,
    missing_files,
)
from pear_ros.evaluation.datasets.published import PUBLISHED
from pear_ros.evaluation.datasets.threedpw import read_threedpw
from pear_ros.evaluation.keypoint_names import COCO_KEYPOINTS
from pear_ros.evaluation.labels import LabelError
from testing.dataset_files import (
    SMPLX_VERTICES,
    threedpw_sequence,
    write_agora,
    write_ehf,
    write_lsp,
    write_picture,
    write_ply,
    write_posetrack,
    write_threedpw,
)

MESH = np.random.default_rng(0).normal(0.0, 0.4, (SMPLX_VERTICES, 3)).astype(np.float32)


def test_3dpw_has_the_aligned_frames(tmp_path: Path) -> None:
    sequence = threedpw_sequence(people=2)
    write_threedpw(tmp_path, sequence)
    benchmark = read_threedpw(tmp_path, {})
    assert [one.path.name for one in benchmark.pictures] == ["image_00000.jpg", "image_00001.jpg"]
    first = benchmark.pictures[1].people[0]
    points = sequence["poses2d"][0][1, :2]
    centre = (points.min(axis=1) + points.max(axis=1)) / 2
    np.testing.assert_allclose(first.box[:2] + first.box[2:], 2 * centre)
    np.testing.assert_allclose(first.box[2:] - first.box[:2], 1.2 * np.ptp(points, axis=1))
    camera = sequence["cam_poses"][1]
    joints = sequence["jointPositions"][0][1].reshape(24, 3)[:22]
    np.testing.assert_allclose(first.joints, joints @ camera[:3, :3].T + camera[:3, 3])
    assert benchmark.pictures[0].intrinsics == (900.0, 900.0, 300.0, 200.0)
    text = " ".join(benchmark.about)
    assert "2 people in frames without an aligned camera" in text
    assert "SMPL_MALE.pkl" in text and "J_regressor_h36m.npy" in text and "licence" in text


def test_3dpw_people_without_a_place_are_left_out(tmp_path: Path) -> None:
    sequence = threedpw_sequence()
    sequence["poses2d"][0][0] = 0.0
    sequence["jointPositions"][0][0] = np.nan
    write_threedpw(tmp_path, sequence)
    benchmark = read_threedpw(tmp_path, {})
    assert [one.path.name for one in benchmark.pictures] == ["image_00001.jpg"]


def test_3dpw_without_keypoints_has_a_box_around_the_joints(tmp_path: Path) -> None:
    sequence = threedpw_sequence()
    sequence["poses2d"][0][0] = 0.0
    write_threedpw(tmp_path, sequence)
    person = read_threedpw(tmp_path, {}).pictures[0].people[0]
    assert person.joints is not None
    pixels = person.joints[:, :2] / person.joints[:, 2:] * 900 + [300, 200]
    assert (person.box[:2] < pixels.min(axis=0)).all() and (person.box[2:] > pixels.max()).any()


@pytest.mark.parametrize("form", ["binary", "big", "ascii"])
def test_vertices_of_a_ply(tmp_path: Path, form: str) -> None:
    write_ply(tmp_path / "mesh.ply", MESH[:50], form)
    np.testing.assert_array_equal(read_vertices(tmp_path / "mesh.ply", 50), MESH[:50])


def test_a_wrong_ply_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "mesh.ply"
    write_ply(file, MESH[:50])
    good = file.read_bytes()
    for content, text in (
        (b"obj\nv 1 2 3\n", "is not a PLY file"),
        (good[:300], "is damaged"),
        (good.replace(b"vertex 50", b"vertex 60"), "has to begin with 50 vertices"),
        (good.replace(b"property float x\n", b"property text x\n"), "is damaged"),
        (good.replace(b"binary_little", b"compact_large"), "is damaged"),
        (good.replace(MESH[:1].tobytes(), b"\xff" * 12), "a vertex is not finite"),
    ):
        file.write_bytes(content)
        with pytest.raises(LabelError, match=text) as error:
            read_vertices(file, 50)
        assert "\n" not in str(error.value)


def test_ehf_is_in_the_frame_of_its_camera(tmp_path: Path) -> None:
    write_ehf(tmp_path, MESH)
    (picture,) = read_ehf(tmp_path, {}).pictures
    (person,) = picture.people
    np.testing.assert_allclose(person.box, [0.0, 12.0, 120.0, 108.0])
    np.testing.assert_allclose(person.mesh(), MESH @ ROTATION.T + TRANSLATION)
    # Its camera stands upright on a floor whose axis is up.
    assert (ROTATION @ [0.0, 1.0, 0.0])[1] < -0.9
    (tmp_path / "01_2Djnt.json").write_text('{"people": []}')
    with pytest.raises(LabelError, match=r"01_2Djnt\.json is damaged"):
        read_ehf(tmp_path, {})
    (tmp_path / "01_2Djnt.json").unlink()
    with pytest.raises(LabelError, match="its keypoints give the box"):
        read_ehf(tmp_path, {})


def test_agora_has_valid_people_and_cameras(tmp_path: Path) -> None:
    joints = np.random.default_rng(1).normal([0, 0, 8], 0.3, (2, 127, 3))
    write_agora(tmp_path, [MESH, MESH], list(joints))
    (picture,) = read_agora(tmp_path)
    assert picture.path.name.endswith("_1280x720.png") and picture.valid.tolist() == [True, False]
    camera = picture.camera(1280, 720)
    pixels = camera.project(joints[0, :24]) * 3
    np.testing.assert_allclose(picture.joints_2d[0], pixels, atol=0.01)
    np.testing.assert_array_equal(picture.meshes[0], MESH)
    assert focal_length("ag_archviz_5_10_cam02_00001.png") == 18.0
    assert focal_length("ag_flowers_5_15_00001.png") == 28.0


def test_agora_of_smpl_is_refused(tmp_path: Path) -> None:
    write_agora(tmp_path, [MESH[:6890]], [np.ones((127, 3))])
    with pytest.raises(LabelError, match="are not of SMPL-X"):
        list(read_agora(tmp_path))


def test_lsp_has_twelve_joints(tmp_path: Path) -> None:
    write_lsp(tmp_path)
    first, second = read_lsp_extended(tmp_path).pictures
    assert first.path.name == "im00001.png"
    assert first.people[0].labelled.sum() == 10 and second.people[0].labelled.sum() == 12
    points = dict(zip(COCO_KEYPOINTS, second.people[0].keypoints, strict=True))
    assert points["right_ankle"].tolist() == [5.0, 4.0, 2.0]
    assert points["left_wrist"].tolist() == [38.0, 26.0, 2.0]
    (tmp_path / "im00002.png").unlink()
    with pytest.raises(LabelError, match="is of 2 pictures, and 1 im"):
        read_lsp_extended(tmp_path)
    content = bytearray((tmp_path / "joints.mat").read_bytes())
    (tmp_path / "joints.mat").write_bytes(bytes(content[:200]))
    with pytest.raises(LabelError, match=r"joints\.mat is damaged"):
        read_lsp_extended(tmp_path)


@pytest.mark.parametrize("labels", ["annotations/val", "posetrack_data/annotations/val"])
def test_posetrack_has_thirteen_keypoints(tmp_path: Path, labels: str) -> None:
    write_posetrack(tmp_path, labels)
    (picture,) = read_posetrack(tmp_path).pictures
    (person,) = picture.people
    assert person.labelled.sum() == 13 and not person.labelled[1:5].any()
    assert person.keypoints[COCO_KEYPOINTS.index("right_ankle")].tolist() == [26.0, 68.0, 2.0]
    assert person.box.tolist() == [5.0, 6.0, 75.0, 86.0]


def test_posetrack_stays_in_its_folder(tmp_path: Path) -> None:
    write_posetrack(tmp_path)
    file = next(tmp_path.rglob("*.json"))
    for name in ("../secret.jpg", "/etc/passwd"):
        data = json.loads(file.read_text())
        data["images"][0]["file_name"] = name
        file.write_text(json.dumps(data))
        with pytest.raises(LabelError, match="a picture outside the folder"):
            read_posetrack(tmp_path)


def test_coco_val_has_people_with_keypoints(tmp_path: Path) -> None:
    points = [float(value) for n in range(17) for value in (n + 3, 2 * n + 3, 2)]
    label = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}
    annotations = [
        {**label, "id": 1, "keypoints": points},
        {**label, "id": 2, "keypoints": points, "iscrowd": 1},
        {**label, "id": 3, "keypoints": [0] * 51},
    ]
    images = [{"id": 1, "file_name": "000001.jpg"}, {"id": 2, "file_name": "000002.jpg"}]
    file = tmp_path / "annotations" / "person_keypoints_val2017.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"images": images, "annotations": annotations}))
    with pytest.raises(LabelError, match="no folder val2017"):
        read_coco_val(tmp_path)
    for image in images:
        write_picture(tmp_path / "val2017" / str(image["file_name"]))
    labels = read_coco_val(tmp_path)
    assert len(labels.pictures) == 1 and len(labels.pictures[0].people) == 1
    assert labels.ignored == ["2 people without keypoints, and crowds, are left out."]


def test_empty_folders_are_explained(tmp_path: Path) -> None:
    readers: list[Callable[[Path], object]] = [
        lambda folder: read_threedpw(folder, {}),
        lambda folder: read_ehf(folder, {}),
        lambda folder: list(read_agora(folder)),
        read_lsp_extended,
        read_posetrack,
        read_coco_val,
    ]
    for read in readers:
        with pytest.raises(LabelError, match="has no "):
            read(tmp_path)


def test_protocol_files_are_found_by_name(tmp_path: Path) -> None:
    for name in ("a/b/basicmodel_m_lbs_10_207_0_v1.1.0.pkl", "j_regressor_H36M.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_protocol_files([tmp_path / "none", tmp_path])
    assert {key: path.name for key, path in found.items()} == {
        "smpl_male": "basicmodel_m_lbs_10_207_0_v1.1.0.pkl",
        "h36m": "j_regressor_H36M.npy",
    }
    (tmp_path / "SMPLX_NEUTRAL_2020.npz").touch()
    found = find_protocol_files([tmp_path])
    assert "smplx_regressor" in found and "smplx_neutral" not in found
    (tmp_path / "SMPL_MALE.pkl").touch()
    assert find_protocol_files([tmp_path])["smpl_male"].name == "SMPL_MALE.pkl"
    assert not missing_files(found, ["h36m"]) and not left_out("PVE is", found, ["h36m"])
    head, line = left_out("PVE is", found, ["h36m", "smpl_female"])
    assert head.startswith("PVE is left out, as files are missing below --models")
    assert line.startswith("  SMPL_FEMALE.pkl: SMPL body, female; from https")


def test_published_figures_are_of_known_datasets() -> None:
    assert {one.dataset for one in PUBLISHED} == set(DATASETS)
    keys = [(one.dataset, one.figure, one.method) for one in PUBLISHED]
    assert len(set(keys)) == len(keys)


def test_the_page_names_every_dataset_as_the_catalogue_does() -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text()
    for name, one in DATASETS.items():
        assert f"| `{name}` | {one.title}: {one.origin} | {one.licence} |" in page
        assert all(part in page for part in (*one.layout, one.protocol))
    for file in PROTOCOL_FILES.values():
        assert file.names[0] in page


def damaged(value: object, rng: np.random.Generator) -> object:
    """Return JSON with one of its values, at random, replaced by one of another kind."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = keys[rng.integers(len(keys))]
        changed = dict(value) if isinstance(value, dict) else list(value)
        changed[key] = damaged(changed[key], rng)
        return changed
    odd = [None, [], {}, "x", -1, 1e308, float("nan"), [[1]], {"a": 1}, True]
    return odd[rng.integers(len(odd))]


@pytest.mark.parametrize("name", ["posetrack", "ehf"])
def test_damaged_json_is_named_in_one_sentence(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    read: Callable[[Path], object] = read_posetrack
    if name == "posetrack":
        write_posetrack(tmp_path)
    else:
        write_ehf(tmp_path, MESH)
        read = lambda folder: read_ehf(folder, {})  # noqa: E731
    file = next(tmp_path.rglob("*.json"))
    good = json.loads(file.read_text())
    refused = 0
    for _ in range(150):
        file.write_text(json.dumps(damaged(good, rng)))
        try:
            read(tmp_path)
        except LabelError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 50
