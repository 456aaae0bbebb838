# SPDX-License-Identifier: Apache-2.0
"""`pear export`: recorded results as arrays, as a table, as an animation or as motion."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pear_ros.core.quoting import printable

if TYPE_CHECKING:
    from pear_ros.export.motions import Motions
    from pear_ros.export.pictures import Picture
    from pear_ros.export.tracks import Recording

_DISTRIBUTIONS = {"pxr": "usd-core", "rerun": "rerun-sdk"}
"""Names of packages for pip, of modules that are called otherwise."""


@dataclass(frozen=True)
class ExportOptions:
    """What the options of `pear export` say about the files; each format uses some of them."""

    mesh_detail: str = "full"
    """Of glb, rrd and usd, one of pear_ros.core.parameters.MESH_DETAILS."""
    rate: int | None = None
    """Frames a second of motion; None: 30 or 60, by the recording."""
    max_gap: float = 0.5
    """Longest gap in motion that is filled, seconds."""
    frame: str | None = None
    """Fixed frame with z up on /tf, for motion; None: found, or fitted to the people."""
    images: Path | None = None
    """Bag or video that the results are of, whose images rrd shows; None: no images."""
    image_topic: str = ""
    """Topic of these images, needed only where the bag has several."""


def export(
    source: Path,
    file_format: str,
    folder: Path,
    *,
    ids: Sequence[str] = (),
    topic: str | None = None,
    options: ExportOptions | None = None,
) -> int:
    """Write the results in `source` into `folder` and print the files; return the exit code.

    `source`: a bag, or the npz file of `pear run`; `file_format`: one of FORMATS; `ids`: people to
    write, all where empty; `topic`: of people, needed only where a bag has several.
    """
    from pear_ros.export.tracks import ResultsError

    try:
        recording = _read(source, topic).only(ids)
        for damage in (*recording.damage, *recording.left_out):
            print(printable(f"warning: {damage}"), file=sys.stderr)
        files = FORMATS[file_format](recording, folder, options or ExportOptions())
    except ModuleNotFoundError as error:
        name = _DISTRIBUTIONS.get(str(error.name), error.name)
        print(f"error: {name} is missing: pip install {name}", file=sys.stderr)
        return 1
    except (ResultsError, OSError) as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        return 1
    count, images = len(recording.tracks), len(recording.stamps_ns)
    print(
        f"{count} {'person' if count == 1 else 'people'} "
        f"in {images} {'image' if images == 1 else 'images'}."
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


def _save_npz(recording: Recording, folder: Path, options: ExportOptions) -> list[Path]:
    from pear_ros.export.npz import save_npz

    return save_npz(recording, _made(folder))


def _save_csv(recording: Recording, folder: Path, options: ExportOptions) -> list[Path]:
    from pear_ros.export.table import save_table

    return save_table(recording, _made(folder))


def _save_glb(recording: Recording, folder: Path, options: ExportOptions) -> list[Path]:
    from pear_ros.export.glb import save_glb

    return save_glb(recording, _made(folder), mesh_detail=options.mesh_detail)


def _save_rrd(recording: Recording, folder: Path, options: ExportOptions) -> list[Path]:
    from pear_ros.export.rrd import save_rrd

    pictures = _pictures(options.images, options.image_topic) if options.images else ()
    detail = options.mesh_detail
    return save_rrd(recording, _made(folder), mesh_detail=detail, pictures=pictures)


def _save_amass(recording: Recording, folder: Path, options: ExportOptions) -> list[Path]:
    from pear_ros.export.amass import save_amass

    return save_amass(_motions(recording, options), _made(folder))


def _save_gmr(recording: Recording, folder: Path, options: ExportOptions) -> list[Path]:
    from pear_ros.export.amass import save_gmr

    return save_gmr(_motions(recording, options), _made(folder))


def _save_bvh(recording: Recording, folder: Path, options: ExportOptions) -> list[Path]:
    from pear_ros.export.bvh import save_bvh

    return save_bvh(_motions(recording, options), _made(folder))


def _save_trc(recording: Recording, folder: Path, options: ExportOptions) -> list[Path]:
    from pear_ros.export.trc import save_trc

    return save_trc(_motions(recording, options), _made(folder))


def _save_usd(recording: Recording, folder: Path, options: ExportOptions) -> list[Path]:
    from pear_ros.export.usd import save_usd

    return save_usd(
        _motions(recording, options), recording, _made(folder), mesh_detail=options.mesh_detail
    )


FORMATS: Mapping[str, Callable[[Recording, Path, ExportOptions], list[Path]]] = {
    "npz": _save_npz,
    "csv": _save_csv,
    "glb": _save_glb,
    "rrd": _save_rrd,
    "amass": _save_amass,
    "gmr": _save_gmr,
    "bvh": _save_bvh,
    "trc": _save_trc,
    "usd": _save_usd,
}
"""What writes each format: from a recording, into a folder that need not exist; it returns the
files. Libraries are imported when they are needed."""


def _motions(recording: Recording, options: ExportOptions) -> Motions:
    """The motion of all people; what there is to know about it is printed."""
    from pear_ros.export.camera_poses import read_world
    from pear_ros.export.motions import motions_of_recording

    world = read_world(recording, options.frame)
    motions = motions_of_recording(recording, world, rate=options.rate, max_gap=options.max_gap)
    for note in motions.notes:
        print(printable(f"note: {note}"), file=sys.stderr)
    return motions


def _pictures(images: Path, topic: str) -> Iterable[Picture]:
    from pear_ros.bags.bag import Bag
    from pear_ros.bags.storage import is_storage_file
    from pear_ros.bags.topic import BagError
    from pear_ros.export.bag import only_bag
    from pear_ros.export.pictures import pictures_of_bag, pictures_of_video
    from pear_ros.export.tracks import ResultsError
    from pear_ros.replay.topics import TopicSelection, select_topics

    if images.is_file() and not is_storage_file(images):
        return pictures_of_video(images)
    try:
        bag = Bag(only_bag(images))
        return pictures_of_bag(bag, select_topics(bag, TopicSelection(topic)).image)
    except BagError as error:
        raise ResultsError(str(error)) from error


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
