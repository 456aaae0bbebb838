# SPDX-License-Identifier: Apache-2.0
"""`pear export --format rrd`: Rerun's own reader finds what was recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.body.normals import vertex_normals
from pear_ros.cli import main
from pear_ros.core.people import SMPLX_JOINT_NAMES, People, Person
from pear_ros.io.video import VideoWriter
from testing.image_bags import jpeg, raw, write_bag
from testing.open_people import CAMERA, open_body, person, t_pose
from testing.results_bag import ResultsBag

chunk = pytest.importorskip("rerun.chunk", reason="rerun-sdk, which needs NumPy 2, is missing")

START = 1_700_000_000_023_456_789
STEP = 100_000_000
IMAGES = 5
ROOT = "/camera_optical_frame"
PICTURE = cv2.GaussianBlur(
    np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8), (9, 9), 0
)

Rows = dict[int, dict[str, Any]]
"""Values of components by name, by stamp in nanoseconds."""


def people(image: int) -> list[Person]:
    """h1 in every image, h2 in images 1 and 3."""
    turned = Rotation.from_euler("zx", (0.2 * image, np.pi)).as_rotvec()
    pose = t_pose(left_elbow=(0.0, -0.3 * image, 0.0))
    pose[0] = turned
    found = [replace(person(pose, (-0.8, 0.2, 4.0 + 0.1 * image)), scale=1.0)]
    if image in (1, 3):
        found.append(person(t_pose(), (1.0, 0.0, 5.0), track_id="h2"))
    return found


def write(path: Path, body_model: str = open_body().name, start: int = START) -> Path:
    with ResultsBag(path) as bag:
        bag.add_body(open_body())
        bag.add_images(
            [
                (start + n * STEP, People(CAMERA, "landmarks/2", body_model, tuple(people(n))))
                for n in range(IMAGES)
            ]
        )
    return path


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("results") / "bag")


class Rrd:
    """An rrd file, read by Rerun."""

    def __init__(self, path: Path) -> None:
        self.static: dict[str, dict[str, Any]] = {}
        """Values by entity and name of the component."""
        self.rows: dict[str, Rows] = {}
        """Rows by entity."""
        self.timelines: set[str] = set()
        for part in chunk.RrdReader(path).stream().to_chunks():
            batch = part.to_record_batch()
            self.timelines |= set(part.timeline_names)
            for row in range(batch.num_rows):
                values = {
                    name: batch[name][row].as_py()
                    for name in batch.schema.names
                    if ":" in name and batch[name][row].is_valid
                }
                if part.is_static:
                    self.static.setdefault(part.entity_path, {}).update(values)
                else:
                    stamp = batch[part.timeline_names[0]][row].value
                    self.rows.setdefault(part.entity_path, {}).setdefault(stamp, {}).update(values)


@pytest.fixture
def export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Rrd]:
    """Run `pear export`, which must succeed; return what is in the file."""

    def run(source: Path, *arguments: str) -> Rrd:
        out = tmp_path / "out"
        command = ["export", str(source), "--format", "rrd", "--output", str(out)]
        assert main([*command, *arguments]) == 0, capsys.readouterr().err
        assert [file.name for file in out.iterdir()] == ["people.rrd"]
        return Rrd(out / "people.rrd")

    return run


def stamps(images: list[int]) -> list[int]:
    return [START + image * STEP for image in images]


def placed(pelvis: dict[str, Any], points: Any) -> Any:
    """Points (N, 3) in the pelvis' frame, in the optical frame."""
    (quaternion,), (scale,), (place,) = (
        pelvis[f"Transform3D:{name}"] for name in ("quaternion", "scale", "translation")
    )
    return Rotation.from_quat(quaternion).apply(np.array(points) * scale) + place


@pytest.mark.parametrize("detail", ["full", "low"])
def test_meshes_are_those_of_the_body(bag: Path, export: Callable[..., Rrd], detail: str) -> None:
    rrd = export(bag, "--mesh-detail", detail)
    body = open_body()
    faces = body.faces_of(detail)
    used = np.unique(faces)
    for name, images in (("h1", [0, 1, 2, 3, 4]), ("h2", [1, 3])):
        pelvis, mesh = f"{ROOT}/people/{name}/pelvis", f"{ROOT}/people/{name}/pelvis/mesh"
        assert sorted(rrd.rows[mesh]) == sorted(rrd.rows[pelvis]) == stamps(images)
        corners = np.array(rrd.static[mesh]["Mesh3D:triangle_indices"])
        np.testing.assert_array_equal(used[corners], faces)
        for image in images:
            (recorded,) = (one for one in people(image) if one.id == name)
            wanted = body.vertices(**{k: v[None] for k, v in vars(recorded.smplx).items()})[0]
            at = START + image * STEP
            row = rrd.rows[mesh][at]
            found = placed(rrd.rows[pelvis][at], row["Mesh3D:vertex_positions"])
            np.testing.assert_allclose(found, wanted[used], atol=1e-5)
            whole = vertex_normals(wanted, body.faces)[used]
            turned = Rotation.from_quat(rrd.rows[pelvis][at]["Transform3D:quaternion"][0])
            normals = turned.apply(row["Mesh3D:vertex_normals"])
            np.testing.assert_allclose(normals, whole, atol=1e-3)


