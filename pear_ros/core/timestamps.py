# SPDX-License-Identifier: Apache-2.0
"""Stamps of messages as numbers: the same of a live image and of one in a bag, to the last bit."""

from __future__ import annotations

from typing import Any


def nanoseconds_of(header: Any) -> int:
    """Since the epoch, of a std_msgs/Header, be it of rclpy or read from a bag."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def seconds_of(header: Any) -> float:
    """The same in seconds, as the pipeline takes it."""
    return 1e-9 * nanoseconds_of(header)
