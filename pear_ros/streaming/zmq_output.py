# SPDX-License-Identifier: Apache-2.0
"""Packets on a ZeroMQ publisher socket."""

from __future__ import annotations

from typing import Any

from pear_ros.streaming.outputs import StreamError

_QUEUED = 10
"""Packets kept for a consumer that is too slow; later ones are dropped."""


class ZmqOutput:
    """Binds an XPUB socket, which tells whether there are subscribers."""

    def __init__(self, host: str, port: int) -> None:
        """Bind. Raises StreamError where the port cannot be used."""
        import zmq

        self._socket: Any = zmq.Context.instance().socket(zmq.XPUB)
        self._socket.setsockopt(zmq.SNDHWM, _QUEUED)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.IPV6, int(":" in host))
        self._again = zmq.Again
        self._dont_wait = zmq.DONTWAIT
        place = f"tcp://{f'[{host}]' if ':' in host else host}:{port or '*'}"
        try:
            self._socket.bind(place)
        except zmq.ZMQError as error:
            self._socket.close()
            raise StreamError(
                f"cannot publish on {host}:{port}: {zmq.strerror(error.errno or 0)}"
            ) from error
        bound: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.address = bound.removeprefix("tcp://")
        self._topics: set[bytes] = set()

    @property
    def is_wanted(self) -> bool:
        """Whether anybody subscribes."""
        while True:
            try:
                message = self._socket.recv(self._dont_wait)
            except self._again:
                return bool(self._topics)
            change = self._topics.add if message[:1] == b"\1" else self._topics.discard
            change(message[1:])  # sent for the first and the last subscriber of each topic

    def send(self, packet: bytes) -> str:
        """Send a packet to all subscribers."""
        self._socket.send(packet, self._dont_wait)
        return ""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
