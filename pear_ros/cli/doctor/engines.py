# SPDX-License-Identifier: Apache-2.0
"""TensorRT's engines in the cache: which can be used here, and which would be built anew."""

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

_BUILD = "it is built anew when the node is configured, which takes minutes: pear build-engine"


def check_engines(probe: Probe, folder: Path | None = None) -> Iterator[Finding]:
    """Engines in `folder`, the cache unless given."""
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
    bytes = sum((cache.folder / name).stat().st_size for name in names)
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
            yield _judged(id, record.key, cache, probe)
    lonely = [
        name for name in names if name.endswith(".plan") and f"{Path(name).stem}.json" not in names
    ]
    if lonely:
        text = f"{', '.join(lonely)} without a record: of no use"
        yield warn("engine.lonely", text, f"remove from {cache.folder}")


def _judged(id: str, key: EngineKey, cache: EngineCache, probe: Probe) -> Finding:
    """What an engine is for, and whether it is in order and for this machine."""
    from pear_ros.pear.runtimes.engine_record import difference

    text = (
        f"{key.precision}, up to {key.max_people} people, TensorRT {key.tensorrt}, {key.device}, "
        f"weights {key.weights[:8]}"
    )
    facts = {"precision": key.precision, "tensorrt": key.tensorrt, "device": key.device}
    with _log_of(cache) as said:
        kept = cache.load(key)
    if kept is None:
        return warn(id, f"{text}: {' '.join(said) or 'cannot be used'}", _BUILD, **facts)
    if kept.plan is None:
        fault = kept.verdict.fault if kept.verdict else "nobody looked"
        text = f"{text}: refused, as it was not accurate enough: {fault}"
        return ok(id, text, accurate=False, **facts)
    if (here := _for_this_machine(key, probe)) is None:
        text = f"{text}: in order; not tried, as TensorRT or its GPU is not here"
        return ok(id, text, **facts)
    if told := difference(key, here):
        return warn(id, f"{text}: is for {told}", _BUILD, **facts)
    return ok(id, f"{text}: valid, {kept.verdict or 'its accuracy not judged yet'}", **facts)


def _for_this_machine(key: EngineKey, probe: Probe) -> EngineKey | None:
    """The key that the same engine has here; None where it could not be run at all."""
    gpu, tensorrt = probe("gpu"), probe("library", "tensorrt")
    if "name" not in gpu or not tensorrt.get("version"):
        return None
    here = {
        "tensorrt": tensorrt["version"],
        "device": gpu["name"],
        "compute_capability": gpu["compute_capability"],
    }
    same = {name: value for name, value in asdict(key).items() if name != "platform"}
    return type(key)(**{**same, **here})  # The platform is this one's unless given.


@contextmanager
def _log_of(cache: EngineCache) -> Iterator[list[str]]:
    """What the cache says in its log, which is where its reasons are."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    log, listener = logging.getLogger(type(cache).__module__), Listener()
    passed_on, log.propagate = log.propagate, False
    log.addHandler(listener)
    try:
        yield said
    finally:
        log.removeHandler(listener)
        log.propagate = passed_on
