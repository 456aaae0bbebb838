# SPDX-License-Identifier: Apache-2.0
"""Parts of the body that part maps show, made of SMPL-X's joints."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.body import BodyModel

PARTS: dict[str, tuple[str, ...]] = {
    "head": ("neck", "head", "jaw", "left_eye_smplhf", "right_eye_smplhf"),
    "trunk": ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"),
    **{
        f"{side}_{part}": tuple(f"{side}_{joint}" for joint in joints)
        for side in ("left", "right")
        for part, joints in {
            "upper_arm": ("shoulder",),
            "forearm": ("elbow",),
            "hand": (
                "wrist",
                *(
                    f"{f}{n}"
                    for f in ("index", "middle", "pinky", "ring", "thumb")
                    for n in (1, 2, 3)
                ),
            ),
            "thigh": ("hip",),
            "shin": ("knee",),
            "foot": ("ankle", "foot"),
        }.items()
    },
}
"""Names of the joints whose vertices each part has."""

BACKGROUND, UNKNOWN = -1, -2
"""Values of part maps where there is no part, and where it is not known."""


def vertex_parts(body: BodyModel) -> npt.NDArray[np.int64]:
    """Return the part (V,) of each vertex, an index into PARTS: that of its main joint."""
    of_joint = {joint: number for number, names in enumerate(PARTS.values()) for joint in names}
    parts = np.array([of_joint[name] for name in body.joint_names])
    owner = np.asarray(body.weights.argmax(axis=1)).ravel()
    chosen: npt.NDArray[np.int64] = parts[owner]
    return chosen
