# SPDX-License-Identifier: Apache-2.0
"""A bag of rosbag2: its storage files in order, and every message that can be read."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from rosbags.typesys.store import Typestore
from ruamel.yaml import YAML

from pear_ros.bags.definitions import types_of
from pear_ros.bags.storage import (
    COMPRESSED,
    is_storage_file,
    open_storage,
    plain_name,
    summary,
    until_damage,
)
from pear_ros.bags.topic import BagError, Message, Topic

METADATA = "metadata.yaml"
_WINDOW = 1_000_000_000
"""Nanoseconds before a time in which a message is searched first."""
_HASHED = 1 << 20
"""Bytes at the beginning and end of a file that its fingerprint includes."""


def find_bags(path: Path, leave_out: Path | None = None) -> list[Path]:
    """Return the bags at `path`: the bag itself (folder or file), or those in a folder, by name.

    A folder is a bag where it has a metadata.yaml, or storage files that rosbag2 named after the
    folder, as a killed recorder leaves them; each other storage file is a bag of its own.
    `leave_out`: a folder in `path` that is not searched. Raises BagError where there is no bag.
    """
    if not path.exists():
        raise BagError(f"{path} does not exist")
    if path.is_file():
        if not is_storage_file(path):
            raise BagError(f"{path} is not a bag: its name does not end in .mcap or .db3")
        return [path]
    bags = list(_bags_in(path, leave_out and leave_out.resolve()))
    if not bags:
        raise BagError(
            f"{path} is not a bag, and there is none in it: no metadata.yaml, .mcap, .db3"
        )
    return bags


def name_of(bag: Path) -> str:
    """Return the name of the bag at a path, which is a folder or a file."""
    return bag.name if bag.is_dir() else plain_name(bag)


def _bags_in(folder: Path, leave_out: Path | None) -> Iterator[Path]:
    files = sorted(filter(is_storage_file, folder.iterdir()), key=_natural)
    own = re.compile(re.escape(folder.name) + r"_\d+\.")
    if (folder / METADATA).exists() or (files and all(own.match(f.name) for f in files)):
        yield folder
        return
    yield from files
    for inner in sorted(filter(Path.is_dir, folder.iterdir()), key=_natural):
        if inner.resolve() != leave_out and not inner.name.startswith("."):
            yield from _bags_in(inner, leave_out)


class Bag:
    """A bag for reading; it keeps no file open between calls."""

    def __init__(self, path: Path) -> None:
        """Open the bag at `path`, one of `find_bags`, and read its topics and times.

        Damaged files are read completely for that. Raises BagError where no message can be read.
        """
        self.path = path
        self.damage: list[str] = []
        """The damage found so far, one sentence each."""
        self.topics: dict[str, Topic] = {}
        """All topics, by name."""
        self.files = self._list_files() if path.is_dir() else [path]
        """Storage files, in the order of recording."""
        self._types: dict[str, Typestore] = {}
        self._times: dict[Path, tuple[int, int]] = {}
        """Times of the first and the last message of each file that is not empty, nanoseconds."""
        for file in self.files:
            try:
                found, damage = summary(file)
            except OSError as error:
                raise BagError(f"{file} cannot be read: {error.strerror}") from error
            if damage:
                self.damage.append(damage)
            for topic in found.topics.values():
                known = self.topics.get(topic.name, replace(topic, count=0))
                self.topics[topic.name] = replace(known, count=known.count + topic.count)
            if found.start is not None and found.end is not None:
                self._times[file] = found.start, found.end
        if not self._times:
            raise BagError(f"{path} has no messages" + "".join(f"; {d}" for d in self.damage))
        self.start = min(first for first, _ in self._times.values())
        """Recording time of the first message, nanoseconds."""
        self.end = max(last for _, last in self._times.values())
        """Recording time of the last message, nanoseconds."""

    @property
    def name(self) -> str:
        """The name of the folder or file, without suffixes."""
        return name_of(self.path)

    def messages(
        self, names: Collection[str] | None = None, start: int = 0, end: int | None = None
    ) -> Iterator[Message]:
        """Yield the messages of these topics (None: all) recorded from `start` to `end`, in ns.

        Damaged messages are skipped; the damage is appended to `damage`.
        """
        for file in self.files:
            first, last = self._times.get(file, (start, start - 1))
            if last < start or (end is not None and end < first):
                continue
            with open_storage(file) as storage:
                found: list[str] = []
                yield from until_damage(storage.messages(names, start, end), found)
                self.damage += [text for text in found if text not in self.damage]

    def last_before(self, topic: str, time: int) -> Message | None:
        """Return the last message of `topic` recorded before `time` (ns); None without one."""
        window = _WINDOW
        end = time
        while end > self.start:
            begin = max(end - window, self.start)
            found = deque(self.messages([topic], begin, end - 1), maxlen=1)
            if found:
                return found[0]
            end, window = begin, 2 * window
        return None

    def deserialize(self, message: Message) -> Any:
        """Return a message as an object with its fields, by the definitions in the bag.

        Raises BagError where its type is not defined; a corrupt message raises any exception.
        """
        topic = self.topics[message.topic]
        if topic.type not in self._types:
            types = types_of(topic)
            if types is None:
                raise BagError(
                    f"{self.path} has no definition of {topic.type}, the type of {topic.name}"
                )
            self._types[topic.type] = types
        return self._types[topic.type].deserialize_cdr(message.data, topic.type)

    def fingerprint(self) -> str:
        """Return the bag's name and a hash of its files' names, sizes, beginnings and ends."""
        digest = hashlib.sha256()
        for file in self.files:
            size = file.stat().st_size
            digest.update(f"{file.name} {size}\n".encode())
            with file.open("rb") as content:
                digest.update(content.read(_HASHED))
                content.seek(max(size - _HASHED, 0))
                digest.update(content.read(_HASHED))
        return f"{self.name}, {digest.hexdigest()[:16]}"

    def _list_files(self) -> list[Path]:
        there = sorted(filter(is_storage_file, self.path.iterdir()), key=_natural)
        metadata = self.path / METADATA
        if not metadata.exists():
            self.damage.append(f"{self.path} has no {METADATA}: its recording did not end properly")
            return there
        try:
            content = YAML(typ="safe").load(metadata.read_text())
            names = content["rosbag2_bagfile_information"]["relative_file_paths"]
            wanted = [self.path / PurePath(name).name for name in names]
        except Exception as error:  # What a damaged file raises depends on the damage.
            self.damage.append(f"{metadata} is damaged ({type(error).__name__})")
            return there
        return [file for path in wanted for file in self._existing(path)]

    def _existing(self, path: Path) -> Sequence[Path]:
        """Return the file; some versions list it without the suffix of its compression."""
        for candidate in (path, path.with_name(path.name + COMPRESSED)):
            if candidate.exists():
                return [candidate]
        self.damage.append(f"{path} is missing")
        return []


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key that puts _2 before _10."""
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", path.name)]
