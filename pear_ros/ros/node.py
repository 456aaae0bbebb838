# SPDX-License-Identifier: Apache-2.0
"""The node: images in, people out. A lifecycle around the modules that do the work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from pear_ros.ros.diagnostics import diagnostic_array
from pear_ros.ros.logs import core_logs_to
from pear_ros.ros.metrics import Recorder, Statistics
from pear_ros.ros.outputs import Outputs, Watched
from pear_ros.ros.parameters import Parameters, declare_parameters, refusal
from pear_ros.ros.running import StartError, run
from pear_ros.ros.worker import Worker

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

# Best effort takes from every publisher (REP-2003); depth 1, since only the newest image counts.
_SENSOR_DATA = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)

_DIAGNOSTICS_SECONDS = 1.0
_REPORT_SECONDS = 10.0


class PearNode(LifecycleNode):
    """Subscribes to images and publishes the people in them.

    The executor's thread only takes messages in; one worker thread does the rest, always on the
    newest image. Whatever arrives, the node lives on: what cannot be used is logged (once a minute
    for each cause) and counted in `statistics`.
    """

    def __init__(
        self, build_pipeline: Callable[[Parameters], Pipeline], **node_options: Any
    ) -> None:
        """`build_pipeline` is called at configuration; `node_options` go to rclpy's Node.

        Raises ParameterError when a parameter was given a wrong value.
        """
        super().__init__("pear", **node_options)
        self._build_pipeline = build_pipeline
        self._recorder = Recorder()
        self._pipeline: Pipeline | None = None
        self._outputs: Outputs | None = None
        self._worker: Worker | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._reported = Statistics()
        self._trouble = ""
        self._values = declare_parameters(self)
        self.add_on_set_parameters_callback(self._set_parameters)

    @property
    def statistics(self) -> Statistics:
        """What became of the images so far, and how long each stage takes."""
        return self._recorder.snapshot()

    @property
    def watched(self) -> Watched | None:
        """Which results somebody subscribes to; None while the node is not configured."""
        return self._outputs.watched() if self._outputs else None

    def autostart(self) -> None:
        """Configures and activates the node, unless its parameter `autostart` is off.

        Raises StartError when that fails.
        """
        if not self._values.autostart:
            self.get_logger().info("Waiting to be configured and activated (autostart is off)")
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                raise StartError(self._trouble or "the node could not be activated")

    def prepare(self) -> bool:
        """With the parameter `build_only`, configures the node, which makes whatever takes long and
        is kept: graphs and engines; then takes it back. Returns whether that was asked for.

        Raises StartError when that fails.
        """
        if not self._values.build_only:
            return False
        if self.trigger_configure() != TransitionCallbackReturn.SUCCESS:
            raise StartError(self._trouble)
        self.trigger_cleanup()
        self.get_logger().info("Everything is built (build_only)")
        return True

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads the models and creates the publishers."""
        try:
            with core_logs_to(self.get_logger()):
                pipeline = self._build_pipeline(self._values)
            self._outputs = Outputs(self, pipeline)
        except Exception as error:
            self._trouble = str(error)
            self.get_logger().error(f"Cannot be configured: {error}")
            return TransitionCallbackReturn.FAILURE
        self._pipeline = pipeline
        self.get_logger().info(f"Estimator {pipeline.model_id} with body {pipeline.body.name}")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribes and starts the worker."""
        assert self._pipeline is not None and self._outputs is not None
        result = super().on_activate(state)
        self._outputs.publish_body_model()
        kind, topic = self._image_source()
        worker = Worker(self, self._pipeline, self._outputs, self._recorder, self._values, topic)
        worker.start()
        self._worker = worker
        self._inputs = [
            self.create_subscription(
                kind,
                topic,
                worker.put,
                _SENSOR_DATA,
                event_callbacks=SubscriptionEventCallbacks(message_lost=worker.count_lost),
            ),
            self.create_subscription(
                CameraInfo, "camera_info", worker.set_camera_info, _SENSOR_DATA
            ),
        ]
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self._reports = [
            self.create_timer(_DIAGNOSTICS_SECONDS, self._publish_diagnostics, clock=clock),
            self.create_timer(_REPORT_SECONDS, self._warn_of_missing_images, clock=clock),
        ]
        self.get_logger().info(f"Looking for people in {topic}")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops listening and finishes the image at hand."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Takes the publishers away and lets go of the models."""
        self._let_go()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops and lets go, from any state."""
        self._stop()
        self._let_go()
        return super().on_shutdown(state)

    def destroy_node(self) -> None:
        """Stops the worker before rclpy takes its publishers away."""
        self._stop()
        super().destroy_node()

    def _image_source(self) -> tuple[type[Any], str]:
        topic = self.resolve_topic_name("image")
        if self._values.image_transport == "compressed":
            # image_transport's rule: the transport's name goes behind the topic's final name.
            return CompressedImage, f"{topic}/compressed"
        return ImageMessage, topic

    def _stop(self) -> None:
        if self._worker is None:
            return
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        for timer in self._reports:
            self.destroy_timer(timer)
        self._worker.stop()
        self._worker = None

    def _let_go(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy(self)
        if self._pipeline is not None:
            self._pipeline.close()
        self._outputs = None
        self._pipeline = None

    def _set_parameters(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        reason = refusal(parameters, live_only=self._pipeline is not None)
        if reason:
            return SetParametersResult(successful=False, reason=reason)
        self._values = self._values.changed(parameters)
        if self._worker is not None:
            self._worker.parameters = self._values
        return SetParametersResult(successful=True)

    def _publish_diagnostics(self) -> None:
        if self._pipeline is not None and self._diagnostics.get_subscription_count() > 0:
            now = self.get_clock().now().to_msg()
            name = self.get_fully_qualified_name()
            model_id, facts = self._pipeline.model_id, self._pipeline.facts
            array = diagnostic_array(self.statistics, model_id, facts, name, now)
            self._diagnostics.publish(array)

    def _warn_of_missing_images(self) -> None:
        if self._worker is None:
            return
        statistics, before = self.statistics, self._reported
        self._reported = statistics
        received, lost = statistics.received - before.received, statistics.lost - before.lost
        topic = self._image_source()[1]
        if received + lost == 0:
            self._worker.complain(
                "silence",
                f"No image on {topic} for {_REPORT_SECONDS:.0f} s; it has "
                f"{self.count_publishers(topic)} publishers. Is the topic remapped, and is "
                "image_transport right?",
            )
        if lost > received:
            self._worker.complain(
                "lost",
                f"Of {received + lost} images on {topic}, {lost} were lost on the way: they are "
                "too big for the middleware as it is set up. Take image_transport compressed, or "
                "with Fast DDS set FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA for camera and node",
            )
        self.get_logger().debug(str(statistics))


def build_pipeline(parameters: Parameters) -> Pipeline:
    """The core's pipeline as the parameters want it."""
    # Imported late: not before parameters have been checked, since the models' runtime takes time.
    from pear_ros.detectors import make_detector
    from pear_ros.estimators import make_estimator
    from pear_ros.pipeline import Pipeline

    detector = make_detector(parameters.detector)
    return Pipeline(make_estimator(parameters.estimator_choice), detector, parameters.settings)


def main(
    arguments: list[str] | None = None,
    build: Callable[[Parameters], Pipeline] = build_pipeline,
) -> int:
    """Runs the node until Ctrl-C. Returns the exit status."""

    def start() -> PearNode | None:
        node = PearNode(build)
        if node.prepare():
            node.destroy_node()
            return None
        node.autostart()
        return node

    return run(start, arguments)


if __name__ == "__main__":
    sys.exit(main())
