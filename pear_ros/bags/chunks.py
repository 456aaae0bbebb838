# SPDX-License-Identifier: Apache-2.0
"""Bags made in chunks, each of which is written on its own, by whomever; then they are one bag."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pear_ros.bags.parts import Part, custom_data, metadata_of, sync, write_metadata, write_whole
from pear_ros.bags.resumable import SNAPSHOT
from pear_ros.bags.storage import is_storage_file
from pear_ros.bags.unfinished import (
    SUMMARY,
    UNFINISHED,
    BagLock,
    ResumeError,
    check_own,
    check_same,
    summary_of,
)

CHUNK_NUMBER = "chunk number"
"""In the fingerprint of a chunk, beside what that of the whole bag has."""
_BEGUN = (
    "{bag} was begun {how} --chunk. Give the same command again, another --output, or --overwrite "
    "to begin anew"
)


def chunk_folder(bag: Path, number: int) -> Path:
    """Where a chunk of `bag` is written."""
    return bag / UNFINISHED / f"chunk_{number}"


def begin(bag: Path, fingerprint: Mapping[str, str], *, chunked: bool) -> None:
    """Make ready for writing `bag`, whole or in chunks, or for going on with it.

    `fingerprint`: what its content depends on, as far as it is known before a chunk is begun.
    Raises ResumeError where it was begun in another way, or is something else.
    """
    note = bag / UNFINISHED / "chunked"
    if not chunked:
        if note.exists():
            raise ResumeError(_BEGUN.format(bag=bag, how="with"))
        return
    if (bag / UNFINISHED / SNAPSHOT).exists():
        raise ResumeError(_BEGUN.format(bag=bag, how="without"))
    if note.exists():
        check_same(bag, json.loads(note.read_text()), fingerprint)
    elif summary_of(bag) is None:
        check_own(bag)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_whole(note, json.dumps(fingerprint).encode())


def join(bag: Path, chunks: Sequence[Path], summary: str) -> None:
    """Make `bag` of its `chunks`, all of them complete, in their order; they are gone afterwards.

    Goes on where it was stopped. Chunks may be empty, but not all. `summary`: see ResumableBag.
    """
    lock = BagLock(bag)
    parts = [Part(found) for chunk in chunks if "files" in (found := metadata_of(chunk))]
    custom = {**custom_data(chunks[0]), SUMMARY: summary}
    del custom[CHUNK_NUMBER]
    for chunk in chunks:
        for file in filter(is_storage_file, chunk.iterdir()):
            os.replace(file, bag / file.name)
    sync(bag)
    write_metadata(bag, parts, custom)
    shutil.rmtree(bag / UNFINISHED)
    lock.release()
