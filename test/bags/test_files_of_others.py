# SPDX-License-Identifier: Apache-2.0
"""Writing bags changes no file of others: links are not followed, and only own files removed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pear_ros.bags.chunks import begin, chunk_folder
from pear_ros.bags.parts import NewTopic, write_metadata
from pear_ros.bags.resumable import ResumableBag
from pear_ros.bags.small_files import write_whole
from pear_ros.bags.unfinished import (
    CHUNKED,
    MARK,
    PART,
    SNAPSHOT,
    SUMMARY,
    UNFINISHED,
    ResumeError,
    clear,
)
from pear_ros.core.configuration import STORAGES
from testing.image_bags import START, TYPES, header, write_bag

TOPICS = [NewTopic("/stamps", "std_msgs/msg/Header", TYPES)]


@pytest.fixture
def treasure(tmp_path: Path) -> Path:
    path = tmp_path / "treasure"
    path.mkdir()
    (path / "thesis.tex").write_text("precious")
    return path


def written(folder: Path, parts: int = 2, complete: bool = True, storage: str = "mcap") -> Path:
    bag = ResumableBag(folder, "humans", {}, storage)
    bag.resume()
    for k in range(2 * parts):
        data = bytes(TYPES.serialize_cdr(header(k), "std_msgs/msg/Header"))
        bag.write(("/stamps", START + k, data), TOPICS)
        if k % 2 and (complete or k < 2 * parts - 1):
            bag.end_part(k)
    if complete:
        bag.complete("numbers")
    else:
        bag.abandon()
    return folder


def everything(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


LINKS = [
    UNFINISHED,
    f"{UNFINISHED}/lock",
    f"{UNFINISHED}/{MARK}",
    f"{UNFINISHED}/{SNAPSHOT}",
    f"{UNFINISHED}/{PART}",
    f"{UNFINISHED}/{CHUNKED}",
    "metadata.yaml",
    "humans_0.mcap",
]


@pytest.mark.parametrize("place", LINKS)
def test_link_in_the_output_folder_is_not_followed(
    tmp_path: Path, treasure: Path, place: str
) -> None:
    """Neither by a new replay, nor by --overwrite, nor by one in chunks."""
    out = tmp_path / "out"
    link = out / place
    link.parent.mkdir(parents=True)
    target = treasure if place in (UNFINISHED, f"{UNFINISHED}/{PART}") else treasure / "thesis.tex"
    link.symlink_to(target)
    (out / UNFINISHED).exists() or (out / UNFINISHED).mkdir()
    for attempt in (
        lambda: written(out),
        lambda: clear(out),
        lambda: begin(out, {"to": "5"}, chunked=True),
    ):
        try:
            attempt()
        except ResumeError as error:
            assert str(out) in str(error)
        assert (treasure / "thesis.tex").read_text() == "precious"
        assert [path.name for path in treasure.iterdir()] == ["thesis.tex"]


def test_link_in_place_of_a_chunk_is_not_followed(tmp_path: Path, treasure: Path) -> None:
    out = tmp_path / "out"
    begin(out, {"to": "5"}, chunked=True)
    chunk_folder(out, 0).symlink_to(treasure)
    with pytest.raises(ResumeError, match="is a link"):
        written(chunk_folder(out, 0))
    with pytest.raises(ResumeError, match="chunk_0"):
        clear(out)
    assert [path.name for path in treasure.iterdir()] == ["thesis.tex"]


def test_draft_that_is_a_link_is_replaced(tmp_path: Path, treasure: Path) -> None:
    (tmp_path / ".note.draft").symlink_to(treasure / "thesis.tex")
    write_whole(tmp_path / "note", b"new")
    assert (tmp_path / "note").read_bytes() == b"new"
    assert (treasure / "thesis.tex").read_text() == "precious"


def test_pipe_in_place_of_the_lock_does_not_wait(tmp_path: Path) -> None:
    (tmp_path / UNFINISHED).mkdir()
    os.mkfifo(tmp_path / UNFINISHED / "lock")
    with pytest.raises(ResumeError, match="lock"):
        written(tmp_path)


def test_full_disk_names_the_file(tmp_path: Path) -> None:
    try:
        (tmp_path / ".note.draft").symlink_to("/dev/full")
        with pytest.raises(OSError, match="note"):
            write_whole(tmp_path / "no folder" / "note", b"new")
    finally:
        (tmp_path / ".note.draft").unlink()


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("complete", [True, False])
def test_overwrite_removes_what_was_written(tmp_path: Path, storage: str, complete: bool) -> None:
    bag = written(tmp_path / "bag", complete=complete, storage=storage)
    assert everything(bag)
    clear(bag)
    assert not bag.exists()


def test_overwrite_removes_unfinished_chunks(tmp_path: Path) -> None:
    out = tmp_path / "out"
    begin(out, {"to": "5"}, chunked=True)
    written(chunk_folder(out, 0))
    written(chunk_folder(out, 1), complete=False)
    clear(out)
    assert not out.exists()


def forged(folder: Path, name: str) -> Path:
    folder.mkdir()
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("precious")
    return folder


@pytest.mark.parametrize(
    "name",
    ["thesis.tex", "humans_0.mcap", "humans_0.db3", "photos/one.jpg", f"{UNFINISHED}/thesis.tex"],
)
@pytest.mark.parametrize("summary", [True, False])
def test_overwrite_leaves_a_folder_with_anything_else(
    tmp_path: Path, name: str, summary: bool
) -> None:
    out = forged(tmp_path / "out", name)
    (out / UNFINISHED).mkdir(exist_ok=True)
    if summary:
        write_metadata(out, [], {SUMMARY: "forged"})
    before = everything(out)
    with pytest.raises(ResumeError, match="cannot prove to have written"):
        clear(out)
    assert everything(out) == before


def test_results_beside_other_files_are_left(tmp_path: Path) -> None:
    bag = written(tmp_path / "bag")
    (bag / "notes.txt").write_text("precious")
    before = everything(bag)
    with pytest.raises(ResumeError, match=r"notes\.txt"):
        clear(bag)
    assert everything(bag) == before


def test_recording_of_another_program_is_not_taken_for_results(tmp_path: Path) -> None:
    """Named as results are, in a folder that looks begun."""
    from testing.image_bags import write_mcap

    out = tmp_path / "out"
    (out / UNFINISHED).mkdir(parents=True)
    write_mcap(out / "humans_0.mcap", [("/stamps", 0, header(0))])
    before = everything(out)
    for attempt in (lambda: clear(out), lambda: written(out)):
        with pytest.raises(ResumeError, match=r"humans_0\.mcap"):
            attempt()
        assert everything(out) == before


def test_completing_leaves_what_others_put_into_the_folder(tmp_path: Path) -> None:
    bag = ResumableBag(tmp_path, "humans", {})
    bag.resume()
    precious = tmp_path / UNFINISHED / "thesis.tex"
    precious.write_text("precious")
    with pytest.raises(ResumeError, match=r"thesis\.tex"):
        bag.complete("numbers")
    assert precious.read_text() == "precious"


def test_forged_snapshot_is_refused(tmp_path: Path) -> None:
    (tmp_path / UNFINISHED).mkdir()
    (tmp_path / UNFINISHED / SNAPSHOT).symlink_to("/dev/zero")
    with pytest.raises(ResumeError, match="snapshot"):
        written(tmp_path)


def test_recorded_bag_is_left(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "humans", [("/stamps", 0, header(0))])
    before = everything(bag)
    clear(bag)
    assert everything(bag) == before
