# SPDX-License-Identifier: Apache-2.0
"""Reduced meshes: their vertices, their distance from the body, and their computation."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pear_ros.body import BodyModel, mesh_reduction
from pear_ros.body.ehm import EhmBody
from pear_ros.body.model_files import OPEN_BODY_FILE, REDUCED_OPEN_BODY_FILE
from pear_ros.body.submesh import SubMesh
from pear_ros.core.parameters import MESH_DETAILS
from pear_ros.pear.files import find_model_files, load_body_files
from testing.mesh_distance import distances
from testing.open_people import JOINT, batch, open_body, t_pose

LIGHT = ("medium", "low")
HANDS = [JOINT["left_wrist"], JOINT["right_wrist"], *range(25, 55)]
HEAD = [JOINT["head"], JOINT["jaw"]]
ERROR_MM = {
    # mean, 95th percentile, greatest: of all vertices, of hands, of the head
    "medium": ((0.8, 2.5, 25.0), (0.5, 1.5, 6.0), (0.6, 1.6, 8.0)),
    "low": ((2.3, 7.0, 40.0), (1.5, 4.0, 10.0), (1.7, 4.5, 15.0)),
}
BENT = {
    **{"left_shoulder": (0, 0.3, -0.9), "right_shoulder": (0, 0, 1.1)},
    **{"left_elbow": (0, -2.0, 0), "right_elbow": (0, 1.2, 0)},
    **{"left_hip": (-1.4, 0, 0), "left_knee": (1.9, 0, 0), "right_knee": (0.7, 0, 0)},
    **{f"left_{finger}{k}": (0, 0, -1.2) for finger in ("index", "middle") for k in (1, 2, 3)},
    **{"jaw": (0.2, 0, 0), "spine2": (0.3, 0.2, 0), "neck": (0.2, 0.3, 0)},
}


def edges(faces: np.ndarray) -> np.ndarray:
    return np.concatenate([faces[:, [k, (k + 1) % 3]] for k in range(3)])


def litres(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = vertices[faces].astype(float).transpose(1, 0, 2)
    return float(1000.0 * np.einsum("ij,ij->", np.cross(a, b), c) / 6.0)


def areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = vertices[faces].astype(float).transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2.0


def upright(body: BodyModel, faces: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Cosine, times up to 1, between triangles and the body's surface at their corners."""
    a, b, c = body.v_template[body.faces].astype(float).transpose(1, 0, 2)
    normals = np.zeros(body.v_template.shape)
    np.add.at(normals, body.faces, np.cross(b - a, c - a)[:, None])
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    a, b, c = vertices[faces].astype(float).transpose(1, 0, 2)
    across = np.cross(b - a, c - a)
    across /= np.linalg.norm(across, axis=1)[:, None]
    return (normals[faces].mean(axis=1) * across).sum(axis=1)


@pytest.mark.parametrize("detail", LIGHT)
def test_reduced_meshes_use_the_bodys_vertices(detail: str) -> None:
    body = open_body()
    faces = body.faces_of(detail)
    assert faces.dtype == np.int32
    assert abs(len(faces) / mesh_reduction.TRIANGLES[detail] - 1.0) < 0.05
    assert faces.min() >= 0 and faces.max() < body.vertex_count
    assert len(np.unique(faces)) < 0.6 * len(faces)
    assert len(np.unique(np.sort(faces, axis=1), axis=0)) == len(faces), "none is there twice"


def test_full_detail_has_all_faces() -> None:
    body = open_body()
    assert body.faces_of("full") is body.faces
    assert replace(body, reduced_faces={}).faces_of("low") is body.faces


@pytest.mark.parametrize("detail", LIGHT)
def test_reduced_surface_is_closed_and_faces_outwards(detail: str) -> None:
    body = open_body()
    faces = body.faces_of(detail)
    forth, back = (np.unique(e, axis=0) for e in (edges(faces), edges(faces)[:, ::-1]))
    assert len(forth) == len(edges(faces)), "each edge runs once each way"
    np.testing.assert_array_equal(forth, back)
    whole = litres(body.v_template, body.faces)
    assert litres(body.v_template, faces) == pytest.approx(whole, rel=0.03)


@pytest.mark.parametrize("detail", LIGHT)
def test_reduced_meshes_have_no_degenerate_or_folded_triangle(detail: str) -> None:
    body = open_body()
    faces = body.faces_of(detail)
    assert areas(body.v_template, faces).min() > 1e-6
    assert upright(body, faces, body.v_template).min() > 0.0


@pytest.mark.parametrize("detail", LIGHT)
@pytest.mark.parametrize("bends", [{}, BENT], ids=["straight", "bent"])
def test_reduced_meshes_are_close_to_the_body(detail: str, bends: dict[str, tuple]) -> None:
    body = open_body()
    vertices = body.vertices(*batch(t_pose(**bends), (0.0, 0.0, 3.0)))[0]
    found = 1000.0 * distances(vertices, vertices, body.faces_of(detail))
    owner = body.weights.toarray().argmax(axis=1)
    regions = (slice(None), np.isin(owner, HANDS), np.isin(owner, HEAD))
    for region, (mean, most, greatest) in zip(regions, ERROR_MM[detail], strict=True):
        assert found[region].mean() < mean
        assert np.percentile(found[region], 95) < most
        assert found[region].max() < greatest


