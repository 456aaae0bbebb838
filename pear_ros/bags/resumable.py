# SPDX-License-Identifier: Apache-2.0
"""A bag whose writer may be killed at any time and resumes when it is started again.

It is written in parts. When a part is complete it is moved into the bag, and then a snapshot of the
writer's state is written. A part without a snapshot is written again after a restart, to the same
bytes. A writer that is not interrupted continues from the snapshot, too, so that the bags are
equal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pear_ros.bags.mark import Mark
from pear_ros.bags.parts import NewTopic, Part, PartWriter, custom_data, write_metadata
from pear_ros.bags.small_files import UnusualFileError, read_small, write_whole
from pear_ros.bags.snapshot import SnapshotError, dumps, loads
from pear_ros.bags.unfinished import (
    PART,
    SNAPSHOT,
    SUMMARY,
    UNFINISHED,
    BagLock,
    ResumeError,
    check_own,
    check_same,
    remove_unfinished,
    summary_of,
)

_MAX_SNAPSHOT = 1 << 28
"""Bytes of the largest snapshot that is read."""


@dataclass
class _Progress:
    """The state of the whole writer at the end of a part."""

    fingerprint: Mapping[str, str]
    parts: list[Part] = field(default_factory=list)
    state: Any = None


class ResumableBag:
    """A bag that is being written, and can be resumed."""

    def __init__(
        self,
        folder: Path,
        name: str,
        fingerprint: Mapping[str, str],
        storage: str = "mcap",
        state_classes: Collection[type] = (),
    ) -> None:
        """Create the writer of the bag at `folder`; `resume` begins to write.

        `name`: of the storage files, before their numbers. `fingerprint`: everything that the
        content depends on, by descriptive names; it is kept in the bag's metadata.yaml as
        custom_data. `storage`: one of pear_ros.core.configuration.STORAGES. `state_classes`:
        dataclasses and enumerations that the writer's state may contain.
        """
        self._folder = folder
        self._work = folder / UNFINISHED
        self._name = name
        self._storage = storage
        self._classes = (*state_classes, _Progress, Part)
        self._progress = _Progress(dict(fingerprint))
        self._part: PartWriter | None = None
        self._lock: BagLock | None = None
        self._mark: Mark | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no message has been written."""
        return not self._progress.parts and self._part is None

    def is_complete(self) -> bool:
        """Return whether the bag is complete. Raises ResumeError where it is another bag."""
        if summary_of(self._folder) is None:
            return False
        self._check_same(custom_data(self._folder))
        remove_unfinished(self._folder)
        return True

    def summary(self) -> str:
        """Return the summary of a complete bag; empty while it is not complete."""
        return summary_of(self._folder) or ""

    def resume(self) -> Any:
        """Lock the bag and return the state to resume from; None at the beginning.

        Raises ResumeError where the folder has other content, was begun with other options, or is
        being written by another process.
        """
        check_own(self._folder)
        self._lock = BagLock(self._folder)
        try:
            return self._last_state()
        except BaseException:
            self._release()
            raise

    def write(self, message: tuple[str, int, bytes], topics: Sequence[NewTopic]) -> bool:
        """Add a message (topic, recording time in ns, data); return whether it begins a part.

        The part that it begins has the topics given.
        """
        first = self._part is None
        if self._part is None:
            name = f"{self._name}_{len(self._progress.parts)}"
            self._part = PartWriter(self._work / PART, name, topics, self._storage)
        self._part.write(*message)
        return first

    def mark(self, number: int) -> None:
        """Note how far the writer is, for a run after this process is killed: see `Mark`."""
        self._mark = self._mark or Mark(self._folder)
        self._mark.set(number)

    def end_part(self, state: object) -> Any:
        """Complete the current part, if any, and return the state to continue from.

        With a part, that is a copy of `state`, as a resumed writer would read it.
        """
        if self._part is None:
            return state
        writer, self._part = self._part, None
        part = writer.finish()
        progress = self._progress
        progress.parts.append(part)
        progress.state = state
        snapshot = dumps(progress, self._classes)
        writer.move(part, self._folder)
        write_whole(self._snapshot, snapshot)
        self._progress = loads(snapshot, self._classes)
        return self._progress.state

    def complete(self, summary: str) -> None:
        """Complete the bag and unlock it; `summary`: text about its content, kept with it."""
        custom = {**self._progress.fingerprint, SUMMARY: summary}
        write_metadata(self._folder, self._progress.parts, custom)
        remove_unfinished(self._folder)
        self._release()

    def abandon(self) -> None:
        """Discard the current part, which a resumed writer writes again, and unlock the bag."""
        if self._part is not None:
            self._part.abandon()
        self._part = None
        self._release()

    def _last_state(self) -> Any:
        if not self._snapshot.exists() and not self._snapshot.is_symlink():
            return None
        try:
            found = loads(read_small(self._snapshot, _MAX_SNAPSHOT), self._classes)
            if not isinstance(found, _Progress) or not isinstance(found.fingerprint, dict):
                raise SnapshotError("it holds something else")
        except (SnapshotError, UnusualFileError, OSError) as error:
            raise ResumeError(
                f"{self._snapshot} cannot be used: {error}; give --overwrite to start again"
            ) from error
        self._check_same(found.fingerprint)
        self._progress = found
        return found.state

    @property
    def _snapshot(self) -> Path:
        return self._work / SNAPSHOT

    def _release(self) -> None:
        if self._mark is not None:
            self._mark.remove()
        self._mark = None
        if self._lock is not None:
            self._lock.release()

    def _check_same(self, found: Mapping[str, str]) -> None:
        known = {name: value for name, value in found.items() if name != SUMMARY}
        check_same(self._folder, known, self._progress.fingerprint)
