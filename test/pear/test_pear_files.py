# SPDX-License-Identifier: Apache-2.0
"""A user's files: found, checked, converted once, and named when something is wrong with them."""

from __future__ import annotations

import logging
import pickle
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from pear_ros.body import BodyModel
from pear_ros.body.flame import FlameModel
from pear_ros.pear import cache as cache_module
from pear_ros.pear.cache import cache_file
from pear_ros.pear.convert import convert
from pear_ros.pear.files import (
    BODY_FILES,
    FILES,
    MissingFilesError,
    ModelFiles,
    default_model_folder,
    find_model_files,
    load_body_files,
)

SMPLX, FLAME = "SMPLX/SMPLX_NEUTRAL_2020.npz", "FLAME/FLAME2020/generic_model.pkl"
MASKS, EYELID = "FLAME/FLAME_masks/FLAME_masks.pkl", "FLAME/l_eyelid.npy"
VERTICES = "SMPLX/SMPL-X__FLAME_vertex_ids.npy"


@pytest.fixture(autouse=True)
def _full_mesh_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reducing meshes, see test_mesh_detail.py, takes longer than all else."""
    monkeypatch.setitem(sys.modules, "meshoptimizer", None)


def replace(path: Path, change: Callable[[Any], Any]) -> None:
    """Replace a link by a file of its own, with what `change` makes of the content."""
    if path.suffix == ".pkl":
        content = change(pickle.loads(path.read_bytes()))
        path.unlink()
        path.write_bytes(pickle.dumps(content))
        return
    with np.load(path) if path.suffix == ".npz" else open(path, "rb") as file:
        content = change(dict(file) if path.suffix == ".npz" else np.load(file))
    path.unlink()
    if path.suffix == ".npz":
        np.savez(path, **content)
    else:
        np.save(path, content)


def load(folder: Path) -> tuple[BodyModel, FlameModel]:
    return load_body_files(find_model_files(folder))


def caches(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.npz"))


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_every_file_says_what_it_is_where_it_comes_from_and_its_licence() -> None:
    assert len(FILES) == 7
    for file in FILES:
        assert all((file.what, file.origin, file.licence))


@pytest.mark.parametrize(
    ("near", "wanted"),
    [
        ("SMPLX_NEUTRAL.npz", "SMPLX_NEUTRAL_2020.npz"),
        ("smplx/SMPLX_NEUTRAL.pkl", "SMPLX_NEUTRAL_2020.npz"),
        ("flame2023.pkl", "generic_model.pkl"),
        ("generic_model2020.pkl", "generic_model.pkl"),
        ("deep/FLAME_masks.gif", "FLAME_masks.pkl"),
    ],
)
def test_names_that_are_almost_right_are_named(tmp_path: Path, near: str, wanted: str) -> None:
    touch(tmp_path / near)
    with pytest.raises(MissingFilesError) as raised:
        find_model_files(tmp_path).require()
    lines = str(raised.value).splitlines()
    (at,) = (n for n, line in enumerate(lines) if f"there is {near}" in line)
    assert f"rename it to {wanted}" in lines[at] and wanted in lines[at - 3]


def test_names_in_other_capitals_are_found(tmp_path: Path) -> None:
    names = ("smplx_neutral_2020.NPZ", "FLAME2020/Generic_Model.pkl", "flame_masks.pkl")
    paths = [touch(tmp_path / name) for name in names]
    found = find_model_files(tmp_path).found
    assert [found[key] for key in ("smplx", "flame", "flame_masks")] == paths
    exact = touch(tmp_path / "z" / "SMPLX_NEUTRAL_2020.npz")
    assert find_model_files(tmp_path).found["smplx"] == exact, "the right name wins"


def test_linked_folders_are_searched_once(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "SMPLX_NEUTRAL_2020.npz")
    models = tmp_path / "models"
    models.mkdir()
    (models / "smplx").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(models)
    (tmp_path / "elsewhere" / "loop2").symlink_to(tmp_path)
    assert find_model_files(models).found["smplx"] == models / "smplx" / "SMPLX_NEUTRAL_2020.npz"


def test_files_are_found_in_the_layout_of_pears_repository(pear_folder: Path) -> None:
    files = find_model_files(pear_folder)
    assert files.found["flame"] == pear_folder / FLAME
    assert [file.key for file in files.missing] == ["checkpoint"]
    files.require(BODY_FILES)
    with pytest.raises(MissingFilesError, match="1 of PEAR's 7 files is missing"):
        _ = files.checkpoint


def test_graphs_take_the_place_of_the_checkpoint(pear_folder: Path) -> None:
    graph = touch(pear_folder / "robot/pear_0a1b2c3d_fp16.onnx")
    files = find_model_files(pear_folder)
    assert files.graphs == (graph,)
    assert not files.missing
    files.require()
    with pytest.raises(
        MissingFilesError, match=r"(?s)pear_model\.pt.*or graphs that `pear export-"
    ):
        _ = files.checkpoint
    (pear_folder / EYELID).unlink()
    assert [file.key for file in find_model_files(pear_folder).missing] == ["left_eyelid"]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("stem", ["pear_model", "ehm_model_stage1"])
def test_files_are_found_in_one_flat_folder(tmp_path: Path, stem: str, suffix: str) -> None:
    for file in BODY_FILES:
        touch(tmp_path / file.name)
    checkpoint = touch(tmp_path / (stem + suffix))
    touch(tmp_path / "notes.txt")
    files = find_model_files(tmp_path)
    assert not files.missing
    assert files.checkpoint == checkpoint
    files.require()


def test_of_several_files_the_choice_is_the_same_each_time(tmp_path: Path) -> None:
    touch(tmp_path / "b/l_eyelid.npy")
    touch(tmp_path / "a/deep/l_eyelid.npy")
    touch(tmp_path / "generic_model.pkl")
    touch(tmp_path / "ehm_model_stage1.pt")
    newer = touch(tmp_path / "weights/pear_model.pt")
    flame_2020 = touch(tmp_path / "z/FLAME2020/generic_model.pkl")
    (tmp_path / "r_eyelid.npy").mkdir()
    found = find_model_files(tmp_path).found
    assert found["left_eyelid"] == tmp_path / "b/l_eyelid.npy", "the least deep"
    touch(tmp_path / "a/l_eyelid.npy")
    found = find_model_files(tmp_path).found
    assert found["left_eyelid"] == tmp_path / "a/l_eyelid.npy", "the first by name"
    assert found["checkpoint"] == newer, "the later release"
    assert found["flame"] == flame_2020, "the edition of 2020 before one without a year"
    assert "right_eyelid" not in found, "a folder is no file"


def test_the_folder_may_lie_in_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    checkpoint = touch(tmp_path / "models/pear_model.pt")
    assert find_model_files(Path("~/models")).checkpoint == checkpoint


def test_what_is_missing_is_listed_with_origin_and_licence(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path, {"checkpoint": touch(tmp_path / "pear_model.pt")})
    with pytest.raises(FileNotFoundError) as error:
        load_body_files(files)
    text = str(error.value)
    assert text.startswith(f"6 of PEAR's 7 files are missing in {tmp_path}")
    for file in BODY_FILES:
        assert all(part in text for part in (file.name, file.what, file.origin, file.licence))
    assert "pear_model.pt" not in text
    with pytest.raises(MissingFilesError, match="absent, which is no folder"):
        find_model_files(tmp_path / "absent").require()


def test_default_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("PEAR_ROS_MODELS", raising=False)
    assert default_model_folder() == Path("/home/someone/.local/share/pear_ros/models")
    monkeypatch.setenv("XDG_DATA_HOME", "/var/data")
    assert default_model_folder() == Path("/var/data/pear_ros/models")
    monkeypatch.setenv("PEAR_ROS_MODELS", "/data/models")
    assert default_model_folder() == Path("/data/models")


def test_bodies_hold_what_the_files_say(pear_folder: Path) -> None:
    smplx, flame = load(pear_folder)
    with np.load(pear_folder / SMPLX) as original:
        np.testing.assert_array_equal(smplx.v_template, original["v_template"].astype(np.float32))
        np.testing.assert_array_equal(smplx.shapedirs, original["shapedirs"][:, :, :200])
        expression = np.zeros((10475, 3, 50), np.float32)
        expression[smplx.exprdirs_vertices] = smplx.exprdirs
        np.testing.assert_array_equal(expression, original["shapedirs"][:, :, 300:350])
        np.testing.assert_array_equal(smplx.posedirs, original["posedirs"])
        np.testing.assert_array_equal(smplx.faces, original["f"])
        np.testing.assert_allclose(smplx.weights.toarray(), original["weights"], atol=1e-7)
    assert smplx.name == "smplx-neutral-2020"
    assert (smplx.num_betas, smplx.num_expression) == (200, 50)

    original = pickle.loads((pear_folder / FLAME).read_bytes())
    chosen = np.r_[0:300, 300:350]
    np.testing.assert_array_equal(flame.shapedirs, original["shapedirs"][:, :, chosen])
    np.testing.assert_allclose(flame.joint_regressor, original["J_regressor"], atol=1e-7)
    np.testing.assert_allclose(flame.eyelids[0], np.load(pear_folder / EYELID), atol=1e-7)
    assert not np.array_equal(flame.eyelids[0], flame.eyelids[1])
    np.testing.assert_array_equal(flame.smplx_vertices, np.load(pear_folder / VERTICES))
    masks = pickle.loads((pear_folder / MASKS).read_bytes())
    kept = np.union1d(masks["neck"], masks["boundary"])
    np.testing.assert_array_equal(np.flatnonzero(~flame.swapped), kept)
    floats = (smplx.v_template, smplx.shapedirs, smplx.posedirs, flame.v_template, flame.shapedirs)
    assert {array.dtype for array in (*floats, flame.posedirs, flame.eyelids)} == {np.dtype("f4")}


def test_what_is_kept_equals_what_was_converted(pear_folder: Path) -> None:
    first = load(pear_folder)
    assert caches(pear_folder) == [cache_file(pear_folder, first[0].sha256)]
    second = load(pear_folder)
    for before, after in zip(first, second, strict=True):
        for name, value in vars(before).items():
            found = getattr(after, name)
            if sparse.issparse(value):
                value, found = value.toarray(), found.toarray()
            np.testing.assert_equal(found, value, err_msg=name)
            if isinstance(value, np.ndarray):
                assert value.dtype == found.dtype


def test_the_cache_is_what_is_read(pear_folder: Path) -> None:
    smplx, _ = load(pear_folder)
    (cache,) = caches(pear_folder)
    with np.load(cache) as data:
        arrays = dict(data)
    arrays["smplx.v_template"] += 1
    np.savez(cache, **arrays)
    np.testing.assert_array_equal(load(pear_folder)[0].v_template, smplx.v_template + 1)


@pytest.mark.parametrize("harm", ["cut", "other key", "objects", "no npz"])
def test_a_broken_cache_is_made_again(pear_folder: Path, harm: str) -> None:
    smplx, _ = load(pear_folder)
    (cache,) = caches(pear_folder)
    size = cache.stat().st_size
    content = cache.read_bytes()
    if harm == "cut":
        cache.write_bytes(content[: size // 2])
    elif harm == "other key":
        np.savez(cache, key=np.array("0" * 64))
    elif harm == "objects":
        np.savez(cache, key=np.array([{}], object))
    else:
        cache.write_text("<html>")
    np.testing.assert_array_equal(load(pear_folder)[0].v_template, smplx.v_template)
    assert cache.stat().st_size == size


def test_a_changed_original_gives_a_new_cache_and_removes_the_old(pear_folder: Path) -> None:
    before, _ = load(pear_folder)
    mine = touch(pear_folder / "pear_ros_body_mine.npz")
    replace(pear_folder / EYELID, lambda eyelid: 2 * eyelid)
    after, flame = load(pear_folder)
    assert after.sha256 != before.sha256
    np.testing.assert_allclose(flame.eyelids[0], np.load(pear_folder / EYELID), atol=1e-7)
    assert caches(pear_folder) == sorted([cache_file(pear_folder, after.sha256), mine])


def test_names_and_places_do_not_change_the_hash(pear_folder: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in find_model_files(pear_folder).found.values():
        shutil.copyfile(path, flat / path.name)
    assert load(flat)[0].sha256 == load(pear_folder)[0].sha256


def test_where_the_cache_has_no_place_the_log_says_so_once_and_nothing_is_left(
    pear_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, hard))
    try:
        with caplog.at_level(logging.WARNING):
            smplx, _ = load(pear_folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert smplx.vertex_count == 10475
    (record,) = (record for record in caplog.records if record.name == cache_module.__name__)
    assert str(pear_folder) in record.getMessage() and "File too large" in record.getMessage()
    assert sorted(path.name for path in pear_folder.iterdir()) == ["FLAME", "SMPLX"]


class Ch:
    """Pickles as chumpy's arrays do."""

    def __init__(self, x: Any) -> None:
        self.x = x


