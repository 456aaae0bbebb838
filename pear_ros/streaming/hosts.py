# SPDX-License-Identifier: Apache-2.0
"""IP addresses of the hosts in URLs of streams."""

from __future__ import annotations

import socket

from pear_ros.streaming.outputs import StreamError

ALL_INTERFACES = "*"
"""Host of an output that listens on all interfaces."""


def ip_addresses(host: str, port: int) -> tuple[str, ...]:
    """Return all IP addresses of a host, in the order of preference; it may take seconds.

    Raises StreamError where the host is unknown.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise StreamError(
            f"unknown host {host} ({error.strerror or error}): correct its name or give its IP "
            "address"
        ) from error
    return tuple(dict.fromkeys(str(place[0]) for *_, place in found))


def is_interface(host: str) -> bool:
    """Return whether `host` is the name of a network interface of this machine."""
    return host in (name for _, name in socket.if_nameindex())
