# SPDX-License-Identifier: Apache-2.0
"""Shards: tar files of samples in WebDataset's layout, and their reading for training.

A shard is NAME-NUMBER.tar with the samples of some images, beside it NAME-NUMBER.json, the record
of those images, which is written last: a shard without its record is not finished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pear_ros.annotation.encoding import SampleError, person_of
from pear_ros.annotation.sample import AnnotatedPerson
from pear_ros.core.quoting import plain
from pear_ros.io.output_files import replaced

RECORD_KEYS = ("statistics", "samples", "sha256")


class ShardsError(ValueError):
    """Shards that cannot be written or read at all; the text says why."""


@dataclass(frozen=True)
class Shard:
    """Paths of one shard."""

    folder: Path
    name: str

    @property
    def tar(self) -> Path:
        """The file with samples; there is none where nobody was annotated."""
        return self.folder / f"{self.name}.tar"

    @property
    def record(self) -> Path:
        """The file with the record."""
        return self.folder / f"{self.name}.json"


def require_webdataset() -> None:
    """Raise ShardsError where the package webdataset is missing."""
    try:
        import webdataset  # noqa: F401
    except ImportError as error:
        raise ShardsError(
            "shards need the package webdataset: pip install 'pear_ros[annotate]'"
        ) from error


def write_shard(
    shard: Shard, samples: Sequence[tuple[str, Mapping[str, bytes]]], statistics: Mapping[str, Any]
) -> None:
    """Write samples, each a key and its files by suffix, and the record, complete or not at all.

    The same samples give the same bytes. Raises OSError, which names the file, ShardsError.
    """
    require_webdataset()
    from webdataset.writer import TarWriter

    digest = None
    if samples:
        with replaced(shard.tar) as file:
            # Not compressed: JPEG, PNG and floats gain little.
            with TarWriter(
                file, user="", group="", mode=0o644, mtime=0.0, encoder=False, compress=False
            ) as tar:
                for key, members in samples:
                    tar.write({"__key__": key, **members})
            file.flush()
            file.seek(0)
            digest = _sha256(iter(lambda: file.read(1 << 20), b""))
    else:
        shard.tar.unlink(missing_ok=True)
    record = {"samples": len(samples), "sha256": digest, "statistics": statistics}
    with replaced(shard.record) as file:
        file.write(json.dumps(record, indent=1, sort_keys=True).encode())


def read_record(shard: Shard) -> dict[str, Any] | None:
    """Return the record of a finished shard; None: it is not finished, or damaged."""
    try:
        record = json.loads(shard.record.read_text())
        if not isinstance(record, dict) or set(record) != set(RECORD_KEYS):
            return None
        return record if record["sha256"] == _digest(shard.tar) else None
    except (OSError, ValueError):
        return None


class ShardReader:
    """Samples of shards, in the order of names; iterate as often as you like."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Read these shards, in this order."""
        self.files = tuple(files)
        """The shards, for distribution over workers: `ShardReader(reader.files[rank::count])`."""
        self.damaged: list[str] = []
        """A sentence for each damaged sample or shard that the last iteration left out."""

    def __iter__(self) -> Iterator[AnnotatedPerson]:
        """Yield all samples that can be read; the others are counted in `damaged`."""
        self.damaged.clear()
        for path in self.files:
            count = 0
            for key, members in self._members(path):
                count += 1
                try:
                    yield person_of(key, members)
                except SampleError as error:
                    self.damaged.append(plain(f"{path.name}: {error}"))
            self._check_count(path, count)

    def _members(self, path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
        from webdataset.tariterators import group_by_keys, tar_file_expander

        def note(error: Exception) -> bool:
            self.damaged.append(plain(f"{path.name} is damaged: {error.args[0]}"))
            return False  # What follows in this shard is lost.

        try:
            with path.open("rb") as stream:
                files = tar_file_expander([{"url": path.name, "stream": stream}], handler=note)
                for sample in group_by_keys(files, handler=note):
                    key = str(sample["__key__"])
                    yield key, {k: v for k, v in sample.items() if not k.startswith("__")}
        except OSError as error:
            self.damaged.append(plain(f"{path.name} cannot be read: {error.strerror or error}"))

    def _check_count(self, path: Path, count: int) -> None:
        """Note a shard that ends early, as one of which a copy was interrupted."""
        try:
            expected = json.loads(path.with_suffix(".json").read_text())["samples"]
        except (OSError, ValueError, KeyError, TypeError):
            return
        if count != expected:
            self.damaged.append(f"{path.name} has {count} of {expected} samples")


def read_shards(path: Path) -> ShardReader:
    """Return the samples of a folder of shards, or of one shard (.tar), for iteration.

        for person in read_shards(Path("shards")):
            person.crop, person.smplx.pose, person.confidence["left_hand"]

    The order is the same each time. Damaged samples and shards are left out, and counted in
    `damaged` of the result. Raises ShardsError where there are no shards, or webdataset is missing.
    """
    require_webdataset()
    files = shard_files(path)
    if not files:
        raise ShardsError(f"{path} is no folder with shards (.tar) of `pear annotate`, nor one")
    return ShardReader(files)


def shard_files(path: Path) -> list[Path]:
    """Return the shards of a folder, by name, or the one that `path` is; empty: neither."""
    return sorted(path.glob("*.tar")) if path.is_dir() else [path] * path.is_file()


def remove_drafts(folder: Path) -> None:
    """Remove unfinished files that a killed run left in `folder`."""
    for suffix in ("tar", "json"):
        for draft in folder.glob(f".*.{suffix}.*"):
            draft.unlink(missing_ok=True)


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file; None: there is no such file."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return _sha256(iter(lambda: file.read(1 << 20), b""))


def _sha256(blocks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()
