# SPDX-License-Identifier: Apache-2.0
"""The node: images in, people out. A lifecycle around the modules that do the work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from pear_ros.core.configuration import EstimatorChoice
from pear_ros.core.parameters import Parameters
from pear_ros.ros.environment import missing
from pear_ros.ros.node.complaints import Complaints
from pear_ros.ros.node.inputs import Inputs, detections_type, input_topics
from pear_ros.ros.node.logs import core_logs_to
from pear_ros.ros.node.metrics import Recorder, Statistics
from pear_ros.ros.node.outputs import Outputs, Watched
from pear_ros.ros.node.parameters import (
    changed,
    declare_parameters,
    in_declared_type,
    refusal,
)
from pear_ros.ros.node.reporter import Reporter
from pear_ros.ros.node.worker import Worker
from pear_ros.ros.running import StartError, run

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline


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
        self._complain = Complaints(self.get_logger())
        self._reporter = Reporter(self, self._recorder, self._complain)
        self._pipeline: Pipeline | None = None
        self._outputs: Outputs | None = None
        self._worker: Worker | None = None
        self._inputs: Inputs | None = None
        self._active = False
        self._enabled = True
        self._trouble = ""
        self._values = declare_parameters(self)
        self.add_on_set_parameters_callback(self._validate_parameters)
        self.create_service(SetBool, "~/enable", self._enable)

    @property
    def statistics(self) -> Statistics:
        """What became of the images so far, and how long each stage takes."""
        return self._recorder.snapshot()

    @property
    def watched(self) -> Watched | None:
        """Which results somebody subscribes to; None while the node is not configured."""
        return self._outputs.watched() if self._outputs else None

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
            if self._worker is not None:
                self._worker.parameters = self._values
        return result

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
            if self._values.detector == "topic":
                detections_type()  # Now, before models are loaded.
            with core_logs_to(self.get_logger()):
                self._pipeline = self._build_pipeline(self._values)
            self._outputs = Outputs(self, self._pipeline)
        except Exception as error:
            self._trouble = missing(error) if isinstance(error, ImportError) else str(error)
            self.get_logger().error(f"Cannot be configured: {self._trouble}")
            self._let_go()
            return TransitionCallbackReturn.FAILURE
        pipeline = self._pipeline
        self._reporter.pipeline = pipeline
        self._reporter.enter("inactive")
        self.get_logger().info(f"Estimator {pipeline.model_id} with body {pipeline.body.name}")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribes and starts the worker, unless the service `enable` has switched it off."""
        assert self._outputs is not None
        result = super().on_activate(state)
        self._outputs.publish_body_model()
        self._active = True
        if self._enabled:
            self._start()
        else:
            self._reporter.enter("active, but disabled")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops listening and finishes the image at hand: from then on nothing is computed."""
        self._stop()
        self._active = False
        self._reporter.enter("inactive")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Takes the publishers away and lets go of the models, on the GPU, too."""
        self._let_go()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops and lets go, from any state."""
        self._let_go()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lets go of everything after a transition that failed: the node can be configured anew."""
        self.get_logger().error("A transition failed: the node is unconfigured now")
        self._let_go()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Stops the worker before rclpy takes its publishers away."""
        self._stop()
        super().destroy_node()

    def _start(self) -> None:
        assert self._pipeline is not None and self._outputs is not None
        topics = input_topics(self, self._values)
        worker = Worker(
            self,
            self._pipeline,
            self._outputs,
            self._recorder,
            self._complain,
            topics,
            self._values,
        )
        worker.start()
        self._worker = worker
        self._inputs = Inputs(self, self._values, worker, topics)
        self._reporter.enter("active", topics)
        self.get_logger().info(f"Looking for people in {topics['image']}")

    def _stop(self) -> None:
        if self._inputs is not None:
            self._inputs.destroy()
        if self._worker is not None:
            self._worker.stop()
        self._inputs = self._worker = None

    def _let_go(self) -> None:
        self._stop()
        self._active = False
        if self._outputs is not None:
            self._outputs.destroy(self)
        if self._pipeline is not None:
            self._pipeline.close()
        self._outputs = self._pipeline = self._reporter.pipeline = None
        self._reporter.enter("unconfigured")

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        """Switches the work on and off while models stay loaded; on begins with new tracks."""
        self._enabled = request.data
        if self._active and self._enabled and self._worker is None:
            self._start()
        elif not self._enabled and self._worker is not None:
            self._stop()
            self._reporter.enter("active, but disabled")
        response.success = True
        response.message = "enabled" if self._enabled else "disabled"
        return response

    def _validate_parameters(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        reason = refusal(parameters, live_only=self._pipeline is not None)
        return SetParametersResult(successful=not reason, reason=reason)


def build_pipeline(parameters: Parameters) -> Pipeline:
    """The core's pipeline as the parameters want it."""
    (pipeline,) = build_pipelines(parameters, 1)
    return pipeline


def build_pipelines(parameters: Parameters, count: int) -> list[Pipeline]:
    """`count` pipelines as the parameters want them, each for a thread of its own.

    They share PEAR's network, and results are the same whatever the count.
    """
    # Imported late: not before parameters have been checked, since the models' runtime takes time.
    from pear_ros.detection.detectors import make_detector
    from pear_ros.estimators.factory import make_estimators
    from pear_ros.pipeline import Pipeline

    return [
        Pipeline(
            estimator,
            make_detector(parameters.detector),
            parameters,
            parameters.id_prefix,
        )
        for estimator in make_estimators(EstimatorChoice.of(parameters), count)
    ]


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
