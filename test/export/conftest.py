# SPDX-License-Identifier: Apache-2.0
"""Small recordings of people, and the command `pear export`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pear_ros.cli import main
from testing.exported_people import Images, recorded_images, write


@pytest.fixture(scope="session")
def images() -> Images:
    return recorded_images()


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Path:
    return write(tmp_path_factory.mktemp("results") / "bag", images)


@pytest.fixture
def export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Path]:
    """Run `pear export`, which must succeed; return the folder."""

    def run(source: Path, file_format: str, *arguments: str) -> Path:
        out = tmp_path / "out"
        command = ["export", str(source), "--format", file_format, "--output", str(out)]
        assert main([*command, *arguments]) == 0, capsys.readouterr().err
        return out

    return run


@pytest.fixture
def refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run `pear export`, which must fail with one line; return it."""

    def run(source: Path, file_format: str = "npz", *arguments: str) -> str:
        out = tmp_path / "refused"
        command = ["export", str(source), "--format", file_format, "--output", str(out)]
        assert main([*command, *arguments]) == 1
        said = capsys.readouterr()
        assert said.err.startswith("error: ") and said.err.count("\n") == 1, said.err
        assert not list(out.glob("*"))
        return said.err

    return run
