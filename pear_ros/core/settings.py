# SPDX-License-Identifier: Apache-2.0
"""What somebody may change while people are being perceived. Imports nothing of the package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What may be changed from one image to the next."""

    max_humans: int = 8
    """Nobody beyond this number is followed."""
    smoothing: bool = True
    """Whether motion is freed of jitter; see pear_ros.smoothing.smoother."""
    body_height: float | None = None
    """Standing height in metres of everybody in sight, where it is known."""
