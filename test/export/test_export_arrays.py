# SPDX-License-Identifier: Apache-2.0
"""`pear export` as npz and csv: all that was recorded, unknown where it is unknown."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from pear_ros.core.estimate_arrays import ARRAYS_SINCE_0_2, ESTIMATE_ARRAYS
from pear_ros.core.people import (
    SMPLX_JOINT_NAMES,
    FlameParams,
    TrackingState,
)
from pear_ros.export.arrays import FLAME_ARRAYS, OWN_ARRAYS, POSE_ARRAYS
from testing.exported_people import (
    BODY,
    PRESENT,
    START,
    STEP,
    Images,
    measured,
    of,
    people,
    person,
    run_file,
    write,
)
from testing.glb_reader import Glb
from testing.smplx_file import smplx_forward, write_smplx_file


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


def test_export_of_one_person(bag: Path, export: Callable[..., Path]) -> None:
    out = export(bag, "npz", "--person", "h2")
    assert [file.name for file in out.iterdir()] == ["h2.npz"]
    assert len(Glb(export(bag, "glb", "--person", "h2") / "people.glb").json["meshes"]) == 1


def test_table_without_people_has_only_a_heading(
    tmp_path: Path, export: Callable[..., Path], refusal: Callable[..., str]
) -> None:
    path = write(tmp_path / "bag", [(START, people()), (START + STEP, people())])
    assert not list(export(path, "npz").iterdir())
    assert len((export(path, "csv") / "joints.csv").read_text().splitlines()) == 1
    assert "no people" in refusal(path, "glb")


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
