# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: each declared once, with type, range, description and default."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from pear_ros.core.choice import (
    DETECTORS,
    ESTIMATORS,
    MESH_DETAILS,
    PEAR_BODIES,
    PRECISIONS,
    RELIABILITIES,
    RUNTIMES,
    TRANSFORMS,
    EstimatorChoice,
    RuntimeChoice,
)
from pear_ros.core.settings import Settings
from pear_ros.ros.running import StartError


class ParameterError(StartError):
    """A parameter that was given a wrong value at the start; the text says which and why."""


def _parameter(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    pattern: str = "",
    live: bool = False,
) -> Any:
    """A field that is a parameter; `live` ones may be changed while the node is running.

    `pattern`: a regular expression that a text has to match.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "description": description,
            "low": low,
            "high": high,
            "choices": choices,
            "pattern": pattern,
            "live": live,
        },
    )


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Values of the node's parameters; the descriptions are those that `ros2 param` shows."""

    autostart: bool = _parameter(
        True,
        "Whether the node configures and activates itself when it starts.",
    )
    build_only: bool = _parameter(
        False,
        "Whether the node only makes what PEAR's runtime needs and keeps, such as a TensorRT "
        "engine, and exits: the next start does not have to wait for it.",
    )
    image_transport: str = _parameter(
        "raw",
        "How images arrive: 'raw' for sensor_msgs/Image, 'compressed' for "
        "sensor_msgs/CompressedImage on the image topic's name with /compressed behind it.",
        choices=("raw", "compressed"),
    )
    image_reliability: str = _parameter(
        "auto",
        "Reliability of the subscriptions to images, camera_info, detections and depth: 'auto' for "
        "reliable where all publishers offer it and best effort where one does not, 'reliable', "
        "which loses no raw image but needs reliable publishers, or 'best_effort'.",
        choices=RELIABILITIES,
        live=True,
    )
    estimator: str = _parameter(
        "auto",
        "What estimates bodies: 'pear' for PEAR, whose licensed files must be in model_folder, "
        "'landmarks' for the open default, 'auto' for PEAR where its files are complete, else the "
        "default.",
        choices=ESTIMATORS,
    )
    model_folder: str = _parameter(
        "",
        "Folder with PEAR's files, anywhere below; empty: $PEAR_ROS_MODELS, else "
        "~/.local/share/pear_ros/models.",
    )
    pear_body: str = _parameter(
        "ehm-s",
        "PEAR's body: 'ehm-s' for SMPL-X with FLAME's head, 'smplx' for SMPL-X alone.",
        choices=PEAR_BODIES,
    )
    runtime: str = _parameter(
        "auto",
        "What runs PEAR's network: 'tensorrt', 'torch' (on the GPU where it has one), "
        "'onnxruntime' or 'openvino' (on the CPU); 'auto' for the first that can be had of "
        "TensorRT, torch on the GPU, ONNX Runtime, OpenVINO and torch on the CPU. "
        "Where the one named cannot be had, the others are tried, with a warning.",
        choices=RUNTIMES,
    )
    strict_runtime: bool = _parameter(
        False,
        "Whether to refuse to be configured where the runtime that is named cannot be had.",
    )
    precision: str = _parameter(
        "auto",
        "Of PEAR's network: 'fp16' and 'bf16' on GPUs, 'int8' with onnxruntime, 'fp32' everywhere; "
        "'auto' for the quickest that is accurate enough, as tried at the start or at an engine's "
        "build.",
        choices=PRECISIONS,
    )
    detector: str = _parameter(
        "built_in",
        "What finds people: 'built_in', 'topic' for vision_msgs/Detection2DArray on the topic "
        "detections, or 'full_frame' for one person anywhere in the image.",
        choices=DETECTORS,
    )
    detection_classes: str = _parameter(
        "person",
        "Class ids, separated by commas, of those on the topic detections who are people; empty: "
        "all are.",
        live=True,
    )
    detection_score: float = _parameter(
        0.3,
        "Least score of those on the topic detections who are taken for people.",
        low=0.0,
        high=1.0,
        live=True,
    )
    depth: bool = _parameter(
        False,
        "Whether true distance and size are taken from a depth image on the topic depth, aligned "
        "with the image.",
    )
    sync_tolerance: float = _parameter(
        0.02,
        "Seconds by which the stamps of detections and depth may differ from the image's.",
        low=0.0,
        high=1.0,
        live=True,
    )
    sync_timeout: float = _parameter(
        0.2,
        "Seconds for which an image waits for its detections and its depth; then it is worked on "
        "with what is there.",
        low=0.0,
        high=10.0,
        live=True,
    )
    max_humans: int = _parameter(
        8,
        "Greatest number of people followed at once; each costs time.",
        low=1,
        high=32,
        live=True,
    )
    id_prefix: str = _parameter(
        "h",
        "What ids of people begin with, before their number: each camera's own where several "
        "share /tf or /humans.",
        pattern="[A-Za-z][A-Za-z0-9_]*",
    )
    smoothing: bool = _parameter(
        True,
        "Whether motion is freed of jitter.",
        live=True,
    )
    body_height: float = _parameter(
        0.0,
        "Standing height in metres of the people in sight, for true distances without a depth "
        "image; 0: not known.",
        low=0.0,
        high=2.5,
        live=True,
    )
    calibration: str = _parameter(
        "auto",
        "What camera_info says of the image: 'raw' for K and the lens distortion D, 'rectified' "
        "for P and no distortion, 'auto' for rectified where the image topic's last name begins "
        "with image_rect, else raw.",
        choices=("auto", "raw", "rectified"),
        live=True,
    )
    field_of_view: float = _parameter(
        60.0,
        "Degrees across the image's longer side, used while no calibrated camera_info is there.",
        low=1.0,
        high=179.0,
        live=True,
    )
    publish_vertices: bool = _parameter(
        False,
        "Whether humans carries every mesh vertex (over 150 kB a person) beside the parameters.",
        live=True,
    )

    mesh_detail: str = _parameter(
        "medium",
        "Triangles of the meshes in mesh_markers and overlay: 'full' for all that the body has, "
        "over 20,000, 'medium' for about 7,000, 'low' for about 2,000.",
        choices=MESH_DETAILS,
        live=True,
    )

    transforms: str = _parameter(
        "off",
        "What goes to /tf while somebody listens there: 'roots' for body_<id> of each person, "
        "'joints' for every joint as well, or 'off'.",
        choices=TRANSFORMS,
        live=True,
    )

    @property
    def settings(self) -> Settings:
        """What the pipeline takes into account from the next image on."""
        return Settings(self.max_humans, self.smoothing, self.body_height or None)

    @property
    def estimator_choice(self) -> EstimatorChoice:
        """Which estimator is wanted."""
        folder = Path(self.model_folder).expanduser() if self.model_folder else None
        runtime = RuntimeChoice(self.runtime, self.strict_runtime, self.precision)
        return EstimatorChoice(self.estimator, folder, self.pear_body, runtime)

    def changed(self, parameters: Iterable[Parameter[Any]]) -> Parameters:
        """These values with some set anew; names of other parameters are passed over."""
        names = {field.name for field in dataclasses.fields(self)}
        return dataclasses.replace(self, **{p.name: p.value for p in parameters if p.name in names})


