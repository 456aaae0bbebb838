# SPDX-License-Identifier: Apache-2.0
"""`pear export` as glb: an animation of the bodies, seen by the recorded camera."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pear_ros.body.model_files import EARLIER_OPEN_BODIES
from testing.exported_people import (
    BODY,
    PRESENT,
    START,
    STEP,
    Images,
    batched,
    measured,
    of,
    people,
    person,
    write,
)
from testing.glb_reader import Glb
from testing.results_bag import ResultsBag


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


def test_glb_without_its_library_says_what_to_install(
    bag: Path, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]
) -> None:
    monkeypatch.setitem(sys.modules, "pygltflib", None)
    for module in ("glb", "gltf_buffer"):
        monkeypatch.delitem(sys.modules, f"pear_ros.export.{module}", raising=False)
    assert "pip install pygltflib" in refusal(bag, "glb")
