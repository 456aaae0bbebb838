# SPDX-License-Identifier: Apache-2.0
"""`pear export`: recorded results as arrays, as a table or as an animation."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pear_ros.core.choice import MESH_DETAILS
from pear_ros.export.arrays import AMASS_ARRAYS, FLAME_ARRAYS, OWN_ARRAYS

if TYPE_CHECKING:
    from pear_ros.export.tracks import Recording

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_DESCRIPTION = """\
Reads a bag with results (topics humans and body_model), or the NPZ of `pear run`,
and writes
  npz  ID.npz for each person, named as in AMASS's SMPL-X files
  csv  joints.csv, one row for each person in each image, metres; empty: not known
  glb  people.glb, an animation of the open body, for Blender and others
"""
_EPILOG = """\
All is in the camera's optical frame (x right, y down, z forward), but for glb, where
y is up as glTF wants it and the camera looks along -z.

arrays of the NPZ, T images in which the person was present:
"""


def add_export(commands: Commands) -> None:
    """Add `pear export` and its arguments."""
    arrays = {**AMASS_ARRAYS, **OWN_ARRAYS, **FLAME_ARRAYS}
    parser = commands.add_parser(
        "export",
        help="write recorded results as arrays, as a table or as an animation",
        description=_DESCRIPTION,
        epilog=_EPILOG + "\n".join(f"  {name:22}{meaning}" for name, meaning in arrays.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source", type=Path, metavar="IN", help="bag (folder, .mcap or .db3) or NPZ of `pear run`"
    )
    parser.add_argument("--format", choices=("npz", "csv", "glb"), required=True)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("pear_export"),
        metavar="FOLDER",
        help="where results go, made when missing (default: %(default)s)",
    )
    parser.add_argument(
        "--person", nargs="+", default=[], metavar="ID", help="these alone (default: everybody)"
    )
    parser.add_argument(
        "--topic", help="of type pear_msgs/HumanArray, where the bag has several of them"
    )
    parser.add_argument(
        "--mesh-detail",
        choices=MESH_DETAILS,
        default="full",
        help="triangles of the mesh in glb: all, about 7,000 or about 2,000 (default: %(default)s)",
    )
    parser.set_defaults(
        call=lambda o: export(
            *(o.source, o.format, o.output),
            ids=o.person,
            topic=o.topic,
            mesh_detail=o.mesh_detail,
        )
    )


def export(
    source: Path,
    file_format: str,
    folder: Path,
    *,
    ids: Sequence[str] = (),
    topic: str | None = None,
    mesh_detail: str = "full",
) -> int:
    """Write the results in `source` into `folder` and say where; returns the exit code.

    `source`: a bag, or the npz file of `pear run`; `file_format`: npz, csv or glb; `ids`: of those
    wanted, all where empty; `topic`: see pear_ros.export.bag.read_bag;
    `mesh_detail`: of glb, one of pear_ros.core.choice.MESH_DETAILS.
    """
    from pear_ros.export.tracks import ResultsError

    try:
        recording = _read(source, topic).only(ids)
        for damage in recording.damage:
            print(f"warning: {damage}", file=sys.stderr)
        files = _save(recording, file_format, folder, mesh_detail)
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is missing: pip install {error.name}", file=sys.stderr)
        return 1
    except (ResultsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
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
