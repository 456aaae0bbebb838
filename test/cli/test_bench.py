# SPDX-License-Identifier: Apache-2.0
"""`pear bench`: the stages that it measures, and unchanged results."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pear_ros.cli import main
from pear_ros.cli.bench import stopwatch
from pear_ros.cli.bench.frames import SourceError
from pear_ros.cli.bench.measure import Measured, measure
from pear_ros.cli.bench.parts import MEANINGS
from pear_ros.cli.bench.report import throughput
from pear_ros.cli.bench.stopwatch import Stopwatch
from pear_ros.core.camera import Camera
from pear_ros.core.configuration import EstimatorChoice, RuntimeChoice
from pear_ros.core.estimator import Region
from pear_ros.core.people import NUM_JOINTS, Array, Estimate, Image, Person, SmplxParams
from pear_ros.detection.detectors import FullFrame
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource, VideoWriter
from pear_ros.pipeline import Pipeline

WIDTH, HEIGHT = 64, 48


class Clock:
    """A clock that advances only when a fake stage works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: self.now)

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_stopwatch_counts_nested_stages_once(clock: Clock) -> None:
    watch = Stopwatch()
    with watch.stage("whole"):
        clock.work(1)
        with watch.stage("outer"):
            clock.work(10)
            with watch.stage("inner"):
                clock.work(100)
            clock.work(20)
        with watch.stage("inner"):
            clock.work(200)
    assert watch.lap() == {"whole": 1, "outer": 30, "inner": 300}
    assert watch.lap() == {}


def test_stopwatch_counts_a_stage_that_raises(clock: Clock) -> None:
    watch = Stopwatch()
    with watch.stage("whole"):
        with pytest.raises(KeyError), watch.stage("bad"):
            clock.work(5)
            raise KeyError
        clock.work(1)
    assert watch.lap() == {"whole": 1, "bad": 5}


def test_stopwatch_ignores_other_threads(clock: Clock) -> None:
    watch, done = Stopwatch(), []

    def elsewhere() -> None:
        with watch.stage("elsewhere"):
            clock.work(7)
            done.append(True)

    thread = threading.Thread(target=elsewhere)
    with watch.stage("whole"):
        thread.start()
        thread.join()
    assert done and watch.lap() == {"whole": 7}


class Part:
    size = 3

    def __call__(self, a: int, *, b: int) -> int:
        return a + b

    def method(self) -> str:
        return "method"


class Owner:
    def __init__(self) -> None:
        self.part = Part()


def test_stopwatch_does_not_change_a_watched_part(clock: Clock) -> None:
    watch, owner = Stopwatch(), Owner()
    watch.watch(owner, "part", "calls")
    assert owner.part(1, b=2) == 3
    assert (owner.part.size, owner.part.method()) == (3, "method")
    assert watch.lap() == {"calls": 0}
    watch.watch(owner.part, "method", "methods")
    with pytest.raises(AttributeError, match="gone"):
        watch.watch(owner, "gone", "x")


class Sleeper:
    """A slow estimator of one person in the centre of the image."""

    model_id = "sleeper/1"
    diagnostics: Mapping[str, str] = {"device": "CPU, 2 threads", "runtime": "none 1.0"}

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.body: Any = PointBody()

    def estimate(
        self, image: Image, camera: Camera, regions: Sequence[Region], stamp: float
    ) -> list[Estimate | None]:
        self._clock.work(0.040)
        joints = np.tile(np.array([0, 0, 3], np.float32), (NUM_JOINTS, 1))
        smplx = SmplxParams(
            *(np.zeros(shape, np.float32) for shape in ((NUM_JOINTS, 3), 10, 10, 3))
        )
        return [
            Estimate(1.0, r.box, smplx, joints, np.ones(NUM_JOINTS), camera.project(joints))
            for r in regions
        ]

    def joints(self, persons: Sequence[Person]) -> Array:
        return np.zeros((len(persons), NUM_JOINTS, 3), np.float32)

    def meshes(self, persons: Sequence[Person]) -> Array:
        self._clock.work(0.005)
        return np.zeros((len(persons), 4, 3), np.float32)

    def heights(self, persons: Sequence[Person]) -> Array:
        return np.full(len(persons), 1.7, np.float32)

    def reset(self) -> None: ...

    def close(self) -> None: ...


class PointBody:
    name = "point/1"


class Still:
    """The same image repeatedly, each read in 2 ms."""

    name = "a still"

    def __init__(self, count: int, clock: Clock) -> None:
        self._count, self._clock = count, clock

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        for number in range(self._count):
            self._clock.work(0.002)
            yield number / 30, np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    def camera(self, width: int, height: int) -> Camera:
        return Camera.from_field_of_view(width, height)


