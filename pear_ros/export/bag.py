# SPDX-License-Identifier: Apache-2.0
"""Reading of recorded people (pear_msgs/HumanArray) from a rosbag2 bag."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pear_ros.bags.bag import Bag, find_bags
from pear_ros.bags.topic import BagError
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.estimate_arrays import ARRAYS_SINCE_0_2, ESTIMATE_ARRAYS, POSE_FIELDS
from pear_ros.core.people import (
    Array,
    DepthSource,
    FlameParams,
    People,
    Person,
    SmplxParams,
    TrackingState,
)
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.export.stamps import ordered
from pear_ros.export.tracks import Recording, ResultsError, tracks_of
from pear_ros.ros.topics import BODY_MODEL_TYPE, HUMANS_TYPE


def read_bag(path: Path, topic: str | None = None) -> Recording:
    """Return all people on a topic of a bag, which is a folder, or a file of it (.mcap, .db3).

    `topic`: needed only where several topics are of type HumanArray. Damaged messages are skipped;
    Recording.damage describes the damage. Images whose stamps make no sense are left out, or begin
    another run, as `pear_ros.export.stamps.ordered` describes; Recording.left_out says how many.
    Raises ResultsError where there is no such topic, or several, or the bag has another version of
    pear_msgs; OSError where a file cannot be read.
    """
    try:
        return _read(path, topic)
    except BagError as error:
        raise ResultsError(str(error)) from error


def _read(path: Path, topic: str | None) -> Recording:
    bag = Bag(_only_bag(path))
    selected = _humans(bag, topic)
    bodies = {t.name for t in bag.topics.values() if t.type == BODY_MODEL_TYPE}
    stamps: list[int] = []
    times: list[int] = []
    frames: list[str] = []
    images: list[People] = []
    hashes: dict[str, str] = {}
    corrupt: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    messages = bag.messages({selected, *bodies})
    for recorded in tqdm(
        messages, "Reading", bag.topics[selected].count, unit="image", disable=None
    ):
        try:
            message = bag.deserialize(recorded)
            if recorded.topic in bodies:
                hashes[message.name] = message.sha256
                continue
            found = _people(message, path)
        except (BagError, ResultsError):
            raise
        except Exception as error:  # What a corrupt message raises depends on the damage.
            corrupt[recorded.topic] += 1
            reasons.setdefault(recorded.topic, f"{type(error).__name__}: {error}")
            continue
        times.append(recorded.time)
        stamps.append(nanoseconds_of(message.header))
        frames.append(message.header.frame_id)
        images.append(found)
    damage = [
        f"{path}: {count} messages on {name} are corrupt, and left out ({reasons[name]})"
        for name, count in corrupt.items()
    ]
    if corrupt and not images:
        raise ResultsError("; ".join(damage))
    used = ordered(stamps, times)
    cameras = sorted(set(frames))
    if len(cameras) > 1:
        raise ResultsError(f"{path}: {selected} has several cameras, {', '.join(cameras)}")
    return Recording(
        path,
        used.stamps_ns,
        frames[0] if frames else "",
        tracks_of([images[n] for n in used.order], used.runs.tolist()),
        hashes,
        (*bag.damage, *damage),
        tuple(f"{path}, {selected}: {text}" for text in used.left_out),
    )


def _only_bag(path: Path) -> Path:
    found = find_bags(path)
    if len(found) > 1:
        raise ResultsError(f"{path} holds several bags; name one: {', '.join(map(str, found))}")
    return found[0]


def _humans(bag: Bag, topic: str | None) -> str:
    """Return the topic of people to read."""
    topics = sorted(found.name for found in bag.topics.values() if found.type == HUMANS_TYPE)
    if not topics:
        raise ResultsError(f"{bag.path} has no topic of type {HUMANS_TYPE}: it has no results")
    if topic is None and len(topics) > 1:
        raise ResultsError(
            f"{bag.path} has results on several topics, {', '.join(topics)}; choose one with "
            "--topic"
        )
    selected = topic or topics[0]
    if selected not in topics:
        raise ResultsError(
            f"{bag.path} has no topic {selected} of type {HUMANS_TYPE}; it has: {', '.join(topics)}"
        )
    return selected


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
    return People(camera, message.model_id, message.body_model, persons)


def _person(human: Any) -> Person:
    roi, smplx = human.roi, human.smplx
    left, top = roi.x_offset, roi.y_offset
    rotations = [getattr(smplx, name) for name in POSE_FIELDS]
    arrays: dict[str, Any] = {
        name: _floats(_value(human, name)).reshape(array_field.shape)
        if array_field.shape
        else _value(human, name)
        for name, array_field in ESTIMATE_ARRAYS.items()
    }
    state = TrackingState(human.tracking_state)
    return Person(
        **arrays,
        id=human.id,
        state=state,
        pose_observed=state is not TrackingState.DETECTED,
        box=_floats([left, top, left + roi.width, top + roi.height]),
        smplx=SmplxParams(
            pose=np.concatenate(rotations, dtype=np.float32).reshape(-1, 3),
            betas=_floats(smplx.betas),
            expression=_floats(smplx.expression),
            transl=_floats(smplx.transl),
        ),
        flame=_flame(human.flame),
        scale=human.scale,
        depth_source=DepthSource(human.depth_source),
    )


def _value(human: Any, name: str) -> Any:
    """A field of ESTIMATE_ARRAYS; NaN where the bag is older than the field."""
    if name in ARRAYS_SINCE_0_2 and not hasattr(human, name):
        return np.full(ESTIMATE_ARRAYS[name].shape, np.nan, np.float32)
    return getattr(human, name)


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
    """Return a copy: a view would keep the whole message, with its mesh, in memory."""
    return np.array(values, np.float32)
