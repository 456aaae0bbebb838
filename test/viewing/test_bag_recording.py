# SPDX-License-Identifier: Apache-2.0
"""Bags as recordings of the viewer: read where they are shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("viser", reason="needs the extra view")

from pear_ros.bags.bag import Bag
from pear_ros.bags.topic import BagError, Message
from pear_ros.cli.view.bag_recording import BagRecording
from pear_ros.cli.view.open import open_recording
from pear_ros.core.people import People
from pear_ros.export.tracks import ResultsError
from testing.open_people import CAMERA, open_body, person, t_pose
from testing.results_bag import ResultsBag

SECOND = 10**9
START = 1_700_000_000 * SECOND


def people(step: int, *ids: str) -> People:
    persons = tuple(person(t_pose(), (0.01 * step, 0.0, 4.0), name) for name in ids or ("h1",))
    return People(CAMERA, "test/1", open_body().name, persons)


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., BagRecording]]:
    made: list[BagRecording] = []

    def make(images: list[tuple[int, People]], **options: object) -> BagRecording:
        path = tmp_path / f"bag{len(made)}"
        with ResultsBag(path) as bag:
            bag.add_body(open_body())
            bag.add_images(images)
        made.append(BagRecording(path, **options))  # type: ignore[arg-type]
        wait(lambda: made[-1]._index.complete)
        return made[-1]

    yield make
    for recording in made:
        recording.close()


def test_moments_are_those_that_were_recorded(opened: Callable[..., BagRecording]) -> None:
    recording = opened([(START + n * SECOND // 10, people(n, "h1", "h2")) for n in range(30)])
    np.testing.assert_allclose(recording.seconds, np.arange(30) / 10, atol=1e-6)
    assert recording.start == pytest.approx(1.7e9)
    for index in (29, 0, 17):
        moment = recording.moment(index)
        expected = people(index, "h1", "h2").persons
        for found, one in zip(moment.people.persons, expected, strict=True):
            np.testing.assert_array_equal(found.joints, one.joints)
    assert set(recording.summary()) == {"h1", "h2"}
    assert recording.summary()["h1"].frames.tolist() == list(range(30))
    assert np.isfinite(recording.summary()["h1"].angles).all()


def test_seeking_reads_few_messages(
    opened: Callable[..., BagRecording], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = opened([(START + n * SECOND // 100, people(n)) for n in range(400)])
    read: list[Message] = []
    deserialize = Bag.deserialize

    def counted(bag: Bag, message: Message) -> object:
        read.append(message)
        return deserialize(bag, message)

    monkeypatch.setattr(Bag, "deserialize", counted)
    for index in (399, 3, 200):
        read.clear()
        recording.moment(index)
        assert len(read) <= 20
    for index in range(200, 350):
        recording.moment(index)
    assert len(recording._messages) <= 64


def test_camera_without_transforms_is_assumed(opened: Callable[..., BagRecording]) -> None:
    recording = opened([(START + n * SECOND, people(n)) for n in range(3)])
    moment = recording.moment(0)
    floor = moment.camera_pose.apply(moment.people.persons[0].joints.astype(np.float64))[:, 2].min()
    assert 0.0 <= floor < 0.1
    assert any("assumed" in note for note in recording.notes)


def test_stamps_that_jump_back_do_not_turn_time_back(opened: Callable[..., BagRecording]) -> None:
    stamps = [START, START + SECOND, START - 100 * SECOND, START - 99 * SECOND]
    recording = opened([(stamp, people(n)) for n, stamp in enumerate(stamps)])
    assert (np.diff(recording.seconds) > 0.0).all()
    assert recording.seconds[-1] < 3.0
    assert any("jump back" in note for note in recording.notes)


def add_image(bag: ResultsBag, stamp: int, grey: int) -> None:
    """Add a picture of one shade of grey as a JPEG."""
    time_ = bag._make("builtin_interfaces/msg/Time", sec=stamp // SECOND, nanosec=stamp % SECOND)
    header = bag._make("std_msgs/msg/Header", stamp=time_, frame_id="camera")
    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), grey, np.uint8))[1].ravel()
    kind = "sensor_msgs/msg/CompressedImage"
    image = bag._make(kind, header=header, format="jpeg", data=jpeg)
    bag._write("/image/compressed", kind, image)


def assert_pictures(recording: BagRecording) -> None:
    """Assert that picture n has the grey of 40 n."""
    try:
        wait(lambda: recording._index.complete)
        for index in (4, 0, 2):
            picture = recording.moment(index).picture
            assert picture is not None
            assert abs(float(picture.mean()) - 40 * index) < 3.0
    finally:
        recording.close()


STAMPS = [START + n * SECOND // 10 for n in range(5)]


def test_images_are_found_by_their_stamp(tmp_path: Path) -> None:
    with ResultsBag(tmp_path / "bag") as bag:
        for n, stamp in enumerate(STAMPS):
            add_image(bag, stamp, 40 * n)
            bag.add_images([(stamp, people(n))])
    assert_pictures(BagRecording(tmp_path / "bag"))


@pytest.mark.parametrize("delay", (0, SECOND // 10, 3 * SECOND // 2))
def test_images_of_another_bag_are_found_by_their_stamp(tmp_path: Path, delay: int) -> None:
    with ResultsBag(tmp_path / "images") as bag:
        for n, stamp in enumerate(STAMPS):
            bag._time = stamp + delay  # After exposure and transport.
            add_image(bag, stamp, 40 * n)
    with ResultsBag(tmp_path / "results") as bag:
        bag._time = START + 86_400 * SECOND  # Made of the first bag a day later.
        bag.add_images([(stamp, people(n)) for n, stamp in enumerate(STAMPS)])
    assert_pictures(BagRecording(tmp_path / "results", images=tmp_path / "images"))


def test_unsuitable_sources_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="does not exist"):
        open_recording(tmp_path / "nothing")
    with pytest.raises(ResultsError, match="does not exist"):
        open_recording(tmp_path / "nothing.npz")
    (tmp_path / "text.npz").write_text("no arrays")
    with pytest.raises(ResultsError, match=r"text\.npz"):
        open_recording(tmp_path / "text.npz")
    with ResultsBag(tmp_path / "bag") as bag:
        bag.add_body(open_body())
    with pytest.raises(ResultsError, match="no results"):
        open_recording(tmp_path / "bag")
    with ResultsBag(tmp_path / "good") as bag:
        bag.add_images([(START, people(0))])
    with pytest.raises(ResultsError, match="no images on /front"):
        open_recording(tmp_path / "good", image_topic="/front")


def test_corrupt_messages_are_left_out(tmp_path: Path) -> None:
    with ResultsBag(tmp_path / "bag") as bag:
        bag.add_images([(START, people(0))])
        bag._time += 1_000_000
        bag._writer.write(bag._connections["/humans"], bag._time, b"\x00\x01\x00\x00damaged")
        bag.add_images([(START + SECOND, people(1))])
    recording = BagRecording(tmp_path / "bag")
    try:
        wait(lambda: recording._index.complete)
        assert len(recording.seconds) == 2
        assert recording.moment(1).people.persons
        assert any("1 messages on /humans are corrupt" in note for note in recording.notes)
    finally:
        recording.close()