@pytest.mark.parametrize("detail", LIGHT)
def test_reduced_meshes_keep_every_finger(detail: str) -> None:
    """Its tip is, within a few millimetres, and its last phalanx has triangles all around."""
    body = open_body()
    faces = body.faces_of(detail)
    owner = body.weights.toarray().argmax(axis=1)
    for side in ("left", "right"):
        for finger in ("index", "middle", "pinky", "ring", "thumb"):
            joint = JOINT[f"{side}_{finger}3"]
            mine = body.v_template[owner == joint]
            assert distances(mine, body.v_template, faces).max() < 0.008
            assert (owner[faces] == joint).any(axis=1).sum() >= 8


def test_reduced_meshes_belong_to_the_bodys_hash() -> None:
    with np.load(REDUCED_OPEN_BODY_FILE) as data:
        assert str(data["body_sha256"]) == open_body().sha256, "run tools/reduce_open_body.py"
    assert REDUCED_OPEN_BODY_FILE.parent == OPEN_BODY_FILE.parent
    assert set(open_body().reduced_faces) == set(MESH_DETAILS) - {"full"}


def test_submesh_has_only_the_vertices_it_uses() -> None:
    points = np.arange(30.0).reshape(2, 5, 3)
    faces = np.array([[4, 1, 2], [2, 1, 4]])
    part = SubMesh.of(faces, 5)
    np.testing.assert_array_equal(part.take(points)[:, part.faces], points[:, faces])
    assert part.take(points).shape == (2, part.vertex_count, 3) == (2, 3, 3)
    whole = SubMesh.of(np.array([[0, 1, 2], [2, 3, 4]]), 5)
    assert whole.take(points) is points


def test_folded_triangles_are_flipped() -> None:
    """Of two triangles one lies upside down upon the other; the other diagonal is right."""
    points = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0.5, 0.5, 0]], np.float32)
    up = np.tile(np.float32([0, 0, 1]), (4, 1))
    folded = np.array([[0, 1, 2], [2, 1, 3]], np.int32)
    assert (mesh_reduction._upright(folded, [(points, up)]) < 0.0).sum() == 1
    mended = mesh_reduction._unfolded(folded, [(points, up)])
    assert (mesh_reduction._upright(mended, [(points, up)]) > 0).all()
    assert sorted(map(tuple, edges(mended).tolist())) != sorted(map(tuple, edges(folded).tolist()))


@pytest.fixture
def meshoptimizer() -> None:
    pytest.importorskip("meshoptimizer", reason="the library that makes lighter meshes")


@pytest.mark.usefixtures("meshoptimizer")
def test_reduce_faces_reproduces_the_open_body() -> None:
    """Not to the same triangles on every machine, but as good ones."""
    body = open_body()
    for detail, faces in mesh_reduction.reduce_faces(body).items():
        assert abs(len(faces) / len(body.faces_of(detail)) - 1.0) < 0.05
        assert upright(body, faces, body.v_template).min() > 0.0


@pytest.mark.usefixtures("meshoptimizer")
def test_reduce_faces_keeps_holes() -> None:
    """SMPL-X's surface is not closed."""
    body = open_body()
    owner = body.weights.toarray().argmax(axis=1)
    cut = body.faces[~(owner[body.faces] == JOINT["jaw"]).any(axis=1)]
    faces = mesh_reduction.reduce_faces(replace(body, faces=cut))["medium"]
    assert len(np.unique(edges(faces), axis=0)) == len(edges(faces)), "once each way at most"
    whole, cut_off = litres(body.v_template, cut), litres(body.v_template, faces)
    assert cut_off == pytest.approx(whole, rel=0.03)


@pytest.mark.usefixtures("meshoptimizer")
def test_reduce_faces_keeps_a_small_mesh() -> None:
    body = open_body()
    small = replace(body, faces=body.faces[:500])
    np.testing.assert_array_equal(mesh_reduction.reduce_faces(small)["low"], small.faces)


@pytest.mark.usefixtures("meshoptimizer")
def test_imported_bodies_have_reduced_meshes(pear_folder: Path) -> None:
    smplx, flame = load_body_files(find_model_files(pear_folder))
    body = EhmBody(smplx, flame)
    for detail in LIGHT:
        faces = body.faces_of(detail)
        assert len(faces) < 0.5 * len(body.faces)
        assert faces.min() >= 0 and faces.max() < body.vertex_count
        assert len(np.unique(np.sort(faces, axis=1), axis=0)) > 0.9 * len(faces)
        np.testing.assert_array_equal(smplx.faces_of(detail), faces)
    again, _ = load_body_files(find_model_files(pear_folder))
    np.testing.assert_array_equal(again.faces_of("low"), smplx.faces_of("low"))


@pytest.mark.usefixtures("meshoptimizer")
def test_reduced_meshes_are_added_to_an_older_cache(
    pear_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "meshoptimizer", None)
        before, _ = load_body_files(find_model_files(pear_folder))
    after, _ = load_body_files(find_model_files(pear_folder))
    assert not before.reduced_faces and set(after.reduced_faces) == set(LIGHT)
    assert after.sha256 == before.sha256
    monkeypatch.setitem(sys.modules, "meshoptimizer", None)
    kept, _ = load_body_files(find_model_files(pear_folder))
    np.testing.assert_array_equal(kept.faces_of("low"), after.faces_of("low"))


def test_without_the_library_the_mesh_is_full_and_the_log_says_what_to_install(
    pear_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "meshoptimizer", None)
    with caplog.at_level(logging.WARNING):
        smplx, flame = load_body_files(find_model_files(pear_folder))
    (record,) = caplog.records
    assert "pip install meshoptimizer" in record.getMessage()
    body = EhmBody(smplx, flame)
    assert body.faces_of("low") is body.faces is smplx.faces
