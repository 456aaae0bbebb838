# SPDX-License-Identifier: Apache-2.0
"""Where the camera of an image is: its pose in a fixed frame, and the floor."""

from __future__ import annotations

import math
from collections.abc import Callable

from pear_ros.core.camera import Camera
from pear_ros.core.ground import GroundPlane
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Array
from pear_ros.core.quoting import quoted
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.upright import Turn
from pear_ros.ros.transform_buffer import TransformError
from pear_ros.scale.floor_fit import fit_floor

Lookup = Callable[[str, str, int, float], RigidTransform]
"""TransformBuffer.lookup, or another of its kind."""


class PlacementError(LookupError):
    """Something about the camera's placement is unknown; the text says what, without full stop."""

    def __init__(self, cause: str, text: str) -> None:
        """Take a short name of the `cause`, one of few, and the sentence."""
        super().__init__(text)
        self.cause = cause


def needs_transforms(parameters: Parameters) -> bool:
    """Return whether /tf and /tf_static are needed."""
    return bool(parameters.target_frame) or parameters.floor == "tf"


def pose_in_target(
    lookup: Lookup, frame_id: str, nanoseconds: int, parameters: Parameters
) -> RigidTransform:
    """Return the pose of the optical frame `frame_id` in target_frame, at the image's stamp.

    Raises PlacementError.
    """
    return _looked_up(lookup, parameters.target_frame, frame_id, nanoseconds, parameters)


def floor_of(
    lookup: Lookup,
    frame_id: str,
    nanoseconds: int,
    camera: Camera,
    depth: Array | None,
    parameters: Parameters,
) -> GroundPlane:
    """Return the floor in the optical frame, as the parameter `floor` says.

    `depth` (height, width), metres, of this image, None if there is none. Raises PlacementError.
    """
    ground = _floor(lookup, frame_id, nanoseconds, camera, depth, parameters)
    if not ground.is_seen_by(camera):
        raise PlacementError(
            "camera looks up", "the image shows no floor, as the camera looks above it everywhere"
        )
    return ground


def _floor(
    lookup: Lookup,
    frame_id: str,
    nanoseconds: int,
    camera: Camera,
    depth: Array | None,
    parameters: Parameters,
) -> GroundPlane:
    errors = math.radians(parameters.floor_tilt_error), parameters.floor_height_error
    if parameters.floor == "tf":
        frame = parameters.ground_frame
        pose = _looked_up(lookup, frame, frame_id, nanoseconds, parameters)
        ground = GroundPlane.from_pose(pose, *errors)
        if ground.height <= 0.0:
            raise PlacementError(
                "camera below the floor",
                f"the camera is {-ground.height:.2f} m below z = 0 of {quoted(frame)}: set "
                "ground_frame to a frame on the floor with z upwards",
            )
        return ground
    tilt = math.radians(parameters.camera_tilt)
    if parameters.floor == "given":
        if parameters.camera_height <= 0.0:
            raise PlacementError("no camera_height", "set camera_height, as floor is 'given'")
        return _upright(
            GroundPlane.from_tilt(parameters.camera_height, tilt, *errors), camera, parameters
        )
    if depth is None:
        raise PlacementError("no depth", "there is no depth image, and floor is 'depth'")
    expected = _upright(GroundPlane.from_tilt(1.0, tilt, *errors), camera, parameters)
    ground_or_none = fit_floor(depth, camera, expected.normal)
    if ground_or_none is None:
        raise PlacementError(
            "no level surface",
            "the depth image shows no level surface below the camera that is large enough: check "
            "camera_tilt",
        )
    return ground_or_none


def _upright(ground: GroundPlane, camera: Camera, parameters: Parameters) -> GroundPlane:
    """The floor of an upright camera as that of one that is mounted turned (parameter rotate)."""
    if not parameters.rotate:
        return ground
    return Turn(parameters.rotate, camera).ground_back(ground)


def _looked_up(
    lookup: Lookup, target: str, frame_id: str, nanoseconds: int, parameters: Parameters
) -> RigidTransform:
    try:
        return lookup(target, frame_id, nanoseconds, parameters.transform_timeout)
    except TransformError as error:
        raise PlacementError(error.cause, str(error)) from error
