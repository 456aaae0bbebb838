# SPDX-License-Identifier: Apache-2.0
"""Bags written in chunks, each on its own and by any process, that are joined into one bag."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pear_ros.bags.parts import Part, custom_data, metadata_of, write_metadata
from pear_ros.bags.small_files import UnusualFileError, read_small, sync, write_whole
from pear_ros.bags.storage import is_storage_file
from pear_ros.bags.unfinished import (
    CHUNKED,
    SNAPSHOT,
    SUMMARY,
    UNFINISHED,
    BagLock,
    ResumeError,
    check_links,
    check_own,
    check_same,
    remove_unfinished,
    summary_of,
)

CHUNK_NUMBER = "chunk number"
"""Key that a chunk's fingerprint has in addition to those of the whole bag."""
_MAX_NOTE = 1 << 20
_BEGUN = (
    "{bag} was begun {how} --chunk. Give the same command again, another --output, or --overwrite "
    "to start again"
)


def chunk_folder(bag: Path, number: int) -> Path:
    """Return the folder in which a chunk of `bag` is written."""
    return bag / UNFINISHED / f"chunk_{number}"


def begin(bag: Path, fingerprint: Mapping[str, str], *, chunked: bool) -> None:
    """Prepare `bag` for writing or resuming, whole or in chunks.

    `fingerprint`: everything that its content depends on and that is known before the first chunk.
    Raises ResumeError where it was begun with other options, or the folder has other content.
    """
    check_links(bag)
    note = bag / UNFINISHED / CHUNKED
    if not chunked:
        if note.exists():
            raise ResumeError(_BEGUN.format(bag=bag, how="with"))
        return
    if (bag / UNFINISHED / SNAPSHOT).exists():
        raise ResumeError(_BEGUN.format(bag=bag, how="without"))
    if note.exists():
        check_same(bag, _noted(note), fingerprint)
    elif summary_of(bag) is None:
        check_own(bag)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_whole(note, json.dumps(fingerprint).encode())


def _noted(note: Path) -> dict[str, str]:
    try:
        found = json.loads(read_small(note, _MAX_NOTE))
        if isinstance(found, dict):
            return found
        reason = "it holds something else"
    except (OSError, UnusualFileError) as error:
        reason = str(error)
    except (ValueError, RecursionError):
        reason = "it is damaged"
    raise ResumeError(f"{note} cannot be used: {reason}; give --overwrite to start again")


def join(bag: Path, chunks: Sequence[Path], summary: str) -> None:
    """Join complete `chunks`, in their order, into `bag`, and remove them; can be resumed.

    Chunks may be empty, but not all of them. `summary`: text about the content, kept in the bag's
    metadata.yaml.
    """
    lock = BagLock(bag)
    try:
        _join(bag, chunks, summary)
    finally:
        lock.release()


def _join(bag: Path, chunks: Sequence[Path], summary: str) -> None:
    parts = [Part(found) for chunk in chunks if "files" in (found := metadata_of(chunk))]
    custom = {**custom_data(chunks[0]), SUMMARY: summary}
    del custom[CHUNK_NUMBER]
    for chunk in chunks:
        for file in filter(is_storage_file, chunk.iterdir()):
            os.replace(file, bag / file.name)
    sync(bag)
    write_metadata(bag, parts, custom)
    remove_unfinished(bag)
