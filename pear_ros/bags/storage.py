# SPDX-License-Identifier: Apache-2.0
"""One storage file of a bag: MCAP or sqlite3, compressed or not, complete or damaged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from pear_ros.bags.compression import DAMAGED_COMPRESSION, TooLargeError, unzstd_file
from pear_ros.bags.mcap_file import McapFile
from pear_ros.bags.recorded import RecordedTopics
from pear_ros.bags.sqlite_file import SqliteFile
from pear_ros.bags.topic import DamagedError, Message

SUFFIXES = (".mcap", ".db3")
COMPRESSED = ".zstd"


class StorageFile(Protocol):
    """A storage file, which is opened for each reading."""

    recorded: RecordedTopics
    """Its topics, counts and times, and what was left out so far."""
    damage: str
    """Damage that was found on opening; empty: none."""
    encodings: set[str]
    """Encodings of messages that are not ROS 2's, and not read."""

    def messages(
        self, selected: Collection[tuple[str, str]] | None, start: int = 0, end: int | None = None
    ) -> Iterator[Message]:
        """Yield the messages of these topics recorded from `start` to `end`, in ns.

        `selected`: names and types of the topics; None: all. In the order of recording times where
        the file has an index, else in that of the file. Raises DamagedError after the last
        readable message of a damaged file.
        """
        ...


def is_storage_file(path: Path) -> bool:
    """Return whether a path is a file with the name of a storage file."""
    name = path.name.removesuffix(COMPRESSED)
    return path.is_file() and name.endswith(SUFFIXES) and not name.startswith(".")


def plain_name(path: Path) -> str:
    """Return a storage file's name without the suffixes of format and compression."""
    return Path(path.name.removesuffix(COMPRESSED)).stem


@contextmanager
def open_storage(path: Path) -> Iterator[StorageFile]:
    """Open a storage file for reading; a compressed one is decompressed to a temporary folder."""
    if path.suffix != COMPRESSED:
        yield _open(path, path)
        return
    with TemporaryDirectory(prefix="pear_bag_") as folder:
        plain, cut = Path(folder) / path.stem, ""
        with plain.open("wb") as target:
            try:
                unzstd_file(path, target)
            except (TooLargeError, *DAMAGED_COMPRESSION) as error:
                cut = f"{path} is cut off or damaged: {_reason(error)}"
            except OSError as error:
                cut = (
                    f"{path} cannot be decompressed into {folder}: {error.strerror}; set TMPDIR to "
                    "a folder with more space"
                )
        file = _open(plain, path)
        file.damage = cut or file.damage
        yield file


def until_damage(messages: Iterable[Message], damage: list[str]) -> Iterator[Message]:
    """Yield the messages; append the text of a DamagedError to `damage` instead of raising it."""
    try:
        yield from messages
    except DamagedError as error:
        damage.append(str(error))


def _open(plain: Path, path: Path) -> StorageFile:
    return McapFile(plain, path) if plain.suffix == ".mcap" else SqliteFile(plain, path)


def _reason(error: BaseException) -> str:
    text = str(error).strip().rstrip(".")
    return text or type(error).__name__