def test_flame_as_its_authors_pickled_it(
    pear_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, plain = load(pear_folder)
    monkeypatch.setattr(Ch, "__module__", "test_pear_files")

    def as_released(model: dict[str, Any]) -> dict[str, Any]:
        wrapped = {
            key: Ch(model[key]) for key in ("v_template", "shapedirs", "posedirs", "weights")
        }
        return {**model, **wrapped, "J_regressor": sparse.csc_matrix(model["J_regressor"])}

    model = as_released(pickle.loads((pear_folder / FLAME).read_bytes()))
    data = pickle.dumps(model, 2)
    for new, old in (
        (f"c{Ch.__module__}\nCh\n", "cchumpy.ch\nCh\n"),
        ("scipy.sparse._csc\n", "scipy.sparse.csc\n"),
        ("numpy._core.", "numpy.core."),
    ):
        data = data.replace(new.encode(), old.encode())
    assert b"chumpy.ch\nCh" in data and b"scipy.sparse.csc\n" in data
    (pear_folder / FLAME).unlink()
    (pear_folder / FLAME).write_bytes(data)
    _, released = load(pear_folder)
    for name, value in vars(plain).items():
        np.testing.assert_array_equal(getattr(released, name), value, err_msg=name)


def without(key: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda content: {k: v for k, v in content.items() if k != key}


def changed(key: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda content: {**content, key: change(content[key])}


def set_first(value: int) -> Callable[[Any], Any]:
    return lambda array: np.concatenate([[value], array[1:]])


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        (SMPLX, without("posedirs"), "is not an SMPL-X file: it lacks posedirs"),
        (
            SMPLX,
            changed("v_template", lambda a: a[:-1]),
            r": shapedirs is 10475 x 3 x 400, not 10474",
        ),
        (SMPLX, changed("shapedirs", lambda a: a[:, :, :20]), "0 expression directions"),
        (
            SMPLX,
            changed("shapedirs", lambda a: a[0]),
            ": shapedirs is 3 x 400, not 10475 x 3 x any",
        ),
        (SMPLX, changed("weights", lambda a: a[:, :24]), "weights is 10475 x 24, not 10475 x 55"),
        (SMPLX, changed("f", lambda a: a + 1), r"f goes from 1 to 10475, not within 0 to 10474"),
        (SMPLX, changed("kintree_table", lambda a: a[:, :24]), "kintree_table is 2 x 24"),
        (FLAME, without("shapedirs"), "is not a FLAME model: it lacks shapedirs"),
        (FLAME, lambda _: [1], "is not a FLAME model: it holds no dictionary"),
        (
            FLAME,
            changed("shapedirs", lambda a: a[:, :, :150]),
            "shapedirs is 5023 x 3 x 150, not 5023 x 3 x 400",
        ),
        (FLAME, changed("weights", lambda a: "none"), "weights is not an array of numbers"),
        (FLAME, changed("kintree_table", lambda a: 0 * a), "kintree_table does not hold FLAME's"),
        (MASKS, without("boundary"), "is not FLAME's masks: it lacks boundary"),
        (
            MASKS,
            changed("neck", set_first(5023)),
            "neck goes from .* to 5023, not within 0",
        ),
        (MASKS, changed("neck", lambda a: a / 2), "neck is not an array of whole numbers"),
        (EYELID, lambda a: a[:, :2], "is 5023 x 2, not 5023 x 3"),
        (VERTICES, lambda a: a[:-1], "is 5022, not 5023"),
        (VERTICES, set_first(-1), "goes from -1 to"),
        (VERTICES, lambda a: np.concatenate([a[1:2], a[1:]]), "names a vertex of SMPL-X twice"),
    ],
)
def test_a_file_with_other_arrays_is_named(
    pear_folder: Path, file: str, change: Callable[[Any], Any], reason: str
) -> None:
    replace(pear_folder / file, change)
    with pytest.raises(ValueError, match=reason) as error:
        convert(find_model_files(pear_folder).found)
    assert str(error.value).startswith(str(pear_folder / file)) and "\n" not in str(error.value)


@pytest.mark.parametrize("file", [SMPLX, FLAME, MASKS, EYELID, VERTICES])
@pytest.mark.parametrize(
    "content", ["", "version https://git-lfs.github.com/spec/v1", "<html>", "?"]
)
def test_a_file_with_something_else_in_it_is_named(
    pear_folder: Path, file: str, content: str
) -> None:
    (pear_folder / file).unlink()
    (pear_folder / file).write_text(content)
    with pytest.raises(ValueError) as error:
        convert(find_model_files(pear_folder).found)
    assert str(error.value).startswith(f"{pear_folder / file} is ") and "\n" not in str(error.value)


def test_a_cut_npz_is_named(pear_folder: Path) -> None:
    content = (pear_folder / SMPLX).read_bytes()
    (pear_folder / SMPLX).unlink()
    (pear_folder / SMPLX).write_bytes(content[:-1000])
    with pytest.raises(ValueError, match="is damaged or not an npz file"):
        load(pear_folder)
    assert not list(pear_folder.glob("*pear_ros*")), "nothing is kept of it"


def test_objects_in_an_npz_are_left_alone_or_refused(pear_folder: Path) -> None:
    replace(pear_folder / SMPLX, lambda arrays: {**arrays, "joint_names": np.array([{}], object)})
    assert load(pear_folder)[0].vertex_count == 10475
    np.savez(pear_folder / SMPLX, **{key: np.array([{}], object) for key in ("v_template",)})
    with pytest.raises(ValueError, match="is damaged or not an npz file of numbers"):
        load(pear_folder)


def test_graphs_in_linked_folders_are_found_once(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "robot" / "pear_0a1b2c3d_fp16.onnx")
    models = tmp_path / "models"
    models.mkdir()
    (models / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(models)
    assert find_model_files(models).graphs == (models / "linked/robot/pear_0a1b2c3d_fp16.onnx",)
