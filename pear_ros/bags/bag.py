# SPDX-License-Identifier: Apache-2.0
"""A bag of rosbag2: its storage files in order, and every message that can be read."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import accumulate
from pathlib import Path, PurePath
from typing import Any

from rosbags.typesys.store import Typestore
from ruamel.yaml import YAML

from pear_ros.bags.definitions import types_of
from pear_ros.bags.small_files import UnusualFileError, read_small
from pear_ros.bags.storage import (
    COMPRESSED,
    StorageFile,
    is_storage_file,
    open_storage,
    plain_name,
    until_damage,
)
from pear_ros.bags.topic import BagError, Message, Topic, listed

METADATA = "metadata.yaml"
_WINDOW = 1_000_000_000
"""Nanoseconds before a time in which a message is searched first."""
_HASHED = 1 << 20
"""Bytes at the beginning and end of a file that its fingerprint includes."""
_MAX_METADATA = 1 << 19
"""Bytes of the largest metadata.yaml that is read; without it, files are taken by name."""
_MAX_BRACKETS = 50
"""Brackets in brackets in metadata.yaml; rosbag2 writes none in others."""
_ROS1 = ".bag"


def find_bags(path: Path, leave_out: Path | None = None) -> list[Path]:
    """Return the bags at `path`: the bag itself (folder or file), or those in a folder, by name.

    A folder is a bag where it has a metadata.yaml, or storage files that rosbag2 named after the
    folder, as a killed recorder leaves them; each other storage file is a bag of its own.
    `leave_out`: a folder in `path` that is not searched. Raises BagError where there is no bag.
    """
    if not path.exists():
        raise BagError(f"{path} does not exist")
    if path.is_file():
        if path.suffix == _ROS1:
            raise BagError(_ros1_text([path]))
        if not is_storage_file(path):
            raise BagError(f"{path} is not a bag: its name does not end in .mcap or .db3")
        return [path]
    bags = list(_bags_in(path, leave_out and leave_out.resolve(), set()))
    if not bags and (old := sorted(path.rglob(f"*{_ROS1}"))):
        raise BagError(_ros1_text(old))
    if not bags:
        raise BagError(
            f"{path} is not a bag, and there is none in it: no metadata.yaml, .mcap, .db3"
        )
    return bags


def name_of(bag: Path) -> str:
    """Return the name of the bag at a path, which is a folder or a file."""
    return bag.name if bag.is_dir() else plain_name(bag)


def _ros1_text(files: Sequence[Path]) -> str:
    found = listed([str(file) for file in files])
    return (
        f"{found}: bags of ROS 1 are not read; convert each first (pip install rosbags): "
        f"rosbags-convert --src {files[0]} --dst {files[0].with_suffix('')}"
    )


def _bags_in(folder: Path, leave_out: Path | None, seen: set[Path]) -> Iterator[Path]:
    """Yield the bags in a folder; `seen`: folders that a link may lead to again."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    files = sorted(filter(is_storage_file, folder.iterdir()), key=_natural)
    own = re.compile(re.escape(folder.name) + r"_\d+\.")
    if (folder / METADATA).exists() or (files and all(own.match(f.name) for f in files)):
        yield folder
        return
    yield from files
    for inner in sorted(filter(Path.is_dir, folder.iterdir()), key=_natural):
        if inner.resolve() != leave_out and not inner.name.startswith("."):
            yield from _bags_in(inner, leave_out, seen)


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
        self._opened: dict[Path, StorageFile] = {}
        """Files that need not be decompressed; none of them is open between calls."""
        self._times: dict[Path, tuple[int, int]] = {}
        """Times of the first and the last message of each file that is not empty, nanoseconds."""
        found: dict[tuple[str, str], Topic] = {}
        encodings: set[str] = set()
        for file in self.files:
            try:
                with self._storage(file) as storage:
                    recorded = storage.recorded
                    encodings |= storage.encodings
                    self._note(filter(None, [storage.damage, *recorded.faults()]))
            except OSError as error:
                raise BagError(f"{file} cannot be read: {error.strerror}") from error
            for topic in recorded.topics.values():
                known = found.get(topic.key, replace(topic, count=0))
                found[topic.key] = replace(known, count=known.count + topic.count)
            if recorded.start is not None and recorded.end is not None:
                self._times[file] = recorded.start, recorded.end
        self._choose(found)
        if not self._times:
            raise BagError(self._nothing(encodings))
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
        chosen = {topic.key for topic in self.topics.values()}
        selected = chosen if names is None else {key for key in chosen if key[0] in names}
        for file in self.files:
            first, last = self._times.get(file, (start, start - 1))
            if last < start or (end is not None and end < first):
                continue
            with self._storage(file) as storage:
                found: list[str] = []
                yield from until_damage(storage.messages(selected, start, end), found)
                # Damage that was found on opening explains where the messages end.
                self._note(storage.damage or text for text in found)
                self._note(storage.recorded.faults())

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

    def _storage(self, file: Path) -> AbstractContextManager[StorageFile]:
        if file.suffix == COMPRESSED:
            return open_storage(file)
        if file not in self._opened:
            with open_storage(file) as storage:
                self._opened[file] = storage
        return nullcontext(self._opened[file])

    def _note(self, damage: Iterable[str]) -> None:
        self.damage += [text for text in damage if text not in self.damage]

    def _choose(self, found: Mapping[tuple[str, str], Topic]) -> None:
        """Take each topic with the type that most of its messages have."""
        for topic in found.values():
            known = self.topics.get(topic.name)
            if known is None or known.count < topic.count:
                self.topics[topic.name] = topic
        for topic in found.values():
            known = self.topics[topic.name]
            if topic.key != known.key and topic.count:
                self.damage.append(
                    f"{self.path}: on {topic.name} {topic.count} messages are of type "
                    f"{topic.type}, and left out; {known.count} are of type {known.type}"
                )

    def _nothing(self, encodings: set[str]) -> str:
        """Return why the bag has no message that can be read."""
        damage = "".join(f"; {text}" for text in self.damage)
        if not encodings:
            return f"{self.path} has no messages{damage}"
        return (
            f"{self.path} has no messages of ROS 2, encoded as cdr: they are encoded as "
            f"{listed(encodings)}. Record the topics with ROS 2, or convert the bag{damage}"
        )

    def _list_files(self) -> list[Path]:
        try:
            there = sorted(filter(is_storage_file, self.path.iterdir()), key=_natural)
        except OSError as error:
            raise BagError(f"{self.path} cannot be read: {error.strerror}") from error
        metadata = self.path / METADATA
        if not metadata.exists():
            self.damage.append(f"{self.path} has no {METADATA}: its recording did not end properly")
            return there
        try:
            content = YAML(typ="safe").load(_small_text(metadata))
            names = content["rosbag2_bagfile_information"]["relative_file_paths"]
            selected = [self.path / PurePath(name).name for name in names]
        except Exception as error:  # What a damaged file raises depends on the damage.
            reason = str(error) if isinstance(error, UnusualFileError) else type(error).__name__
            self.damage.append(f"{metadata} is damaged ({reason})")
            return there
        return [file for path in selected for file in self._existing(path)]

    def _existing(self, path: Path) -> Sequence[Path]:
        """Return the file; some versions list it without the suffix of its compression."""
        for candidate in (path, path.with_name(path.name + COMPRESSED)):
            if is_storage_file(candidate):
                return [candidate]
        self.damage.append(f"{path} is missing")
        return []


def _small_text(path: Path) -> str:
    """Return the text of metadata.yaml. Raises UnusualFileError where it could take for ever."""
    text = read_small(path, _MAX_METADATA, follow=True).decode()
    depths = accumulate((c in "[{") - (c in "]}") for c in text if c in "[]{}")
    if max(depths, default=0) > _MAX_BRACKETS:
        raise UnusualFileError("it has too many brackets")
    return text


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key that puts _2 before _10."""
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", path.name)]
