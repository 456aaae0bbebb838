# SPDX-License-Identifier: Apache-2.0
"""Reading of recorded people (pear_msgs/HumanArray) from a rosbag2 bag."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tqdm import tqdm

from pear_ros.bags.bag import Bag, find_bags
from pear_ros.bags.topic import BagError
from pear_ros.core.people import People
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.export.stamps import ordered
from pear_ros.export.tracks import Recording, ResultsError, tracks_of
from pear_ros.ros.conversion.people import OtherVersionError, people_of
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
    bag = Bag(only_bag(path))
    selected = humans_topic(bag, topic)
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
            found = people_of(message)
        except BagError:
            raise
        except OtherVersionError as error:
            raise ResultsError(
                f"{path} was recorded with another version of pear_msgs, which had no {error}"
            ) from error
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


def only_bag(path: Path) -> Path:
    """Return the only bag at `path`. Raises ResultsError where there are several, or BagError."""
    found = find_bags(path)
    if len(found) > 1:
        raise ResultsError(f"{path} holds several bags; name one: {', '.join(map(str, found))}")
    return found[0]


def humans_topic(bag: Bag, topic: str | None) -> str:
    """Return the topic of people to read: `topic`, or the only one.

    Raises ResultsError where there is none, or several.
    """
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