def test_joints_have_names_and_bones(bag: Path, export: Callable[..., Rrd]) -> None:
    rrd = export(bag, "--mesh-detail", "low")
    joints = rrd.rows[f"{ROOT}/people/h1/joints"]
    for image in range(IMAGES):
        found = joints[START + image * STEP]["Points3D:positions"]
        np.testing.assert_allclose(found, people(image)[0].joints, atol=1e-6)
    ((context,),) = rrd.static[f"{ROOT}/people"].values()
    assert [one["class_description"]["info"]["label"] for one in context] == ["h1", "h2"]
    described = context[0]["class_description"]
    names = [one["label"] for one in described["keypoint_annotations"]]
    assert names == list(SMPLX_JOINT_NAMES)
    assert len(described["keypoint_connections"]) == len(names) - 1


def test_absent_people_are_cleared(bag: Path, export: Callable[..., Rrd]) -> None:
    rrd = export(bag, "--mesh-detail", "low")
    assert sorted(rrd.rows[f"{ROOT}/people/h2"]) == stamps([2, 4])
    assert f"{ROOT}/people/h1" not in rrd.rows
    assert rrd.timelines == {"ros2_timestamp"}


def test_camera_projects_people_onto_their_keypoints(bag: Path, export: Callable[..., Rrd]) -> None:
    rrd = export(bag, "--mesh-detail", "low")
    (matrix,) = rrd.static[f"{ROOT}/image"]["Pinhole:image_from_camera"]
    found = people(0)[0]
    pixels = found.joints @ np.reshape(matrix, (3, 3))  # Column-major, so transposed.
    pixels = pixels[:, :2] / pixels[:, 2:]
    np.testing.assert_allclose(pixels, found.keypoints + 0.5, atol=0.01)


@pytest.mark.parametrize("message", [jpeg, raw])
def test_images_of_a_bag_are_beside_people(
    tmp_path: Path, bag: Path, export: Callable[..., Rrd], message: Any
) -> None:
    images = write_bag(
        tmp_path / "images",
        [("/camera/image", n * STEP, message(PICTURE, n * STEP)) for n in (0, 2)],
    )
    rrd = export(bag, "--mesh-detail", "low", "--images", str(images))
    rows = rrd.rows[f"{ROOT}/image"]
    assert sorted(rows) == [1_700_000_000_000_000_000 + n * STEP for n in (0, 2)]
    for row in rows.values():
        assert row["EncodedImage:media_type"] == ["image/jpeg"]
        data = np.array(row["EncodedImage:blob"][0], np.uint8)
        seen = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert np.abs(seen.astype(int) - PICTURE).mean() < 5.0
        if message is jpeg:
            np.testing.assert_array_equal(data, jpeg(PICTURE, 0).data)


def test_licensed_bodies_have_joints_and_no_mesh(
    tmp_path: Path, export: Callable[..., Rrd], caplog: pytest.LogCaptureFixture
) -> None:
    rrd = export(write(tmp_path / "licensed", "smplx-neutral-2020"))
    assert f"{ROOT}/people/h1/joints" in rrd.rows
    assert not [entity for entity in rrd.rows if entity.endswith("mesh")]
    assert "h1 has joints alone" in caplog.text and "licence" in caplog.text


def test_stamps_that_are_no_dates_are_durations(tmp_path: Path, export: Callable[..., Rrd]) -> None:
    rrd = export(write(tmp_path / "simulated", start=STEP), "--mesh-detail", "low")
    assert rrd.timelines == {"ros2_duration"}
    assert sorted(rrd.rows[f"{ROOT}/people/h1/joints"])[0] == STEP


def test_missing_images_are_said(
    tmp_path: Path, bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(bag), "--format", "rrd", "--output", str(tmp_path / "out")]
    assert main([*command, "--images", str(tmp_path / "absent")]) == 1
    assert "absent does not exist" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_images_of_others_are_refused(
    tmp_path: Path, bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(bag), "--format", "rrd", "--mesh-detail", "low"]
    command += ["--output", str(tmp_path / "out"), "--images"]
    film = tmp_path / "film.mp4"
    with VideoWriter(film) as writer:
        writer.write(0.0, PICTURE)
    assert main([*command, str(film)]) == 1
    assert "all images of --images are before or after" in capsys.readouterr().err
    for name in ("one", "two"):
        write_bag(tmp_path / "several" / name, [("/camera/image", 0, jpeg(PICTURE, 0))])
    assert main([*command, str(tmp_path / "several")]) == 1
    assert "holds several bags; name one" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))