def declare_parameters(node: Node) -> Parameters:
    """Declares every parameter on `node` and reads its value.

    Raises ParameterError, with parameter, value and rule, when one was given a wrong value.
    """
    values = {}
    for field in dataclasses.fields(Parameters):
        meta = field.metadata
        descriptor = ParameterDescriptor(description=meta["description"])
        if meta["choices"]:
            descriptor.additional_constraints = _one_of(meta["choices"])
        elif meta["pattern"]:
            descriptor.additional_constraints = meta["pattern"]
        if isinstance(field.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=meta["low"], to_value=meta["high"])
            ]
        elif isinstance(field.default, int) and not isinstance(field.default, bool):
            descriptor.integer_range = [IntegerRange(from_value=meta["low"], to_value=meta["high"])]
        try:
            parameter = _declare(node, field, descriptor)
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise ParameterError(str(error)) from error
        reason = refusal([parameter], live_only=False)
        if reason:
            raise ParameterError(reason)
        values[field.name] = parameter.value
    return Parameters(**values)


def in_declared_type(parameter: Parameter[Any]) -> Parameter[Any]:
    """`parameter` in its declared type, where its value can mean that; else as it is.

    Types are those that YAML makes of what people type: an integer for a whole number, a boolean
    for off and on (YAML 1.1), an integer for a class id.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(Parameters)}
    default, value = defaults.get(parameter.name), parameter.value
    if isinstance(default, str) and isinstance(value, bool):
        value = "on" if value else "off"
    elif isinstance(default, str) and isinstance(value, int):
        value = str(value)
    elif isinstance(default, bool) and value in (0, 1):
        value = bool(value)
    elif isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    else:
        return parameter
    return Parameter(parameter.name, value=value)


def _declare(
    node: Node, field: dataclasses.Field[Any], descriptor: ParameterDescriptor
) -> Parameter[Any]:
    try:
        return node.declare_parameter(field.name, field.default, descriptor)
    except InvalidParameterTypeException:
        # rclpy names the value in its error only in words: it is read by declaring it untyped.
        untyped = ParameterDescriptor(dynamic_typing=True)
        given: Parameter[Any] = node.declare_parameter(field.name, field.default, untyped)
        node.undeclare_parameter(field.name)
        typed = in_declared_type(given)
        if typed is given:
            raise
        return node.declare_parameter(field.name, typed.value, descriptor, ignore_override=True)


def refusal(parameters: Iterable[Parameter[Any]], *, live_only: bool) -> str:
    """Why these values cannot be set, beyond type and range, which rclpy checks; or "".

    With `live_only` those that take effect at configuration only are refused, too.
    """
    fields = {field.name: field.metadata for field in dataclasses.fields(Parameters)}
    for parameter in parameters:
        meta = fields.get(parameter.name)
        if meta is None:
            continue
        if meta["choices"] and parameter.value not in meta["choices"]:
            return (
                f"Parameter {parameter.name} must be {_one_of(meta['choices'])}, "
                f"not {parameter.value!r}"
            )
        if meta["pattern"] and not re.fullmatch(meta["pattern"], parameter.value):
            return (
                f"Parameter {parameter.name} must match {meta['pattern']}, not {parameter.value!r}"
            )
        if live_only and not meta["live"]:
            return (
                f"Parameter {parameter.name} takes effect when the node is configured: "
                "take it through deactivate and cleanup first"
            )
    return ""


def _one_of(choices: Iterable[str]) -> str:
    return " or ".join(repr(choice) for choice in choices)
