# SPDX-License-Identifier: Apache-2.0
"""`pear export`: recorded results as arrays, as a table or as an animation."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pear_ros.core.quoting import printable

if TYPE_CHECKING:
    from pear_ros.export.tracks import Recording


def export(
    source: Path,
    file_format: str,
    folder: Path,
    *,
    ids: Sequence[str] = (),
    topic: str | None = None,
    mesh_detail: str = "full",
) -> int:
    """Write the results in `source` into `folder` and print the files; return the exit code.

    `source`: a bag, or the npz file of `pear run`; `file_format`: npz, csv or glb; `ids`: people to
    write, all where empty; `topic`: of people, needed only where a bag has several; `mesh_detail`:
    of glb, one of pear_ros.core.parameters.MESH_DETAILS.
    """
    from pear_ros.export.tracks import ResultsError

    try:
        recording = _read(source, topic).only(ids)
        for damage in (*recording.damage, *recording.left_out):
            print(printable(f"warning: {damage}"), file=sys.stderr)
        files = _save(recording, file_format, folder, mesh_detail)
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is missing: pip install {error.name}", file=sys.stderr)
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


def _save(recording: Recording, file_format: str, folder: Path, mesh_detail: str) -> list[Path]:
    if file_format == "npz":
        from pear_ros.export.npz import save_npz as save
    elif file_format == "csv":
        from pear_ros.export.table import save_table as save
    else:
        from pear_ros.export.glb import save_glb

        save = functools.partial(save_glb, mesh_detail=mesh_detail)
    folder.mkdir(parents=True, exist_ok=True)
    return save(recording, folder)
