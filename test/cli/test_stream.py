# SPDX-License-Identifier: Apache-2.0
"""`pear run --stream` and `pear stream`, with real sockets."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pear_ros.cli import main
from pear_ros.cli.run_stream import RunStream
from pear_ros.core.camera import Camera
from pear_ros.core.people import Image, People
from pear_ros.io.video import VideoWriter
from pear_ros.streaming.recording import Recording
from testing.open_people import OpenPipeline, person, t_pose
from testing.streamed_people import UdpReceiver
from testing.tiny_pipeline import picture

QUICK = [
    *("--stream-delay", "0.05", "--stream-hold-seconds", "0.1", "--stream-blend-seconds", "0.2"),
]


class Standing(OpenPipeline):
    """A pipeline that sees one person in every image."""

    def __call__(self, image: Image, camera: Camera, stamp: float) -> People:  # type: ignore[override]
        bent = t_pose(left_elbow=(0.0, -1.0, 0.0))
        return People(camera, "known/1", self.body.name, (person(bent),))

    def close(self) -> None:
        pass


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("pear_ros.pipeline.Pipeline", lambda *_, **__: Standing())
    monkeypatch.setattr("pear_ros.estimators.factory.make_estimator", lambda choice: None)
    file = tmp_path / "clip.mp4"
    with VideoWriter(file) as writer:
        for index in range(5):
            writer.write(index / 10, picture())
    return str(file)


@pytest.fixture
def receiver() -> Iterator[UdpReceiver]:
    with closing(UdpReceiver()) as one:
        yield one


def url_of(receiver: UdpReceiver) -> str:
    return f"json+udp://127.0.0.1:{receiver.port}"


def test_run_streams_records_and_stream_sends_again(
    clip: str, receiver: UdpReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "walk.stream", str(tmp_path / "out")
    options = ["--stream", url_of(receiver), "--stream-record", str(file), *QUICK]
    assert main(["run", clip, "--output", out, *options]) == 0
    sent = [one.content for one in Recording(file)]
    assert receiver.receive(len(sent)) == sent
    frames = [json.loads(one) for one in sent]
    assert [one["frame"] for one in frames] == list(range(len(frames)))
    states = [one["state"] for one in frames]
    assert states[0] == "tracking" and states[-1] == "resting"  # at the end, back to rest
    assert frames[0]["person"] == "h1"

    assert main(["stream", str(file)]) == 0
    assert receiver.receive(len(sent)) == sent
    assert f"{len(sent)} packets sent." in capsys.readouterr().out


def test_a_video_is_streamed_in_its_own_time(
    clip: str, receiver: UdpReceiver, tmp_path: Path
) -> None:
    file = tmp_path / "walk.stream"
    options = ["--stream", url_of(receiver), "--stream-record", str(file), *QUICK]
    assert main(["run", clip, "--output", str(tmp_path / "out"), *options]) == 0
    # 0.4 s of video, then delay, hold and blend; processing takes a few milliseconds.
    assert list(Recording(file))[-1].seconds > 0.5


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--stream", "http://127.0.0.1"], "argument --stream: must be a URL such as"),
        (["--stream", "ws://a?frames=3"], "argument --stream: must have no 'frames=3'"),
        (["--stream-rate", "0"], "argument --stream-rate: must be from 1 to 240"),
        (["--stream-person", "9"], "argument --stream-person: must match"),
    ],
)
def test_wrong_options_are_named(
    options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["run", "0", *options])
    assert reason in capsys.readouterr().err


def test_what_cannot_be_streamed_ends_with_a_sentence(
    clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error_of(*arguments: Any) -> str:
        assert main([*map(str, arguments)]) == 1
        return capsys.readouterr().err

    out = ("--output", tmp_path / "out")
    assert error_of("run", clip, *out, "--stream-record", "a") == (
        "error: --stream-record needs --stream: name a URL\n"
    )
    absent = tmp_path / "absent" / "a.stream"
    text = error_of("run", clip, *out, "--stream", "ws://127.0.0.1:0", "--stream-record", absent)
    assert str(absent) in text and text.count("\n") == 1
    assert "is no recorded stream" in error_of("stream", clip)
    assert "No such file" in error_of("stream", absent)
    import cv2

    still = tmp_path / "one.png"
    cv2.imwrite(str(still), picture())
    text = error_of("run", still, *out, "--stream", "ws://127.0.0.1:0")
    assert text == f"error: {still} is an image: --stream needs a video or a camera\n"


def test_a_recording_goes_to_its_own_protocol_only(
    clip: str, receiver: UdpReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "walk.stream"
    options = ["--stream", url_of(receiver), "--stream-record", str(file), *QUICK]
    assert main(["run", clip, "--output", str(tmp_path / "out"), *options]) == 0
    assert main(["stream", str(file), "--to", "vmc://127.0.0.1:1"]) == 1
    assert "the recording is of json+udp://" in capsys.readouterr().err


def test_a_recording_that_cannot_be_written_ends_the_run_with_a_sentence(
    clip: str,
    receiver: UdpReceiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "walk.stream")

    monkeypatch.setattr("pear_ros.streaming.recording.StreamWriter.write", full)
    file = tmp_path / "walk.stream"
    options = ["--stream", url_of(receiver), "--stream-record", str(file), *QUICK]
    assert main(["run", clip, "--output", str(tmp_path / "out"), *options]) == 1
    assert "No space left on device: 'walk.stream'" in capsys.readouterr().err
    assert not list(tmp_path.glob("*walk.stream*"))


def test_another_ctrl_c_keeps_the_recording(
    clip: str, receiver: UdpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = RunStream._return_to_rest

    def interrupted(self: RunStream) -> None:
        timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        waits(self)
        timer.join()

    monkeypatch.setattr(RunStream, "_return_to_rest", interrupted)
    file = tmp_path / "walk.stream"
    options = ["--stream", url_of(receiver), "--stream-record", str(file)]
    slow = ["--stream-blend-seconds", "60"]
    assert main(["run", clip, "--output", str(tmp_path / "out"), *options, *slow]) == 0
    assert list(Recording(file))
