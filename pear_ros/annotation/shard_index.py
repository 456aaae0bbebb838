# SPDX-License-Identifier: Apache-2.0
"""Samples of shards by number, read when they are asked for: training draws them at random."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path

from pear_ros.annotation.encoding import SampleError, person_of
from pear_ros.annotation.sample import AnnotatedPerson
from pear_ros.annotation.shards import ShardsError, shard_files
from pear_ros.core.quoting import plain


@dataclass(frozen=True)
class _Place:
    """Where the files of a sample are."""

    path: Path
    key: str
    files: dict[str, tuple[int, int]]
    """First byte and length of each file in the tar, by suffix."""


class ShardIndex:
    """The samples of a folder of shards, or of one shard (.tar); their number is the length.

    Only where samples are is kept in memory. The shards must stay as they are.
    """

    def __init__(self, path: Path) -> None:
        """Find all samples. Raises ShardsError where there are none."""
        self.damaged: list[str] = []
        """A sentence for each shard that cannot be read, or not to its end."""
        self._places = [place for file in shard_files(path) for place in self._find(file)]
        if not self._places:
            reason = f": {self.damaged[0]}" if self.damaged else ""
            raise ShardsError(f"{path} holds no samples of `pear annotate` (.tar){reason}")

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._places)

    def __getitem__(self, number: int) -> AnnotatedPerson:
        """Return a sample. Raises SampleError where it is damaged, OSError."""
        place = self._places[number]
        with place.path.open("rb") as file:
            members = {}
            for suffix, (begin, size) in place.files.items():
                file.seek(begin)
                members[suffix] = file.read(size)
        try:
            return person_of(place.key, members)
        except SampleError as error:
            raise SampleError(plain(f"{place.path.name}: {error}")) from error

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of the names, places and sizes of all samples."""
        listed = [(p.path.name, p.key, sorted(p.files.items())) for p in self._places]
        return hashlib.sha256(repr(listed).encode()).hexdigest()

    def _find(self, path: Path) -> list[_Place]:
        """Return the samples of one shard, up to the first damage."""
        found: dict[str, _Place] = {}
        try:
            with tarfile.open(path, "r:") as tar:
                for member in tar:
                    key, _, suffix = member.name.partition(".")
                    place = found.setdefault(key, _Place(path, key, {}))
                    place.files[suffix] = member.offset_data, member.size
        except (OSError, tarfile.TarError) as error:
            self.damaged.append(plain(f"{path.name} is damaged: {error}"))
        return [*found.values()]
