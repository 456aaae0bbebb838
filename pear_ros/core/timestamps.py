# SPDX-License-Identifier: Apache-2.0
"""Stamps of messages as numbers, equal to the last bit for live and recorded messages."""

from __future__ import annotations

from typing import Any


def nanoseconds_of(header: Any) -> int:
    """Return the stamp of a std_msgs/Header, of rclpy or read from a bag, in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def seconds_of(header: Any) -> float:
    """Return the stamp of a std_msgs/Header, of rclpy or read from a bag, in seconds."""
    return 1e-9 * nanoseconds_of(header)
