# SPDX-License-Identifier: Apache-2.0
"""The Pythons of Ubuntu releases are found, or named as missing in one sentence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.ubuntu_python import PYTHONS, find_python

ROOT = Path(__file__).parents[2]


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_python_is_found_in_path_or_pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert find_python("3.98") is None
    program(tmp_path / "bin" / "python3.98", "exit 127")  # as pyenv's for versions not chosen
    assert find_python("3.98") is None
    own = program(tmp_path / "pyenv" / "versions" / "3.98.7" / "bin" / "python3.98", "exit 0")
    assert find_python("3.98") == str(own)
    (tmp_path / "bin" / "python3.98").write_text("#!/bin/sh\nexit 0\n")
    assert find_python("3.98") == str(tmp_path / "bin" / "python3.98")


def test_missing_python_is_named_in_one_sentence(tmp_path: Path) -> None:
    nowhere = {"PATH": str(tmp_path), "PYENV_ROOT": str(tmp_path)}
    command = [sys.executable, "-m", "tools.ubuntu_python", "22.04"]
    done = subprocess.run(command, cwd=ROOT, env=nowhere, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("python3.10 is missing") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("release", PYTHONS)
def test_each_release_has_its_versions(release: str) -> None:
    lines = (ROOT / "requirements" / f"ubuntu-{release}.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w-]+==[\w.]+", pin) for pin in pins)
    names = {pin.split("==")[0] for pin in pins}
    assert names >= {"numpy", "opencv-python-headless", "pytest", "scipy", "setuptools", "tqdm"}
