# SPDX-License-Identifier: Apache-2.0
"""Recorded `humans` (pear_msgs/HumanArray) of a rosbag2 bag, by `rosbags` alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores
from tqdm import tqdm

from pear_ros.bags.pear_messages import pear_typestore
from pear_ros.camera import Camera, IntrinsicsSource
from pear_ros.export.tracks import Recording, ResultsError, tracks_of
from pear_ros.people import (
    Array,
    DepthSource,
    FlameParams,
    People,
    Person,
    SmplxParams,
    TrackingState,
)
from pear_ros.stamps import nanoseconds_of

HUMANS = "pear_msgs/msg/HumanArray"
BODY_MODEL = "pear_msgs/msg/BodyModelInfo"


def read_bag(path: Path, topic: str | None = None) -> Recording:
    """Everybody on `topic` of a bag: a folder, or a file of it (.mcap, .db3).

    `topic` is not needed where one topic alone is of type HumanArray. Raises ResultsError where
    there is none, or several, or the bag is damaged, of another version of pear_msgs, or of several
    runs; OSError when it cannot be read.
    """
    if not path.exists():
        raise ResultsError(f"{path} does not exist")
    stamps: list[int] = []
    frames: list[str] = []
    images: list[People] = []
    with closing(_open(path)) as reader:
        connections = _humans(reader, path, topic)
        bodies = [c for c in reader.connections if c.msgtype == BODY_MODEL]
        hashes = {message.name: message.sha256 for message in _messages(reader, bodies, path)}
        count = sum(connection.msgcount for connection in connections)
        messages = _messages(reader, connections, path)
        for message in tqdm(messages, "Reading", count, unit="image", disable=None):
            stamps.append(nanoseconds_of(message.header))
            frames.append(message.header.frame_id)
            images.append(_people(message, path))
    if (np.diff(stamps) <= 0).any():
        at = int(np.flatnonzero(np.diff(stamps) <= 0)[0])
        raise ResultsError(
            f"{path}: on {connections[0].topic} the stamp {_seconds(stamps[at])} is followed by "
            f"{_seconds(stamps[at + 1])}; export needs one run, whose stamps ascend"
        )
    cameras = sorted(set(frames))
    if len(cameras) > 1:
        raise ResultsError(
            f"{path}: {connections[0].topic} is of several cameras, {', '.join(cameras)}"
        )
    return Recording(
        path, np.array(stamps, np.int64), frames[0] if frames else "", tracks_of(images), hashes
    )


def _open(path: Path) -> AnyReader:
    # Bags of Humble in sqlite3 bring no definitions.
    definitions = pear_typestore(Stores.ROS2_HUMBLE)
    try:
        with _named_if_damaged(path):
            reader = AnyReader([path], default_typestore=definitions)
            reader.open()
    except FileNotFoundError as error:
        raise ResultsError(f"{path} is not a bag of rosbag2: it has no metadata.yaml") from error
    return reader


def _messages(reader: AnyReader, connections: Sequence[Connection], path: Path) -> Iterator[Any]:
    if connections:  # None at all would mean all there are.
        with _named_if_damaged(path):
            for connection, _, data in reader.messages(connections):
                yield reader.deserialize(data, connection.msgtype)


@contextmanager
def _named_if_damaged(path: Path) -> Iterator[None]:
    """Around calls of `rosbags` alone, which raises whatever damaged bytes lead to."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())  # of YAML it has many lines
        raise ResultsError(f"{path} is damaged or not a bag of rosbag2: {reason}") from error


def _humans(reader: AnyReader, path: Path, topic: str | None) -> list[Connection]:
    """Connections of the one topic that is wanted."""
    of_type = [c for c in reader.connections if c.msgtype == HUMANS]
    topics = sorted({connection.topic for connection in of_type})
    if not topics:
        raise ResultsError(f"{path} has no topic of type {HUMANS}: nobody's results are in it")
    if topic is None and len(topics) > 1:
        raise ResultsError(
            f"{path} has results on several topics, {', '.join(topics)}; choose one with --topic"
        )
    wanted = topic or topics[0]
    if wanted not in topics:
        raise ResultsError(
            f"{path} has no topic {wanted} of type {HUMANS}; there are: {', '.join(topics)}"
        )
    return [connection for connection in of_type if connection.topic == wanted]


def _people(message: Any, path: Path) -> People:
    try:
        camera = Camera(
            width=message.image_width,
            height=message.image_height,
            fx=message.fx,
            fy=message.fy,
            cx=message.cx,
            cy=message.cy,
            source=IntrinsicsSource(message.intrinsics_source),
        )
        persons = tuple(_person(human) for human in message.humans)
    except AttributeError as error:
        raise ResultsError(
            f"{path} was recorded with another version of pear_msgs, which had no {error.name}"
        ) from error
    except ValueError as error:  # of an enumeration
        raise ResultsError(f"{path} is damaged: {error}") from error
    return People(camera, message.model_id, message.body_model, persons)


def _person(human: Any) -> Person:
    roi, smplx = human.roi, human.smplx
    left, top = roi.x_offset, roi.y_offset
    rotations = (
        *(smplx.global_orient, smplx.body_pose, smplx.jaw_pose, smplx.leye_pose, smplx.reye_pose),
        *(smplx.left_hand_pose, smplx.right_hand_pose),
    )
    return Person(
        id=human.id,
        state=TrackingState(human.tracking_state),
        score=human.score,
        box=_floats([left, top, left + roi.width, top + roi.height]),
        smplx=SmplxParams(
            pose=np.concatenate(rotations, dtype=np.float32).reshape(-1, 3),
            betas=_floats(smplx.betas),
            expression=_floats(smplx.expression),
            transl=_floats(smplx.transl),
        ),
        joints=_floats(human.joints).reshape(-1, 3),
        joint_confidence=_floats(human.joint_confidence),
        keypoints=_floats(human.keypoints).reshape(-1, 2),
        flame=_flame(human.flame),
        scale=human.scale,
        depth_source=DepthSource(human.depth_source),
    )


def _flame(flame: Any) -> FlameParams | None:
    if not len(flame.shape) and np.isnan(flame.jaw).all():
        return None
    return FlameParams(
        **{
            name: _floats(getattr(flame, name))
            for name in ("shape", "expression", "jaw", "eyes", "eyelids", "head_scale")
        }
    )


def _floats(values: Any) -> Array:
    """A copy: views would keep whole messages, which may hold meshes."""
    return np.array(values, np.float32)


def _seconds(stamp_ns: int) -> str:
    return f"{stamp_ns // 1_000_000_000}.{stamp_ns % 1_000_000_000:09d}"
