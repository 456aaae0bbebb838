# SPDX-License-Identifier: Apache-2.0
"""What an engine was built for, and what is known about it: the record that is kept beside it."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pear_ros.pear.runtimes.accuracy import Verdict
from pear_ros.pear.runtimes.private_files import Bytes

_SCHEMA = 1
_LARGEST = 1 << 16


def _platform() -> str:
    return f"{platform.system()} {platform.machine()}"


@dataclass(frozen=True)
class EngineKey:
    """All that an engine holds for: it serves nothing else."""

    weights: str
    """Fingerprint of the weights."""
    graph: str
    """SHA-256 of the exported graph, hexadecimal."""
    precision: str
    max_people: int
    level: int
    """TensorRT's builder_optimization_level."""
    tensorrt: str
    """TensorRT's version."""
    device: str
    """Name of the GPU."""
    compute_capability: str
    """Such as "8.7"."""
    platform: str = field(default_factory=_platform)
    """Operating system and processor."""

    @property
    def name(self) -> str:
        """Its files' name, without suffix."""
        return f"engine_{_hash_of(asdict(self))}"

    @property
    def timing_name(self) -> str:
        """Name of the file with what builds on this device measured."""
        shared = ("tensorrt", "device", "compute_capability", "platform")
        return f"timing_{_hash_of({name: getattr(self, name) for name in shared})}"


@dataclass(frozen=True)
class Record:
    """One engine."""

    key: EngineKey
    size: int
    """Of the plan, bytes; 0 where it is not kept."""
    sha256: str
    """Of the plan, hexadecimal."""
    verdict: Verdict | None
    """How accurate it was found; None where nobody looked yet."""
    body: str
    """The body on which that was found."""

    def as_json(self) -> bytes:
        """To be written to a file."""
        verdict = self.verdict and self.verdict.as_json()
        content = {**asdict(self), "schema": _SCHEMA, "verdict": verdict}
        return json.dumps(content, indent=1).encode()

    @classmethod
    def from_json(cls, text: Bytes) -> Record:
        """What `as_json` gave. Raises DamagedError."""
        try:
            content = json.loads(bytes(text[:_LARGEST]))
            if content.pop("schema") != _SCHEMA:
                raise DamagedError("is of another version of this package")
            kinds: dict[str, type] = {"size": int, "sha256": str, "body": str}
            if any(type(content[name]) is not kind for name, kind in kinds.items()):
                raise DamagedError("is damaged")
            content["key"] = EngineKey(**content["key"])
            if content["verdict"] is not None:
                content["verdict"] = Verdict.from_json(content["verdict"])
            return cls(**content)
        except DamagedError:
            raise
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            OverflowError,
            RecursionError,
        ) as error:
            raise DamagedError("is damaged") from error


class DamagedError(Exception):
    """A file is not what was written; the text, behind the file's name, says what is wrong."""


def _hash_of(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()[:16]


def difference(kept: EngineKey, key: EngineKey) -> str:
    """What `kept` is for, where it is not for the same as `key`."""
    names = {field.name: field.name.replace("_", " ") for field in fields(EngineKey)}
    names["tensorrt"] = "TensorRT"
    told = []
    for name, called in names.items():
        there, here = (str(getattr(one, name))[:40] for one in (kept, key))
        if there != here:
            told.append(f"{called} {there} instead of {here}")
    return ", ".join(told)
