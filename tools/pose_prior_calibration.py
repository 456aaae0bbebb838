# SPDX-License-Identifier: Apache-2.0
"""Where on the body the landmark models see their landmarks, on average over renders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.body import load_open_body
from pear_ros.core.people import SMPLX_JOINT_NAMES
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.landmarks.topology import Pose

Renders = dict[str, npt.NDArray[Any]]
"""Arrays of renders as tools.pose_prior_bank reads them, one row for each landmark model."""

# The body joint that each landmark moves with.
OWNERS = {
    "NOSE": "head",
    **{name.name: "head" for name in Pose if "EYE" in name.name or "EAR" in name.name},
    **{name.name: "head" for name in Pose if "MOUTH" in name.name},
    **{
        f"{side}_{landmark}": f"{side.lower()}_{joint}"
        for side in ("LEFT", "RIGHT")
        for landmark, joint in (
            *((name, name.lower()) for name in ("SHOULDER", "ELBOW", "WRIST")),
            *((name, name.lower()) for name in ("KNEE", "ANKLE")),
            *((name, "wrist") for name in ("PINKY", "INDEX", "THUMB")),
            # Hips move with the pelvis: their own rotation turns the thigh.
            *(("HIP", "hip"), ("HEEL", "ankle"), ("FOOT_INDEX", "foot")),
        )
    },
    "LEFT_HIP": "pelvis",
    "RIGHT_HIP": "pelvis",
}


@dataclass(frozen=True)
class Landmarks:
    """How landmarks are attached to the body."""

    joint: npt.NDArray[np.intp]
    """(33,) the joint that each landmark moves with."""
    offset: npt.NDArray[np.float64]
    """(33, 3) from the joint to the landmark, along its axes, metres."""
    error: npt.NDArray[np.float64]
    """(33,) standard deviation per axis, as a share of the region's side."""


def calibrate(raw: Renders) -> Landmarks:
    """Return how landmarks are attached to the body."""
    body = load_open_body()
    orientation = np.empty_like(raw["R"][:, :NUM_BODY_JOINTS])
    for joint, parent in enumerate(body.parents[:NUM_BODY_JOINTS]):
        above = orientation[:, parent] if parent >= 0 else np.eye(3)
        orientation[:, joint] = above @ raw["R"][:, joint]
    joints, offsets, errors = [], [], []
    for landmark in Pose:
        joint = SMPLX_JOINT_NAMES.index(OWNERS[landmark.name])
        offset, error = offset_of(raw, landmark, joint, orientation[:, joint])
        joints.append(joint)
        offsets.append(offset)
        errors.append(error)
    return Landmarks(np.array(joints), np.array(offsets), np.array(errors))


def offset_of(
    raw: Renders,
    landmark: Pose,
    joint: int,
    orientation: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the offset in a joint's axes that fits the landmarks, by robust least squares."""
    seen = raw["visibility"][:, landmark] > 0.7
    focal, centre = raw["cam"][seen, :1], raw["cam"][seen, 1:]
    target = (raw["image"][seen, landmark, :2] - centre) / focal
    pixels = raw["roi"][seen, 2:3] / focal
    offset: npt.NDArray[np.float64] = np.zeros(3)
    for _ in range(10):
        point = raw["joints"][seen, joint] + orientation[seen] @ offset
        depth = point[:, 2:]
        residual = (point[:, :2] / depth - target) / pixels
        projection = orientation[seen][:, :2] / depth[..., None]
        projection -= (point[:, :2] / depth**2)[..., None] * orientation[seen][:, 2:]
        jacobian = projection / pixels[..., None]
        size = np.linalg.norm(residual, axis=1)
        scale = np.median(size)
        weight = 1.0 / (1.0 + (size / (2 * scale)) ** 2) ** 2
        normal = np.einsum("n,nij,nik->jk", weight, jacobian, jacobian)
        gradient = np.einsum("n,nij,ni->j", weight, jacobian, residual)
        offset = offset - np.linalg.solve(normal + 1e-6 * np.eye(3), gradient)
    # The median of a Rayleigh distribution is 1.177 standard deviations per axis.
    return offset, float(scale) / 1.177
