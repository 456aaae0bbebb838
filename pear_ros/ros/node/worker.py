# SPDX-License-Identifier: Apache-2.0
"""The thread that turns the newest image into people, and lives through whatever arrives."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage

from pear_ros.core.blas import OneBlasThread
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Array, TrackingState
from pear_ros.core.timestamps import nanoseconds_of, seconds_of
from pear_ros.ros.conversion.depth import depth_from_image
from pear_ros.ros.conversion.detections import people_in
from pear_ros.ros.conversion.images import ImageError, bgr_from_compressed, bgr_from_image
from pear_ros.ros.conversion.intrinsics import CalibrationError, camera_from_info, is_rectified
from pear_ros.ros.node.complaints import Complaints
from pear_ros.ros.node.debug import DebugTimes
from pear_ros.ros.node.inbox import Inbox, Item
from pear_ros.ros.node.metrics import Recorder
from pear_ros.ros.node.outputs import Outputs

if TYPE_CHECKING:
    from rclpy.event_handler import QoSMessageLostInfo

    from pear_ros.pipeline import Pipeline

DETECTIONS, DEPTH = "detections", "depth"
"""Kinds of messages that belong to an image."""


class Worker:
    """Decodes, estimates and publishes, one image at a time, in a thread of its own.

    Its public methods and properties are for other threads; the next image is worked on with the
    newest values.
    """

    def __init__(
        self,
        node: LifecycleNode,
        pipeline: Pipeline,
        outputs: Outputs,
        recorder: Recorder,
        complain: Complaints,
        topics: Mapping[str, str],
        parameters: Parameters,
    ) -> None:
        """`topics`: where images come from ("image") and what belongs to them, by kind."""
        self._node = node
        self._pipeline = pipeline
        self._outputs = outputs
        self._recorder = recorder
        self._complain = complain
        self._topics = topics
        self._debug = DebugTimes(node)
        self._camera_info: CameraInfo | None = None
        self._inbox = Inbox(recorder, [kind for kind in (DETECTIONS, DEPTH) if kind in topics])
        self._thread = threading.Thread(target=self._work, name="pear worker", daemon=True)
        self._last_seconds = float("-inf")
        self.parameters = parameters

    @property
    def parameters(self) -> Parameters:
        """What the next image is worked on with."""
        return self._parameters

    @parameters.setter
    def parameters(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._outputs.transforms = parameters.transforms
        self._outputs.mesh_detail = parameters.mesh_detail
        self._inbox.tolerance = parameters.sync_tolerance
        self._inbox.timeout = parameters.sync_timeout

    def start(self) -> None:
        """Begins to work, on tracks that begin anew."""
        self._pipeline.reset()
        self._thread.start()

    def stop(self) -> None:
        """Finishes the image at hand and ends the thread."""
        self._inbox.close()
        self._thread.join()
        self._debug.destroy()

    def put(self, message: Any) -> None:
        """Leaves an Image or CompressedImage to be worked on, unless a newer one comes first."""
        self._recorder.arrived("image")
        self._recorder.count("received")
        self._inbox.put_image(message, nanoseconds_of(message.header))

    def put_detections(self, message: Any) -> None:
        """Leaves the Detection2DArray of an image."""
        self._put(DETECTIONS, message)

    def put_depth(self, message: Any) -> None:
        """Leaves the depth of an image, an Image too."""
        self._put(DEPTH, message)

    def set_camera_info(self, info: CameraInfo) -> None:
        """Leaves the camera's calibration."""
        self._camera_info = info

    def count_lost(self, event: QoSMessageLostInfo) -> None:
        """Counts images that the middleware lost."""
        self._recorder.count("lost", event.total_count_change)

    def _put(self, kind: str, message: Any) -> None:
        self._recorder.arrived(kind)
        self._inbox.put(kind, message, nanoseconds_of(message.header))

    def _work(self) -> None:
        with OneBlasThread():
            self._process_all()

    def _process_all(self) -> None:
        while (item := self._inbox.take()) is not None:
            try:
                self._process(item)
            except ImageError as error:
                self._recorder.count("refused")
                topic = self._topics["image"]
                self._complain(f"image: {error.cause}", f"Refused on {topic}: {error}")
            except Exception as error:
                self._recorder.count("failed")
                self._complain(
                    f"failure: {type(error).__name__}",
                    f"An image on {self._topics['image']} failed: {traceback.format_exc()}",
                )
            else:
                self._recorder.add("total", time.perf_counter() - item.arrived)

    def _process(self, item: Item) -> None:
        recorder, parameters, message = self._recorder, self.parameters, item.image
        watched = self._outputs.watched()
        if not any(watched):
            recorder.count("unwatched")
            return
        started = time.perf_counter()
        with recorder.stage("decode"):
            compressed = isinstance(message, CompressedImage)
            picture = (bgr_from_compressed if compressed else bgr_from_image)(message)
            height, width = picture.shape[:2]
            depth = self._depth(item, width, height)
        camera = self._camera(width, height, parameters)
        detections = self._detections(item, parameters)
        seconds = seconds_of(message.header)
        if seconds < self._last_seconds:
            self._node.get_logger().info("Stamps went back: tracks begin anew")
            self._pipeline.reset()
        self._last_seconds = seconds
        with recorder.stage("estimate"):
            people = self._pipeline(
                picture, camera, seconds, detections=detections, depth=depth, settings=parameters
            )
        self._outputs.publish(
            watched,
            picture,
            people,
            message.header,
            recorder,
            vertices=parameters.publish_vertices,
        )
        recorder.count("processed")
        recorder.count("people", sum(p.state is not TrackingState.LOST for p in people.persons))
        self._debug.publish(nanoseconds_of(message.header), started)

    def _detections(self, item: Item, parameters: Parameters) -> Sequence[Detection] | None:
        """Who was detected in the image; None where the pipeline is to find out itself."""
        if DETECTIONS not in self._topics:
            return None
        message = item.companions.get(DETECTIONS)
        if message is None:
            self._miss(DETECTIONS)
            return ()
        return people_in(message, parameters.detection_classes, parameters.detection_score)

    def _depth(self, item: Item, width: int, height: int) -> Array | None:
        """The image's depth in metres; None where there is none."""
        if DEPTH not in self._topics:
            return None
        message = item.companions.get(DEPTH)
        try:
            if message is not None:
                return depth_from_image(message, width, height)
            self._miss(DEPTH)
        except ImageError as error:
            self._recorder.count(f"missing_{DEPTH}")
            topic = self._topics[DEPTH]
            self._complain(f"{DEPTH}: {error.cause}", f"Refused on {topic}: {error}")
        return None

    def _miss(self, kind: str) -> None:
        self._recorder.count(f"missing_{kind}")
        parameters = self.parameters
        self._complain(
            f"missing {kind}",
            f"No {kind} on {self._topics[kind]} for an image within sync_timeout = "
            f"{parameters.sync_timeout:g} s. Do the stamps agree with those on "
            f"{self._topics['image']} within sync_tolerance = {parameters.sync_tolerance:g} s?",
        )

    def _camera(self, width: int, height: int, parameters: Parameters) -> Camera:
        """The image's intrinsics: calibrated where possible, else from the field of view."""
        topic = self._node.resolve_topic_name("image")
        try:
            if (info := self._camera_info) is None:
                raise CalibrationError("none has arrived")
            rectified = is_rectified(parameters.calibration, topic)
            return camera_from_info(info, width, height, rectified)
        except CalibrationError as error:
            self._complain(
                "camera_info",
                f"No intrinsics from {self._node.resolve_topic_name('camera_info')}: {error}. "
                f"Taking a field of view of {parameters.field_of_view:g} degrees instead",
            )
            return Camera.from_field_of_view(width, height, parameters.field_of_view)
