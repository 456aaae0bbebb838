# SPDX-License-Identifier: Apache-2.0
"""A bag written in parts: a killed writer leaves each part complete or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from rosbags.interfaces import Qos
from rosbags.typesys.store import Typestore
from ruamel.yaml import YAML

from pear_ros.bags.bag import METADATA
from pear_ros.bags.small_files import read_small, sync, write_whole
from pear_ros.bags.writing import add_topic, open_writer

_ROOT = "rosbag2_bagfile_information"
_MAX_METADATA = 1 << 25
"""Bytes of a metadata.yaml of ours: about 200 for each part."""


@dataclass(frozen=True)
class NewTopic:
    """A topic to write."""

    name: str
    type: str
    types: Typestore
    """Types with the definition of `type`."""
    qos: Sequence[Qos] = ()


@dataclass(frozen=True)
class Part:
    """Complete storage files, as the metadata.yaml of a bag of these files describes them."""

    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def file_names(self) -> list[str]:
        """The names of the storage files."""
        return list(self.metadata["relative_file_paths"])

    @property
    def start(self) -> int:
        """The earliest recording time, nanoseconds."""
        return int(self.metadata["starting_time"]["nanoseconds_since_epoch"])

    @property
    def end(self) -> int:
        """The latest recording time, nanoseconds."""
        return self.start + int(self.metadata["duration"]["nanoseconds"])


class PartWriter:
    """Writes one part in a separate folder."""

    def __init__(
        self, folder: Path, name: str, topics: Sequence[NewTopic], storage: str = "mcap"
    ) -> None:
        """Open a storage file in `folder`, whose content is removed.

        `name`: of the storage file, without suffix; `topics`: all topics of the part; `storage`:
        one of pear_ros.core.configuration.STORAGES.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder = folder / name
        self._writer = open_writer(self._folder, storage)
        self._connections = {
            topic.name: add_topic(self._writer, topic.name, topic.type, topic.types, topic.qos)
            for topic in topics
        }

    def write(self, topic: str, time: int, data: bytes) -> None:
        """Add a serialised message, recorded at `time` (nanoseconds)."""
        self._writer.write(self._connections[topic], time, data)

    def finish(self) -> Part:
        """Complete the storage file and sync it to disk; it is not in the bag yet."""
        self._writer.close()
        part = Part(metadata_of(self._folder))
        for name in part.file_names:
            sync(self._folder / name)
        return part

    def move(self, part: Part, bag: Path) -> None:
        """Move the complete part into the bag, replacing files of the same names."""
        for name in part.file_names:
            os.replace(self._folder / name, bag / name)
        sync(bag)

    def abandon(self) -> None:
        """Close the storage file without completing it; it is not used."""
        self._writer.abort()


def write_metadata(bag: Path, parts: Sequence[Part], custom: Mapping[str, str]) -> None:
    """Write the metadata.yaml of a bag that consists of `parts`, with `custom` as custom_data.

    Without parts, only `metadata_of` and `custom_data` can read the result, other tools cannot.
    """
    metadata: dict[str, Any] = {"custom_data": dict(custom)}
    if parts:
        start, end = min(part.start for part in parts), max(part.end for part in parts)
        metadata = {
            **parts[0].metadata,
            "relative_file_paths": [name for part in parts for name in part.file_names],
            "files": [file for part in parts for file in part.metadata["files"]],
            "starting_time": {"nanoseconds_since_epoch": start},
            "duration": {"nanoseconds": end - start},
            "message_count": sum(part.metadata["message_count"] for part in parts),
            "topics_with_message_count": list(_topics(parts)),
            **metadata,
        }
    text = StringIO()
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.dump({_ROOT: metadata}, text)
    write_whole(bag / METADATA, text.getvalue().encode())


def metadata_of(bag: Path) -> dict[str, Any]:
    """Return the content of the metadata.yaml that write_metadata or a PartWriter wrote.

    Raises FileNotFoundError where there is none.
    """
    content = YAML(typ="safe").load(read_small(bag / METADATA, _MAX_METADATA).decode())
    return dict(content[_ROOT])


def custom_data(bag: Path) -> dict[str, str]:
    """Return custom_data of a bag's metadata.yaml; empty where it is missing or damaged."""
    try:
        return dict(metadata_of(bag).get("custom_data") or {})
    except Exception:  # What a damaged file raises depends on the damage.
        return {}


def _topics(parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    """Yield each topic once, with the messages of all parts; all parts have the same topics."""
    of_parts = [part.metadata["topics_with_message_count"] for part in parts]
    for same in zip(*of_parts, strict=True):
        yield {**same[0], "message_count": sum(topic["message_count"] for topic in same)}
