# SPDX-License-Identifier: Apache-2.0
"""TensorRT engines that were built before, kept on disk with their measured accuracy.

A plan, as TensorRT calls a serialized engine, is machine code. So it is loaded only from a folder
and a file that no other user can have written, and only if the SHA-256 of the loaded bytes is that
of its record. Whatever is wrong with it, it is rebuilt, and the reason is logged.

An engine has two files: the plan and a record (JSON). An engine that was refused for its accuracy
keeps its record only, so that it is not built again. A new engine replaces those that
differ only in the export or in TensorRT's version, and all of earlier versions of this package;
engines for other weights, precisions, devices or batch sizes stay until the user deletes them.
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
from pear_ros.pear.runtimes.engine_record import (
    DamagedError,
    EngineKey,
    OutdatedError,
    Record,
    difference,
)
from pear_ros.pear.runtimes.private_files import Bytes, PrivateFolder, UnsafeError

_DIGEST_SIZE = hashlib.sha256().digest_size
_NOTE_SIZE = 200
"""Greatest size of a note about a build, bytes."""
_REPLACED_FIELDS = ("graph", "tensorrt")
"""Fields of a key in which a replaced engine may differ from the new one."""

logger = get_logger(__name__)


@dataclass(frozen=True)
class KeptEngine:
    """An engine that was built before, or the record of one that was refused."""

    path: Path
    """The plan's file; where the plan is not kept, the record's."""
    plan: Bytes | None
    """The plan, memory-mapped; None if it was refused."""
    verdict: Verdict | None
    """Accuracy of the engine; None if not measured yet."""
    body: str
    """Name of the body with which the accuracy was measured, as passed to `store_verdict`."""


class EngineCache:
    """Engines in a folder. Methods raise nothing: whatever goes wrong is logged."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: by default `engines` in pear_ros.io.downloads.cache_directory()."""
        self.folder = folder or cache_directory() / "engines"
        self._files = PrivateFolder(self.folder)
        self._warned = False

    def load(self, key: EngineKey) -> KeptEngine | None:
        """Return the engine of `key`; None if there is none that is safe to use."""
        plan, record = _plan_name(key), _record_name(key)
        try:
            found = self._read_record(record)
            if found.key != key:
                raise DamagedError(f"{self.folder / record} is of another engine")
            if found.size == 0:
                if found.verdict is None or found.verdict.passed:
                    raise DamagedError(f"{self.folder / record} is without its plan")
                return KeptEngine(self.folder / record, None, found.verdict, found.body)
            content = self._read_plan(plan, found)
        except FileNotFoundError:
            logger.info("There is no engine in %s yet: %s", key.precision, self._nearest(key))
        except OSError as error:
            self._warn_once(error)
        except (UnsafeError, DamagedError) as error:
            logger.warning("The engine kept in %s is not used: %s.", self.folder, error)
        else:
            return KeptEngine(self.folder / plan, content, found.verdict, found.body)
        return None

    def store(self, key: EngineKey, plan: Bytes) -> bool:
        """Keep a new engine, whose accuracy is not measured yet. Return whether it was kept."""
        record = Record(key, len(plan), hashlib.sha256(plan).hexdigest(), None, "")
        with self._warning():
            for name, content in ((_plan_name(key), plan), (_record_name(key), record.as_json())):
                self._files.remove_parts(name)
                self._files.write(name, content)
            self._remove_outdated(key)
            return True
        return False

    def store_verdict(self, key: EngineKey, verdict: Verdict, body: str) -> None:
        """Keep the accuracy of the engine of `key`, measured with `body`.

        The plan is deleted if the verdict is that it must not be used.
        """
        with self._warning():
            if not verdict.passed:
                record = Record(key, 0, "", verdict, body)
                self._files.write(_record_name(key), record.as_json())
                self._files.remove(_plan_name(key))
                return
            with contextlib.suppress(FileNotFoundError, DamagedError):
                record = replace(self._read_record(_record_name(key)), verdict=verdict, body=body)
                self._files.write(_record_name(key), record.as_json())

    def timing_cache(self, key: EngineKey) -> bytes:
        """Return TensorRT's timing cache of earlier builds on this device; empty if none."""
        path = self.folder / key.timing_name
        try:
            content = bytes(self._files.read(key.timing_name))
            if hashlib.sha256(content[_DIGEST_SIZE:]).digest() != content[:_DIGEST_SIZE]:
                raise DamagedError(f"{path} is damaged")
        except FileNotFoundError:
            return b""
        except OSError as error:
            self._warn_once(error)
            return b""
        except (UnsafeError, DamagedError) as error:
            logger.warning("The timing cache of earlier builds is not used: %s.", error)
            return b""
        return content[_DIGEST_SIZE:]

    def store_timing_cache(self, key: EngineKey, content: bytes) -> None:
        """Keep TensorRT's timing cache for later builds on this device."""
        with self._warning():
            self._files.write(key.timing_name, hashlib.sha256(content).digest() + content)

    def unfinished(self, key: EngineKey) -> str:
        """Return the note of a build of `key` that was interrupted; empty if there is none.

        Call it with the lock of `key`: without it, the build may be under way.
        """
        try:
            note = bytes(self._files.read(_unfinished_name(key))[:_NOTE_SIZE])
        except FileNotFoundError:
            return ""
        except (OSError, UnsafeError) as error:
            # None of this process.
            logger.info("No earlier build is known of: %s", error)
            return ""
        return note.decode(errors="replace") or "at an unknown time"

    def unfinished_path(self, key: EngineKey) -> Path:
        """Return the file whose removal forgets an interrupted build of `key`."""
        return self.folder / _unfinished_name(key)

    @contextlib.contextmanager
    def building(self, key: EngineKey, note: str) -> Iterator[None]:
        """Keep `note` while an engine is built, and after it only if this process was killed."""
        with self._warning():
            self._files.write(_unfinished_name(key), note.encode())
        try:
            yield
        finally:
            with self._warning():
                self._files.remove(_unfinished_name(key))

    @contextlib.contextmanager
    def lock(self, key: EngineKey) -> Iterator[None]:
        """Hold the lock under which the engine of `key` is loaded or built, by one process."""

        def on_wait() -> None:
            logger.info("Waiting for another process that builds this %s engine", key.precision)

        with contextlib.ExitStack() as stack:
            # Without a lock no engine can be kept either: each process builds its own.
            with self._warning():
                stack.enter_context(self._files.lock(f"{key.name}.lock", on_wait))
            yield

    def _read_record(self, name: str) -> Record:
        try:
            return Record.from_json(self._files.read(name))
        except DamagedError as error:
            raise type(error)(f"{self.folder / name} {error}") from error

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

    def keys(self) -> list[EngineKey]:
        """Return the keys of all engines with a valid record; none if the folder cannot be read."""
        with contextlib.suppress(OSError, UnsafeError):
            return list(self._keys())
        return []

    def _keys(self) -> Iterator[EngineKey]:
        """Yield the keys of all engines with a valid record."""
        for name in self._files.names():
            if name.startswith("engine_") and name.endswith(".json"):
                with contextlib.suppress(OSError, UnsafeError, DamagedError):
                    yield self._read_record(name).key

    def _outdated(self) -> Iterator[str]:
        """Yield the names, without suffix, of engines of earlier versions of this package."""
        for name in self._files.names():
            if name.startswith("engine_") and name.endswith(".json"):
                with contextlib.suppress(OSError, UnsafeError, DamagedError):
                    try:
                        self._read_record(name)
                    except OutdatedError:
                        yield name.removesuffix(".json")

    def _nearest(self, key: EngineKey) -> str:
        """Return what the most similar engine for the same weights was built for."""
        differences: list[str] = []
        with contextlib.suppress(OSError, UnsafeError):
            differences += [
                difference(other, key)
                for other in self._keys()
                if (other.weights, other.precision) == (key.weights, key.precision)
            ]
        if not differences and any(self._outdated()):
            return f"those kept in {self.folder} are of an earlier version of this package."
        if not differences:
            return f"none of these weights is kept in {self.folder}."
        return f"one that is kept in {self.folder} is for {min(differences, key=len)}."

    def _remove_outdated(self, key: EngineKey) -> None:
        for name in list(self._outdated()):
            self._files.remove(f"{name}.plan")
            self._files.remove(f"{name}.json")
            logger.info("%s, an engine of an earlier version of this package, is replaced.", name)
        newest = {name: getattr(key, name) for name in _REPLACED_FIELDS}
        for other in list(self._keys()):
            if other != key and replace(other, **newest) == key:
                self._files.remove(_plan_name(other))
                self._files.remove(_record_name(other))
                logger.info("The engine for %s is replaced.", difference(other, key))

    @contextlib.contextmanager
    def _warning(self) -> Iterator[None]:
        try:
            yield
        except (UnsafeError, OSError) as error:
            self._warn_once(error)

    def _warn_once(self, error: Exception) -> None:
        """Log what is wrong with the folder, the first time: it concerns all engines."""
        if not self._warned:
            self._warned = True
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            logger.warning(
                "Engines cannot be kept in %s (%s): they are built at each start.",
                *(self.folder, reason),
            )


def _plan_name(key: EngineKey) -> str:
    return f"{key.name}.plan"


def _unfinished_name(key: EngineKey) -> str:
    return f"{key.name}.unfinished"


def _record_name(key: EngineKey) -> str:
    return f"{key.name}.json"
