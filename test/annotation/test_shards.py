# SPDX-License-Identifier: Apache-2.0
"""Shards: the same bytes each time, also after kill -9, and read back without what is damaged."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from pear_ros.annotation.encoding import SampleError, members_of, person_of
from pear_ros.annotation.sample import AnnotatedPerson
from pear_ros.annotation.shards import (
    Shard,
    ShardReader,
    ShardsError,
    read_record,
    read_shards,
    write_shard,
)
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.distortion import Distortion
from pear_ros.core.people import FlameParams
from testing.planted_modules import KILL_AT, KILLING

Annotate = Callable[..., int]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_killed_run_resumes_to_the_same_bytes(
    made: Path,
    video: Path,
    annotate: Annotate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "shards"
    options = ["--images-per-shard", "2", "--module", KILLING]
    whole = ["annotate", video, "--output", folder, "--landmarks", "full", *options]
    killed = subprocess.run(
        [sys.executable, "-m", "pear_ros.cli", *whole],
        check=False,
        capture_output=True,
        env={**os.environ, KILL_AT: "4"},
    )
    assert killed.returncode == -signal.SIGKILL
    assert sorted(content(folder)) == ["annotate.json", "clip-00000.json", "clip-00000.tar"]
    (folder / ".clip-00001.tar.leftover").write_bytes(b"as of a killed write")
    first = (folder / "clip-00000.tar").stat().st_mtime_ns
    assert annotate(video, *options) == 0
    assert "1 shard of an earlier run kept" in capsys.readouterr().out
    assert (folder / "clip-00000.tar").stat().st_mtime_ns == first
    assert content(folder) == content(made)


def test_a_finished_shard_that_was_damaged_is_made_again(
    made: Path, video: Path, annotate: Annotate, tmp_path: Path
) -> None:
    shutil.copytree(made, tmp_path / "shards")
    tar = tmp_path / "shards" / "clip-00001.tar"
    tar.write_bytes(tar.read_bytes()[:-1024])
    assert read_record(Shard(tar.parent, "clip-00001")) is None
    assert annotate(video, "--images-per-shard", 2, "--module", KILLING) == 0
    assert content(tar.parent) == content(made)


def test_other_options_are_refused(
    made: Path,
    video: Path,
    annotate: Annotate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(made, tmp_path / "shards")
    assert annotate(video, "--images-per-shard", 3, "--module", KILLING) == 1
    assert "were made with other per_shard (2, now 3)" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("keep me")
    assert annotate(video, output="other") == 1
    assert (tmp_path / "other" / "letter.txt").read_text() == "keep me"


def test_owner_and_time_of_files_are_fixed(made: Path) -> None:
    with tarfile.open(made / "clip-00000.tar") as tar:
        members = tar.getmembers()
    assert {(one.mtime, one.uid, one.gid, one.uname, one.mode) for one in members} == {
        (0, 0, 0, "", 0o644)
    }
    names = [one.name for one in members]
    assert names == sorted(names) and len(names) == 2 * 4


def test_samples_survive_writing_and_reading(made: Path) -> None:
    (one, *_) = read_shards(made)
    lens = Distortion("plumb_bob", (0.1, -0.05, 0.0, 0.0))
    camera = Camera(640, 480, 500.0, 501.0, 320.0, 240.0, IntrinsicsSource.CAMERA_INFO, lens)
    head = FlameParams(*(np.full(n, 0.5, np.float32) for n in (300, 50, 3, 6, 2, 3)))
    one = replace(one, camera=camera, flame=head, scale=1.25)
    again = person_of(one.key, members_of(one))
    for part in fields(AnnotatedPerson):
        before, after = getattr(one, part.name), getattr(again, part.name)
        if part.name in ("smplx", "flame"):
            for inner in fields(before):
                np.testing.assert_array_equal(
                    getattr(before, inner.name), getattr(after, inner.name)
                )
        elif part.name == "crop":
            assert np.abs(before.astype(int) - after.astype(int)).mean() < 3.0
        elif isinstance(before, np.ndarray):
            np.testing.assert_array_equal(before, after)
            assert before.dtype == after.dtype
        elif isinstance(before, dict):
            np.testing.assert_equal(after, before)
        else:
            assert before == after


def test_shards_are_read_in_one_order_and_can_be_distributed(made: Path) -> None:
    reader = read_shards(made)
    keys = [one.key for one in reader]
    assert keys == [f"clip-{number:06d}-00" for number in range(6)] == [one.key for one in reader]
    halves = [ShardReader(reader.files[rank::2]) for rank in range(2)]
    assert sorted(one.key for half in halves for one in half) == keys
    assert [one.key for one in read_shards(made / "clip-00001.tar")] == keys[2:4]


def test_webdataset_reads_them_by_itself(made: Path) -> None:
    import webdataset

    dataset = webdataset.WebDataset(str(made / "clip-00000.tar"), shardshuffle=False).decode()
    (first, *_) = dataset
    assert first["__key__"] == "clip-000000-00" and first["json"]["confidence"]["body"] > 0.5
    assert first["npz"]["pose"].shape == (55, 3)


def test_truncated_shards_are_counted_and_the_rest_is_read(made: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made, tmp_path / "shards")
    tar = folder / "clip-00001.tar"
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2 + 700])
    reader = read_shards(folder)
    assert [one.provenance.frame for one in reader] == [0, 1, 2, 4, 5]
    assert any(text.startswith("clip-00001.tar is damaged: ") for text in reader.damaged)
    # One that ends between two samples is a valid archive.
    with tarfile.open(folder / "clip-00002.tar") as whole:
        end = whole.getmembers()[4].offset
    short = folder / "clip-00002.tar"
    short.write_bytes(short.read_bytes()[:end])
    assert [one.provenance.frame for one in reader] == [0, 1, 2, 4]
    assert "clip-00002.tar has 1 of 2 samples" in reader.damaged


def test_samples_with_damage_or_nan_are_left_out(made: Path, tmp_path: Path) -> None:
    good, *_ = read_shards(made)
    nan = good.smplx.transl * np.float32(np.nan)
    bad = {
        "a-000000-00": members_of(replace(good, smplx=replace(good.smplx, transl=nan))),
        "a-000001-00": {**members_of(good), "npz": b"PK broken"},
        "a-000002-00": {**members_of(good), "jpg": b"no picture"},
        "a-000003-00": {k: v for k, v in members_of(good).items() if k != "npz"},
        "a-000004-00": {**members_of(good), "json": b'{"format": "other"}'},
        "a-000005-00": members_of(good),
    }
    write_shard(Shard(tmp_path, "a-00000"), list(bad.items()), {})
    reader = read_shards(tmp_path)
    assert [one.key for one in reader] == ["a-000005-00"]
    assert len(reader.damaged) == 5
    assert "transl is not finite" in reader.damaged[0] and "has no npz" in reader.damaged[3]


def test_an_array_that_claims_gigabytes_is_refused(made: Path) -> None:
    good, *_ = read_shards(made)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("pose.npy", header.getvalue())
    with pytest.raises(SampleError):
        person_of("x", {**members_of(good), "npz": content.getvalue()})


def test_a_folder_without_shards_is_named(tmp_path: Path) -> None:
    with pytest.raises(ShardsError, match="is no folder with shards"):
        read_shards(tmp_path)
    (tmp_path / "x.tar").write_bytes(b"no archive" * 100)
    reader = read_shards(tmp_path)
    assert not list(reader) and reader.damaged[0].startswith("x.tar is damaged")


def test_a_missing_library_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    annotate: Annotate,
    picture: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "webdataset", None)
    assert annotate(picture) == 1
    assert "pip install 'pear_ros[annotate]'" in capsys.readouterr().err


def test_workers_of_ray_write_the_same_shards(
    annotate: Annotate, video: Path, picture: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    assert annotate(video, picture, "--every", 3, output="one") == 0
    assert annotate(video, picture, "--every", 3, "--ray", "--workers", 1, output="two") == 0
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert json.loads((tmp_path / "two" / "report.json").read_text())["kept"] == 3
