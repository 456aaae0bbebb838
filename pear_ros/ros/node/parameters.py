# SPDX-License-Identifier: Apache-2.0
"""The node's ROS parameters, made from the declarations in pear_ros.core.parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from pear_ros.core.parameters import DECLARATIONS, DEFAULTS, Parameters
from pear_ros.ros.running import StartError


class ParameterError(StartError):
    """A wrong value of a parameter at the start; the text names parameter, value and rule."""


def declare_parameters(node: Node) -> Parameters:
    """Declare every parameter on `node` and return their values.

    Raises ParameterError if a parameter was given a wrong value.
    """
    values = {}
    for name, default in DEFAULTS.items():
        descriptor = _descriptor(name)
        try:
            parameter = node.declare_parameter(name, default, descriptor)
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            parameter = in_declared_type(override_of(node, name, default))
            if reason := refusal([parameter], live_only=False):
                raise ParameterError(reason) from error
            if not _has_declared_type(parameter):
                raise ParameterError(str(error)) from error
            node.declare_parameter(name, parameter.value, descriptor, ignore_override=True)
        if reason := refusal([parameter], live_only=False):
            raise ParameterError(reason)
        values[name] = parameter.value
    return Parameters(**values)


def in_declared_type(parameter: Parameter[Any]) -> Parameter[Any]:
    """Return `parameter` with its value converted to its declared type, or as it is.

    Converted are the types that YAML makes of what people type: an integer given for a float, a
    boolean for the texts off and on (YAML 1.1), an integer for a text or a boolean.
    """
    default, value = DEFAULTS.get(parameter.name), parameter.value
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


def refusal(parameters: Iterable[Parameter[Any]], *, live_only: bool) -> str:
    """Return why these values, in their declared types, cannot be set; or "".

    With `live_only` parameters that take effect at configuration only are refused, too. Names that
    this package does not declare and values of other types are left to rclpy.
    """
    for parameter in parameters:
        declaration = DECLARATIONS.get(parameter.name)
        if declaration is None or not _has_declared_type(parameter):
            continue
        if reason := declaration.refusal(parameter.value):
            return f"Parameter {parameter.name} {reason}"
        if live_only and not declaration.live:
            return (
                f"Parameter {parameter.name} takes effect when the node is configured: "
                "take it through deactivate and cleanup first"
            )
    return ""


def changed(values: Parameters, parameters: Iterable[Parameter[Any]]) -> Parameters:
    """Return `values` with those of `parameters` replaced; other names are ignored."""
    new = {one.name: one.value for one in parameters if one.name in DECLARATIONS}
    return dataclasses.replace(values, **new)


def _has_declared_type(parameter: Parameter[Any]) -> bool:
    return type(parameter.value) is type(DEFAULTS[parameter.name])


def _descriptor(name: str) -> ParameterDescriptor:
    declaration, default = DECLARATIONS[name], DEFAULTS[name]
    descriptor = ParameterDescriptor(description=declaration.help)
    descriptor.additional_constraints = (
        " or ".join(map(repr, declaration.choices)) or declaration.pattern
    )
    limits = {"from_value": declaration.low, "to_value": declaration.high}
    if isinstance(default, float):
        descriptor.floating_point_range = [FloatingPointRange(**limits)]
    elif isinstance(default, int) and not isinstance(default, bool):
        descriptor.integer_range = [IntegerRange(**limits, step=declaration.step)]
    return descriptor


def override_of(node: Node, name: str, default: bool | float | str) -> Parameter[Any]:
    """Return the parameter `name`, which is not declared, as the user gave it, of any type.

    Its value is `default` where the user gave none. It is not declared afterwards either.
    """
    # rclpy has it in the text of its errors only; without a type the parameter can be read.
    untyped = ParameterDescriptor(dynamic_typing=True)
    given: Parameter[Any] = node.declare_parameter(name, default, untyped)
    node.undeclare_parameter(name)
    return given
