# SPDX-License-Identifier: Apache-2.0
"""benchmarks.gpu_check: no step can spoil the others, and the report is there after each."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.gpu_check import __main__ as gpu_check
from benchmarks.gpu_check.findings import Finding, Findings, read_findings
from benchmarks.gpu_check.steps import STEPS, Outcome, Step

ROOT = Path(__file__).parents[2]
WRITES = "from benchmarks.gpu_check.findings import Findings; from pathlib import Path; import sys;"
FOUND = f"{WRITES} f = Findings(Path(sys.argv[1])); "


def step(name: str, code: str, limit: float = 60.0) -> Step:
    return Step(name, f"what {name} tries", limit, ("-c", code, "{findings}", "{folder}"))


def checked(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *steps: Step, seconds: float = 600.0
) -> list[Outcome]:
    monkeypatch.setattr(gpu_check, "STEPS", steps)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return gpu_check.check(folder, environ, False, time.monotonic() + seconds)


def test_a_step_that_hangs_is_killed_with_what_it_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = (
        f"{FOUND} f.check('the first half', True)\nimport subprocess, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "Path(sys.argv[2], 'child').write_text(str(child.pid))\ntime.sleep(600)"
    )
    hung, after = checked(monkeypatch, tmp_path, step("hangs", code, 5.0), step("next", "0"))
    assert hung.passed is False
    assert hung.verdict == "does not end: killed after 5 s after: the first half"
    assert after.passed is True
    child = Path("/proc", (tmp_path / "child").read_text())
    assert not child.exists() or "(zombie)" in (child / "status").read_text()


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("import os; os.abort()", "crashes with SIGABRT"),
        (
            f"{FOUND} f.check('half', True); import os; os.abort()",
            "crashes with SIGABRT after: half",
        ),
        ("import no_such_package", "fails with status 1: ModuleNotFoundError: No module named"),
        (f"{FOUND} f.check('mesh', False, '3 mm'); sys.exit(1)", "does not work: mesh (3 mm)"),
        (f"{FOUND} f.check('mesh', True); f.note('time', '1 ms')", "works: 1 checks passed"),
    ],
)
def test_verdicts(code: str, verdict: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bad, good = checked(monkeypatch, tmp_path, step("tried", code), step("next", "print('hello')"))
    assert bad.verdict.startswith(verdict)
    assert bad.passed is verdict.startswith("works")
    assert good.passed is True
    report = (tmp_path / "gpu_check.md").read_text()
    assert verdict in report and "| next | what next tries | works |" in report
    assert "hello" in (tmp_path / "gpu_check.log").read_text()


def test_the_report_exists_after_each_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read = (
        "import sys; from pathlib import Path; "
        "text = Path(sys.argv[2], 'gpu_check.md').read_text(); "
        "assert '| first | what first tries | works' in text and 'not run yet' in text"
    )
    outcomes = checked(monkeypatch, tmp_path, step("first", "0"), step("reads", read))
    assert [outcome.passed for outcome in outcomes] == [True, True], outcomes[-1].verdict


def test_a_step_without_time_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (outcome,) = checked(monkeypatch, tmp_path, step("late", "0"), seconds=0.0)
    assert outcome.passed is None and "left out: no time remains" in outcome.verdict
    assert "left out" in (tmp_path / "gpu_check.md").read_text()


def test_findings_survive_a_line_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "findings"
    assert read_findings(path) == []
    findings = Findings(path)
    findings.check("mesh", True, "0 mm")
    findings.note("time", "1 ms")
    assert not findings.failed
    with path.open("a") as file:
        file.write('{"what": "cut')
    assert read_findings(path) == [Finding("mesh", "0 mm", True), Finding("time", "1 ms", None)]


def test_a_check_that_raises_is_a_finding_and_the_next_follows(tmp_path: Path) -> None:
    findings = Findings(tmp_path / "findings")
    with findings.trying("crops"):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    findings.check("mesh", True)
    assert findings.failed
    crops, mesh = read_findings(tmp_path / "findings")
    assert (crops.passed, mesh.passed) == (False, True)
    assert crops.measured == "RuntimeError: CUDA error: an illegal memory access was encountered"


def test_wheels_are_imported_from_where_they_lie(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "small-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("small_package.py", "HERE = 3")
    (tmp_path / "big-1-cp312-cp312-linux_x86_64.whl").touch()
    environ = gpu_check.environment(tmp_path)
    command = [sys.executable, "-c", "import small_package; print(small_package.HERE)"]
    assert subprocess.run(command, env=environ, capture_output=True).stdout == b"3\n"
    assert "linux_x86_64" not in environ["PYTHONPATH"]
    with pytest.raises(SystemExit, match="no wheel of pure Python"):
        gpu_check.environment(tmp_path / "nothing here")


def test_the_steps_end_in_time() -> None:
    assert gpu_check.SECONDS < 540.0
    assert sum(step.limit for step in STEPS[:-1]) < gpu_check.SECONDS - 150.0


@pytest.mark.parametrize(("name", "needs"), [("cuda_layer", "numpy"), ("profile_replay", "torch")])
def test_smoke(name: str, needs: str, tmp_path: Path) -> None:
    """The steps that take seconds; the others are tried by `make gpu-check ARGS=--smoke`."""
    if find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    path = tmp_path / "findings"
    command = [sys.executable, "-m", "benchmarks.gpu_check.run_one", name, str(path), "--smoke"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_findings(path)
    assert found and all(finding.passed is not False for finding in found)
