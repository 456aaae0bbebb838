# SPDX-License-Identifier: Apache-2.0
"""The parameters of retarget_stream, from the declarations in pear_ros.streaming.options."""

from __future__ import annotations

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from pear_ros.ros.node.parameters import override_of
from pear_ros.ros.running import StartError
from pear_ros.streaming.options import STREAM_DECLARATIONS, STREAM_DEFAULTS, StreamOptions
from pear_ros.streaming.urls import StreamUrl, parse_stream_url


def declare_stream_options(node: Node) -> StreamOptions:
    """Declare the options of a stream on `node` and return their values.

    Raises StartError, which names the parameter, if a value is wrong.
    """
    values = {}
    for name, default in STREAM_DEFAULTS.items():
        declaration = STREAM_DECLARATIONS[name]
        value = override_of(node, name, default).value
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(default):
            kind = "a number" if isinstance(default, float) else "a text"
            raise StartError(f"the parameter {name} must be {kind}, not {value!r}")
        if reason := declaration.refusal(value):
            raise StartError(f"the parameter {name} {reason}")
        descriptor = ParameterDescriptor(description=declaration.help, read_only=True)
        node.declare_parameter(name, value, descriptor, ignore_override=True)
        values[name] = value
    return StreamOptions(**values)


def declare_urls(node: Node) -> list[StreamUrl]:
    """Declare the parameter `urls` on `node` and return its value.

    Raises StartError if it is empty or a URL is wrong.
    """
    descriptor = ParameterDescriptor(
        description=(
            "Where to: sonic://HOST:PORT and ws://HOST:PORT listen on this host, json+udp://, "
            "vmc:// send to it. sonic:// takes ?version=2 or 3 and ?frames=10 or 4."
        ),
        read_only=True,
    )
    node.declare_parameter("urls", [""], descriptor)
    texts = node.get_parameter("urls").get_parameter_value().string_array_value
    if not any(texts):
        raise StartError("the parameter urls is empty: name a stream, as sonic://127.0.0.1:5556")
    try:
        return [parse_stream_url(text) for text in texts if text]
    except ValueError as error:
        raise StartError(f"the parameter urls {error}") from error
