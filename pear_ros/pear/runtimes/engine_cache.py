# SPDX-License-Identifier: Apache-2.0
"""Engines that were built before, kept on disk with what was found out about their accuracy.

A plan, as TensorRT calls a serialized engine, is machine code. So it is loaded only from a folder
and a file that nobody but this user can have written to, and only when it is the one that was
written. Whatever is wrong with it, it is built anew, and the log says why.

Of each engine there is a plan and a record (JSON): what it was built for, the plan's SHA-256, the
verdict. An engine that was refused leaves its record alone, so that it is not built in vain again.
A new engine replaces those that differ in nothing but the export or TensorRT's version; engines of
other weights, precisions, devices or numbers of people stay until somebody deletes them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pear_ros.core.log import get_logger
from pear_ros.io.downloads import cache_directory
from pear_ros.pear.runtimes.accuracy import Verdict
from pear_ros.pear.runtimes.engine_record import DamagedError, EngineKey, Record, difference
from pear_ros.pear.runtimes.private_files import (
    Bytes,
    PrivateFolder,
    UnsafeError,
    UnsafeFolderError,
)

_DIGEST = 32
"""Bytes of a SHA-256."""
_OUTDATED = ("graph", "tensorrt")
"""Fields of a key in which an engine may differ that a new one replaces."""

logger = get_logger(__name__)


@dataclass(frozen=True)
class KeptEngine:
    """An engine that was built before, or the record of one that was refused."""

    path: Path
    """Of the plan; where that is not kept, of the record."""
    plan: Bytes | None
    """The plan, mapped; None where the verdict was against it."""
    verdict: Verdict | None
    """How accurate it was found; None where nobody looked yet."""
    body: str
    """The body on which that was found, as it was named to `remember`."""


class EngineCache:
    """Engines in a folder. What goes wrong is logged, and nothing is raised."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: by default `engines` in pear_ros.io.downloads.cache_directory()."""
        self.folder = folder or cache_directory() / "engines"
        self._files = PrivateFolder(self.folder)
        self._complained = False

    def load(self, key: EngineKey) -> KeptEngine | None:
        """The engine of `key`; None when there is none that may be used, and the log says why."""
        plan, record = _plan_of(key), _record_of(key)
        try:
            found = self._read_record(record)
            if found.key != key:
                raise DamagedError(f"{self.folder / record} is of another engine")
            if found.size == 0:
                refused = found.verdict is not None and not found.verdict.passed
                if refused:
                    return KeptEngine(self.folder / record, None, found.verdict, found.body)
                raise DamagedError(f"{self.folder / record} is without its plan")
            content = self._read_plan(plan, found)
        except FileNotFoundError:
            logger.info("There is no engine in %s yet: %s", key.precision, self._nearest(key))
        except (UnsafeFolderError, OSError) as error:
            self._complain(error)
        except (UnsafeError, DamagedError) as error:
            logger.warning("The engine kept in %s is not used: %s.", self.folder, error)
        else:
            return KeptEngine(self.folder / plan, content, found.verdict, found.body)
        return None

    def store(self, key: EngineKey, plan: Bytes) -> bool:
        """Keep a new engine, of which nobody knows yet how accurate it is; False if it cannot."""
        record = Record(key, len(plan), hashlib.sha256(plan).hexdigest(), None, "")
        with self._writing():
            self._files.remove_parts(_plan_of(key))
            self._files.remove_parts(_record_of(key))
            self._files.write(_plan_of(key), plan)
            self._files.write(_record_of(key), record.as_json())
            self._remove_outdated(key)
            return True
        return False

    def remember(self, key: EngineKey, verdict: Verdict, body: str) -> None:
        """Keep how accurate the engine of `key` is, found on some `body`; if it is not, not it."""
        with self._writing():
            if not verdict.passed:
                record = Record(key, 0, "", verdict, body)
                self._files.write(_record_of(key), record.as_json())
                self._files.remove(_plan_of(key))
                return
            with contextlib.suppress(FileNotFoundError, DamagedError):
                kept = self._read_record(_record_of(key))
                record = replace(kept, verdict=verdict, body=body)
                self._files.write(_record_of(key), record.as_json())

    def timing(self, key: EngineKey) -> bytes:
        """What earlier builds on this device measured; empty when there is nothing to be used."""
        try:
            content = bytes(self._files.read(key.timing_name))
        except FileNotFoundError:
            return b""
        except (UnsafeFolderError, OSError) as error:
            self._complain(error)
            return b""
        except UnsafeError as error:
            logger.warning("What earlier builds measured is not used: %s.", error)
            return b""
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            logger.warning("%s is damaged and not used.", self.folder / key.timing_name)
            return b""
        return content[_DIGEST:]

    def store_timing(self, key: EngineKey, measured: bytes) -> None:
        """Keep what a build measured."""
        with self._writing():
            self._files.write(key.timing_name, hashlib.sha256(measured).digest() + measured)

    @contextlib.contextmanager
    def lock(self, key: EngineKey) -> Iterator[None]:
        """Build the engine of `key` within: other processes wait until this one has it."""

        def on_wait() -> None:
            logger.info(
                "Another process builds this engine, in %s; it is waited for.", key.precision
            )

        with contextlib.ExitStack() as stack:
            # Where there can be no lock, nothing can be kept either: each builds its own.
            with self._writing():
                stack.enter_context(self._files.lock(f"{key.name}.lock", on_wait))
            yield

    def _read_record(self, name: str) -> Record:
        try:
            return Record.from_json(self._files.read(name))
        except DamagedError as error:
            raise DamagedError(f"{self.folder / name} {error}") from error

    def _read_plan(self, name: str, record: Record) -> Bytes:
        path = self.folder / name
        try:
            content = self._files.read(name)
        except FileNotFoundError as error:
            raise DamagedError(f"{path} is gone") from error
        if len(content) != record.size:
            raise DamagedError(f"{path} has {len(content)} bytes instead of {record.size}")
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise DamagedError(f"{path} is damaged")
        return content

    def _records(self) -> Iterator[Record]:
        """Those of all engines, as far as they can be read."""
        for name in self._files.names():
            if name.startswith("engine_") and name.endswith(".json"):
                with contextlib.suppress(OSError, UnsafeError, DamagedError):
                    yield self._read_record(name)

    def _nearest(self, key: EngineKey) -> str:
        """What the engine that comes nearest to `key` was built for."""
        differences = []
        with contextlib.suppress(OSError, UnsafeError):
            for record in self._records():
                if (record.key.weights, record.key.precision) == (key.weights, key.precision):
                    differences.append(difference(record.key, key))
        if not differences:
            return f"none of these weights is kept in {self.folder}."
        return f"one that is kept in {self.folder} is for {min(differences, key=len)}."

    def _remove_outdated(self, key: EngineKey) -> None:
        newest = {name: getattr(key, name) for name in _OUTDATED}
        for record in list(self._records()):
            other = record.key
            if other != key and replace(other, **newest) == key:
                self._files.remove(_plan_of(other))
                self._files.remove(_record_of(other))
                logger.info("The engine for %s is replaced.", difference(other, key))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (UnsafeError, OSError) as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Once: what is wrong with the folder is so for all engines."""
        if not self._complained:
            self._complained = True
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            logger.warning(
                "Engines cannot be kept in %s (%s): they are built at each start.",
                self.folder,
                reason,
            )


def _plan_of(key: EngineKey) -> str:
    return f"{key.name}.plan"


def _record_of(key: EngineKey) -> str:
    return f"{key.name}.json"
