# SPDX-License-Identifier: Apache-2.0
"""URLs of streams: protocol, host, port, and what the protocol has to choose.

sonic://127.0.0.1:5556?version=3&frames=10
json+udp://127.0.0.1:9870
ws://127.0.0.1:8765
vmc://127.0.0.1:39539
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib import metadata
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pear_ros.streaming.hosts import ALL_INTERFACES, ip_addresses, is_interface
from pear_ros.streaming.json_frames import encode_json
from pear_ros.streaming.motion_stream import MotionFrame
from pear_ros.streaming.options import StreamOptions
from pear_ros.streaming.outputs import Output, StreamError
from pear_ros.streaming.sonic import VERSIONS, SonicEncoder
from pear_ros.streaming.udp import UdpOutput
from pear_ros.streaming.vmc import VmcEncoder
from pear_ros.streaming.websocket_output import WebSocketOutput
from pear_ros.streaming.zmq_output import ZmqOutput

Encoder = Callable[[MotionFrame], list[bytes]]
"""Returns the packets of a frame."""

_PORTS = {"sonic": 5556, "json+udp": 9870, "ws": 8765, "vmc": 39539}
_BY_UDP = ("json+udp", "vmc")
_PACKAGES = {
    "sonic": ("zmq", "pyzmq", 0),
    "ws": ("websockets", "websockets", 10),  # 9.1, Ubuntu 22.04's, hangs in Python 3.10
    "vmc": ("pythonosc.osc_bundle_builder", "python-osc", 0),
}
"""Module, package and oldest major version that a protocol needs."""
_FRAMES, _MOST_FRAMES = 10, 50
_EXAMPLE = "such as sonic://127.0.0.1:5556, json+udp://127.0.0.1:9870, ws://127.0.0.1:8765 or "
_EXAMPLE += "vmc://127.0.0.1:39539"


class StreamUrl(NamedTuple):
    """A URL that was checked."""

    text: str
    scheme: str
    host: str
    port: int
    """0: the system chooses one, where the stream listens."""
    version: int
    """Of SONIC's protocol."""
    frames: int
    """In a packet of SONIC's."""
    addresses: tuple[str, ...] = ()
    """IP addresses of the host; empty: not resolved yet."""

    def require_package(self) -> None:
        """Raise StreamError where the package of the protocol is missing or too old."""
        if self.scheme not in _PACKAGES:
            return
        module, package, oldest = _PACKAGES[self.scheme]
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise StreamError(f"{self.text} needs {package}: pip install {package}") from error
        installed = metadata.version(package)
        if int(installed.partition(".")[0]) < oldest:
            raise StreamError(
                f"{self.text} needs {package} {oldest} or newer, not {installed}: "
                f"pip install --upgrade {package}"
            )

    def resolved(self) -> StreamUrl:
        """Return the URL with the IP addresses of its host.

        For this once: a name server may be slow. Raises StreamError where the host is unknown.
        """
        if self.scheme not in _BY_UDP and self.host == ALL_INTERFACES:
            return self
        if self.scheme == "sonic" and is_interface(self.host):  # ZeroMQ knows them by name.
            return self
        try:
            return self._replace(addresses=ip_addresses(self.host, self.port))
        except StreamError as error:
            raise StreamError(f"{self.text}: {error}") from error

    def encoder(self, options: StreamOptions) -> Encoder:
        """Return the encoder of new frames."""
        if self.scheme == "sonic":
            rate, joint_rate = options.rate, options.max_joint_rate
            return SonicEncoder(self.version, self.frames, joint_rate, rate)
        return VmcEncoder() if self.scheme == "vmc" else encode_json

    def output(self) -> Output:
        """Open the output. Raises StreamError where that fails."""
        hosts = self.addresses or (self.host,)
        try:
            if self.scheme == "ws":
                return WebSocketOutput(hosts, self.port)
            if self.scheme == "sonic":
                # As of a name that ZeroMQ resolves itself, of both kinds the IPv4 address.
                return ZmqOutput(min(hosts, key=lambda host: ":" in host), self.port)
            return UdpOutput(hosts[0], self.port)
        except StreamError as error:
            raise StreamError(f"{self.text}: {error}") from error


def parse_stream_url(text: str) -> StreamUrl:
    """Return the URL of a stream; without a port, the protocol's usual one.

    Raises ValueError with "must be ..." where it is wrong.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise ValueError(f"must be a URL {_EXAMPLE}, not {text!r}: {error}") from error
    has_more = parts.path not in ("", "/") or parts.username is not None or parts.fragment
    if parts.scheme not in _PORTS or not parts.hostname or has_more:
        raise ValueError(f"must be a URL {_EXAMPLE}, not {text!r}")
    version, frames = _sonic_choices(parts)
    port = _PORTS[parts.scheme] if port is None else port
    if port == 0 and parts.scheme in _BY_UDP:
        raise ValueError(f"must have the port that the consumer receives on, not 0: {text!r}")
    return StreamUrl(text, parts.scheme, parts.hostname, port, version, frames)


def _sonic_choices(parts: SplitResult) -> tuple[int, int]:
    choices = dict(parse_qsl(parts.query, keep_blank_values=True))
    version = choices.pop("version", "3")
    frames = choices.pop("frames", str(_FRAMES))
    if choices or (parts.query and parts.scheme != "sonic"):
        raise ValueError(f"must have no {parts.query!r}: only sonic:// has version and frames")
    if version not in map(str, VERSIONS):
        raise ValueError(f"must have version=2 or version=3, not {version!r}")
    if frames not in map(str, range(1, _MOST_FRAMES + 1)):
        raise ValueError(f"must have frames from 1 to {_MOST_FRAMES}, not {frames!r}")
    return int(version), int(frames)
