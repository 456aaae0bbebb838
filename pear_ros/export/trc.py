# SPDX-License-Identifier: Apache-2.0
"""Joints as TRC files for OpenSim and others: markers in metres, y up, at a constant rate."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import numpy as np

from pear_ros.core.people import SMPLX_JOINT_NAMES
from pear_ros.export import y_up
from pear_ros.export.motions import Motions
from pear_ros.io.output_files import replaced_text
from pear_ros.motion.motion import Motion

_HEAD = (
    "DataRate",
    *("CameraRate", "NumFrames", "NumMarkers", "Units"),
    *("OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"),
)


def save_trc(motions: Motions, folder: Path) -> list[Path]:
    """Write ID.trc for each person into `folder`; return the files.

    Markers are SMPL-X's 55 joints, which are inside the body.
    """
    files = []
    for one in motions.people:
        path = folder / f"{one.motion.id}.trc"
        with replaced_text(path, "ascii", "\n") as text:
            _write(text, path.name, one.motion)
        files.append(path)
    return files


def _write(text: TextIO, name: str, motion: Motion) -> None:
    markers = y_up.points(motion.joints())
    count = len(SMPLX_JOINT_NAMES)
    values = (motion.rate, motion.rate, len(markers), count, "m", motion.rate, 1, len(markers))
    axes = [f"{axis}{n}" for n in range(1, count + 1) for axis in "XYZ"]
    heads = [
        ["PathFileType", "4", "(X/Y/Z)", name],
        _HEAD,
        [str(value) for value in values],
        ["Frame#", "Time", *(f"{one}\t\t" for one in SMPLX_JOINT_NAMES)],
        ["", "", *axes],
        [],
    ]
    for head in heads:
        text.write("\t".join(head) + "\n")
    for frame, row in enumerate(markers.reshape(len(markers), -1)):
        numbers = "\t".join(f"{value:.6f}" for value in np.asarray(row).tolist())
        text.write(f"{frame + 1}\t{frame / motion.rate:.6f}\t{numbers}\n")
