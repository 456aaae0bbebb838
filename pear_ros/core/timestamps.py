# SPDX-License-Identifier: Apache-2.0
"""Stamps of message headers as numbers, identical for live messages and for those in bags."""

from __future__ import annotations

from typing import Any


def nanoseconds_of(header: Any) -> int:
    """Return the stamp of a std_msgs/Header, of rclpy or of a bag, nanoseconds since the epoch."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def seconds_of(header: Any) -> float:
    """Return the stamp of a std_msgs/Header, of rclpy or of a bag, in seconds since the epoch."""
    return 1e-9 * nanoseconds_of(header)
