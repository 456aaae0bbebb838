# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node `pear`: subscribes to images and publishes the people in them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from pear_ros.core.parameters import Parameters
from pear_ros.ros.environment import missing
from pear_ros.ros.node.core_logs import CoreLogs
from pear_ros.ros.node.image_statistics import Statistics, StatisticsCollector
from pear_ros.ros.node.inputs import Inputs, detections_type, input_topics
from pear_ros.ros.node.outputs import Outputs, Watched
from pear_ros.ros.node.parameters import (
    changed,
    declare_parameters,
    in_declared_type,
    refusal,
)
from pear_ros.ros.node.processor import ImageProcessor
from pear_ros.ros.node.reporter import Reporter
from pear_ros.ros.node.throttled_logger import ThrottledLogger
from pear_ros.ros.pipelines import build_pipeline
from pear_ros.ros.running import StartError, run

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline


class PearNode(LifecycleNode):
    """Subscribe to images and publish the people in them.

    The executor's thread only queues messages; another thread processes the newest image. No
    message ends the node: what cannot be used is logged (once a minute for each cause) and counted
    in `statistics`. If the estimator's device is lost to the process, DeviceLostError is raised
    from the executor's spinning, as only a new process can use it.
    """

    def __init__(
        self, build_pipeline: Callable[[Parameters], Pipeline], **node_options: Any
    ) -> None:
        """Create the node; `build_pipeline` is called at configuration.

        `node_options` are passed to rclpy's Node. Raises ParameterError if a parameter
        was given a wrong value.
        """
        super().__init__("pear", **node_options)
        self._build_pipeline = build_pipeline
        self._statistics = StatisticsCollector()
        self._throttled_logger = ThrottledLogger(self.get_logger())
        self._reporter = Reporter(self, self._statistics, self._throttled_logger)
        self._pipeline: Pipeline | None = None
        self._outputs: Outputs | None = None
        self._processor: ImageProcessor | None = None
        self._inputs: Inputs | None = None
        self._active = False
        self._enabled = True
        self._failure = ""
        self._core_logs: CoreLogs | None = None
        self._values = declare_parameters(self)
        self._core_logs = CoreLogs(self.get_logger())
        self.add_on_set_parameters_callback(self._validate_parameters)
        self.create_service(SetBool, "~/enable", self._enable)

    @property
    def statistics(self) -> Statistics:
        """Counts of the images so far by outcome, and durations of the stages."""
        return self._statistics.snapshot()

    @property
    def watched(self) -> Watched | None:
        """Which results have a subscriber; None while the node is not configured."""
        return self._outputs.watched(self._values) if self._outputs else None

    def set_parameters(self, parameter_list: list[Parameter[Any]]) -> list[SetParametersResult]:
        """Set each parameter on its own and return the results; see set_parameters_atomically."""
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(
        self, parameter_list: list[Parameter[Any]]
    ) -> SetParametersResult:
        """Set all parameters or none, and apply them; ROS 2's parameter services call this method.

        Values are converted to their declared types first. The new values take effect from the
        next image on, or at the next configuration.
        """
        parameters = [in_declared_type(parameter) for parameter in parameter_list]
        # Before rclpy, which refuses a value out of range in other words than the commands do.
        result = self._validate_parameters(parameters)
        if result.successful:
            result = super().set_parameters_atomically(parameters)
        if result.successful:
            # Not in a callback of rclpy: Humble has none that is called after values were set.
            self._values = changed(self._values, parameters)
            if self._processor is not None:
                self._processor.parameters = self._values
        return result

    def autostart(self) -> None:
        """Configure and activate the node, unless its parameter `autostart` is false.

        Raises StartError if that fails.
        """
        if not self._values.autostart:
            self.get_logger().info("Waiting to be configured and activated (autostart is off)")
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                raise StartError(self._failure or "the node could not be activated")

    def prepare(self) -> bool:
        """Build graphs and engines if the parameter `build_only` is true; return whether it is.

        They are built by configuring the node, which is cleaned up again. Raises StartError if that
        fails.
        """
        if not self._values.build_only:
            return False
        if self.trigger_configure() != TransitionCallbackReturn.SUCCESS:
            raise StartError(self._failure)
        self.trigger_cleanup()
        self.get_logger().info("Everything is built (build_only)")
        return True

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models and create the publishers."""
        self._failure = ""
        try:
            if self._values.detector == "topic":
                detections_type()  # Now, before models are loaded.
            self._pipeline = self._build_pipeline(self._values)
            self._outputs = Outputs(self, self._pipeline)
        except Exception as error:
            self._log_failure("Cannot be configured", error)
            self._release()
            return TransitionCallbackReturn.FAILURE
        pipeline = self._pipeline
        self._reporter.pipeline = pipeline
        self._reporter.set_state("inactive")
        self.get_logger().info(f"Estimator {pipeline.model_id} with body {pipeline.body.name}")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start processing, unless disabled by the service `enable`."""
        assert self._outputs is not None
        self._failure = ""
        result = super().on_activate(state)
        self._outputs.publish_body_model()
        if not self._enabled:
            self._reporter.set_state("active, but disabled")
        elif not self._start_processing():
            return TransitionCallbackReturn.ERROR
        self._active = True
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and finish the current image; nothing is computed from then on."""
        self._stop()
        self._active = False
        self._reporter.set_state("inactive")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Remove the publishers and free the models, on the GPU, too."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything, from any state."""
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything after a failed transition, so that the node can be configured again."""
        self.get_logger().error("A transition failed: the node is unconfigured now")
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Stop processing and free the models before rclpy destroys the publishers."""
        self._stop()
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None
        if self._core_logs is not None:
            self._core_logs.close()
        super().destroy_node()

    def _log_failure(self, what: str, error: Exception) -> None:
        """Log why a transition or service fails, and keep it for StartError."""
        self._failure = missing(error) if isinstance(error, ImportError) else str(error)
        self.get_logger().error(f"{what}: {self._failure}")

    def _start_processing(self) -> bool:
        """Subscribe and start processing; return whether that succeeded, after logging why not."""
        try:
            self._start()
        except Exception as error:  # Such as a QoS override that rclpy refuses.
            self._log_failure("Cannot start to process images", error)
            self._stop()
            return False
        return True

    def _start(self) -> None:
        assert self._pipeline is not None and self._outputs is not None
        topics = input_topics(self, self._values)
        processor = ImageProcessor(
            self,
            self._pipeline,
            self._outputs,
            self._statistics,
            self._throttled_logger,
            topics,
            self._values,
            self._reporter.report_lost,
        )
        processor.start()
        self._processor = processor
        self._inputs = Inputs(self, processor, topics)
        self._reporter.set_state("active", topics)
        self.get_logger().info(f"Looking for people in {topics['image']}")

    def _stop(self) -> None:
        if self._inputs is not None:
            self._inputs.destroy()
        if self._processor is not None:
            self._processor.stop()
        self._inputs = self._processor = None

    def _release(self) -> None:
        self._stop()
        self._active = False
        if self._outputs is not None:
            self._outputs.destroy(self)
        if self._pipeline is not None:
            self._pipeline.close()
        self._outputs = self._pipeline = self._reporter.pipeline = None
        self._reporter.set_state("unconfigured")

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """Start or stop processing while the models stay loaded; a start begins with new tracks."""
        self._enabled = request.data
        if self._active and self._enabled and self._processor is None:
            if not self._start_processing():
                self._enabled = response.success = False
                response.message = self._failure
                return response
        elif not self._enabled and self._processor is not None:
            self._stop()
            self._reporter.set_state("active, but disabled")
        response.success = True
        response.message = "enabled" if self._enabled else "disabled"
        return response

    def _validate_parameters(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        reason = refusal(parameters, live_only=self._pipeline is not None)
        return SetParametersResult(successful=not reason, reason=reason)


def main(
    arguments: list[str] | None = None,
    build: Callable[[Parameters], Pipeline] = build_pipeline,
) -> int:
    """Run the node until Ctrl-C; return the exit status."""

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
