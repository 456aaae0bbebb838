# SPDX-License-Identifier: Apache-2.0
"""`pear export`: other libraries read from its files what was recorded."""

from __future__ import annotations

import csv
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores
from scipy.spatial.transform import Rotation

from pear_ros.bags import pear_messages
from pear_ros.body import load_open_body
from pear_ros.body.model_files import EARLIER_OPEN_BODIES
from pear_ros.cli import main
from pear_ros.cli.results import ParameterTable
from pear_ros.core.camera import Camera
from pear_ros.core.estimate_arrays import ARRAYS_SINCE_0_2, ESTIMATE_ARRAYS
from pear_ros.core.people import (
    MEASURED_STATES,
    SMPLX_JOINT_NAMES,
    DepthSource,
    FlameParams,
    People,
    Person,
    SmplxParams,
    TrackingState,
)
from pear_ros.export.arrays import FLAME_ARRAYS, OWN_ARRAYS, POSE_ARRAYS
from pear_ros.export.bag import read_bag
from pear_ros.export.tracks import ResultsError
from testing.glb_reader import Glb
from testing.results_bag import ResultsBag
from testing.smplx_file import smplx_forward, write_smplx_file

BODY = load_open_body()
CAMERA = Camera(640, 480, 500.0, 510.0, 319.5, 239.5)
START = 1_700_000_000_023_456_789
STEP = 100_000_000
IMAGES = 8
PRESENT = {"h1": [0, 1, 2, 3, 4, 5, 6, 7], "h2": [1, 2, 5, 6]}
"""h2 is absent in images 3, 4 and 7, and LOST in 3."""

Images = list[tuple[int, People]]


def run_file(path: Path, images: Images) -> Path:
    """An npz file of `pear run`."""
    table = ParameterTable(BODY)
    for stamp, found in images:
        there = [p for p in found.persons if p.state is not TrackingState.LOST]
        table.append((stamp - START) * 1e-9, found, there)
    table.save(path)
    return path


def person(name: str, image: int, state: TrackingState | None = None) -> Person:
    """A person who differs from image to image, including shape and size."""
    rng = np.random.default_rng([image, ord(name[-1])])
    shape = np.random.default_rng(ord(name[-1])).normal(0.0, 0.7, BODY.num_betas)
    pose = rng.normal(0.0, 0.3, (55, 3)).astype(np.float32)
    # The T-pose has y up, the optical frame y down: about half a turn, where vectors leap.
    pose[0] = Rotation.from_rotvec([np.pi - 0.6 + 0.15 * image, 0.2, 0.1]).as_rotvec()
    expression = np.zeros(BODY.num_expression, np.float32)
    expression[BODY.expression_names.index("jawOpen")] = 0.1 * image
    expression[BODY.expression_names.index("mouthSmileLeft")] = 0.7
    smplx = SmplxParams(
        pose=pose,
        betas=(shape + rng.normal(0.0, 0.05, BODY.num_betas)).astype(np.float32),
        expression=expression,
        transl=np.array([ord(name[-1]) - 49.5, 0.3, 3.0 + 0.1 * image], np.float32),
    )
    scale = 1.1 + 0.01 * (image % 3)
    joints = BODY.joints(**{**batched(smplx), "transl": np.zeros((1, 3), np.float32)})[0]
    joints = np.float32(scale) * joints + smplx.transl
    confidence = rng.uniform(0.0, 1.0, 55).astype(np.float32)
    confidence[3] = np.nan
    return Person(
        id=name,
        state=state or (TrackingState.TRACKED if image > PRESENT[name][0] else TrackingState.NEW),
        score=0.75,
        box=np.array([10, 20, 110, 220], np.float32),
        smplx=smplx,
        joints=joints,
        joint_confidence=confidence,
        keypoints=CAMERA.project(joints),
        scale=scale,
        depth_source=DepthSource.MEASURED,
        depth_error=0.125,
        foot_contact=rng.uniform(0.0, 1.0, 4).astype(np.float32),
    )


