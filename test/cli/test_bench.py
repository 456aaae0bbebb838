# SPDX-License-Identifier: Apache-2.0
"""`pear bench`: the stages that it measures, unchanged results, and its report."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from pear_ros.cli import main
from pear_ros.cli.bench import plot, stopwatch
from pear_ros.cli.bench.frames import BagFrames, SourceError, open_frames
from pear_ros.cli.bench.measure import Measured, measure
from pear_ros.cli.bench.parts import MEANINGS
from pear_ros.cli.bench.report import Setting, as_markdown, as_text, notes, rows, throughput, title
from pear_ros.cli.bench.stopwatch import Stopwatch
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.configuration import EstimatorChoice, RuntimeChoice
from pear_ros.core.estimator import Region
from pear_ros.core.people import NUM_JOINTS, Array, Estimate, Image, Person, SmplxParams
from pear_ros.detection.detectors import FullFrame
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.io.downloads import demo_clip
from pear_ros.io.machine import this_machine
from pear_ros.io.video import FrameSource, VideoWriter
from pear_ros.pipeline import Pipeline

TYPES = get_typestore(Stores.ROS2_JAZZY)
WIDTH, HEIGHT = 64, 48


# The stopwatch


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


# Measuring


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


# Where pictures come from


def write_bag(
    path: Path,
    storage: StoragePlugin = StoragePlugin.MCAP,
    topics: Sequence[str] = ("/camera/image_raw",),
    focal: float = 50.0,
) -> Path:
    """Three images a topic with values 1, 2 and 3, the second damaged, and a CameraInfo."""
    header = TYPES.types["std_msgs/msg/Header"]
    stamp = TYPES.types["builtin_interfaces/msg/Time"]
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.open()

    def write(topic: str, kind: str, second: int, **fields: Any) -> None:
        key = (topic, kind)
        if key not in connections:
            connections[key] = writer.add_connection(topic, kind, typestore=TYPES)
        message = TYPES.types[kind](
            header=header(stamp=stamp(sec=second, nanosec=500_000_000), frame_id="optical"),
            **fields,
        )
        data = TYPES.serialize_cdr(message, kind)
        writer.write(connections[key], second * 1_000_000_000, data)

    connections: dict[tuple[str, str], Any] = {}
    for second in (1, 2, 3):
        for topic in topics:
            pixels = np.full((HEIGHT, WIDTH, 3), second, np.uint8)
            if topic.endswith("/compressed"):
                _, data = cv2.imencode(".png", pixels)
                kind = "sensor_msgs/msg/CompressedImage"
                write(topic, kind, second, format="png", data=data[: None if second != 2 else 9])
            else:
                data = pixels.ravel()[: None if second != 2 else 9]
                layout = {"encoding": "bgr8", "is_bigendian": 0, "step": WIDTH * 3, "data": data}
                kind = "sensor_msgs/msg/Image"
                write(topic, kind, second, height=HEIGHT, width=WIDTH, **layout)
    roi = TYPES.types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    matrix = np.array([focal, 0, 32, 0, focal, 24, 0, 0, 1], np.float64)
    info = {
        "height": HEIGHT,
        "width": WIDTH,
        "distortion_model": "plumb_bob",
        "d": np.zeros(5),
        "k": matrix,
        "r": np.eye(3).ravel(),
        "p": np.zeros(12),
        "binning_x": 0,
        "binning_y": 0,
        "roi": roi,
    }
    write("/camera/camera_info", "sensor_msgs/msg/CameraInfo", 1, **info)
    writer.close()
    return path


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("topic", ["/camera/image_raw", "/camera/image_raw/compressed"])
def test_bag_frames_find_the_only_image_topic(
    storage: StoragePlugin, topic: str, tmp_path: Path
) -> None:
    path = write_bag(tmp_path / "bag", storage, [topic])
    for source in (path, next(file for file in path.iterdir() if file.suffix != ".yaml")):
        frames = open_frames(str(source))
        found = [(stamp, int(picture[0, 0, 0])) for stamp, picture in frames]
        assert found == [(1.5, 1), (3.5, 3)], "what cannot be read is left out"
        camera = frames.camera(WIDTH, HEIGHT)
        assert (camera.fx, camera.source) == (50.0, IntrinsicsSource.CAMERA_INFO)


def test_bag_frames_without_calibration_have_a_common_field_of_view(tmp_path: Path) -> None:
    frames = open_frames(str(write_bag(tmp_path / "bag", focal=0.0)))
    assert frames.camera(WIDTH, HEIGHT).source is IntrinsicsSource.FIELD_OF_VIEW


def test_bag_frames_with_several_topics_are_refused(tmp_path: Path) -> None:
    path = str(write_bag(tmp_path / "bag", topics=["/left/image", "/right/image"]))
    with pytest.raises(SourceError, match=r"--image: /left/image \(3\), /right/image"):
        open_frames(path)
    with pytest.raises(SourceError, match=r"no topic /middle; .* there are /left"):
        open_frames(path, "/middle")
    chosen = open_frames(path, "/right/image")
    assert isinstance(chosen, BagFrames) and chosen.topic == "/right/image"


def test_folder_with_several_bags_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_bag(tmp_path / name)
    with pytest.raises(SourceError, match="holds 2 bags"):
        open_frames(str(tmp_path))


def test_open_frames_refuses_unsuitable_sources(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "still.png"), np.zeros((9, 9, 3), np.uint8))
    (tmp_path / "empty.mcap").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for source, topic, expected in (
        (tmp_path / "still.png", None, "is no video"),
        (tmp_path / "absent.mcap", None, "does not exist"),
        (tmp_path / "empty.mcap", None, "has no messages"),
        (tmp_path / "folder", None, "is not a bag"),
        (tmp_path / "film.mp4", "/image", "is not a bag"),
    ):
        with pytest.raises(SourceError, match=expected):
            open_frames(str(source), topic)
    with pytest.raises(SourceError, match="has no image topic"):
        open_frames(str(write_bag(tmp_path / "bag", topics=[])))


# What is said of it

MEASURED = Measured(
    ("decode", "estimate", "other"),
    np.outer(np.arange(1, 101), [0.001, 0.002, 0.001]),
    np.arange(100) % 3,
    10,
    (640, 480),
)


def setting(load: float = 0.0) -> Setting:
    return Setting("a video", "sleeper/1", Sleeper.diagnostics, this_machine(), load)


def test_report_has_percentiles_and_shares_of_stages() -> None:
    decode, estimate, _, total = rows(MEASURED)
    assert decode[:6] == ("decode", "50.5", "50.5", "95.0", "99.0", "25 %")
    assert estimate[5] == "50 %"
    assert total[:6] == ("total", "202.0", "202.0", "380.2", "396.0", "100 %")


def test_report_describes_source_and_machine() -> None:
    report = as_markdown(MEASURED, setting(), "bench.png")
    for expected in (
        "sleeper/1: 5.0 frames per second, 0.99 people per frame",
        "100 frames of 640 x 480 pixels from a video; 10 frames before them to warm up",
        f"{this_machine().cores} cores",
        "CPU, 2 threads",
        "the machine was idle",
        "Without messages",
        "](bench.png)",
    ):
        assert expected in report
    table = [line for line in report.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert len(table) == 2 + 4
    assert as_text(rows(MEASURED)).count("\n") == 4


def test_report_remarks_load_and_few_frames() -> None:
    cores = this_machine().cores
    assert "was not idle" in title(MEASURED, setting(load=0.4 * cores))[-1]
    assert "was idle" in title(MEASURED, setting(load=0.1 * cores))[-1]
    few = Measured(MEASURED.stages, MEASURED.seconds[:5], MEASURED.people[:5], 1, (9, 9))
    assert "99th percentile" in " ".join(notes(few, setting()))
    assert "99th percentile" not in " ".join(notes(MEASURED, setting()))


# The plot


def count_of(picture: Image, area: tuple[slice, slice], colour: tuple[int, int, int]) -> int:
    return int((picture[area] == colour).all(axis=2).sum())


def test_plot_areas_are_proportional_to_stages() -> None:
    picture = plot.draw_plot(MEASURED, ["title", "below"])
    assert picture.shape == (plot._HEIGHT, plot._WIDTH, 3)
    frames = slice(100, 430), slice(90, plot._WIDTH - 40)
    decode, estimate, other = (count_of(picture, frames, plot._PALETTE[n]) for n in range(3))
    assert estimate == pytest.approx(2 * decode, rel=0.1)
    assert other == pytest.approx(decode, rel=0.1)
    mean = slice(520, 560), slice(0, 700)
    bar = [count_of(picture, mean, plot._PALETTE[n]) for n in range(3)]
    assert bar[1] == pytest.approx(2 * bar[0], rel=0.05)


@pytest.mark.parametrize("seconds", [[[0.5]], [[1e-6], [1e-6]], [[0.0], [3600.0]]])
def test_plot_of_extreme_values(seconds: list[list[float]]) -> None:
    odd = Measured(("estimate",), np.array(seconds), np.ones(len(seconds), int), 0, (1, 1))
    assert (plot.draw_plot(odd, ["t"]) != 255).any()


@given(st.floats(1e-3, 1e7), st.integers(2, 12))
def test_plot_steps_of_an_axis(largest: float, parts: int) -> None:
    step = plot.nice_step(largest, parts)
    assert largest / step <= parts * (1 + 1e-9)
    assert largest / step > parts / 2.6
    assert f"{step:.0e}"[0] in "125"


# The command


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
