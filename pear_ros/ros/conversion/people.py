# SPDX-License-Identifier: Apache-2.0
"""People from pear_msgs/HumanArray, of a bag or live.

Messages are read by their fields, so those of rclpy and of the `rosbags` package both serve.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.estimate_arrays import ARRAYS_SINCE_0_2, ESTIMATE_ARRAYS, POSE_FIELDS
from pear_ros.core.people import (
    Array,
    DepthSource,
    FlameParams,
    People,
    Person,
    SmplxParams,
    TrackingState,
)


class OtherVersionError(ValueError):
    """A message of another version of pear_msgs; the text names the field that it lacks."""


def people_of(message: Any) -> People:
    """Return the people of a pear_msgs/HumanArray.

    Raises OtherVersionError; a corrupt message raises any exception.
    """
    try:
        camera = Camera(
            width=message.image_width,
            height=message.image_height,
            fx=message.fx,
            fy=message.fy,
            cx=message.cx,
            cy=message.cy,
            source=IntrinsicsSource(message.intrinsics_source),
        )
        persons = tuple(_person(human) for human in message.humans)
    except AttributeError as error:
        raise OtherVersionError(str(error.name)) from error
    return People(camera, message.model_id, message.body_model, persons)


def _person(human: Any) -> Person:
    roi, smplx = human.roi, human.smplx
    left, top = roi.x_offset, roi.y_offset
    rotations = [getattr(smplx, name) for name in POSE_FIELDS]
    arrays: dict[str, Any] = {
        name: _floats(_value(human, name)).reshape(array_field.shape)
        if array_field.shape
        else _value(human, name)
        for name, array_field in ESTIMATE_ARRAYS.items()
    }
    state = TrackingState(human.tracking_state)
    return Person(
        **arrays,
        id=human.id,
        state=state,
        pose_observed=state is not TrackingState.DETECTED,
        box=_floats([left, top, left + roi.width, top + roi.height]),
        smplx=SmplxParams(
            pose=np.concatenate(rotations, dtype=np.float32).reshape(-1, 3),
            betas=_floats(smplx.betas),
            expression=_floats(smplx.expression),
            transl=_floats(smplx.transl),
        ),
        flame=_flame(human.flame),
        scale=human.scale,
        depth_source=DepthSource(human.depth_source),
    )


def _value(human: Any, name: str) -> Any:
    """A field of ESTIMATE_ARRAYS; NaN where the bag is older than the field."""
    if name in ARRAYS_SINCE_0_2 and not hasattr(human, name):
        return np.full(ESTIMATE_ARRAYS[name].shape, np.nan, np.float32)
    return getattr(human, name)


def _flame(flame: Any) -> FlameParams | None:
    if not len(flame.shape) and np.isnan(flame.jaw).all():
        return None
    return FlameParams(
        **{
            name: _floats(getattr(flame, name))
            for name in ("shape", "expression", "jaw", "eyes", "eyelids", "head_scale")
        }
    )


def _floats(values: Any) -> Array:
    """Return a copy: a view would keep the whole message, with its mesh, in memory."""
    return np.array(values, np.float32)