def batched(smplx: SmplxParams) -> dict[str, Any]:
    """Arguments of BodyModel.vertices for one person."""
    return {key: value[None] for key, value in vars(smplx).items()}


def people(*persons: Person, **changes: Any) -> People:
    return replace(People(CAMERA, "landmarks/1", BODY.name, persons), **changes)


def recorded_images() -> Images:
    images = []
    for image in range(IMAGES):
        there = [person(name, image) for name, present in PRESENT.items() if image in present]
        if image == 3:
            there = [
                replace(there[0], state=TrackingState.PREDICTED),
                person("h2", 2, TrackingState.LOST),
            ]
        images.append((START + image * STEP, people(*there)))
    return images


@pytest.fixture(scope="module")
def images() -> Images:
    return recorded_images()


def write(path: Path, images: Images, **options: Any) -> Path:
    """A bag of one topic."""
    with ResultsBag(path, **options) as bag:
        bag.add_body(BODY)
        bag.add_images(images)
    return path


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Path:
    return write(tmp_path_factory.mktemp("results") / "bag", images)


@pytest.fixture
def export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Path]:
    """Run `pear export`, which must succeed; return the folder."""

    def run(source: Path, file_format: str, *arguments: str) -> Path:
        out = tmp_path / "out"
        command = ["export", str(source), "--format", file_format, "--output", str(out)]
        assert main([*command, *arguments]) == 0, capsys.readouterr().err
        return out

    return run


