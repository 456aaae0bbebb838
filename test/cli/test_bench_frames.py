# SPDX-License-Identifier: Apache-2.0
"""Frames that `pear bench` measures with: of bags, or a reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from pear_ros.cli.bench.frames import BagFrames, SourceError, open_frames
from pear_ros.core.camera import IntrinsicsSource
from testing import image_bags

TYPES = get_typestore(Stores.ROS2_JAZZY)
WIDTH, HEIGHT = 64, 48


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


def test_a_corrupt_calibration_is_passed_over(tmp_path: Path) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    corrupt = ("/camera/camera_info", 0, ("sensor_msgs/msg/CameraInfo", b"\0\1\0\0corrupt"))
    good = image_bags.camera_info(WIDTH, HEIGHT, 77.0, 1)
    picture = ("/camera/image_raw", 2, image_bags.raw(image, 2))
    messages = [corrupt, ("/camera/camera_info", 1, good), picture]
    frames = open_frames(str(image_bags.write_bag(tmp_path / "bag", messages)))
    assert frames.camera(WIDTH, HEIGHT).fx == 77.0
