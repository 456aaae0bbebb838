# SPDX-License-Identifier: Apache-2.0
"""What a run of `pear annotate` does, and the note by which the same run is resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pear_ros import __version__
from pear_ros.annotation.checks import CHECKS
from pear_ros.annotation.sample import FORMAT
from pear_ros.annotation.shards import remove_drafts
from pear_ros.annotation.sources import Inputs
from pear_ros.core.parameters import Parameters
from pear_ros.io.output_files import write_text

NOTE = "annotate.json"
"""Name of the note with the run's options, in the folder of shards."""
_PARAMETERS = ("field_of_view", "min_detection_score", "landmarks", "max_pixels")
"""Parameters on which samples depend."""
_LIBRARIES = ("ai-edge-litert", "numpy", "opencv-python-headless", "scipy", "webdataset")


class ResumeError(ValueError):
    """A folder that holds other shards; the text names the difference."""


@dataclass(frozen=True)
class Job:
    """What to annotate, and how."""

    inputs: Inputs
    output: Path
    """Folder of the shards."""
    parameters: Parameters = field(default_factory=Parameters)
    every: int = 1
    """Every how many-th image is annotated."""
    per_shard: int = 250
    """Images to a shard."""
    modules: Mapping[str, str] = field(default_factory=dict)
    """Modules in place of the default ones: PACKAGE.MODULE:FUNCTION, by part."""

    def fingerprint(self) -> dict[str, Any]:
        """Return all that samples depend on, as plain data."""
        inputs = self.inputs
        return {
            "format": FORMAT,
            "pear_ros": __version__,
            "inputs": [_described(path) for path in inputs.paths],
            "labels": [_described(path) for path in inputs.labels],
            "images": str(inputs.images or ""),
            "topic": inputs.topic,
            "smplx": _described(inputs.smplx) if inputs.smplx else "",
            "every": self.every,
            "per_shard": self.per_shard,
            "modules": dict(sorted(self.modules.items())),
            **{name: getattr(self.parameters, name) for name in _PARAMETERS},
            "checks": {name: [one.doubtful, one.rejected] for name, one in CHECKS.items()},
            "libraries": {name: _version(name) for name in _LIBRARIES},
        }


def begin(job: Job, overwrite: bool = False) -> None:
    """Make the folder of shards, or take up the run that was interrupted in it.

    `overwrite`: remove the shards of an earlier run. Raises ResumeError where the folder has shards
    of another run, or other files, OSError.
    """
    job.output.mkdir(parents=True, exist_ok=True)
    note = job.output / NOTE
    now = json.loads(json.dumps(job.fingerprint()))
    if not note.exists():
        if any(job.output.iterdir()):
            raise ResumeError(f"{job.output} holds other files: choose another --output")
    elif overwrite:
        _clear(job.output)
    else:
        _check_same(job.output, _read(note), now)
    remove_drafts(job.output)
    write_text(note, json.dumps(now, indent=1, sort_keys=True))


def _read(note: Path) -> Any:
    try:
        return json.loads(note.read_text())
    except ValueError as error:
        raise ResumeError(f"{note} is damaged: give --overwrite to start again") from error


def _check_same(folder: Path, before: Any, now: Mapping[str, Any]) -> None:
    known = before if isinstance(before, dict) else {}
    for name, value in now.items():
        if known.get(name) != value:
            raise ResumeError(
                f"{folder} holds shards that were made with other {name} "
                f"({_short(known.get(name))}, now {_short(value)}): choose another --output, or "
                "give --overwrite"
            )


def _clear(folder: Path) -> None:
    """Remove shards, records, report and sheets, which only this command writes here."""
    for pattern in ("*.tar", "*.json", "report.md", "sheet_*.jpg"):
        for path in folder.glob(pattern):
            path.unlink()


def _described(path: Path) -> str:
    """Return a path with the size of its file, or of the files in the folder."""
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    size = sum(one.stat().st_size for one in files if one.exists())
    return f"{path} ({len(files)} files, {size} bytes)"


def _version(library: str) -> str:
    try:
        return version(library)
    except ImportError:
        return "?"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 120 else f"{text[:120]}..."
