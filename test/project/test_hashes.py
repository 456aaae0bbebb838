# SPDX-License-Identifier: Apache-2.0
"""Every pinned package has hashes, so that pip installs the files that were meant."""

from __future__ import annotations

import json
import re
import urllib.request
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from tools import audit, hashes
from tools.hashes import HASHES, hashed, hashes_text, normal

REQUIREMENTS = HASHES.parent


UNHASHED = {"torch", "ubuntu-test"}
"""Those whose first lines say that they have none."""


@pytest.mark.parametrize(
    "name", sorted({f.stem for f in REQUIREMENTS.glob("*.txt")} - UNHASHED - {"hashes"})
)
def test_every_pin_has_hashes(name: str) -> None:
    file = REQUIREMENTS / f"{name}.txt"
    lines = [line for line in file.read_text().splitlines() if line and line[0] != "#"]
    pins = hashed([file]).replace(" \\\n", "").splitlines()
    assert len(pins) == len(set(lines))
    assert all(re.search(r"==\S+ .*--hash=sha256:[0-9a-f]{64}$", pin) for pin in pins)
    assert sum(" ; " in pin for pin in pins) == sum(";" in line for line in lines)


@pytest.mark.parametrize("name", sorted(UNHASHED))
def test_files_without_hashes_say_so(name: str) -> None:
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    assert "without hashes" in text.split("==")[0].lower()


def test_set_up_asks_pip_for_hashes() -> None:
    text = (REQUIREMENTS.parent / "tools" / "setup_environment.py").read_text()
    assert '"--require-hashes", "-r", pins' in text
    assert text.count("pip_install(") == 4, "with hashes; torch; the package itself; definition"
    assert "setuptools==79.0.1" in hashed([], ["setuptools==79.0.1"])


@pytest.mark.parametrize(
    "line", ["numpy", "numpy>=2", "numpy==99.0", "-r other.txt", "git+https://x"]
)
def test_other_requirements_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "some.txt").write_text(f"# comment\n{line}\n")
    with pytest.raises(ValueError, match=r"no pin|no hashes"):
        hashed([tmp_path / "some.txt"])


def test_hashes_are_those_of_files_for_linux(tmp_path: Path) -> None:
    pytest.importorskip("tomllib", reason="of Python 3.11")
    names = [
        *("a_b-1-cp311-cp311-manylinux_2_28_x86_64.whl", "a_b-1-cp311-cp311-win_amd64.whl"),
        *("a_b-1-cp311-cp311-macosx_11_0_arm64.whl", "a_b-1-py3-none-any.whl"),
    ]
    wheels = ", ".join(
        f'{{ url = "https://x/{name}", hashes = {{ sha256 = "{n:064x}" }} }}'
        for n, name in enumerate(names)
    )
    sdist = f'{{ url = "https://x/a_b-1.tar.gz", hashes = {{ sha256 = "{9:064x}" }} }}'
    (tmp_path / "pylock.toml").write_text(
        f'[[packages]]\nname = "A_b"\nversion = "1"\nsdist = {sdist}\nwheels = [{wheels}]\n'
    )
    expected = " ".join(f"{n:064x}" for n in (0, 3, 9))
    assert hashes_text([tmp_path / "pylock.toml"]) == f"a-b==1 {expected}\n"


def test_audit_says_so_without_a_database(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any, **more: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    assert audit.main() == 0
    printed = capsys.readouterr().out
    assert "Vulnerabilities are not known" in printed and "no network" in printed
    installed = {normal(one.name) for one in distributions()}
    if "rosbags" in installed:
        assert "rosbags" in printed and "Apache-2.0" in printed


def test_audit_names_vulnerabilities(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Reply:
        def __enter__(self) -> Reply:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def read(self) -> bytes:
            return json.dumps({"results": [{}, {"vulns": [{"id": "X-2"}, {"id": "X-1"}]}]}).encode()

    (tmp_path / "hashes.txt").write_text("a==1 00\nb==2 00\n")
    monkeypatch.setattr(audit, "HASHES", tmp_path / "hashes.txt")
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **more: Reply())
    assert audit.main() == 1
    printed = capsys.readouterr().out
    assert "b 2: X-1, X-2" in printed and "2 known vulnerabilities in 2 packages" in printed
    assert hashes.HASHES.exists()
