# SPDX-License-Identifier: Apache-2.0
"""A bag whose writer may be killed at any time and goes on when it is started again.

It is written in parts. When a part is complete it is put into the bag, and then a snapshot of the
writer's state: what has been put there since the last snapshot is written again, to the same bytes.
Those who are not interrupted go on from the snapshot, too, so that both come to the same bag.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pear_ros.bags.parts import NewTopic, Part, PartWriter, custom_data, write_metadata, write_whole
from pear_ros.bags.snapshot import SnapshotError, dumps, loads

_WORK = ".unfinished"
"""Folder within the bag for what is not part of it: there while it is not complete."""


class ResumeError(RuntimeError):
    """A bag that cannot be begun or gone on with; the text says why and what to do."""


@dataclass
class _Standing:
    """Where the writer stands at the end of a part."""

    fingerprint: Mapping[str, str]
    parts: list[Part] = field(default_factory=list)
    state: Any = None


class ResumableBag:
    """The bag under construction."""

    def __init__(self, folder: Path, name: str, fingerprint: Mapping[str, str]) -> None:
        """`name`: of the storage files, before their numbers. `fingerprint`: all that the content
        depends on, by names that tell; it remains in the bag's metadata.yaml as custom_data.
        """
        self._folder = folder
        self._work = folder / _WORK
        self._name = name
        self._standing = _Standing(dict(fingerprint))
        self._part: PartWriter | None = None
        self._locked: BinaryIO | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been written."""
        return not self._standing.parts and self._part is None

    def is_complete(self) -> bool:
        """Whether it has been written to its end. Raises ResumeError when it is another bag."""
        found = custom_data(self._folder)
        if found is None:
            return False
        self._check_same(found)
        shutil.rmtree(self._work, ignore_errors=True)
        return True

    def clear(self) -> None:
        """Remove it, complete or not, so that it can be begun anew; leaves other folders alone.

        Raises ResumeError while another process writes it.
        """
        if custom_data(self._folder) or self._work.exists():
            self._lock()
            shutil.rmtree(self._folder)
            self._unlock()

    def resume(self) -> Any:
        """The state to go on from; None at the beginning.

        Raises ResumeError when the folder holds something else, or was begun in another way, or
        another process is writing it.
        """
        if not self._work.exists() and self._folder.exists() and any(self._folder.iterdir()):
            raise ResumeError(f"{self._folder} is not empty, and holds nothing that can be resumed")
        self._lock()
        try:
            return self._last_state()
        except ResumeError:
            self._unlock()
            raise

    def write(self, message: tuple[str, int, bytes], topics: Sequence[NewTopic]) -> bool:
        """Add a message: topic, time of recording in nanoseconds and data.

        Returns whether it is the first of a part; such a part has the topics given.
        """
        first = self._part is None
        if self._part is None:
            name = f"{self._name}_{len(self._standing.parts)}"
            self._part = PartWriter(self._work / "part", name, topics)
        self._part.write(*message)
        return first

    def end_part(self, state: object) -> Any:
        """Complete the part at hand, if there is any; returns the state to go on from."""
        if self._part is None:
            return state
        writer, self._part = self._part, None
        part = writer.finish()
        standing = self._standing
        standing.parts.append(part)
        standing.state = state
        snapshot = dumps(standing)
        writer.move(part, self._folder)
        write_whole(self._snapshot, snapshot)
        self._standing = loads(snapshot)
        return self._standing.state

    def complete(self) -> None:
        """Make it a whole bag. At least one part has to be there."""
        write_metadata(self._folder, self._standing.parts, self._standing.fingerprint)
        shutil.rmtree(self._work)
        self._unlock()

    def abandon(self) -> None:
        """Leave the part at hand as it is: it will be written again."""
        if self._part is not None:
            self._part.abandon()
        self._part = None
        self._unlock()

    def _last_state(self) -> Any:
        if not self._snapshot.exists():
            return None
        try:
            found: _Standing = loads(self._snapshot.read_bytes())
        except SnapshotError as error:
            raise ResumeError(
                f"{self._snapshot} cannot be used: {error}. Give --overwrite to begin anew"
            ) from error
        self._check_same(found.fingerprint)
        self._standing = found
        return found.state

    @property
    def _snapshot(self) -> Path:
        return self._work / "snapshot"

    def _lock(self) -> None:
        """Keep other processes off, until this one ends in whatever way."""
        self._work.mkdir(parents=True, exist_ok=True)
        self._locked = (self._work / "lock").open("wb")
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._unlock()
            raise ResumeError(f"{self._folder} is being written by another process") from error

    def _unlock(self) -> None:
        if self._locked is not None:
            self._locked.close()
        self._locked = None

    def _check_same(self, found: Mapping[str, str]) -> None:
        own = self._standing.fingerprint
        different = [
            f"{name} was {found.get(name, '')!r} and is {own.get(name, '')!r}"
            for name in {**found, **own}
            if found.get(name) != own.get(name)
        ]
        if different:
            raise ResumeError(
                f"{self._folder} was begun in another way: {', '.join(different)}. Give the same "
                "command again, another --output, or --overwrite to begin anew"
            )
