# SPDX-License-Identifier: Apache-2.0
"""Assets are found in the cache and verified, or refused with advice."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from pear_ros.io import downloads as assets


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    monkeypatch.setenv("PEAR_ROS_CACHE", str(cache))
    return cache


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package registry that is an empty local folder."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def _write_wheel(folder: Path, member: str, data: bytes) -> Path:
    """A wheel of the models' name and version, holding one file."""
    wheel = folder / "mediapipe-0.10.21-py3-none-any.whl"
    info = "mediapipe-0.10.21.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(member, data)
        metadata = "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\n")
    return wheel


def test_cache_directory_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("PEAR_ROS_CACHE", raising=False)
    assert assets.cache_directory() == Path("/home/someone/.cache/pear_ros")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert assets.cache_directory() == Path("/var/cache/pear_ros")
    monkeypatch.setenv("PEAR_ROS_CACHE", "/data/pear")
    assert assets.cache_directory() == Path("/data/pear")


def test_every_pinned_file_is_in_the_cache() -> None:
    for name in assets.LANDMARK_MODELS:
        assert assets.landmark_model(name).stat().st_size > 100_000
    assert assets.demo_clip().name == "demo.mp4"


def test_complete_cache_downloads_nothing(
    registry: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert assets.main() == 0
    assert "Downloading" not in capfd.readouterr().out


def test_missing_file_is_named_with_the_download_command(empty_cache: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        assets.landmark_model("hand_recrop")
    assert str(error.value) == (f"{empty_cache}/hand_recrop.tflite is missing; run: pear download")


def test_corrupted_file_is_refused(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty_cache.mkdir()
    with monkeypatch.context() as default:
        default.delenv("PEAR_ROS_CACHE")
        good = assets.landmark_model("hand_recrop")
    copy = Path(shutil.copy(good, empty_cache))
    assert assets.landmark_model("hand_recrop") == copy
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    with pytest.raises(
        assets.AssetError, match=r"hand_recrop\.tflite is damaged; run: pear download"
    ):
        assets.landmark_model("hand_recrop")


def test_failed_download_prints_one_sentence_and_exits_with_1(
    empty_cache: Path, registry: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert assets.main() == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "mediapipe==0.10.21 could not be downloaded" in line
    assert "run again: pear download" in line


def test_wrong_archive_is_refused_and_discarded(
    empty_cache: Path, registry: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _write_wheel(registry, assets.LANDMARK_MODELS["face_landmark"].member, b"not a model")
    assert assets.main() == 1
    assert "is not the expected file: its SHA-256 is" in capfd.readouterr().err
    assert not empty_cache.exists()


def test_download_puts_verified_files_into_the_cache(
    empty_cache: Path, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = _write_wheel(registry, "data/small.bin", b"small")
    asset = assets.Asset("data/small.bin", assets._sha256(b"small"))
    package = assets.Package(
        "mediapipe==0.10.21", assets._sha256(wheel.read_bytes()), 0, "Apache-2.0", (asset,)
    )
    monkeypatch.setattr(assets, "PACKAGES", (package,))
    assert assets.main() == 0
    assert [file.read_bytes() for file in empty_cache.iterdir()] == [b"small"]


def test_archive_of_npm_is_unpacked(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "pose-1.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("package/small.tflite")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"small"))
    asset = assets.Asset("package/small.tflite", assets._sha256(b"small"))
    assets._unpack(archive, [asset])
    assert asset.path.read_bytes() == b"small"


def test_optional_model_without_npm_is_a_warning(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (package,) = (package for package in assets.PACKAGES if package.optional)
    monkeypatch.setattr(assets, "PACKAGES", (package,))
    monkeypatch.setenv("PATH", str(empty_cache))
    assert assets.main() == 0
    assert "needs npm, which is not installed" in capfd.readouterr().err
    with pytest.raises(assets.AssetError, match=r"heavy\.tflite is missing; run: pear download"):
        assets.landmark_model("pose_landmark_heavy")
