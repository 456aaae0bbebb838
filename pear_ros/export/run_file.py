# SPDX-License-Identifier: Apache-2.0
"""Reading of the npz file of `pear run`, for export."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pear_ros.body.array_files import Arrays, read_npz
from pear_ros.core.estimate_arrays import ARRAYS_SINCE_0_2, ESTIMATE_ARRAYS
from pear_ros.core.people import DepthSource, FlameParams
from pear_ros.export.tracks import Recording, ResultsError, Track, check_id
from pear_ros.io.run_arrays import ARRAYS


def read_run_file(path: Path) -> Recording:
    """Return all people in an npz file with the arrays of pear_ros.io.run_arrays.

    Their scale is 1, since `pear run` does not estimate the true size. Raises ResultsError where
    the file is missing or has other content.
    """
    if not path.exists():
        raise ResultsError(f"{path} does not exist")
    try:
        found = read_npz(path, ARRAYS, "an npz file of `pear run`", optional=ARRAYS_SINCE_0_2)
    except ValueError as error:
        raise ResultsError(str(error)) from error
    try:
        return _recording(path, found)
    except (ValueError, TypeError, IndexError) as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(f"{path} is damaged: {error}") from error


def _recording(path: Path, found: Arrays) -> Recording:
    tracks = []
    for name in dict.fromkeys(found["id"].tolist()):
        check_id(name)
        mine = found["id"] == name
        count = int(mine.sum())
        tracks.append(
            Track(
                id=name,
                model_id=str(found["model_id"]),
                body_model=str(found["body_model"]),
                frames=found["frame"][mine].astype(np.int64),
                states=found["state"][mine],
                pose=found["pose"][mine],
                betas=found["betas"][mine],
                expression=found["expression"][mine],
                transl=found["transl"][mine],
                scale=np.ones(count, np.float32),
                depth_source=np.full(count, DepthSource.ASSUMED, np.uint8),
                arrays={
                    name: found[name][mine]
                    if name in found
                    else np.full((count, *array_field.shape), np.nan, np.float32)
                    for name, array_field in ESTIMATE_ARRAYS.items()
                },
                camera=np.tile(found["camera"].astype(np.float64), (count, 1)),
                flame=_flame(found, mine) if found["flame_shape"].shape[1] else None,
            )
        )
    stamps = np.round(found["frame_stamp"] * 1e9).astype(np.int64)
    return Recording(path, stamps, "", tuple(tracks))


def _flame(found: Arrays, mine: npt.NDArray[np.bool_]) -> FlameParams:
    return FlameParams(
        **{part.name: found[f"flame_{part.name}"][mine] for part in fields(FlameParams)}
    )
