# SPDX-License-Identifier: Apache-2.0
"""The command `pear`: arguments, and the files of `pear run`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pear_ros.body import BodyModel, load_open_body
from pear_ros.cli import main
from pear_ros.cli.run import process, run
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import DeviceLostError
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Array, Image, People, Person, SmplxParams, TrackingState
from pear_ros.io.run_arrays import ARRAYS
from pear_ros.io.video import FrameSource, VideoWriter


class Known:
    """A pipeline for images whose first pixel is the number of people, 3 m away."""

    def __init__(self) -> None:
        self.body: BodyModel = load_open_body()

    def __call__(self, image: Image, camera: Camera, stamp_seconds: float) -> People:
        count = int(image[0, 0, 0])
        persons = [self._person(index, TrackingState.TRACKED) for index in range(count)]
        gone = self._person(count, TrackingState.LOST)
        return People(camera, "known/1", self.body.name, persons=[*persons, gone])

    def meshes(self, people: People) -> Array:
        turned = self.body.v_template * np.array([1, -1, -1], np.float32)
        return np.array([turned + p.smplx.transl for p in people.persons], np.float32).reshape(
            -1, self.body.vertex_count, 3
        )

    def _person(self, index: int, state: TrackingState) -> Person:
        params = SmplxParams(
            pose=np.full((55, 3), index, np.float32),
            betas=np.zeros(self.body.num_betas, np.float32),
            expression=np.zeros(self.body.num_expression, np.float32),
            transl=np.array([index, 0, 3], np.float32),
        )
        unknown = np.full((55, 3), np.nan, np.float32)
        box = np.array([1, 2, 3, 4], np.float32)
        confidence = np.zeros(55, np.float32)
        name = f"person_{index}"
        return Person(0.5, box, params, unknown, confidence, unknown[:, :2], id=name, state=state)


@pytest.fixture(scope="module")
def pipeline() -> Known:
    return Known()


def picture(people: int) -> Image:
    return np.full((120, 160, 3), people, np.uint8)


def test_run_writes_overlay_and_parameters_of_an_image(tmp_path: Path, pipeline: Known) -> None:
    file = tmp_path / "two.png"
    cv2.imwrite(str(file), picture(2))
    table, (overlay, arrays) = process(FrameSource(str(file)), pipeline, tmp_path, 60.0)
    assert table.person_count == 2
    drawn = cv2.imread(str(overlay))
    assert drawn is not None and drawn.shape == (120, 160 + 320, 3)
    assert (drawn[:, :160] != 2).any()

    found = np.load(arrays)
    assert set(found) == set(ARRAYS)
    assert found["id"].tolist() == ["person_0", "person_1"], "who is lost is left out"
    np.testing.assert_array_equal(found["pose"][1], np.ones((55, 3)))
    np.testing.assert_array_equal(found["transl"], [[0, 0, 3], [1, 0, 3]])
    np.testing.assert_array_equal(found["camera"][:2], [160, 120])
    assert np.isnan(found["joints"]).all(), "what is not known stays NaN"
    assert found["body_model"] == pipeline.body.name


def test_run_writes_a_video_and_rows_with_their_frames(tmp_path: Path, pipeline: Known) -> None:
    file = tmp_path / "clip.mp4"
    with VideoWriter(file) as writer:
        for index, people in enumerate([0, 16, 0]):
            writer.write(index / 10, picture(people))
    seen = [int(image[0, 0, 0]) for _, image in FrameSource(str(file))]
    _, (video, arrays) = process(FrameSource(str(file)), pipeline, tmp_path, 60.0)
    stamps = [stamp for stamp, _ in FrameSource(str(video))]
    np.testing.assert_allclose(stamps, [0.0, 0.1, 0.2], atol=1e-3)
    found = np.load(arrays)
    np.testing.assert_allclose(found["frame_stamp"], [0.0, 0.1, 0.2], atol=1e-3)
    assert np.bincount(found["frame"], minlength=3).tolist() == seen
    np.testing.assert_allclose(found["stamp"], found["frame_stamp"][found["frame"]])


def test_run_closes_its_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pipeline: Known
) -> None:
    closed = []
    monkeypatch.setattr(Known, "close", lambda self: closed.append(self), raising=False)
    monkeypatch.setattr("pear_ros.pipeline.Pipeline", lambda *_, **__: pipeline)
    monkeypatch.setattr("pear_ros.estimators.factory.make_estimator", lambda choice: None)
    file = tmp_path / "one.png"
    cv2.imwrite(str(file), picture(1))
    assert run(str(file), tmp_path / "results", Parameters()) == 0
    assert closed == [pipeline]
    (tmp_path / "results" / "one_overlay.png").unlink()
    (tmp_path / "results" / "one_overlay.png").mkdir()
    (tmp_path / "results" / "one.npz").unlink()
    (tmp_path / "results" / "one.npz").mkdir()
    assert run(str(file), tmp_path / "results", Parameters()) == 1
    assert closed == [pipeline, pipeline], "after an error, too"


def test_run_without_its_gpu_ends_with_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pipeline: Known,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def lost(*_: object) -> None:
        raise DeviceLostError("an illegal memory access: start it again")

    monkeypatch.setattr(Known, "__call__", lost)
    monkeypatch.setattr(Known, "close", lambda self: None, raising=False)
    monkeypatch.setattr("pear_ros.pipeline.Pipeline", lambda *_, **__: pipeline)
    monkeypatch.setattr("pear_ros.estimators.factory.make_estimator", lambda choice: None)
    file = tmp_path / "one.png"
    cv2.imwrite(str(file), picture(1))
    assert run(str(file), tmp_path / "results", Parameters()) == 1
    assert capsys.readouterr().err == "error: an illegal memory access: start it again\n"


def test_run_keeps_array_shapes_without_people(tmp_path: Path, pipeline: Known) -> None:
    file = tmp_path / "empty.png"
    cv2.imwrite(str(file), picture(0))
    table, (overlay, arrays) = process(FrameSource(str(file)), pipeline, tmp_path, 60.0)
    assert table.person_count == 0 and overlay.exists()
    found = np.load(arrays)
    assert found["pose"].shape == (0, 55, 3)
    assert found["flame_jaw"].shape == (0, 3)
    assert found["betas"].shape == (0, pipeline.body.num_betas)
    assert found["frame_stamp"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "x.png", "--fov", "180"], "must be from 1 to 179, not 180"),
        (["run", "x.png", "--max-humans", "99"], "--max-humans: must be from 1 to 32, not 99"),
        (["run", "x.png", "--max-humans", "two"], "must be a whole number, not 'two'"),
        (
            ["replay", "x", "--output", "y", "--body-height", "nan"],
            "must be from 0 to 2.5, not nan",
        ),
        (["bench", "--runtime", "tpu"], "must be 'auto' or 'tensorrt' or 'torch'"),
        (["walk"], "walk"),
        ([], "SUBCOMMAND"),
    ],
)
def test_run_refuses_wrong_arguments_with_the_reason(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert expected in capsys.readouterr().err


def test_run_prints_one_line_for_a_missing_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "absent.mp4"
    assert main(["run", str(missing), "--output", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {missing} does not exist")
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_run_help_lists_every_array_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, pear_ros.cli\n"
        "try: pear_ros.cli.main(['run', '--help'])\n"
        "except SystemExit: print('heavy:', {'numpy', 'cv2', 'rclpy', 'av'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert all(name in result.stdout for name in ARRAYS)
    assert "heavy: set()" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("doctor --seconds soon", "must be between 0 and 3600 seconds, not soon"),
        ("replay bag --output out --start soon", "must be 0 or more, not soon"),
        ("replay bag --output out --every some", "must be a whole number, 1 or more, not some"),
    ],
)
def test_numbers_are_refused_in_the_users_words(
    arguments: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments.split())
    assert reason in capsys.readouterr().err
