# SPDX-License-Identifier: Apache-2.0
"""The camera's pose at each image of a bag, in a fixed frame with z up, from its /tf."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pear_ros.bags.bag import Bag, find_bags
from pear_ros.bags.topic import BagError
from pear_ros.core.quoting import quoted
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.export.tracks import Recording, ResultsError
from pear_ros.motion.world import World
from pear_ros.ros.topics import TF, TF_STATIC, TF_TYPE
from pear_ros.ros.transform_buffer import TransformBuffer, TransformError

FIXED_FRAMES = ("map", "odom", "world", "base_footprint", "base_link")
"""Frames with z up that are tried in this order (REP-105)."""
_LATE = 1_000_000_000
"""Nanoseconds after an image until which its transforms are awaited."""


def read_world(recording: Recording, frame: str | None) -> World | None:
    """Return the world of a bag with /tf; None where it has none that leads to a fixed frame.

    `frame`: the frame with z up to use, None: the first of FIXED_FRAMES that /tf leads to. Raises
    ResultsError where a named `frame` is out of reach for all images.
    """
    if recording.source.suffix == ".npz":
        if frame is not None:
            raise ResultsError(f"{recording.source} has no /tf: --frame is for bags")
        return None
    frames = (frame,) if frame is not None else FIXED_FRAMES
    try:
        bag = Bag(find_bags(recording.source)[0])
        reasons = {}
        for name in frames:
            poses, reasons[name] = _poses(bag, recording, name)
            if any(pose is not None for pose in poses):
                return _world(poses, name)
    except BagError as error:
        raise ResultsError(str(error)) from error
    if frame is not None:
        raise ResultsError(
            f"{recording.source}: no pose of the camera in {quoted(frame)}: {reasons[frame]}"
        )
    return None


def _poses(bag: Bag, recording: Recording, frame: str) -> tuple[list[RigidTransform | None], str]:
    """The camera's pose at each image, None: unknown, and a reason for the first unknown one."""
    buffer = TransformBuffer()
    for message in _messages(bag, TF_STATIC):
        buffer.add(message, static=True)
    stamps = recording.stamps_ns.tolist()
    order = sorted(range(len(stamps)), key=stamps.__getitem__)
    poses: list[RigidTransform | None] = [None] * len(stamps)
    reason = ""
    done, newest = 0, None
    for message in [*_messages(bag, TF), None]:
        if message is not None:
            buffer.add(message)
            latest = max((nanoseconds_of(one.header) for one in message.transforms), default=0)
            newest = max(newest or 0, latest)
        while done < len(order):
            stamp = stamps[order[done]]
            if message is not None and (newest or 0) < stamp + _LATE:
                break
            try:
                poses[order[done]] = buffer.lookup(frame, recording.frame_id, stamp)
            except TransformError as error:
                reason = reason or str(error)
            done += 1
    return poses, reason


def _messages(bag: Bag, topic: str) -> Iterator[Any]:
    """Messages of /tf or /tf_static that are not corrupt."""
    if topic not in bag.topics or bag.topics[topic].type != TF_TYPE:
        return
    for message in bag.messages([topic]):
        try:
            yield bag.deserialize(message)
        except Exception:  # A corrupt message may raise anything; a look-up says what is missing.
            continue


def _world(poses: list[RigidTransform | None], frame: str) -> World:
    unknown = RigidTransform(np.full((3, 3), np.nan), np.full(3, np.nan))
    known = [pose or unknown for pose in poses]
    missing = poses.count(None)
    doubt = f"/tf does not tell where the camera was in {missing} images" if missing else None
    return World(
        np.stack([pose.rotation for pose in known]),
        np.stack([pose.translation for pose in known]),
        f"Up is the z axis of {quoted(frame)}, by /tf, and each person stands on z = 0",
        doubt,
    )
