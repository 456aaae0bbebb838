# SPDX-License-Identifier: Apache-2.0
"""From the demo's bag alone to its video and contact sheet.

What is seen from the side is what any subscriber of `humans` and `body_model` can draw.
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
from pear_ros.io.video import VideoWriter
from pear_ros.rendering.contact_sheet import contact_sheet
from pear_ros.rendering.side_view import SideWindow, draw_side_view, side_width

_SHEET_TILES, _SHEET_COLUMNS = 9, 3

_GLIMPSE = 5
"""Frames; whoever is there for fewer does not widen the side view."""


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
    cv2.imwrite(str(sheet), contact_sheet(tiles, _SHEET_COLUMNS))
    return video, sheet


def _window(reader: AnyReader, humans: str) -> SideWindow | None:
    """What the side view shows: all the way that people go, but for glimpses of somebody."""
    seen: dict[str, list[Array]] = {}
    for connection, _, data in reader.messages(
        connections=[c for c in reader.connections if c.topic == humans]
    ):
        for human in _present(reader.deserialize(data, connection.msgtype)):
            seen.setdefault(human.id, []).append(human.joints.reshape(-1, 3))
    joints = [place for places in seen.values() if len(places) >= _GLIMPSE for place in places]
    flesh = 0.3  # farther than any part of a body is from a joint
    return SideWindow.containing(np.stack(joints), flesh) if joints else None


def _pairs(reader: AnyReader, humans: str, overlay: str) -> Iterator[tuple[int, Any, Image]]:
    """Stamp, HumanArray and overlay of each frame that has both, in order."""
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
    """Those of a HumanArray who are not lost."""
    return [human for human in message.humans if human.tracking_state != TrackingState.LOST]


def _faces(reader: AnyReader, body_model: str) -> npt.NDArray[np.int32]:
    """(F, 3) of the body that the bag describes."""
    connections = [c for c in reader.connections if c.topic == body_model]
    connection, _, data = next(reader.messages(connections=connections))
    message: Any = reader.deserialize(data, connection.msgtype)
    faces: npt.NDArray[np.int32] = message.faces.reshape(-1, 3).astype(np.int32)
    return faces


def _meshes(people: Any, vertex_count: int) -> tuple[Array, list[str]]:
    """(N, V, 3) of those present in a HumanArray, and their ids."""
    present = _present(people)
    meshes = np.array([human.vertices for human in present], np.float32)
    return meshes.reshape(len(present), vertex_count, 3), [human.id for human in present]
