# SPDX-License-Identifier: Apache-2.0
"""People and body models as messages of pear_msgs, and pictures as images."""

from __future__ import annotations

import array
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CompressedImage, RegionOfInterest
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from pear_msgs.msg import BodyModelInfo, FlameParams, Human, HumanArray, SmplxParams
from pear_ros.core import people as core
from pear_ros.core.camera import Camera
from pear_ros.core.estimate_arrays import ESTIMATE_ARRAYS, POSE_FIELDS
from pear_ros.core.estimator import Body

_JPEG_QUALITY = 92


def human_array(
    people: core.People, header: Header, meshes: Mapping[str, core.Array] | None = None
) -> HumanArray:
    """Return the HumanArray of all people in one image.

    `header`: that of the image, which is copied. `meshes`: vertices (V, 3) by track id, in metres;
    the field `vertices` stays empty for all other people.
    """
    camera = people.camera
    message = HumanArray(
        header=header,
        image_width=camera.width,
        image_height=camera.height,
        fx=camera.fx,
        fy=camera.fy,
        cx=camera.cx,
        cy=camera.cy,
        intrinsics_source=int(camera.source),
        model_id=people.model_id,
        body_model=people.body_model,
    )
    message.humans = [_human(person, camera) for person in people.persons]
    for human in message.humans:
        if meshes and human.id in meshes:
            human.vertices = _floats(meshes[human.id])
    return message


def body_model_info(body: Body) -> BodyModelInfo:
    """Return the BodyModelInfo of `body`: faces, joints and sizes, for drawing meshes."""
    return BodyModelInfo(
        name=body.name,
        sha256=body.sha256,
        license_note=body.license_note,
        joint_names=list(body.joint_names),
        parents=array.array("i", np.asarray(body.parents, np.int32).tobytes()),
        vertex_count=body.vertex_count,
        faces=array.array("I", np.asarray(body.faces, np.uint32).tobytes()),
        num_betas=body.num_betas,
        num_expression=body.num_expression,
        expression_names=list(body.expression_names),
    )


def image_message(picture: core.Image, header: Header) -> ImageMessage:
    """Return the sensor_msgs/Image (bgr8) of a picture (height, width, 3) uint8 BGR."""
    height, width, channels = picture.shape
    message = ImageMessage(
        header=header, height=height, width=width, encoding="bgr8", step=width * channels
    )
    # The field itself: constructor and setter would copy once more.
    message.data.frombytes(np.ascontiguousarray(picture).data)
    return message


def jpeg_message(picture: core.Image, header: Header) -> CompressedImage:
    """Return the sensor_msgs/CompressedImage (JPEG) of a picture (height, width, 3) uint8 BGR."""
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    message = CompressedImage(header=header, format="bgr8; jpeg compressed bgr8")
    message.data.frombytes(encoded.data)
    return message


def _human(person: core.Person, camera: Camera) -> Human:
    human = Human(
        id=person.id,
        tracking_state=int(person.state),
        roi=_region(person.box, camera),
        root_pose=_pose(person.joints[0], person.smplx.pose[0]),
        smplx=_smplx(person.smplx),
        scale=float(person.scale),
        depth_source=int(person.depth_source),
        flame=_flame(person.flame),
    )
    for name, array_field in ESTIMATE_ARRAYS.items():
        value = getattr(person, name)
        setattr(human, name, _flat(value) if array_field.shape else float(value))
    return human


def _smplx(parameters: core.SmplxParams) -> SmplxParams:
    message = SmplxParams(
        betas=_floats(parameters.betas), expression=_floats(parameters.expression)
    )
    message.transl = _flat(parameters.transl)
    for name, joints in POSE_FIELDS.items():
        setattr(message, name, _flat(parameters.pose[joints]))
    return message


def _flame(parameters: core.FlameParams | None) -> FlameParams:
    message = FlameParams()
    if parameters is None:
        for name in ("jaw", "eyes", "eyelids", "head_scale"):
            setattr(message, name, np.full_like(getattr(message, name), np.nan))
        return message
    message.shape = _floats(parameters.shape)
    message.expression = _floats(parameters.expression)
    message.jaw = _flat(parameters.jaw)
    message.eyes = _flat(parameters.eyes)
    message.eyelids = _flat(parameters.eyelids)
    message.head_scale = _flat(parameters.head_scale)
    return message


def _region(box: core.Array, camera: Camera) -> RegionOfInterest:
    """The smallest region of whole pixels around a box x0 y0 x1 y1, inside the image."""
    size = (camera.width, camera.height)
    left, top = (int(value) for value in np.clip(np.floor(box[:2]), 0, size))
    right, bottom = (int(value) for value in np.clip(np.ceil(box[2:]), (left, top), size))
    return RegionOfInterest(x_offset=left, y_offset=top, width=right - left, height=bottom - top)


def _pose(position: core.Array, rotation: core.Array) -> Pose:
    x, y, z = (float(value) for value in position)
    qx, qy, qz, qw = (float(value) for value in Rotation.from_rotvec(rotation).as_quat())
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def _flat(values: core.Array) -> core.Array:
    """Value of a fixed-size array, which is NumPy in rclpy."""
    return np.asarray(values, np.float32).ravel()


def _floats(values: core.Array) -> array.array[Any]:
    """Value of a float32[]; array.array is the only type that rclpy accepts without a loop."""
    floats = array.array("f")
    floats.frombytes(np.ascontiguousarray(values, np.float32).view(np.uint8).data)
    return floats
