# SPDX-License-Identifier: Apache-2.0
"""Files of results: complete or absent, and never written through a link."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pear_ros.evaluation.report import Report
from pear_ros.io.output_files import replaced, write_picture, write_text
from pear_ros.io.video import FrameSource, VideoWriter

PICTURE = np.full((32, 48, 3), 90, np.uint8)


def write_video(path: Path) -> None:
    with VideoWriter(path) as writer:
        for frame in range(3):
            writer.write(frame / 10.0, PICTURE)


WRITERS = {
    "video.mp4": write_video,
    "picture.png": lambda path: write_picture(path, PICTURE),
    "text.txt": lambda path: write_text(path, "é\n"),
}


@pytest.mark.parametrize(("name", "write"), WRITERS.items(), ids=WRITERS)
def test_link_is_replaced_and_its_target_kept(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    target, path = tmp_path / "target", tmp_path / name
    target.write_text("of others")
    path.symlink_to(target)
    write(path)
    assert target.read_text() == "of others" and not path.is_symlink()
    assert path.stat().st_size and sorted(tmp_path.iterdir()) == sorted((target, path))
    if name == "video.mp4":
        assert len(list(FrameSource(str(path)))) == 3


def test_reports_are_not_written_through_links(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("of others")
    for name in ("report.md", "report.json"):
        (tmp_path / name).symlink_to(target)
    for path in Report("Title", (), {}).save(tmp_path):
        assert path.stat().st_size and not path.is_symlink()
    assert target.read_text() == "of others"


def test_video_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_text("earlier")
    with pytest.raises(RuntimeError, match="no more"), VideoWriter(path) as writer:
        writer.write(0.0, PICTURE)
        raise RuntimeError("no more")
    assert path.read_text() == "earlier" and list(tmp_path.iterdir()) == [path]


def test_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: VideoWriter, kind: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for path in (tmp_path / "video.mp4", tmp_path / "text.txt"):
        with pytest.raises(OSError, match="No space left") as error:
            if path.suffix == ".mp4":
                writer = VideoWriter(path)
                writer.write(0.0, PICTURE)
                monkeypatch.setattr(writer, "_stream", type("Full", (), {"encode": full})())
                writer.close()
            else:
                with replaced(path):
                    raise OSError(errno.ENOSPC, "No space left on device")
        assert error.value.filename == str(path)
    assert not list(tmp_path.iterdir())


def test_error_of_a_source_keeps_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error, VideoWriter(tmp_path / "video.mp4") as writer:
        writer.write(0.0, PICTURE)
        (tmp_path / "absent").read_bytes()
    assert error.value.filename == str(tmp_path / "absent")
    assert not list(tmp_path.iterdir())


def test_picture_has_the_format_of_its_name(tmp_path: Path) -> None:
    write_picture(tmp_path / "picture.png", PICTURE)
    assert (cv2.imread(str(tmp_path / "picture.png")) == PICTURE).all()


def test_file_that_cannot_be_opened_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise ValueError("no such format")

    monkeypatch.setattr("av.open", unknown)
    with pytest.raises(ValueError, match="no such format"):
        VideoWriter(tmp_path / "video.mp4")
    assert not list(tmp_path.iterdir())
