# SPDX-License-Identifier: Apache-2.0
"""Guard of engine builds: enough memory first, and no second try of one that was interrupted.

The kernel ends a process for which memory is too small, without an exception: a node that is
started again would build, and be ended, for ever.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pear_ros.core.configuration import BUILD_MEMORY_FACTOR
from pear_ros.core.log import get_logger
from pear_ros.pear.runtimes.cuda import available_memory
from pear_ros.pear.runtimes.engine_cache import EngineCache
from pear_ros.pear.runtimes.engine_record import EngineKey
from pear_ros.pear.runtimes.runtime import DeviceUnavailableError

_ADVICE = "end other programs, such as the desktop, or add swap"

logger = get_logger(__name__)


@dataclass(frozen=True)
class BuildGuard:
    """Decides whether an engine is built."""

    cache: EngineCache
    insist: bool
    """Whether to build against all doubts, which are logged: a person asked for it, and watches."""

    def require_memory(self, key: EngineKey, graph_bytes: int) -> None:
        """Raise DeviceUnavailableError unless there is memory for a build, by the graph's size."""
        needed, available = BUILD_MEMORY_FACTOR * graph_bytes, available_memory()
        if 0 < available < needed:
            self._doubt(
                f"building an engine takes about {_gb(needed)} of memory, {BUILD_MEMORY_FACTOR} "
                f"times its graph, and {_gb(available)} are available: {_ADVICE}, then start "
                "again; or try all the same"
                f" by {_command(key)}"
            )

    def require_uninterrupted(self, key: EngineKey) -> None:
        """Raise DeviceUnavailableError if an earlier build of this engine was interrupted."""
        if begun := self.cache.unfinished(key):
            self._doubt(
                f"the build of its engine that began {begun} was interrupted: the process was "
                "killed, most often by the kernel for lack of memory (sudo dmesg), or the machine "
                f"was switched off. It is not repeated by itself: {_ADVICE}, and build it once by "
                f"{_command(key)}; or remove {self.cache.unfinished_path(key)} to let the next "
                "start build it"
            )

    @contextlib.contextmanager
    def building(self, key: EngineKey) -> Iterator[None]:
        """Note that a build is under way; the note stays if the process is killed."""
        available = available_memory()
        memory = f"with {_gb(available)} of memory available" if available else "of unknown memory"
        with self.cache.building(key, f"{time.strftime('%Y-%m-%d at %H:%M')} {memory}"):
            yield

    def _doubt(self, reason: str) -> None:
        if not self.insist:
            raise DeviceUnavailableError(reason)
        logger.warning("An engine is built all the same: %s", reason)


def _command(key: EngineKey) -> str:
    return f"`pear build-engine --max-people {key.max_people}`"


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
