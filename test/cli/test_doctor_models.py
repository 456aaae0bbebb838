# SPDX-License-Identifier: Apache-2.0
"""`pear doctor` on files of models, graphs and engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pear_ros.cli.doctor import engines, models
from pear_ros.cli.doctor.findings import Finding
from pear_ros.pear.runtimes.accuracy import Verdict
from pear_ros.pear.runtimes.engine_cache import EngineCache
from pear_ros.pear.runtimes.engine_record import EngineKey
from testing.doctor_answers import FAIL, GPU, OK, WARN, Answers, by_id, levels


def test_missing_or_damaged_assets_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEAR_ROS_CACHE", str(tmp_path))
    found = by_id(models.check_assets())
    assert found["models.landmarks"].level is FAIL
    assert found["models.demo_clip"].level is WARN
    assert len(found["models.landmarks"].details["missing"]) == 6


def test_detector_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = by_id(models.check_detector())["models.detector"]
    assert found.level is OK and found.details["detector"] == "nanodet"
    monkeypatch.setattr("pear_ros.detection.nanodet.MODEL_FILE", tmp_path / "nanodet_g.tflite")
    found = by_id(models.check_detector())["models.detector"]
    assert found.level is WARN and found.details["detector"] == "blazepose"
    assert "nanodet_g.tflite" in found.text and "install pear_ros again" in found.text


def test_missing_pear_files_fail_only_if_requested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PEAR_ROS_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert levels(models.check_pear_files(None)) == {"models.pear": OK}
    assert levels(models.check_pear_files(tmp_path)) == {"models.pear": FAIL}


def test_pear_files_missing_empty_and_not_fetched(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("pear_model.pt", "generic_model.pkl", "FLAME_masks.pkl", "l_eyelid.npy"):
        (folder / name).write_bytes(b"content")
    (folder / "r_eyelid.npy").write_bytes(b"")
    (folder / "SMPL-X__FLAME_vertex_ids.npy").write_bytes(b"version https://git-lfs.github.com/")
    found = by_id(models.check_pear_files(folder))
    assert found["models.pear"].level is FAIL
    assert found["models.pear"].details["missing"] == ["SMPLX_NEUTRAL_2020.npz"]
    smplx = found["models.pear_smplx"]
    assert smplx.level is WARN and "smpl-x.is.tue.mpg.de" in smplx.advice
    assert "non-commercial" in smplx.text, "its licence"
    assert found["models.pear_checkpoint"].level is OK
    assert found["models.pear_right_eyelid"].level is FAIL
    assert "git lfs pull" in found["models.pear_flame_vertices"].advice


def test_graph_without_its_record_fails(tmp_path: Path) -> None:
    (tmp_path / "pear_01234567_fp16.onnx").write_bytes(b"graph")
    found = by_id(models.check_pear_files(tmp_path))
    assert found["models.pear_01234567_fp16"].level is FAIL


KEY = EngineKey("ab12", "cd34", "fp16", 8, 3, "10.3.0", "Orin", "8.7", 16, 60)
HERE = Answers({("gpu",): GPU, ("library", "tensorrt"): {"version": "10.3.0"}})


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    cache = EngineCache(tmp_path / "engines")
    cache.store(KEY, b"plan" * 100)
    cache.store_verdict(KEY, Verdict(0.05, 0.5, 0.5, 2.0, 1.0), "body")
    return cache


def judged(cache: EngineCache, answers: Answers = HERE) -> Finding:
    found = by_id(engines.check_engines(answers, cache.folder))
    assert found.pop("engine.cache").details["engines"] == 1
    (finding,) = found.values()
    return finding


def test_engine_for_this_machine_is_valid(cache: EngineCache) -> None:
    finding = judged(cache)
    assert finding.level is OK and "valid" in finding.text


@pytest.mark.parametrize(
    ("gpu_answer", "tensorrt", "expected"),
    [
        (GPU, "10.7.0", "TensorRT 10.3.0 instead of 10.7.0"),
        ({**GPU, "name": "Thor"}, "10.3.0", "device Orin instead of Thor"),
        ({**GPU, "compute_capability": "11.0"}, "10.3.0", "8.7 instead of 11.0"),
        ({**GPU, "multiprocessors": 8}, "10.3.0", "multiprocessors 16 instead of 8"),
        ({**GPU, "memory": 15 << 30}, "10.3.0", "GiB of memory 60 instead of 16"),
    ],
)
def test_engine_for_another_machine_is_a_warning(
    cache: EngineCache, gpu_answer: dict[str, Any], tensorrt: str, expected: str
) -> None:
    answers = Answers({("gpu",): gpu_answer, ("library", "tensorrt"): {"version": tensorrt}})
    finding = judged(cache, answers)
    assert finding.level is WARN and expected in finding.text


def test_engine_is_not_tried_without_a_gpu(cache: EngineCache) -> None:
    answers = Answers({("gpu",): {"missing": "none"}, ("library", "tensorrt"): {"error": "none"}})
    finding = judged(cache, answers)
    assert finding.level is OK and "not tried" in finding.text


def test_corrupted_engine_is_reported_and_kept(cache: EngineCache) -> None:
    plan = cache.folder / f"{KEY.name}.plan"
    plan.write_bytes(b"pear" * 100)
    finding = judged(cache)
    assert finding.level is WARN and f"{plan} is damaged" in finding.text
    assert plan.exists()


def test_damaged_record_and_plan_without_record_are_reported(cache: EngineCache) -> None:
    (cache.folder / f"{KEY.name}.json").write_text("{")
    assert "is damaged" in judged(cache).text
    (cache.folder / f"{KEY.name}.json").unlink()
    found = levels(engines.check_engines(HERE, cache.folder))
    assert found == {"engine.cache": OK, "engine.lonely": WARN}


def test_renamed_engine_is_reported(cache: EngineCache) -> None:
    for suffix in ("json", "plan"):
        file = cache.folder / f"{KEY.name}.{suffix}"
        file.rename(file.with_stem("engine_0123"))
    assert "was renamed" in judged(cache).text


def test_a_link_to_nothing_beside_engines_hides_none(cache: EngineCache) -> None:
    (cache.folder / "old.plan.link").symlink_to(cache.folder / "gone")
    assert judged(cache).level is OK