@pytest.fixture
def refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run `pear export`, which must fail with one line; return it."""

    def run(source: Path, file_format: str = "npz", *arguments: str) -> str:
        out = tmp_path / "refused"
        command = ["export", str(source), "--format", file_format, "--output", str(out)]
        assert main([*command, *arguments]) == 1
        said = capsys.readouterr()
        assert said.err.startswith("error: ") and said.err.count("\n") == 1, said.err
        assert not list(out.glob("*"))
        return said.err

    return run


def measured(persons: list[Person]) -> list[Person]:
    return [found for found in persons if found.state in MEASURED_STATES]


def of(images: Images, name: str) -> list[Person]:
    """A person in all images in which they are present."""
    return [
        found
        for _, people in images
        for found in people.persons
        if found.id == name and found.state is not TrackingState.LOST
    ]


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_npz_contains_everything_recorded(
    tmp_path: Path, images: Images, storage: StoragePlugin, export: Callable[..., Path]
) -> None:
    out = export(write(tmp_path / "bag", images, storage=storage), "npz")
    assert {file.name for file in out.iterdir()} == {"h1.npz", "h2.npz"}
    for name, present in PRESENT.items():
        persons = of(images, name)
        with np.load(out / f"{name}.npz") as found:
            assert set(found) == {*POSE_ARRAYS, *OWN_ARRAYS}
            assert found["frame"].tolist() == present
            expected = [START + frame * STEP for frame in present]
            assert found["stamps_ns"].tolist() == expected
            np.testing.assert_allclose(found["stamps"], np.array(expected) * 1e-9)
            assert found["tracking_state"].tolist() == [p.state for p in persons]
            for key in (*ESTIMATE_ARRAYS, "scale", "depth_source"):
                expected = [getattr(p, key) for p in persons]
                np.testing.assert_array_equal(found[key], np.array(expected, found[key].dtype))
            poses = found["poses"].reshape(-1, 55, 3)
            np.testing.assert_array_equal(poses, [p.smplx.pose for p in persons])
            np.testing.assert_array_equal(found["trans"], [p.smplx.transl for p in persons])
            np.testing.assert_array_equal(found["betas_by_frame"], [p.smplx.betas for p in persons])
            np.testing.assert_array_equal(
                found["expression"], [p.smplx.expression for p in persons]
            )
            median = np.median([p.smplx.betas for p in measured(persons)], axis=0)
            np.testing.assert_array_equal(found["betas"], median)
            assert found["mocap_frame_rate"] == 10.0
            assert (found["gender"], found["surface_model_type"]) == ("neutral", "smplx")
            assert (found["id"], found["frame_id"]) == (name, "camera_optical_frame")
            assert (found["model_id"], found["body_model"]) == ("landmarks/1", BODY.name)
            assert found["joint_names"].tolist() == list(SMPLX_JOINT_NAMES)
            np.testing.assert_array_equal(found["camera"][0], [640, 480, 500, 510, 319.5, 239.5])


def test_npz_gives_the_same_joints_with_smplx(
    tmp_path: Path, bag: Path, export: Callable[..., Path]
) -> None:
    pytest.importorskip("smplx")
    out = export(bag, "npz")
    body_file = write_smplx_file(BODY, tmp_path, 0.0)
    for name in PRESENT:
        with np.load(out / f"{name}.npz") as found:
            parts = ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand")
            pose = np.hstack([found[part] for part in parts])
            np.testing.assert_array_equal(pose, found["poses"])
            values = {
                "pose": pose,
                "betas": found["betas_by_frame"],
                "expression": found["expression"],
                "transl": np.zeros_like(found["trans"]),
            }
            joints = smplx_forward(body_file, BODY, values)().joints[:, :55].numpy()
            joints = found["scale"][:, None, None] * joints + found["trans"][:, None]
            np.testing.assert_allclose(joints, found["joints"], atol=1e-4)


def test_npz_contains_flame_parameters_if_recorded(
    tmp_path: Path, export: Callable[..., Path]
) -> None:
    sizes = {"shape": 5, "expression": 4, "jaw": 3, "eyes": 6, "eyelids": 2, "head_scale": 3}
    heads = [
        FlameParams(**{k: np.full(n, image, np.float32) for k, n in sizes.items()})
        for image in range(3)
    ]
    images = [
        (START + n * STEP, people(replace(person("h1", n), flame=head), body_model="ehm-s/1"))
        for n, head in enumerate(heads)
    ]
    for source in write(tmp_path / "bag", images), run_file(tmp_path / "clip.npz", images):
        with np.load(export(source, "npz") / "h1.npz") as found:
            assert set(found) == {*POSE_ARRAYS, *OWN_ARRAYS, *FLAME_ARRAYS}
            for key, size in sizes.items():
                assert found[f"flame_{key}"].tolist() == [[n] * size for n in range(3)]


def test_table_has_every_joint_and_empty_unknown_values(
    bag: Path, images: Images, export: Callable[..., Path]
) -> None:
    with (export(bag, "csv") / "joints.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [
        (stamp, found)
        for stamp, people in images
        for found in people.persons
        if found.state is not TrackingState.LOST
    ]
    assert len(rows) == len(expected) == 12
    for row, (stamp, found) in zip(rows, expected, strict=True):
        assert row["stamp"] == f"{stamp // 10**9}.{stamp % 10**9:09d}"
        assert (row["id"], row["state"]) == (found.id, found.state.name.lower())
        for n, name in enumerate(SMPLX_JOINT_NAMES):
            place = [float(row[f"{name}_{axis}"]) for axis in "xyz"]
            np.testing.assert_allclose(place, found.joints[n], atol=1e-5)
        assert row["spine1_confidence"] == ""
        head = float(row["head_confidence"])
        np.testing.assert_allclose(head, found.joint_confidence[15], atol=1e-5)


def recorded_vertices(images: Images, name: str, row: int) -> Any:
    """(V, 3) by BodyModel in the optical frame: median shape and size, pelvis as recorded."""
    persons = of(images, name)
    values = batched(persons[row].smplx)
    betas = np.median([p.smplx.betas for p in measured(persons)], axis=0)
    values["betas"] = betas[None].astype(np.float32)
    values["transl"] = np.zeros((1, 3), np.float32)
    scale = np.median([p.scale for p in measured(persons)])
    pelvis = BODY.rest_joints(values["betas"], values["expression"])[0, 0]
    return scale * (BODY.vertices(**values)[0] - pelvis) + persons[row].joints[0]


def test_animation_has_the_vertices_of_the_body(
    bag: Path, images: Images, export: Callable[..., Path]
) -> None:
    glb = Glb(export(bag, "glb") / "people.glb")
    for name, present in PRESENT.items():
        for row, image in enumerate(present):
            x, y, z = glb.vertices(f"{name}_mesh", float(np.float32(image * STEP * 1e-9))).T
            wanted = recorded_vertices(images, name, row)
            seen = np.stack([x, -y, -z], axis=1)  # y is up in the file, and the camera looks at -z
            apart = np.linalg.norm(seen - wanted, axis=1).max()
            assert apart < 1e-3, f"{name} in image {image}"
        assert glb.json["meshes"][0]["extras"]["targetNames"] == list(BODY.expression_names)


@pytest.mark.parametrize("detail", ["medium", "low"])
def test_animation_of_a_reduced_mesh_has_its_vertices(
    bag: Path, images: Images, export: Callable[..., Path], detail: str
) -> None:
    glb = Glb(export(bag, "glb", "--mesh-detail", detail) / "people.glb")
    faces = BODY.faces_of(detail)
    used = np.unique(faces)
    for mesh in glb.json["meshes"]:
        (primitive,) = mesh["primitives"]
        corners = glb.array(primitive["indices"])[:, 0].astype(int)
        np.testing.assert_array_equal(used[corners], faces.ravel())
        counts = {len(glb.array(at)) for at in primitive["attributes"].values()}
        counts |= {len(glb.array(target["POSITION"])) for target in primitive["targets"]}
        assert counts == {len(used)}
        normals = glb.array(primitive["attributes"]["NORMAL"])
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-5)
    x, y, z = glb.vertices("h1_mesh", float(np.float32(5 * STEP * 1e-9))).T
    found = np.stack([x, -y, -z], axis=1)
    whole = Glb(export(bag, "glb") / "people.glb")
    x, y, z = whole.vertices("h1_mesh", float(np.float32(5 * STEP * 1e-9))).T
    np.testing.assert_allclose(found, np.stack([x, -y, -z], axis=1)[used], atol=1e-6)


def test_animation_interpolates_shortest_and_hides_absent_people(
    bag: Path, export: Callable[..., Path]
) -> None:
    glb = Glb(export(bag, "glb") / "people.glb")
    (animation,) = glb.json["animations"]
    for sampler in animation["samplers"]:
        values = glb.array(sampler["output"])
        if values.shape[1] == 4:
            assert ((values[1:] * values[:-1]).sum(axis=1) >= 0.0).all()
    for seconds, size in ((0.05, 0.0), (0.15, 1.11), (0.35, 0.0), (0.55, 1.11), (0.75, 0.0)):
        scale = np.linalg.norm(glb.world(glb.node("h2"), seconds)[:3, :3], axis=0)
        np.testing.assert_allclose(scale, size, atol=0.02)


def test_animation_camera_projects_people_onto_their_keypoints(
    bag: Path, images: Images, export: Callable[..., Path]
) -> None:
    glb = Glb(export(bag, "glb") / "people.glb")
    node = glb.json["nodes"][glb.node("camera")]
    lens = glb.json["cameras"][node["camera"]]["perspective"]
    assert not {"translation", "rotation", "matrix"} & set(node), "at the origin, along -z"
    (pelvis,) = glb.json["nodes"][glb.node("h1")]["children"]
    x, y, z = glb.world(pelvis, 0.0)[:3, 3]
    tangent = np.tan(lens["yfov"] / 2)
    across, up = x / -z / (tangent * lens["aspectRatio"]), y / -z / tangent
    pixel = (320 * (1 + across) - 0.5, 240 * (1 - up) - 0.5)
    np.testing.assert_allclose(pixel, of(images, "h1")[0].keypoints[0], atol=0.01)


def test_export_of_one_person(bag: Path, export: Callable[..., Path]) -> None:
    out = export(bag, "npz", "--person", "h2")
    assert [file.name for file in out.iterdir()] == ["h2.npz"]
    assert len(Glb(export(bag, "glb", "--person", "h2") / "people.glb").json["meshes"]) == 1


def test_tracks_begin_again_where_an_id_is_new_again(
    tmp_path: Path, images: Images, export: Callable[..., Path]
) -> None:
    again = [(stamp + IMAGES * STEP, people) for stamp, people in images]
    out = export(write(tmp_path / "bag", [*images, *again]), "npz")
    assert {file.stem for file in out.iterdir()} == {"h1", "h1_2", "h2", "h2_2"}
    with np.load(out / "h1_2.npz") as found:
        assert found["frame"].tolist() == list(range(IMAGES, 2 * IMAGES))


def test_bag_topics_are_found_by_type(
    tmp_path: Path, images: Images, refusal: Callable[..., str], export: Callable[..., Path]
) -> None:
    path = tmp_path / "bag"
    with ResultsBag(path) as bag:
        bag.add_body(BODY, "/left/body_model")
        bag.add_images(images[:1], "/left/humans")
        bag.add_images(images, "/right/humans")
    said = refusal(path)
    assert "/left/humans, /right/humans; choose one with --topic" in said
    assert "/right/humans" in refusal(path, "npz", "--topic", "/humans")
    with np.load(export(path, "npz", "--topic", "/right/humans") / "h1.npz") as found:
        assert len(found["poses"]) == IMAGES


def test_bag_without_definitions_is_read_with_those_of_pear_msgs(
    tmp_path: Path, images: Images
) -> None:
    path = write(tmp_path / "bag", images, storage=StoragePlugin.SQLITE3)
    (database,) = path.glob("*.db3")
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM message_definitions")
        connection.execute("UPDATE topics SET type_description_hash = ''")
    recording = read_bag(path)
    assert [track.id for track in recording.tracks] == ["h1", "h2"]


def test_definitions_are_found_in_the_share_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "lib" / "python3" / "site-packages"
    for name in ("pear_msgs/msg", "pear_ros/bags"):
        (packages / name).mkdir(parents=True)
    (packages / "pear_msgs" / "__init__.py").touch()
    monkeypatch.setattr(pear_messages, "__file__", str(packages / "pear_ros/bags/x.py"))
    monkeypatch.delitem(sys.modules, "pear_msgs", raising=False)
    monkeypatch.setattr(sys, "path", [str(packages)])
    assert pear_messages.pear_typestore(Stores.ROS2_HUMBLE) is None
    share = tmp_path / "share" / "pear_msgs"
    shutil.copytree(Path(__file__).parents[2] / "pear_msgs" / "msg", share / "msg")
    typestore = pear_messages.pear_typestore(Stores.ROS2_HUMBLE)
    assert typestore is not None and "pear_msgs/msg/HumanArray" in typestore.fielddefs


def test_table_without_people_has_only_a_heading(
    tmp_path: Path, export: Callable[..., Path], refusal: Callable[..., str]
) -> None:
    path = write(tmp_path / "bag", [(START, people()), (START + STEP, people())])
    assert not list(export(path, "npz").iterdir())
    assert len((export(path, "csv") / "joints.csv").read_text().splitlines()) == 1
    assert "no people" in refusal(path, "glb")


def test_glb_is_refused_for_bodies_that_are_not_open(
    tmp_path: Path, refusal: Callable[..., str]
) -> None:
    licensed = [(START, people(person("h1", 0), body_model="ehm-s/1"))]
    said = refusal(write(tmp_path / "licensed", licensed), "glb")
    assert "ehm-s/1" in said and "use npz or csv" in said
    with ResultsBag(tmp_path / "other") as bag:
        bag.add_body(BODY, sha256="0" * 64)
        bag.add_images([(START, people(person("h1", 0)))])
    assert f"another {BODY.name}" in refusal(tmp_path / "other", "glb")


def test_people_of_an_earlier_open_body_are_animated_with_todays_mesh(
    tmp_path: Path,
    images: Images,
    export: Callable[..., Path],
    refusal: Callable[..., str],
    bag: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ((earlier, sha256),) = EARLIER_OPEN_BODIES.items()
    recorded = [(stamp, replace(found, body_model=earlier)) for stamp, found in images]
    for folder, digest in (("known", sha256), ("unknown", "0" * 64)):
        with ResultsBag(tmp_path / folder) as results:
            results.add_body(BODY, name=earlier, sha256=digest)
            results.add_images(recorded)
    glb = Glb(export(tmp_path / "known", "glb") / "people.glb")
    assert f"people of {earlier} get the mesh of {BODY.name}" in caplog.text
    person = glb.json["nodes"][glb.node("h1")]
    assert person["extras"]["body_model"] == earlier
    assert {mesh["extras"]["body_model"] for mesh in glb.json["meshes"]} == {BODY.name}
    today = Glb(export(bag, "glb") / "people.glb")
    np.testing.assert_array_equal(glb.vertices("h1_mesh", 0.0), today.vertices("h1_mesh", 0.0))
    track = np.load(export(tmp_path / "known", "npz") / "h1.npz")
    assert track["body_model"] == earlier
    assert f"another {earlier}" in refusal(tmp_path / "unknown", "glb")


def test_export_errors_give_the_reason(
    tmp_path: Path, bag: Path, images: Images, refusal: Callable[..., str]
) -> None:
    assert "does not exist" in refusal(tmp_path / "absent")
    assert "it has: h1, h2" in refusal(bag, "npz", "--person", "h9")
    assert "no metadata.yaml" in refusal(tmp_path)
    with ResultsBag(tmp_path / "cameras") as moved:
        moved.add_images(images[:1], frame_id="left")
        moved.add_images(images[1:], frame_id="right")
    assert "several cameras, left, right" in refusal(tmp_path / "cameras")
    odd = [(START, people(replace(person("h1", 0), id="../h1")))]
    assert "../h1" in refusal(write(tmp_path / "odd", odd))
    with ResultsBag(tmp_path / "nothing") as empty:
        empty.add_body(BODY)
    assert "no topic of type pear_msgs/msg/HumanArray" in refusal(tmp_path / "nothing")


def test_swapped_images_are_put_in_order(
    tmp_path: Path, images: Images, export: Callable[..., Path], bag: Path, capsys: Any
) -> None:
    swapped = [images[0], images[2], images[1], *images[3:]]
    folder = export(write(tmp_path / "swapped", swapped), "npz").rename(tmp_path / "first")
    assert "1 images are recorded after later ones, and put in order" in capsys.readouterr().err
    expected = export(bag, "npz")
    for name in ("h1.npz", "h2.npz"):
        with np.load(folder / name) as found, np.load(expected / name) as right:
            for key in right.files:
                np.testing.assert_array_equal(found[key], right[key])


@pytest.mark.parametrize("file_format", ["npz", "csv", "glb"])
def test_duplicate_and_zero_stamps_are_left_out(
    tmp_path: Path,
    images: Images,
    export: Callable[..., Path],
    bag: Path,
    file_format: str,
    capsys: Any,
) -> None:
    odd = [images[0], images[0], *images[1:3], (0, images[2][1]), *images[3:]]
    folder = export(write(tmp_path / "odd", odd), file_format).rename(tmp_path / "first")
    said = capsys.readouterr().err
    assert "1 image is left out: others have the same stamp" in said
    assert "1 image is left out: their stamp is 0" in said
    expected = export(bag, file_format)
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in expected.iterdir())
    if file_format == "csv":
        assert (folder / "joints.csv").read_text() == (expected / "joints.csv").read_text()


@pytest.mark.parametrize("file_format", ["npz", "csv", "glb"])
def test_stamps_that_begin_again_split_the_tracks(
    tmp_path: Path, images: Images, export: Callable[..., Path], file_format: str, capsys: Any
) -> None:
    """As of a bag that is played twice, without its people being new the second time."""
    seen = [
        (
            stamp + 5 * 10**9,
            replace(
                found,
                persons=tuple(replace(one, state=TrackingState.TRACKED) for one in found.persons),
            ),
        )
        for stamp, found in images
    ]
    twice = [*seen, *((stamp - 10 * 10**9, found) for stamp, found in seen)]
    folder = export(write(tmp_path / "twice", twice), file_format)
    assert "go back 1 times by more than a second: tracks are split" in capsys.readouterr().err
    if file_format == "npz":
        assert {"h1.npz", "h1_2.npz"} <= {path.name for path in folder.iterdir()}
        for name in ("h1", "h1_2"):
            with np.load(folder / f"{name}.npz") as found:
                assert (np.diff(found["stamps_ns"]) > 0).all()
                assert found["mocap_frame_rate"] > 0


def test_recording_times_serve_where_all_stamps_are_zero(
    tmp_path: Path, images: Images, export: Callable[..., Path], capsys: Any
) -> None:
    folder = export(write(tmp_path / "zeros", [(0, found) for _, found in images]), "npz")
    assert "have the stamp 0: their recording times are used" in capsys.readouterr().err
    with np.load(folder / "h1.npz") as found:
        assert set(np.diff(found["stamps_ns"])) <= {n * 1_000_000 for n in range(1, 9)}


def test_corrupt_message_is_left_out(
    tmp_path: Path, images: Images, export: Callable[..., Path], capsys: Any
) -> None:
    path = write(tmp_path / "bag", images, storage=StoragePlugin.SQLITE3)
    with closing(sqlite3.connect(path / "bag.db3")) as database:
        database.execute(
            "UPDATE messages SET data = substr(data, 1, 100) WHERE id = (SELECT max(id) FROM "
            "messages)"
        )
        database.commit()
    export(path, "csv")
    said = capsys.readouterr()
    assert "1 messages on /humans are corrupt, and left out" in said.err
    assert f"in {IMAGES - 1} images" in said.out


def test_links_in_the_folder_are_replaced(
    tmp_path: Path, bag: Path, export: Callable[..., Path]
) -> None:
    precious = tmp_path / "precious"
    for file_format, name in (("npz", "h1.npz"), ("csv", "joints.csv"), ("glb", "people.glb")):
        precious.write_text("precious")
        folder = tmp_path / file_format
        folder.mkdir()
        (folder / name).symlink_to(precious)
        assert main(["export", str(bag), "--format", file_format, "--output", str(folder)]) == 0
        assert precious.read_text() == "precious" and not (folder / name).is_symlink()
        assert not list(folder.glob(".*")), "no draft is left"


def test_damaged_bag_is_exported_as_far_as_readable(
    tmp_path: Path,
    images: Images,
    export: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write(tmp_path / "bag", images, storage=StoragePlugin.SQLITE3)
    (path / "metadata.yaml").write_text("a: b: c\n'")
    assert len(list(export(path, "npz").iterdir())) == 2
    assert f"warning: {path}/metadata.yaml is damaged" in capsys.readouterr().err
    file = path / "bag.db3"
    file.write_bytes(file.read_bytes()[: int(0.97 * file.stat().st_size)])
    with np.load(export(file, "npz") / "h1.npz") as found:
        count = len(found["poses"])
        assert 2 < count < IMAGES
        assert found["stamps_ns"].tolist() == [START + k * STEP for k in range(count)]
    assert f"warning: {file} is cut off or damaged" in capsys.readouterr().err


@pytest.mark.parametrize("storage", list(StoragePlugin))
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_unreadable_bag_is_named(
    tmp_path: Path,
    images: Images,
    storage: StoragePlugin,
    share: float,
    refusal: Callable[..., str],
) -> None:
    path = write(tmp_path / "bag", images, storage=storage)
    (file,) = (file for file in path.iterdir() if file.suffix != ".yaml")
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert f"{path} has no messages; {file} is cut off or damaged" in refusal(path)


def test_other_topics_are_ignored(tmp_path: Path, images: Images) -> None:
    """They may be of services, or of older messages with equal names."""
    path = write(tmp_path / "bag", images, storage=StoragePlugin.SQLITE3)
    with closing(sqlite3.connect(path / "bag.db3")) as database:
        for kind, text in (
            ("a/srv/B_Event", f"{'=' * 80}\nSRV: a/srv/B\nint64 a\n---\nint64 sum\n"),
            ("old/msg/A", f"pear_msgs/Human human\n{'=' * 80}\nMSG: pear_msgs/Human\nint8 a\n"),
        ):
            database.execute(
                "INSERT INTO message_definitions (topic_type, encoding,"
                " encoded_message_definition, type_description_hash) VALUES (?, 'ros2msg', ?, '')",
                (kind, text),
            )
            database.execute(
                "INSERT INTO topics (name, type, serialization_format, offered_qos_profiles,"
                " type_description_hash) VALUES (?, ?, 'cdr', '', '')",
                (f"/{kind}", kind),
            )
        database.commit()
    recording = read_bag(path)
    assert [track.id for track in recording.tracks] == ["h1", "h2"] and not recording.damage


def test_folder_with_several_bags_is_refused(
    tmp_path: Path, images: Images, refusal: Callable[..., str]
) -> None:
    for name in "ab":
        write(tmp_path / name, images)
    assert "holds several bags; name one" in refusal(tmp_path)


def test_messages_of_another_version_are_refused(
    tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    path = write(tmp_path / "bag", images, storage=StoragePlugin.SQLITE3)
    (database,) = path.glob("*.db3")
    with sqlite3.connect(database) as connection:
        connection.execute(
            "UPDATE message_definitions SET encoded_message_definition = "
            "replace(encoded_message_definition, 'float32 scale', 'float32 size')"
        )
        connection.execute("UPDATE topics SET type_description_hash = ''")
    assert "another version of pear_msgs, which had no scale" in refusal(database)


def test_run_file_of_an_older_version_has_unknown_arrays(
    tmp_path: Path, images: Images, export: Callable[..., Path]
) -> None:
    path = run_file(tmp_path / "clip.npz", images)
    with np.load(path) as arrays:
        older = {name: arrays[name] for name in arrays.files if name not in ARRAYS_SINCE_0_2}
    np.savez(path, **older)
    with np.load(export(path, "npz") / "h2.npz") as arrays:
        count = len(arrays["frame"])
        assert np.isnan(arrays["depth_error"]).all() and arrays["depth_error"].shape == (count,)
        assert np.isnan(arrays["foot_contact"]).all() and arrays["foot_contact"].shape == (count, 4)


def test_run_file_is_exported(
    tmp_path: Path, images: Images, export: Callable[..., Path], refusal: Callable[..., str]
) -> None:
    with np.load(export(run_file(tmp_path / "clip.npz", images), "npz") / "h2.npz") as arrays:
        assert set(arrays) == {*POSE_ARRAYS, *OWN_ARRAYS}
        assert arrays["frame"].tolist() == PRESENT["h2"]
        assert arrays["stamps_ns"].tolist() == [STEP * frame for frame in PRESENT["h2"]]
        joints = [p.joints for p in of(images, "h2")]
        np.testing.assert_array_equal(arrays["joints"], joints)
        assert arrays["scale"].tolist() == [1.0] * 4
    assert "is not an npz file of `pear run`" in refusal(tmp_path / "out" / "h2.npz")
    assert "does not exist" in refusal(tmp_path / "absent.npz")


def test_glb_without_its_library_says_what_to_install(
    bag: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    monkeypatch.setitem(sys.modules, "pygltflib", None)
    for module in ("glb", "gltf_buffer"):
        monkeypatch.delitem(sys.modules, f"pear_ros.export.{module}", raising=False)
    assert "pip install pygltflib" in refusal(bag, "glb")


def test_read_bag_needs_no_ros(bag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("rclpy", "pear_msgs"):
        monkeypatch.setitem(sys.modules, module, None)
    assert len(read_bag(bag).tracks) == 2
    with pytest.raises(ResultsError, match="does not exist"):
        read_bag(bag / "absent")
