# SPDX-License-Identifier: Apache-2.0
"""`pear doctor --jetson`: on files of boards, with and without what it asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pear_ros.cli import main
from pear_ros.cli.doctor import probes
from pear_ros.cli.doctor.findings import Finding, Level
from pear_ros.cli.doctor.jetson import check_jetson
from pear_ros.pear.runtimes.engine_cache import EngineCache
from pear_ros.pear.runtimes.engine_record import EngineKey
from testing.fake_machine import fake_machine
from testing.fakes import FakeCuda, fake_tensorrt
from testing.jetson_files import ORIN_NANO, THOR, write_jetson

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
ENGINE = {"name": "engine_12", "precision": "fp16", "layers": 80, "fused": 32}
PEAKS = {"ram": 6 << 30, "ram_total": 8 << 30, "swap": 0, "gpu_load": 99, "temperature": 61.5}
GOOD: dict[str, dict[str, Any]] = {
    "library": {"version": "10.3.0"},
    "gpu": {"compute_capability": "8.7"},
    "engine_attention": {"engines": [ENGINE]},
}


def found(root: Path, peaks: Path, **answers: dict[str, Any]) -> dict[str, Finding]:
    def probe(name: str, *_: str) -> dict[str, Any]:
        return dict({**GOOD, **answers}[name])

    findings = list(check_jetson(probe, peaks, root))
    assert all(finding.advice for finding in findings if finding.level is not OK)
    return {finding.name: finding for finding in findings}


@pytest.fixture
def peaks(tmp_path: Path) -> Path:
    path = tmp_path / "peaks.json"
    path.write_text(json.dumps({**PEAKS, "power": 14.9}))
    return path


def test_a_board_in_a_slow_mode(tmp_path: Path, peaks: Path) -> None:
    said = found(write_jetson(tmp_path, ORIN_NANO), peaks)
    levels = {name: finding.level for name, finding in said.items()}
    assert levels == {
        **{"board": OK, "power": WARN, "clocks": WARN, "memory": WARN, "tensorrt": OK},
        **{"attention_12": OK, "build": OK},
    }
    assert "nvpmodel -m 2 selects MAXN_SUPER" in said["power"].advice
    assert said["clocks"].text == "17000000.gpu 305 of 918 MHz"
    assert said["memory"].details["gpu"] == 805_068 << 10
    assert said["attention_12"].text == "fp16: 32 of 80 layers are fused attention"
    assert said["build"].text == "at most 6.4 GB of 8.6 GB memory, 0.0 GB swap, 62 C, 15 W"
    assert json.dumps([dict(finding.details) for finding in said.values()])


def test_a_board_in_its_fastest_mode(tmp_path: Path, peaks: Path) -> None:
    files = {**ORIN_NANO, "var/lib/nvpmodel/status": "pmode:0002"}
    assert found(write_jetson(tmp_path, files), peaks)["power"].level is OK


def test_in_a_container_without_nvpmodel(tmp_path: Path, peaks: Path) -> None:
    said = found(
        write_jetson(tmp_path, THOR),
        peaks,
        library={"version": "10.13.3.9"},
        gpu={"compute_capability": "11.0"},
    )
    assert said["power"].level is WARN and "unknown" in said["power"].text
    assert said["clocks"].level is said["memory"].level is said["tensorrt"].level is OK


@pytest.mark.parametrize(
    ("answers", "level", "text"),
    [
        ({"library": {"error": "No module named 'tensorrt'"}}, FAIL, "No module named 'tensorrt'"),
        ({"library": {"version": "10.13.3.9"}}, FAIL, "was built without compute capability 8.7"),
        ({"library": {"version": "10.30.0"}}, WARN, "10.30.0; JetPack's is 10.3"),
        ({"gpu": {"missing": "there is no driver"}}, OK, "10.3.0, JetPack's own"),
    ],
)
def test_tensorrt(
    answers: dict[str, Any], level: Level, text: str, tmp_path: Path, peaks: Path
) -> None:
    said = found(write_jetson(tmp_path, ORIN_NANO), peaks, **answers)["tensorrt"]
    assert said.level is level and text in said.text


@pytest.mark.parametrize(
    ("answer", "id", "text"),
    [
        ({"error": "no GPU"}, "attention", "cannot be inspected: no GPU"),
        ({"engines": []}, "attention", "no engine to inspect"),
        ({"engines": [{**ENGINE, "fused": 0}]}, "attention_12", "0 of 80"),
        ({"engines": [{**ENGINE, "error": "wrong version"}]}, "attention_12", "wrong version"),
    ],
)
def test_attention_that_is_not_fused_or_unknown(
    answer: dict[str, Any], id: str, text: str, tmp_path: Path, peaks: Path
) -> None:
    said = found(write_jetson(tmp_path, ORIN_NANO), peaks, engine_attention=answer)[id]
    assert said.level is WARN and text in said.text


@pytest.mark.parametrize("content", [None, "", "[]", '{"rom": 1}', '{"ram": "much"}'])
def test_peaks_that_are_missing_or_damaged(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "peaks.json"
    if content is not None:
        path.write_text(content)
    assert found(write_jetson(tmp_path, ORIN_NANO), path)["build"].level is WARN


@pytest.mark.parametrize("missing", sorted(ORIN_NANO))
def test_any_file_may_be_missing_or_rubbish(missing: str, tmp_path: Path, peaks: Path) -> None:
    for number, text in enumerate(("", "\0rubbish\n")):
        root = tmp_path / str(number)
        assert found(write_jetson(root, {**ORIN_NANO, missing: text}), peaks)["board"].level


def test_another_machine_gets_one_sentence(tmp_path: Path, peaks: Path) -> None:
    (only,) = found(tmp_path, peaks).values()
    assert only.text.startswith("this is not a Jetson")


def test_the_command_has_it_in_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "pear_ros.cli.doctor.probe_process.run_module", lambda *_, **__: {"error": "not run here"}
    )
    monkeypatch.setattr("pear_ros.cli.doctor.jetson.find_jetson", lambda root: None, raising=True)
    main(["doctor", "--json", "--seconds", "0", "--jetson", "--models", str(tmp_path)])
    ids = [finding["id"] for finding in json.loads(capsys.readouterr().out)["findings"]]
    assert "jetson.board" in ids


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    with fake_machine(tmp_path, monkeypatch) as fake:
        yield fake


def test_the_inspector_is_asked(machine: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    assert probes.engine_attention() == {"engines": []}
    key = EngineKey("w", "g", "fp16", 8, 3, "10.3.0", "Fake GPU", "8.7")
    names = ("conv", "_gemm_mha_v2_myl0_1", "__mye8037_gemm_mha_v2", "head")
    EngineCache().store(key, memoryview(fake_tensorrt.plan(8, layers=names)))
    (engine,) = probes.engine_attention()["engines"]
    assert engine == {"name": key.name, "precision": "fp16", "layers": 4, "fused": 2}
    monkeypatch.setattr(fake_tensorrt, "refusal", "create_engine_inspector")
    (engine,) = probes.engine_attention()["engines"]
    assert "cannot be inspected" in engine["error"]
    machine.machine(devices=0)
    (engine,) = probes.engine_attention()["engines"]
    assert "finds no GPU" in engine["error"]
