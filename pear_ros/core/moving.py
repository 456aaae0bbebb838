# SPDX-License-Identifier: Apache-2.0
"""People in another frame."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pear_ros.core.people import Person
from pear_ros.core.rigid_transform import RigidTransform


def moved(person: Person, transform: RigidTransform) -> Person:
    """Return `person` with joints and SMPL-X parameters in the target frame of `transform`.

    Box and keypoints, which are of the image, stay as they are.
    """
    pose = person.smplx.pose.copy()
    orientation = transform.rotation @ cv2.Rodrigues(pose[0].astype(np.float64))[0]
    pose[0] = cv2.Rodrigues(orientation)[0].ravel()
    # The body turns about its root, joint 0, which is at an offset from transl.
    root = person.joints[0].astype(np.float64)
    transl = transform.apply(root) - (root - person.smplx.transl)
    return replace(
        person,
        smplx=replace(person.smplx, pose=pose, transl=transl.astype(np.float32)),
        joints=transform.apply(person.joints.astype(np.float64)).astype(np.float32),
    )
