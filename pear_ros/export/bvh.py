# SPDX-License-Identifier: Apache-2.0
"""Motion as BVH files, one skeleton each: y up, centimetres, degrees.

The skeleton stands in the T-pose, facing +z. Each joint has three channels, Zrotation Xrotation
Yrotation, which are multiplied in this order; the root has its position before them.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES, SMPLX_PARENTS
from pear_ros.export import y_up
from pear_ros.export.motions import Motions
from pear_ros.io.output_files import replaced_text
from pear_ros.motion.motion import Motion

Doubles = npt.NDArray[np.float64]

_CENTIMETRES = 100.0
_END = 0.25
"""Length of a last bone, over that of the bone before it."""
_ROTATION_CHANNELS = "Zrotation Xrotation Yrotation"


def save_bvh(motions: Motions, folder: Path) -> list[Path]:
    """Write ID.bvh for each person into `folder`; return the files."""
    files = []
    for one in motions.people:
        path = folder / f"{one.motion.id}.bvh"
        with replaced_text(path, "ascii", "\n") as text:
            order = _write_hierarchy(text, one.motion)
            _write_motion(text, one.motion, order)
        files.append(path)
    return files


def _write_hierarchy(text: TextIO, motion: Motion) -> list[int]:
    """Write the joints, depth first; return their order, which is that of the channels."""
    bones = motion.skeleton.bones * _CENTIMETRES
    order: list[int] = []

    def write(joint: int, depth: int) -> None:
        order.append(joint)
        indent = "\t" * depth
        head = "JOINT" if joint else "ROOT"
        position = "" if joint else "Xposition Yposition Zposition "
        text.write(f"{indent}{head} {SMPLX_JOINT_NAMES[joint]}\n{indent}{{\n")
        text.write(f"{indent}\tOFFSET {_numbers(bones[joint])}\n")
        count = 3 if joint else 6
        text.write(f"{indent}\tCHANNELS {count} {position}{_ROTATION_CHANNELS}\n")
        children = np.flatnonzero(np.equal(SMPLX_PARENTS, joint))
        for child in children:
            write(int(child), depth + 1)
        if not len(children):
            text.write(f"{indent}\tEnd Site\n{indent}\t{{\n")
            text.write(f"{indent}\t\tOFFSET {_numbers(_END * bones[joint])}\n{indent}\t}}\n")
        text.write(f"{indent}}}\n")

    text.write("HIERARCHY\n")
    write(0, 0)
    return order


def _write_motion(text: TextIO, motion: Motion, order: list[int]) -> None:
    rotations = motion.rotations.copy()
    rotations[:, 0] = y_up.orientations(rotations[:, 0])
    with warnings.catch_warnings():
        # Where two axes are parallel, one of the many equal triples of angles serves.
        warnings.filterwarnings("ignore", "Gimbal lock")
        angles = Rotation.from_quat(rotations.reshape(-1, 4)).as_euler("ZXY", degrees=True)
    by_joint = angles.reshape(-1, NUM_JOINTS, 3)[:, order]
    place = y_up.points(motion.pelvis) * _CENTIMETRES
    text.write(f"MOTION\nFrames: {len(place)}\nFrame Time: {1.0 / motion.rate:.9f}\n")
    for position, rotation in zip(place, by_joint, strict=True):
        text.write(f"{_numbers(position)} {_numbers(rotation.ravel())}\n")


def _numbers(values: Doubles) -> str:
    return " ".join(f"{value:.6f}" for value in values)
