# SPDX-License-Identifier: Apache-2.0
"""Bags made in chunks, each of which is written on its own, by whomever; then they are one bag."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pear_ros.bags.parts import Part, custom_data, metadata_of, sync, write_metadata
from pear_ros.bags.resumable import SNAPSHOT, SUMMARY
from pear_ros.bags.unfinished import UNFINISHED, BagLock, ResumeError

CHUNK_NUMBER = "chunk number"
"""In the fingerprint of a chunk, beside what that of the whole bag has."""
_CHUNK = "chunk_"


def chunk_folder(bag: Path, number: int) -> Path:
    """Where a chunk of `bag` is written."""
    return bag / UNFINISHED / f"{_CHUNK}{number}"


def check_kind(bag: Path, *, chunked: bool) -> None:
    """Raises ResumeError where `bag` was begun in chunks and shall not be, or the other way."""
    begun = {True: f"{_CHUNK}*", False: SNAPSHOT}[not chunked]
    if any((bag / UNFINISHED).glob(begun)):
        how = "without" if chunked else "with"
        raise ResumeError(
            f"{bag} was begun {how} --chunk. Give the same command again, another --output, or "
            "--overwrite to begin anew"
        )


def join(bag: Path, chunks: Sequence[Path], summary: str) -> None:
    """Make `bag` of its `chunks`, all of them complete, in their order; they are gone afterwards.

    Goes on where it was stopped. Chunks may be empty, but not all. `summary`: see ResumableBag.
    """
    lock = BagLock(bag)
    parts = [Part(found) for chunk in chunks if "files" in (found := metadata_of(chunk))]
    custom = {**(custom_data(chunks[0]) or {}), SUMMARY: summary}
    del custom[CHUNK_NUMBER]
    for chunk in chunks:
        for file in chunk.glob("*.mcap"):
            os.replace(file, bag / file.name)
    sync(bag)
    write_metadata(bag, parts, custom)
    shutil.rmtree(bag / UNFINISHED)
    lock.release()
