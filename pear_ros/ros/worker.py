# SPDX-License-Identifier: Apache-2.0
"""The thread that turns the newest image into people, and lives through whatever arrives."""

from __future__ import annotations

import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage

from pear_ros.camera import Camera
from pear_ros.people import TrackingState
from pear_ros.ros.images import ImageError, bgr_from_compressed, bgr_from_image
from pear_ros.ros.intrinsics import CalibrationError, camera_from_info, is_rectified
from pear_ros.ros.mailbox import Mailbox
from pear_ros.ros.metrics import Recorder
from pear_ros.ros.outputs import Outputs
from pear_ros.ros.parameters import Parameters

if TYPE_CHECKING:
    from rclpy.event_handler import QoSMessageLostInfo

    from pear_ros.pipeline import Pipeline

_REPEAT_SECONDS = 60.0


class Worker:
    """Decodes, estimates and publishes, one image at a time, in a thread of its own.

    Its public methods and `parameters` are for other threads; the next image is worked on with the
    newest values.
    """

    def __init__(
        self,
        node: LifecycleNode,
        pipeline: Pipeline,
        outputs: Outputs,
        recorder: Recorder,
        parameters: Parameters,
        image_topic: str,
    ) -> None:
        """`image_topic` is where images come from, for the log."""
        self.parameters = parameters
        self._image_topic = image_topic
        self._camera_info: CameraInfo | None = None
        self._node = node
        self._pipeline = pipeline
        self._outputs = outputs
        self._recorder = recorder
        self._mailbox: Mailbox[tuple[Any, float]] = Mailbox()
        self._thread = threading.Thread(target=self._work, name="pear worker", daemon=True)
        self._last_seconds = float("-inf")
        self._complained: dict[str, float] = {}

    def start(self) -> None:
        """Begins to work, on tracks that begin anew."""
        self._pipeline.reset()
        self._thread.start()

    def stop(self) -> None:
        """Finishes the image at hand and ends the thread."""
        self._mailbox.close()
        self._thread.join()

    def put(self, message: Any) -> None:
        """Leaves an Image or CompressedImage to be worked on, unless a newer one comes first."""
        self._recorder.received += 1
        if self._mailbox.put((message, time.perf_counter())):
            self._recorder.dropped += 1

    def set_camera_info(self, info: CameraInfo) -> None:
        """Leaves the camera's calibration."""
        self._camera_info = info

    def count_lost(self, event: QoSMessageLostInfo) -> None:
        """Counts images that the middleware lost."""
        self._recorder.lost += event.total_count_change

    def complain(self, cause: str, text: str) -> None:
        """Logs a warning, at most once a minute for each cause."""
        now = time.monotonic()
        if now - self._complained.get(cause, float("-inf")) >= _REPEAT_SECONDS:
            self._complained[cause] = now
            self._node.get_logger().warning(text)

    def _work(self) -> None:
        while (item := self._mailbox.take()) is not None:
            message, arrived = item
            try:
                self._process(message)
            except ImageError as error:
                self._recorder.refused += 1
                self.complain(f"image: {error.cause}", f"Refused on {self._image_topic}: {error}")
            except Exception as error:
                self._recorder.failed += 1
                self.complain(
                    f"failure: {type(error).__name__}",
                    f"An image on {self._image_topic} failed: {traceback.format_exc()}",
                )
            else:
                self._recorder.add("total", time.perf_counter() - arrived)

    def _process(self, message: Any) -> None:
        recorder = self._recorder
        watched = self._outputs.watched()
        if not any(watched):
            recorder.unwatched += 1
            return
        parameters = self.parameters
        with recorder.stage("decode"):
            compressed = isinstance(message, CompressedImage)
            picture = (bgr_from_compressed if compressed else bgr_from_image)(message)
        height, width = picture.shape[:2]
        camera = self._camera(width, height, parameters)
        stamp = message.header.stamp
        seconds = stamp.sec + 1e-9 * stamp.nanosec
        if seconds < self._last_seconds:
            self._node.get_logger().info("Stamps went back: tracks begin anew")
            self._pipeline.reset()
        self._last_seconds = seconds
        with recorder.stage("estimate"):
            people = self._pipeline(picture, camera, seconds)
        self._outputs.publish(
            watched,
            picture,
            people,
            message.header,
            recorder,
            vertices=parameters.publish_vertices,
        )
        recorder.processed += 1
        recorder.people += sum(p.state is not TrackingState.LOST for p in people.persons)

    def _camera(self, width: int, height: int, parameters: Parameters) -> Camera:
        """The image's intrinsics: calibrated where possible, else from the field of view."""
        topic = self._node.resolve_topic_name("image")
        try:
            if (info := self._camera_info) is None:
                raise CalibrationError("none has arrived")
            rectified = is_rectified(parameters.calibration, topic)
            return camera_from_info(info, width, height, rectified)
        except CalibrationError as error:
            self.complain(
                "camera_info",
                f"No intrinsics from {self._node.resolve_topic_name('camera_info')}: {error}. "
                f"Taking a field of view of {parameters.field_of_view:g} degrees instead",
            )
            return Camera.from_field_of_view(width, height, parameters.field_of_view)
