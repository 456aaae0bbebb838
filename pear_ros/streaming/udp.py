# SPDX-License-Identifier: Apache-2.0
"""Packets over UDP."""

from __future__ import annotations

import socket

from pear_ros.streaming.outputs import StreamError


class UdpOutput:
    """Sends to one host and port; whether anybody receives is not known."""

    is_wanted = True

    def __init__(self, host: str, port: int) -> None:
        """Open a socket. Raises StreamError where the host is not known."""
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(
                host, port, type=socket.SOCK_DGRAM
            )[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.setblocking(False)
            self._socket.connect(place)
        except OSError as error:
            raise StreamError(f"cannot send to {host}:{port}: {error.strerror or error}") from error
        self.address = f"{host}:{port}"

    def send(self, packet: bytes) -> str:
        """Send a packet; return why it was not sent, or ""."""
        try:
            self._socket.send(packet)
        except ConnectionRefusedError:  # of an earlier packet, by the receiving system
            return f"nobody receives on UDP port {self.address}; sending goes on"
        except OSError as error:
            return f"a packet to {self.address} was not sent ({error.strerror}); sending goes on"
        return ""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
