# SPDX-License-Identifier: Apache-2.0
"""Bags of results, as recorded from the node, written by `rosbags` without ROS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores

from pear_ros.bags.pear_messages import pear_typestore
from pear_ros.body import BodyModel
from pear_ros.core.estimate_arrays import ESTIMATE_ARRAYS, POSE_FIELDS
from pear_ros.core.people import FlameParams, People, Person
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.ros.topics import BODY_MODEL_TYPE, HUMANS_TYPE, TF, TF_STATIC, TF_TYPE


class ResultsBag:
    """A bag that is being written; a context manager."""

    def __init__(self, path: Path, storage: StoragePlugin = StoragePlugin.MCAP) -> None:
        self._store: Any = pear_typestore(Stores.ROS2_JAZZY)
        assert self._store is not None
        self._writer = Writer(path, version=9, storage_plugin=storage)
        self._connections: dict[str, Any] = {}
        self._time = 0

    def __enter__(self) -> ResultsBag:
        self._writer.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add_images(
        self,
        images: Iterable[tuple[int, People]],
        topic: str = "/humans",
        frame_id: str = "camera_optical_frame",
    ) -> None:
        """Add HumanArrays of (stamp in nanoseconds, people), recorded one millisecond apart."""
        for stamp, people in images:
            self._write(topic, HUMANS_TYPE, self._human_array(stamp, people, frame_id))

    def add_body(self, body: BodyModel, topic: str = "/body_model", **changes: Any) -> None:
        values: dict[str, Any] = {
            "name": body.name,
            "sha256": body.sha256,
            "license_note": body.license_note,
            "joint_names": list(body.joint_names),
            "parents": body.parents,
            "vertex_count": body.vertex_count,
            "faces": body.faces.astype(np.uint32).ravel(),
            "num_betas": body.num_betas,
            "num_expression": body.num_expression,
            "expression_names": list(body.expression_names),
        }
        self._write(topic, BODY_MODEL_TYPE, self._make(BODY_MODEL_TYPE, **{**values, **changes}))

    def add_static_transform(self, parent: str, child: str, pose: RigidTransform) -> None:
        """Add the pose of the frame `child` in the frame `parent` to /tf_static."""
        self._add_transform(TF_STATIC, 0, parent, child, pose)

    def add_transform(self, stamp: int, parent: str, child: str, pose: RigidTransform) -> None:
        """Add the pose of `child` in `parent` at a stamp, nanoseconds, to /tf."""
        self._add_transform(TF, stamp, parent, child, pose)

    def _add_transform(
        self, topic: str, stamp: int, parent: str, child: str, pose: RigidTransform
    ) -> None:
        x, y, z, w = pose.quaternion.tolist()
        time = self._time_of(stamp)
        transform = self._make(
            "geometry_msgs/msg/TransformStamped",
            header=self._make("std_msgs/msg/Header", stamp=time, frame_id=parent),
            child_frame_id=child,
            transform=self._make(
                "geometry_msgs/msg/Transform",
                translation=self._make(
                    "geometry_msgs/msg/Vector3",
                    **dict(zip("xyz", pose.translation.tolist(), strict=True)),
                ),
                rotation=self._make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w),
            ),
        )
        self._write(topic, TF_TYPE, self._make(TF_TYPE, transforms=[transform]))

    def _time_of(self, stamp: int) -> Any:
        return self._make("builtin_interfaces/msg/Time", sec=stamp // 10**9, nanosec=stamp % 10**9)

    def _write(self, topic: str, kind: str, message: Any) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._store
            )
        data = self._store.serialize_cdr(message, kind)
        self._time += 1_000_000
        self._writer.write(self._connections[topic], self._time, data)

    def _make(self, kind: str, **values: Any) -> Any:
        return self._store.types[kind](**values)

    def _human_array(self, stamp: int, people: People, frame_id: str) -> Any:
        camera = people.camera
        time = self._time_of(stamp)
        return self._make(
            HUMANS_TYPE,
            header=self._make("std_msgs/msg/Header", stamp=time, frame_id=frame_id),
            image_width=camera.width,
            image_height=camera.height,
            fx=camera.fx,
            fy=camera.fy,
            cx=camera.cx,
            cy=camera.cy,
            intrinsics_source=int(camera.source),
            model_id=people.model_id,
            body_model=people.body_model,
            humans=[self._human(person) for person in people.persons],
        )

    def _human(self, person: Person) -> Any:
        left, top, right, bottom = (int(edge) for edge in person.box)
        position = dict(zip("xyz", person.joints[0].tolist(), strict=True))
        return self._make(
            "pear_msgs/msg/Human",
            id=person.id,
            tracking_state=int(person.state),
            roi=self._make(
                "sensor_msgs/msg/RegionOfInterest",
                x_offset=left,
                y_offset=top,
                height=bottom - top,
                width=right - left,
                do_rectify=False,
            ),
            root_pose=self._make(
                "geometry_msgs/msg/Pose",
                position=self._make("geometry_msgs/msg/Point", **position),
                orientation=self._make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
            ),
            smplx=self._smplx(person),
            scale=person.scale,
            depth_source=int(person.depth_source),
            flame=self._flame(person.flame),
            **{
                name: np.ravel(value) if array_field.shape else value
                for name, array_field in ESTIMATE_ARRAYS.items()
                for value in [getattr(person, name)]
            },
            vertices=np.empty(0, np.float32),
        )

    def _smplx(self, person: Person) -> Any:
        return self._make(
            "pear_msgs/msg/SmplxParams",
            transl=person.smplx.transl,
            **{name: person.smplx.pose[joints].ravel() for name, joints in POSE_FIELDS.items()},
            betas=person.smplx.betas,
            expression=person.smplx.expression,
        )

    def _flame(self, head: FlameParams | None) -> Any:
        unknown = FlameParams(
            shape=np.empty(0, np.float32),
            expression=np.empty(0, np.float32),
            jaw=np.full(3, np.nan, np.float32),
            eyes=np.full(6, np.nan, np.float32),
            eyelids=np.full(2, np.nan, np.float32),
            head_scale=np.full(3, np.nan, np.float32),
        )
        return self._make("pear_msgs/msg/FlameParams", **vars(head or unknown))
