# SPDX-License-Identifier: Apache-2.0
"""Export of joints as a CSV table, for pandas and for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pear_ros.core.people import SMPLX_JOINT_NAMES, TrackingState
from pear_ros.export.tracks import Recording, Track
from pear_ros.io.output_files import replaced_text

_HEAD = [
    *("stamp", "id", "state"),
    *(f"{name}_{part}" for name in SMPLX_JOINT_NAMES for part in ("x", "y", "z", "confidence")),
]


def save_table(recording: Recording, folder: Path) -> list[Path]:
    """Write joints.csv into `folder`; return the file.

    It has one row for each person present in each image, ordered by time: stamp in seconds, to the
    nanosecond; id; new, tracked, predicted or detected; and for each joint x, y and z in metres in
    the camera's optical frame, and the confidence from 0 to 1. Unknown values are empty.
    """
    path = folder / "joints.csv"
    with replaced_text(path, "utf-8", "") as text:
        writer = csv.writer(text)
        writer.writerow(_HEAD)
        writer.writerows(_rows(recording))
    return [path]


def _rows(recording: Recording) -> Iterator[list[str]]:
    sightings = [
        (int(frame), track, row)
        for track in recording.tracks
        for row, frame in enumerate(track.frames)
    ]
    for frame, track, row in sorted(sightings, key=lambda sighting: sighting[0]):
        seconds, nanoseconds = divmod(int(recording.stamps_ns[frame]), 1_000_000_000)
        state = TrackingState(int(track.states[row])).name.lower()
        yield [f"{seconds}.{nanoseconds:09d}", track.id, state, *_cells(track, row)]


def _cells(track: Track, row: int) -> list[str]:
    values = np.column_stack([track.arrays["joints"][row], track.arrays["joint_confidence"][row]])
    return ["" if value != value else f"{value:.5f}" for value in values.ravel().tolist()]
