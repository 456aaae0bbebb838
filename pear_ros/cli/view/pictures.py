# SPDX-License-Identifier: Apache-2.0
"""Pictures of a camera that belong to recorded results: from a video, or from a bag."""

from __future__ import annotations

from typing import Protocol

from pear_ros.core.people import Image


class Pictures(Protocol):
    """Images by time."""

    def at(self, seconds: float) -> Image | None:
        """Return the image of a time, seconds since the first image of results; None: unknown."""

    def close(self) -> None:
        """Release the file."""


class NoPictures:
    """Pictures of results whose images are not known."""

    def at(self, seconds: float) -> Image | None:
        """Return None."""
        return None

    def close(self) -> None:
        """Do nothing."""
