# SPDX-License-Identifier: Apache-2.0
"""A training sample: a crop as PEAR's network gets it, with what is known of the person in it.

The network's camera looks at the crop's centre from afar; what is known is in its frame. The global
rotation is that of the scene turned back by the rotation from the optical axis to the centre's
viewing ray, as pear_ros.pear.placement turns predictions. The camera is the one with which the
joints project best onto their pixels, by least squares.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array
from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.pear.placement import DISTANCE, FOCAL, JOINT_WEIGHTS, place, rotations_to

Square = npt.NDArray[np.float64]
"""(3,) x0, y0 and side of a crop, pixels of the image, as in pear_ros.pear.crop."""

CROP_CAMERA = Camera(INPUT_SIZE, INPUT_SIZE, FOCAL, FOCAL, INPUT_SIZE / 2, INPUT_SIZE / 2)
"""The network's camera."""


@dataclass(frozen=True)
class Sample:
    """One crop with what is known of it; frames as in pear_ros.training.losses."""

    crop: npt.NDArray[np.uint8]
    """(256, 256, 3) BGR."""
    rotations: Array
    """(55, 3, 3)."""
    betas: Array
    expression: Array
    flame: Array
    """(F,) FLAME's parameters, see pear_ros.training.bodies."""
    keypoints: Array
    """(55, 2) pixels of the crop."""
    camera: Array
    """(3,) tx, ty and s."""
    joint_weights: Array
    """(55,) from 0 to 1: how much what is known of each joint is to be believed."""
    mask: Array
    """(S, S) 1 where the body is, 0 where not, NaN where it is not known; the undressed body in
    renders, the dressed one in pictures."""
    parts: npt.NDArray[np.int64]
    """(S, S) index into PARTS, BACKGROUND or UNKNOWN."""
    normals: Array
    """(S, S, 3) in the crop camera's frame; NaN where no body is seen, or it is not known."""
    colours: Array
    """(V, 3) of the dressed body as lit, BGR; NaN: unknown."""
    confidence: Array
    """(4,) weights of mask, parts, normals and colours."""


class SampleError(ValueError):
    """A sample cannot be made; the message has the reason."""


def stacked(samples: list[Sample]) -> dict[str, npt.NDArray[np.generic]]:
    """Return the arrays of samples, by field, with a first axis of samples."""
    return {f.name: np.stack([getattr(s, f.name) for s in samples]) for f in fields(Sample)}


def viewing_rotation(camera: Camera, square: Square) -> npt.NDArray[np.float64]:
    """Return the rotation (3, 3) from the optical axis to the viewing ray of a crop's centre."""
    x, y, side = square
    middle = np.array([[x + side / 2, y + side / 2]], np.float32)
    rotation: npt.NDArray[np.float64] = rotations_to(camera.rays(middle).astype(np.float64))[0]
    return rotation


def crop_camera(joints: Array, keypoints: Array) -> Array:
    """Return tx, ty and s (3,) with which joints project best onto `keypoints` (55, 2).

    `joints` (55, 3): of the posed body with translation 0, in the frame of the crop's camera,
    metres. Raises SampleError where the person would not be in front of the network's camera.
    """
    tx, ty, tz = place(joints[None], keypoints[None], CROP_CAMERA, JOINT_WEIGHTS)[0]
    if not tz > 0.0:  # NaN, too.
        raise SampleError("the camera is too near for the network's")
    return np.array([-tx, -ty, DISTANCE / tz], np.float32)
