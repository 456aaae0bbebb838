# SPDX-License-Identifier: Apache-2.0
"""`pear export`: recorded results as arrays, as a table or as an animation."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pear_ros.core.quoting import printable

if TYPE_CHECKING:
    from pear_ros.export.pictures import Picture
    from pear_ros.export.tracks import Recording

_PACKAGES = {"rerun": "rerun-sdk"}
"""Packages by the module that they contain, where the names differ."""


def export(
    source: Path,
    file_format: str,
    folder: Path,
    *,
    ids: Sequence[str] = (),
    topic: str | None = None,
    mesh_detail: str = "full",
    images: Path | None = None,
    image_topic: str = "",
) -> int:
    """Write the results in `source` into `folder` and print the files; return the exit code.

    `source`: a bag, or the npz file of `pear run`; `file_format`: npz, csv, glb or rrd; `ids`:
    people to write, all where empty; `topic`: of people, needed only where a bag has several;
    `mesh_detail`: of glb and rrd, one of pear_ros.core.parameters.MESH_DETAILS; `images`: bag or
    video that the results are of, whose images rrd shows; `image_topic`: needed only where a bag
    has several.
    """
    from pear_ros.export.tracks import ResultsError

    try:
        recording = _read(source, topic).only(ids)
        for damage in (*recording.damage, *recording.left_out):
            print(printable(f"warning: {damage}"), file=sys.stderr)
        pictures = _pictures(images, image_topic) if images else ()
        files = _save(recording, file_format, folder, mesh_detail, pictures)
    except ModuleNotFoundError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        print(f"error: {error.name} is missing: pip install {package}", file=sys.stderr)
        return 1
    except (ResultsError, OSError) as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        return 1
    count, stamps = len(recording.tracks), len(recording.stamps_ns)
    print(
        f"{count} {'person' if count == 1 else 'people'} "
        f"in {stamps} {'image' if stamps == 1 else 'images'}."
    )
    if files:
        print(f"Results are in {', '.join(str(file.resolve()) for file in files)}")
    return 0


def _read(source: Path, topic: str | None) -> Recording:
    if source.suffix == ".npz":
        from pear_ros.export.run_file import read_run_file

        return read_run_file(source)
    from pear_ros.export.bag import read_bag

    return read_bag(source, topic)


def _save(
    recording: Recording,
    file_format: str,
    folder: Path,
    mesh_detail: str,
    pictures: Iterable[Picture],
) -> list[Path]:
    if file_format == "npz":
        from pear_ros.export.npz import save_npz as save
    elif file_format == "csv":
        from pear_ros.export.table import save_table as save
    elif file_format == "rrd":
        from pear_ros.export.rrd import save_rrd

        save = functools.partial(save_rrd, mesh_detail=mesh_detail, pictures=pictures)
    else:
        from pear_ros.export.glb import save_glb

        save = functools.partial(save_glb, mesh_detail=mesh_detail)
    folder.mkdir(parents=True, exist_ok=True)
    return save(recording, folder)


def _pictures(images: Path, topic: str) -> Iterable[Picture]:
    from pear_ros.bags.bag import Bag, find_bags
    from pear_ros.bags.storage import is_storage_file
    from pear_ros.bags.topic import BagError
    from pear_ros.export.pictures import pictures_of_bag, pictures_of_video
    from pear_ros.export.tracks import ResultsError
    from pear_ros.replay.topics import TopicSelection, select_topics

    if images.is_file() and not is_storage_file(images):
        return pictures_of_video(images)
    try:
        bag = Bag(find_bags(images)[0])
        return pictures_of_bag(bag, select_topics(bag, TopicSelection(topic)).image)
    except BagError as error:
        raise ResultsError(str(error)) from error
