# SPDX-License-Identifier: Apache-2.0
"""The record kept beside a TensorRT engine: what it was built for, its hash, its accuracy."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field

from pear_ros.pear.runtimes.accuracy import Verdict
from pear_ros.pear.runtimes.private_files import Bytes

_SCHEMA = 2
_LABELS = {"tensorrt": "TensorRT", "memory_gib": "GiB of memory"}
_MAX_BYTES = 1 << 16
_INVALID = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What JSON of another form, or no JSON, may raise."""


class DamagedError(Exception):
    """A file is not as it was written; the text, after the file's name, says what is wrong."""


class OutdatedError(DamagedError):
    """A file is of an earlier version of this package, which no longer uses it."""


@dataclass(frozen=True)
class EngineKey:
    """All that an engine depends on: it can be used for nothing else."""

    weights: str
    """Fingerprint of the weights."""
    graph: str
    """SHA-256 of the exported graph, hexadecimal."""
    precision: str
    """Precision of the network's backbone: fp32, fp16 or bf16."""
    max_people: int
    """Largest batch."""
    level: int
    """TensorRT's builder_optimization_level."""
    tensorrt: str
    """TensorRT's version."""
    device: str
    """Name of the GPU."""
    compute_capability: str
    """Compute capability of the GPU, such as "8.7"."""
    multiprocessors: int
    """Number of the GPU's streaming multiprocessors, see pear_ros.pear.runtimes.driver.Gpu."""
    memory_gib: int
    """Total memory of the GPU, see pear_ros.pear.runtimes.driver.memory_gib."""
    platform: str = field(default_factory=lambda: f"{platform.system()} {platform.machine()}")
    """Operating system and processor."""

    @property
    def name(self) -> str:
        """Name of its files, without suffix."""
        return f"engine_{self._hash(*asdict(self))}"

    @property
    def timing_name(self) -> str:
        """Name of the file with TensorRT's timing cache, which is shared on one device."""
        gpu = ("device", "compute_capability", "multiprocessors", "memory_gib")
        return f"timing_{self._hash('tensorrt', *gpu, 'platform')}"

    def _hash(self, *names: str) -> str:
        text = json.dumps({name: getattr(self, name) for name in names}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Record:
    """What is known about one engine."""

    key: EngineKey
    """Network, GPU and settings for which the engine was built."""
    size: int
    """Bytes of the plan; 0 where the plan is not kept."""
    sha256: str
    """SHA-256 of the plan, hexadecimal."""
    verdict: Verdict | None
    """Accuracy of the engine; None if not measured yet."""
    body: str
    """Name of the body with which the accuracy was measured."""

    def as_json(self) -> bytes:
        """Return the record as a JSON text."""
        verdict = self.verdict and self.verdict.as_json()
        content = {**asdict(self), "schema": _SCHEMA, "verdict": verdict}
        return json.dumps(content, indent=1).encode()

    @classmethod
    def from_json(cls, text: Bytes) -> Record:
        """Return the record of a text of `as_json`.

        Raises OutdatedError if it is of an earlier version, DamagedError if it is another.
        """
        try:
            content = json.loads(bytes(text[:_MAX_BYTES]))
            if (schema := content.pop("schema")) != _SCHEMA:
                if type(schema) is int and schema < _SCHEMA:
                    raise OutdatedError("is of an earlier version of this package")
                raise DamagedError("is of another version of this package")
            kinds: dict[str, type] = {"size": int, "sha256": str, "body": str}
            if any(type(content[name]) is not kind for name, kind in kinds.items()):
                raise DamagedError("is damaged")
            content["key"] = EngineKey(**content["key"])
            if content["verdict"] is not None:
                content["verdict"] = Verdict.from_json(content["verdict"])
            return cls(**content)
        except _INVALID as error:
            raise DamagedError("is damaged") from error


def difference(kept: EngineKey, key: EngineKey) -> str:
    """Return how `kept` differs from `key`, such as "TensorRT 10.3 instead of 10.7"."""
    differences = []
    for name in asdict(key):
        there, here = (str(getattr(one, name))[:40] for one in (kept, key))
        if there != here:
            label = _LABELS.get(name, name.replace("_", " "))
            differences.append(f"{label} {there} instead of {here}")
    return ", ".join(differences)
