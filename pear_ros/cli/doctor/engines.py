# SPDX-License-Identifier: Apache-2.0
"""Check of the cached TensorRT engines: which can be used here, and which must be rebuilt."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pear_ros.cli.doctor.findings import Finding, ok, warn
from pear_ros.cli.doctor.probe_process import Probe

if TYPE_CHECKING:
    from pear_ros.pear.runtimes.engine_cache import EngineCache
    from pear_ros.pear.runtimes.engine_record import EngineKey

_BUILD = "it is rebuilt when the node is configured, which takes minutes: pear build-engine"


def check_engines(probe: Probe, folder: Path | None = None) -> Iterator[Finding]:
    """Check the engines in `folder`, by default the cache."""
    from pear_ros.pear.runtimes.engine_cache import EngineCache
    from pear_ros.pear.runtimes.engine_record import DamagedError, Record
    from pear_ros.pear.runtimes.private_files import PrivateFolder, UnsafeError

    cache = EngineCache(folder)
    files = PrivateFolder(cache.folder)
    try:
        names = files.names()
    except (OSError, UnsafeError) as error:
        yield warn("engine.cache", str(error), "engines are built at each start until then")
        return
    records = [name for name in names if name.startswith("engine_") and name.endswith(".json")]
    bytes = sum(_size(cache.folder / name) for name in names)
    text = f"{len(records)} engines, {bytes / 1e6:.1f} MB, in {cache.folder}"
    yield ok("engine.cache", text, folder=str(cache.folder), engines=len(records), bytes=bytes)
    for name in records:
        id = f"engine.{Path(name).stem.removeprefix('engine_')}"
        try:
            record = Record.from_json(files.read(name))
        except (OSError, UnsafeError, DamagedError) as error:
            yield warn(id, f"{name} cannot be used: {error}", f"remove it; {_BUILD}")
            continue
        if name != f"{record.key.name}.json":
            yield warn(id, f"{name} was renamed, and is not used", f"remove it; {_BUILD}")
        else:
            yield _check_engine(id, record.key, cache, probe)
    without_record = [
        name for name in names if name.endswith(".plan") and f"{Path(name).stem}.json" not in names
    ]
    if without_record:
        text = f"{', '.join(without_record)} have no record and are not used"
        yield warn("engine.lonely", text, f"remove from {cache.folder}")


def _check_engine(id: str, key: EngineKey, cache: EngineCache, probe: Probe) -> Finding:
    """Return the finding about one engine: whether it is intact, accurate and for this machine."""
    from pear_ros.pear.runtimes.engine_record import difference

    text = (
        f"{key.precision}, up to {key.max_people} people, TensorRT {key.tensorrt}, {key.device}, "
        f"weights {key.weights[:8]}"
    )
    details = {"precision": key.precision, "tensorrt": key.tensorrt, "device": key.device}
    with _log_of(cache) as messages:
        kept = cache.load(key)
    if kept is None:
        return warn(id, f"{text}: {' '.join(messages) or 'cannot be used'}", _BUILD, **details)
    if kept.plan is None:
        fault = kept.verdict.fault if kept.verdict else "not verified"
        text = f"{text}: refused, as it was not accurate enough: {fault}"
        return ok(id, text, accurate=False, **details)
    if (here := _for_this_machine(key, probe)) is None:
        text = f"{text}: intact; not tried, since TensorRT or its GPU is missing"
        return ok(id, text, **details)
    if differences := difference(key, here):
        return warn(id, f"{text}: is for {differences}", _BUILD, **details)
    return ok(id, f"{text}: valid, {kept.verdict or 'its accuracy not verified yet'}", **details)


def _for_this_machine(key: EngineKey, probe: Probe) -> EngineKey | None:
    """Return the key of the same engine on this machine; None where TensorRT cannot run."""
    from pear_ros.pear.runtimes.driver import memory_gib

    gpu, tensorrt = probe("gpu"), probe("library", "tensorrt")
    if "name" not in gpu or not tensorrt.get("version"):
        return None
    here = {
        "tensorrt": tensorrt["version"],
        "device": gpu["name"],
        "compute_capability": gpu["compute_capability"],
        "multiprocessors": gpu["multiprocessors"],
        "memory_gib": memory_gib(gpu["memory"]),
    }
    same = {name: value for name, value in asdict(key).items() if name != "platform"}
    return type(key)(**{**same, **here})  # The platform defaults to this one.


def _size(path: Path) -> int:
    """Return the size of a file, or of a link itself; 0 where it is gone by now."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


@contextmanager
def _log_of(cache: EngineCache) -> Iterator[list[str]]:
    """Collect the cache's log messages, which give the reasons why it refuses an engine."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    log, handler = logging.getLogger(type(cache).__module__), Collector()
    propagated, log.propagate = log.propagate, False
    log.addHandler(handler)
    try:
        yield messages
    finally:
        log.removeHandler(handler)
        log.propagate = propagated
