# SPDX-License-Identifier: Apache-2.0
"""The demo's video and contact sheet, drawn from its bag alone.

The side view shows that `humans` and `body_model` suffice to draw people.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rosbags.highlevel import AnyReader
from tqdm import tqdm

from pear_ros.core.people import Array, Image, TrackingState
from pear_ros.io.output_files import write_picture
from pear_ros.io.video import VideoWriter
from pear_ros.rendering.contact_sheet import contact_sheet
from pear_ros.rendering.side_view import SideWindow, draw_side_view, side_width

_SHEET_TILES, _SHEET_COLUMNS = 9, 3

_MIN_FRAMES = 5
"""Frames in which a person must be present to widen the side view."""


def draw_bag(
    bag: Path, folder: Path, humans: str, body_model: str, overlay: str
) -> tuple[Path, Path]:
    """Draw demo.mp4 and contact_sheet.png into `folder`: each overlay beside its side view.

    `humans`, `body_model` and `overlay` are the topics (pear_msgs/HumanArray with vertices,
    pear_msgs/BodyModelInfo, sensor_msgs/CompressedImage).
    """
    video, sheet = folder / "demo.mp4", folder / "contact_sheet.png"
    with AnyReader([bag]) as reader, VideoWriter(video) as writer:
        count = reader.topics[overlay].msgcount
        faces = _faces(reader, body_model)
        vertex_count = int(faces.max()) + 1
        chosen = set(np.linspace(0, count - 1, min(count, _SHEET_TILES)).round().astype(int))
        tiles = []
        window = _window(reader, humans)
        frames = tqdm(_pairs(reader, humans, overlay), "Drawing", total=count, unit="frame")
        for index, (stamp_ns, people, image) in enumerate(frames):
            meshes, ids = _meshes(people, vertex_count)
            height = image.shape[0]
            side = draw_side_view(meshes, faces, ids, height, side_width(height), window)
            picture = np.hstack([image, side])
            writer.write((stamp_ns - reader.start_time) * 1e-9, picture)
            if index in chosen:
                tiles.append(picture)
    write_picture(sheet, contact_sheet(tiles, _SHEET_COLUMNS))
    return video, sheet


def _window(reader: AnyReader, humans: str) -> SideWindow | None:
    """Return the window of the side view: it contains all people but short detections."""
    seen: dict[str, list[Array]] = {}
    for connection, _, data in reader.messages(
        connections=[c for c in reader.connections if c.topic == humans]
    ):
        for human in _present(reader.deserialize(data, connection.msgtype)):
            seen.setdefault(human.id, []).append(human.joints.reshape(-1, 3))
    joints = [place for places in seen.values() if len(places) >= _MIN_FRAMES for place in places]
    margin = 0.3  # metres; no part of a body is farther from a joint
    return SideWindow.containing(np.stack(joints), margin) if joints else None


def _pairs(reader: AnyReader, humans: str, overlay: str) -> Iterator[tuple[int, Any, Image]]:
    """Yield stamp, HumanArray and overlay of each frame that has both, in order."""
    waiting: dict[int, dict[str, Any]] = {}
    connections = [c for c in reader.connections if c.topic in (humans, overlay)]
    for connection, stamp_ns, data in reader.messages(connections=connections):
        frame = waiting.setdefault(stamp_ns, {})
        frame[connection.topic] = reader.deserialize(data, connection.msgtype)
        if len(frame) == 2:
            del waiting[stamp_ns]
            image: Any = cv2.imdecode(frame[overlay].data, cv2.IMREAD_COLOR)
            yield stamp_ns, frame[humans], image


def _present(message: Any) -> list[Any]:
    """Return the people of a HumanArray who are not lost."""
    return [human for human in message.humans if human.tracking_state != TrackingState.LOST]


def _faces(reader: AnyReader, body_model: str) -> npt.NDArray[np.int32]:
    """Return the (F, 3) triangles of the body described in the bag."""
    connections = [c for c in reader.connections if c.topic == body_model]
    connection, _, data = next(reader.messages(connections=connections))
    message: Any = reader.deserialize(data, connection.msgtype)
    faces: npt.NDArray[np.int32] = message.faces.reshape(-1, 3).astype(np.int32)
    return faces


def _meshes(people: Any, vertex_count: int) -> tuple[Array, list[str]]:
    """Return the meshes (N, V, 3) of the people present in a HumanArray, and their ids."""
    present = _present(people)
    meshes = np.array([human.vertices for human in present], np.float32)
    return meshes.reshape(len(present), vertex_count, 3), [human.id for human in present]
