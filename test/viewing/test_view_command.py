# SPDX-License-Identifier: Apache-2.0
"""The command `pear view`, as a process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("viser", reason="needs the extra view")

from pear_ros.body import load_open_body
from pear_ros.cli import main
from pear_ros.cli.results import ParameterTable
from pear_ros.core.people import People
from testing.open_people import CAMERA, person, t_pose
from testing.viewer_client import ViewerClient


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """An NPZ as `pear run` writes it."""
    table = ParameterTable(load_open_body())
    for step in range(3):
        persons = (person(t_pose(), (0.1 * step, 0.0, 4.0)),)
        people = People(CAMERA, "test/1", load_open_body().name, persons)
        table.append(0.1 * step, people, persons)
    path = tmp_path / "video.npz"
    table.save(path)
    return path


@contextmanager
def started(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process of `pear view` and the address that it printed."""
    command = [sys.executable, "-m", "pear_ros.cli", "view", *map(str, arguments), "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("Open http://"), process.communicate(timeout=60)
        yield process, line.split()[1]
    finally:
        process.kill()
        process.communicate()


def test_recorded_people_are_served_on_the_network_until_interrupted(results: Path) -> None:
    with started(results, "--host", "0.0.0.0", "--token", "abc") as (process, url):
        assert url.endswith("/?token=abc")
        port = url.rpartition(":")[2].partition("/")[0]
        with ViewerClient(f"http://127.0.0.1:{port}/?token=abc", "?t=0.2") as client:
            client.wait(lambda: "camera stands is assumed" in client.texts())
            client.wait(lambda: any("h1" in name for name in client.nodes))
            assert client.element("Time [s]")["max"] == pytest.approx(0.2, abs=1e-3)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 0
        assert errors.startswith("warning: ")
        assert "not encrypted" in errors
        assert errors.count("\n") == 1
        assert "viser" not in out


def test_runs_of_one_name_have_that_of_their_folder(results: Path) -> None:
    other = results.parent / "other" / results.name
    other.parent.mkdir()
    shutil.copy(results, other)
    with started(results, other) as (_, url), ViewerClient(url) as client:
        client.wait(lambda: "other/video" in client.texts())
        assert f"{results.parent.name}/video" in client.texts()


def test_live_people_are_waited_for() -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2")
    with started() as (process, url):
        with ViewerClient(url) as client:
            client.wait(lambda: "Nobody publishes /humans" in client.texts())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("live", (False, True))
def test_port_in_use_is_one_sentence(
    live: bool, results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if live:
        pytest.importorskip("rclpy", reason="needs ROS 2")
    # A live viewer changes both for its process, which is that of all tests here.
    monkeypatch.setattr(os, "nice", lambda by: by)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["view", *([] if live else [str(results)]), "--port", str(port)]) == 1
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith(f"{'Cannot start' if live else 'error'}: port {port} is in use")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("port", ("-1", "65536", "http"))
def test_impossible_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["view", f"--port={port}"])
    assert f"from 0 to 65535, not {port}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ("nothing.npz", "nothing"))
def test_missing_results_are_one_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["view", str(tmp_path / name)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / name} does not exist\n"


def test_missing_viser_is_one_sentence(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main(["view", str(results)]) == 1
    expected = "error: viser is missing: pip install 'viser<1.2' websockets\n"
    assert capsys.readouterr().err == expected


def test_unsuitable_model_is_one_sentence(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "smplx.npz"
    bad.write_text("no model")
    assert main(["view", str(results), "--smplx", str(bad)]) == 1
    errors = capsys.readouterr().err
    assert str(bad) in errors
    assert errors.count("\n") == 1
