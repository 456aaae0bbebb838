# SPDX-License-Identifier: Apache-2.0
"""The thread that estimates the people in the newest image and publishes them."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from pear_ros.core.blas import OneBlasThread
from pear_ros.core.bounded_counts import count
from pear_ros.core.device_image import takes_device_images
from pear_ros.core.estimator import DeviceLostError
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import TrackingState
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.ros.conversion.camera_placement import needs_transforms
from pear_ros.ros.conversion.frame_input import (
    CAMERA_INFO,
    DEPTH,
    DETECTIONS,
    IMAGE,
    MISSING,
    FrameAssembler,
    Issue,
)
from pear_ros.ros.conversion.gpu_jpeg import chosen_jpeg_decoder
from pear_ros.ros.conversion.images import ImageError
from pear_ros.ros.conversion.input_watch import InputWatch
from pear_ros.ros.node.debug import DebugTimes
from pear_ros.ros.node.image_statistics import StatisticsCollector
from pear_ros.ros.node.outputs import Outputs
from pear_ros.ros.node.synchronizer import ImageSynchronizer, SynchronizedImage
from pear_ros.ros.node.throttled_logger import ThrottledLogger
from pear_ros.ros.transform_listener import TransformListener

if TYPE_CHECKING:
    from rclpy.event_handler import QoSMessageLostInfo

    from pear_ros.pipeline import Pipeline


class ImageProcessor:
    """Decode, estimate and publish, one image at a time, in a thread of its own.

    Its public methods and properties are for other threads. No message ends the thread: what
    cannot be used is counted and logged. Only the loss of the estimator's device ends it.
    """

    def __init__(
        self,
        node: LifecycleNode,
        pipeline: Pipeline,
        outputs: Outputs,
        statistics: StatisticsCollector,
        logger: ThrottledLogger,
        topics: Mapping[str, str],
        parameters: Parameters,
        on_device_lost: Callable[[DeviceLostError], None],
    ) -> None:
        """Take the resolved names of the input `topics` by kind, as `input_topics` returns them.

        It subscribes to /tf and /tf_static itself, if the `parameters` need them. `on_device_lost`
        is called in the thread, which then ends.
        """
        self._node = node
        self._pipeline = pipeline
        self._outputs = outputs
        self._statistics = statistics
        self._logger = logger
        self._topics = topics
        camera_info = node.resolve_topic_name("camera_info")
        self._transforms = TransformListener(node) if needs_transforms(parameters) else None
        self._assemble = FrameAssembler(
            {**topics, CAMERA_INFO: camera_info},
            decode_jpeg=chosen_jpeg_decoder(parameters, takes_device_images(pipeline)),
            lookup=self._transforms.lookup if self._transforms else None,
        )
        self._debug = DebugTimes(node)
        self._camera_info: CameraInfo | None = None
        kinds = [kind for kind in (DETECTIONS, DEPTH) if kind in topics]
        self._synchronizer = ImageSynchronizer(statistics, kinds)
        self._one_blas_thread = OneBlasThread()
        self._thread = threading.Thread(target=self._run, name="pear images", daemon=True)
        self._watch = InputWatch()
        self._causes: dict[str, int] = {}
        self._named_topics = topics[IMAGE], topics.get(DETECTIONS, "")
        self._on_device_lost = on_device_lost
        self.parameters = parameters

    @property
    def parameters(self) -> Parameters:
        """The parameters that apply from the next image on."""
        return self._parameters

    @parameters.setter
    def parameters(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._synchronizer.tolerance = parameters.sync_tolerance
        self._synchronizer.timeout = parameters.sync_timeout

    def start(self) -> None:
        """Start the thread, with new tracks."""
        self._pipeline.reset()
        self._thread.start()

    def stop(self) -> None:
        """Finish the current image, end the thread and drop what is known of people."""
        self._synchronizer.close()
        self._thread.join()
        self._pipeline.reset()
        self._debug.destroy()
        if self._transforms is not None:
            self._transforms.destroy()

    def add_image(self, message: Any) -> None:
        """Queue an Image or CompressedImage; a newer one that is complete replaces it."""
        self._statistics.record_arrival(IMAGE)
        self._statistics.count("received")
        self._synchronizer.add_image(message, nanoseconds_of(message.header))

    def add_detections(self, message: Any) -> None:
        """Queue the Detection2DArray of an image."""
        self._add(DETECTIONS, message)

    def add_depth(self, message: Any) -> None:
        """Queue the depth image, an Image or CompressedImage, of an image."""
        self._add(DEPTH, message)

    def set_camera_info(self, info: CameraInfo) -> None:
        """Set the calibration of the images from now on."""
        self._camera_info = info

    def count_lost(self, event: QoSMessageLostInfo) -> None:
        """Count images that the middleware lost."""
        self._statistics.count("lost", event.total_count_change)

    def _add(self, kind: str, message: Any) -> None:
        self._statistics.record_arrival(kind)
        self._synchronizer.add(kind, message, nanoseconds_of(message.header))

    def _run(self) -> None:
        with self._one_blas_thread:
            self._process_all()

    def _process_all(self) -> None:
        while (item := self._synchronizer.take()) is not None:
            topic = self._topics[IMAGE]
            try:
                self._process(item, self._parameters)
            except ImageError as error:
                self._statistics.count("refused")
                cause = self._statistics.count_issue(f"refused: {error.cause}")
                self._logger.warning(cause, f"Refused on {topic}: {error}")
            except DeviceLostError as error:
                self._statistics.count("failed")
                self._on_device_lost(error)
                return
            except Exception as error:
                self._statistics.count("failed")
                self._logger.warning(
                    f"failure: {type(error).__name__}",
                    f"An image on {topic} failed: {traceback.format_exc()}",
                )
            else:
                self._statistics.add_duration("total", time.perf_counter() - item.arrival)

    def _process(self, item: SynchronizedImage, parameters: Parameters) -> None:
        """Process one image, with the same parameters throughout."""
        statistics = self._statistics
        watched = self._outputs.watched(parameters)
        if not any(watched):
            statistics.count("unwatched")
            return
        started = time.perf_counter()
        with statistics.stage("decode"):
            messages = {**item.companions, CAMERA_INFO: self._camera_info}
            frame = self._assemble(item.image, messages, parameters)
        arrival = round(1e9 * item.arrival)
        tick, odd = self._watch(frame, arrival, self._named_topics, parameters)
        for issue in (*frame.issues, *odd):
            self._report(issue, parameters)
        if tick.reset:
            self._node.get_logger().info("Stamps jumped backwards: all tracks are reset")
            self._pipeline.reset()
            if self._transforms is not None:
                self._transforms.forget()
        with statistics.stage("estimate"):
            people = self._pipeline(
                frame.image,
                frame.camera,
                tick.time,
                detections=frame.detections,
                depth=frame.depth,
                camera_pose=frame.camera_pose,
                ground=frame.ground,
                settings=parameters,
            )
        topic = self._topics[IMAGE]
        for issue in self._watch.found(frame.image, people.persons, topic, parameters):
            self._report(issue, parameters)
        header = Header(stamp=item.image.header.stamp, frame_id=frame.frame_id)
        self._outputs.publish(
            watched, frame.image, people, header, frame.camera_pose, statistics, parameters
        )
        statistics.count("processed")
        statistics.count("people", sum(p.state is not TrackingState.LOST for p in people.persons))
        self._debug.publish(nanoseconds_of(header), started)

    def _report(self, issue: Issue, parameters: Parameters) -> None:
        text = issue.text
        name = self._statistics.count_issue(issue.name)
        if issue.kind in (DETECTIONS, DEPTH) and not issue.used:
            self._statistics.count(f"missing_{issue.kind}")
            if issue.cause == MISSING:
                text += f", and arrived within sync_timeout = {parameters.sync_timeout:g} s"
        cause = name if issue.used else count(self._causes, f"{name}: {issue.cause}")
        self._logger.warning(cause, text)
