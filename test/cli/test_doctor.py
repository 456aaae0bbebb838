# SPDX-License-Identifier: Apache-2.0
"""`pear doctor`: how its checks are run and shown, as text and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pear_ros.cli import main
from pear_ros.cli.doctor import formatting
from pear_ros.cli.doctor.findings import Finding, ok, run_check, without_home
from pear_ros.cli.doctor.probe_process import ProbeError, run_module
from testing.doctor_answers import FAIL, OK, WARN


def test_run_check_turns_an_exception_into_a_warning() -> None:
    def check() -> Iterator[Finding]:
        yield ok("a.first", "fine")
        raise KeyError("oops")

    first, second = run_check("a.second", check)
    assert (first.level, second.level, second.id) == (OK, WARN, "a.second")
    assert "KeyError: 'oops'" in second.text


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os; os.abort()", "crashed with SIGABRT"),
        ("import sys; sys.exit('no such thing')", "ended with status 1: no such thing"),
        ("print('no json')", "no answer"),
        ("import time; time.sleep(60)", "no answer within 1 s"),
    ],
)
def test_run_module_reports_crashes_and_timeouts(
    code: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rough_probe.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ProbeError, match=expected):
        run_module("rough_probe", timeout=1.0 if "sleep" in code else 30.0)


def test_output_hides_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/al")
    text = "/home/al/models /home/alice/models /home/al"
    assert without_home(text) == "~/models /home/alice/models ~"
    finding = ok("a.b", "in /home/al/x", path=Path("/home/al/x"))
    assert "/home/al" not in formatting.as_json([finding]) + formatting.lines(finding, 80, False)


def test_output_lines_are_wrapped_between_words() -> None:
    advice = "python3 -m pip install " + "a-very-long-package-name " * 5
    text = formatting.lines(Finding("a.b", FAIL, "is not there", advice), 60, False)
    assert max(map(len, text.splitlines())) <= 60
    assert text.startswith("  FAIL b: is not there\n       -> python3")
    assert text.count("a-very-long-package-name") == 5


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--json", "--seconds", "0", *arguments])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started: the probes do not answer."""
    monkeypatch.setattr(
        "pear_ros.cli.doctor.probe_process.run_module",
        lambda *_, **__: {"error": "not run in this test"},
    )


@pytest.mark.usefixtures("quick")
def test_json_has_stable_keys_and_the_exit_code_shows_failures(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, report = run_json(capsys, "--models", str(tmp_path))
    assert code == 1, "numpy, as far as is known, does not work"
    assert list(report) == ["schema", "pear_ros", "summary", "findings"]
    assert report["schema"] == 2
    for check in report["findings"]:
        assert list(check) == ["id", "level", "text", "advice", "details"]
        assert check["level"] in ("ok", "warn", "fail")
        assert check["advice"] or check["level"] == "ok"
        assert isinstance(check["details"], dict)
    ids = [check["id"] for check in report["findings"]]
    assert len(set(ids)) == len(ids)
    counted = {
        level: sum(c["level"] == level for c in report["findings"]) for level in ("ok", "warn")
    }
    assert counted.items() <= report["summary"].items()
    assert {"python.version", "library.numpy", "models.landmarks", "models.pear"} <= set(ids)


@pytest.mark.usefixtures("quick")
def test_check_that_raises_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Iterator[Finding]:
        raise RuntimeError("broken")

    names = {"gpu": "check_gpu", "models": "check_pear_files", "ros": "check_domain"}
    for module, name in names.items():
        monkeypatch.setattr(f"pear_ros.cli.doctor.{module}.{name}", broken)
    _, report = run_json(capsys)
    bad = {c["id"] for c in report["findings"] if "RuntimeError: broken" in c["text"]}
    assert bad >= {"gpu.device", "models.pear"}
    assert "engine.cache" in {c["id"] for c in report["findings"]}


def test_doctor_runs_without_ros_and_libraries() -> None:
    """Without NumPy every check reports what is missing, and none crashes."""
    program = """
import importlib.abc, sys
allowed = {"pear_ros"} | set(sys.stdlib_module_names)
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
import importlib.util
importlib.util.find_spec = lambda name: None
from pear_ros.cli import main
sys.exit(main(["doctor"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "500"},
    )
    assert done.returncode == 1 and not done.stderr, done.stderr
    assert "FAIL numpy: not installed" in done.stdout
    assert "No module named 'numpy'" in done.stdout
    assert "WARN distribution: " in done.stdout
    assert str(Path.home()) not in done.stdout or Path.home() == Path("/")
