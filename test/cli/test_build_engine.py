# SPDX-License-Identifier: Apache-2.0
"""`pear build-engine`: the engine that it builds, and its errors in one sentence."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import pty
import shutil
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from pear_ros.cli import main
from pear_ros.cli.build_engine import _log_printed, _progress
from pear_ros.cli.doctor.jetson import last_build
from pear_ros.core.log import package_logger
from pear_ros.io.downloads import build_peaks_file
from pear_ros.io.tegrastats import Sample
from pear_ros.pear.runtimes.build_progress import BuildProgress
from testing.fake_machine import FakeGraphs, fake_machine, fake_reference, unload_modules
from testing.fakes import FakeCuda


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    with fake_machine(tmp_path, monkeypatch) as fake:
        yield fake


@pytest.fixture
def models(converted_folder: Path) -> Path:
    """A robot's files: graphs and body files, no checkpoint."""
    FakeGraphs(converted_folder, fake_reference(), "fp16", "bf16")
    return converted_folder


def test_an_engine_is_built_and_then_found(
    models: Path, machine: FakeCuda, capsys: pytest.CaptureFixture[str]
) -> None:
    before = package_logger.handlers[:]
    assert main(["build-engine", str(models)]) == 0
    first = capsys.readouterr()
    assert first.err == ""
    assert "Building an engine in fp16 by TensorRT 10.3.0 for" in first.out
    ready, where = first.out.splitlines()[-2:]
    assert ready.startswith("Ready: tensorrt 10.3.0 in fp16 on ")
    assert ready.endswith(
        "under 0.01 degrees and under 0.01 mm off fp32 on average (at most under 0.01 degrees and "
        "under 0.01 mm), positions at 3 m at most under 0.01 mm"
    )
    assert where == f"Engines are in {models.parent / 'cache' / 'engines'}"
    assert main(["build-engine", str(models), "--pear-body", "ehm-s"]) == 0
    again = capsys.readouterr().out
    assert "Using the fp16 engine" in again and "Building" not in again
    assert again.splitlines()[-2:] == [ready, where]
    assert machine.live == 0
    assert package_logger.handlers == before


def test_peaks_of_a_build_are_kept_for_the_doctor(
    models: Path,
    machine: FakeCuda,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Told:
        """Peaks of a Jetson once it has begun."""

        most = Sample()

        def start(self) -> None:
            self.most = Sample(ram=6 << 30, ram_total=8 << 30, swap=0, temperature=61.0, power=14.0)

        def stop(self) -> Sample:
            return self.most

    monkeypatch.setattr("pear_ros.cli.build_engine.watched", lambda: nullcontext(Told()))
    assert main(["build-engine", str(models)]) == 0
    assert "Peaks of the build by tegrastats: 6.4 GB of 8.6 GB memory," in capsys.readouterr().out
    kept = build_peaks_file()
    assert last_build(kept).text == "at most 6.4 GB of 8.6 GB memory, 0.0 GB swap, 61 C, 14 W"
    kept.unlink()
    assert main(["build-engine", str(models)]) == 0
    assert not kept.exists(), "the engine was there"


def test_an_inaccurate_engine_is_none(
    models: Path, machine: FakeCuda, capsys: pytest.CaptureFixture[str]
) -> None:
    FakeGraphs(models, fake_reference()[::-1], "fp16", "bf16")
    assert main(["build-engine", str(models), "--pear-body", "smplx"]) == 1
    said = capsys.readouterr()
    assert "fp16 cannot be used: it is not accurate enough" in said.out
    (error,) = said.err.splitlines()
    assert error.startswith("error: fp16 cannot be used") and "fp32 cannot be used" in error
    assert "pear export-graph" in error
    assert machine.live == 0


@pytest.mark.parametrize("missing", ["GPU", "TensorRT", "graph", "body", "all"])
def test_what_is_missing_is_said(
    missing: str,
    models: Path,
    machine: FakeCuda,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = {
        "GPU": "error: NVIDIA's driver finds no GPU",
        "TensorRT": "error: TensorRT cannot be imported",
        "graph": "error: bf16 cannot be used: there is no usable bf16 graph",
        "body": "error: 1 of PEAR's 7 files is missing",
        "all": "files are missing in",
    }
    precision = "auto"
    if missing == "GPU":
        machine.machine(devices=0)
    elif missing == "TensorRT":
        unload_modules(monkeypatch)
        monkeypatch.setitem(sys.modules, "tensorrt", None)
    elif missing == "graph":
        precision = "bf16"
        for file in models.glob("pear_*bf16*"):
            file.unlink()
    elif missing == "body":
        next(models.rglob("l_eyelid.npy")).unlink()
    else:
        shutil.rmtree(models)
    assert main(["build-engine", str(models), "--precision", precision]) == 1
    said = capsys.readouterr()
    assert expected[missing] in said.err
    assert "Traceback" not in said.err + said.out


def read_all(reader: int) -> bytes:
    """Read what was written to a pseudo-terminal that is closed; one read may return a part."""
    drawn = b""
    with os.fdopen(reader, "rb", buffering=0) as terminal, contextlib.suppress(OSError):
        while part := terminal.read(1 << 16):
            drawn += part
    return drawn


def test_on_a_terminal_there_is_a_bar_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    with os.fdopen(writer, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stderr", terminal)
        patch.setattr("sys.stdout", terminal)
        with _log_printed(), _progress() as progress:
            progress(BuildProgress("hashing", 1.0, math.nan))
            progress(BuildProgress("tactics", 0.25, 150.0))
            package_logger.info("an engine is built")
            progress(BuildProgress("tactics", 1.2, 1.0))
    drawn = read_all(reader).decode()
    lines = [line.strip() for line in drawn.split("\r") if line.strip()]
    assert any(line.startswith("25 %") and "2 min left tactics" in line for line in lines)
    assert any(line.startswith("100 %") and "hashing" in line for line in lines)
    assert "an engine is built" in lines, "the log stands on a line of its own"