def measured_sleeper(clock: Clock, there: int, frames: int) -> Measured:
    estimator: Any = Sleeper(clock)
    pipeline = Pipeline(estimator, FullFrame())

    def send(people: Any, meshes: Array) -> None:
        assert len(people.persons) == len(meshes) == 1
        clock.work(0.003)

    return measure(pipeline, estimator, Still(there, clock), frames, send)


def test_measure_separates_the_stages(clock: Clock) -> None:
    measured = measured_sleeper(clock, there=100, frames=20)
    means = dict(zip(measured.stages, 1e3 * measured.seconds.mean(axis=0), strict=True))
    expected = {"decode": 2, "estimate": 40, "mesh": 5, "messages": 3}
    for name, milliseconds in expected.items():
        assert means.pop(name) == pytest.approx(milliseconds)
    assert set(means) == {"detect", "track", "true size", "smooth", "other"}
    assert sum(means.values()) == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(measured.totals, 0.050)
    assert throughput(measured) == pytest.approx(20.0)
    assert list(measured.stages) == [name for name in MEANINGS if name in measured.stages]


@pytest.mark.parametrize(
    ("there", "frames", "left_out", "kept"), [(100, 20, 10, 20), (28, 50, 7, 21), (1, 9, 0, 1)]
)
def test_measure_omits_frames_to_warm_up(
    there: int, frames: int, left_out: int, kept: int, clock: Clock
) -> None:
    measured = measured_sleeper(clock, there, frames)
    assert (measured.warm_up, len(measured.seconds)) == (left_out, kept)
    assert measured.people.tolist() == [1] * kept
    assert measured.size == (WIDTH, HEIGHT)


def test_measure_without_frames_raises(clock: Clock) -> None:
    with pytest.raises(SourceError, match="no image in a still"):
        measured_sleeper(clock, 0, 5)


class Some:
    """The first frames of the demo clip."""

    name = "the demo clip"

    def __init__(self, count: int) -> None:
        self.frames = [frame for _, frame in zip(range(count), clip(), strict=False)]

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        return iter(self.frames)

    def camera(self, width: int, height: int) -> Camera:
        return Camera.from_field_of_view(width, height)


def clip() -> FrameSource:
    return FrameSource(str(demo_clip()))


def test_measure_separates_stages_of_landmarks_and_keeps_results() -> None:
    frames = Some(5)
    plain = Pipeline(LandmarkEstimator())
    expected = [plain(image, frames.camera(1768, 994), stamp) for stamp, image in frames]
    plain.close()

    seen: list[Any] = []
    estimator = LandmarkEstimator()
    pipeline = Pipeline(estimator)
    measured = measure(pipeline, estimator, frames, 5, lambda people, _: seen.append(people))
    pipeline.close()
    assert {"landmarks", "fit", "fit parts", "wait for parts"} < set(measured.stages)
    assert "estimate" not in measured.stages
    landmarks = measured.seconds[:, measured.stages.index("landmarks")]
    assert (landmarks > 0.0).all()
    for one, other in zip(expected, seen, strict=True):
        assert [person.id for person in one.persons] == [person.id for person in other.persons]
        for a, b in zip(one.persons, other.persons, strict=True):
            np.testing.assert_array_equal(a.joints, b.joints)


def test_measure_separates_stages_of_pear(pear_models: Path) -> None:
    pytest.importorskip("torch", reason="PEAR needs torch")
    from pear_ros.estimators.factory import make_estimator

    choice = EstimatorChoice("pear", pear_models, runtime=RuntimeChoice("torch", strict=True))
    estimator = make_estimator(choice)
    pipeline = Pipeline(estimator)
    measured = measure(pipeline, estimator, Some(3), 3, None)
    pipeline.close()
    assert {"follow", "network", "place", "mesh"} < set(measured.stages)
    assert "messages" not in measured.stages
    network = measured.seconds[:, measured.stages.index("network")]
    assert (network > 0.0).all()


def test_bench_command_on_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film, folder = tmp_path / "film.mp4", tmp_path / "out"
    with VideoWriter(film) as writer:
        for (stamp, image), _ in zip(clip(), range(8), strict=False):
            writer.write(stamp, cv2.resize(image, (884, 498)))
    arguments = ["bench", str(film), "--frames", "4", "--output", str(folder)]
    assert main([*arguments, "--estimator", "landmarks"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^landmarks +\d+\.\d", said, re.MULTILINE)
    assert "landmarks/3: " in said and "884 x 498 pixels from video film.mp4" in said
    assert "| landmarks |" in (folder / "bench.md").read_text()
    assert cv2.imread(str(folder / "bench.png")) is not None


def test_bench_command_prints_errors_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source in ("absent.mp4", "absent.mcap"):
        assert main(["bench", str(tmp_path / source), "--output", str(tmp_path / "out")]) == 1
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1 and "does not exist" in captured.err
    assert not (tmp_path / "out").exists()
