# SPDX-License-Identifier: Apache-2.0
"""Playback: which image of a recording is shown at which time. Images are shown as they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)


class Playback:
    """A position in a recording that moves with a clock while it plays."""

    def __init__(self, seconds: npt.NDArray[np.float64]) -> None:
        """Begin, paused, at the first of the images at `seconds` (F,), ascending."""
        self.seconds = seconds
        """(F,) times of the images."""
        self._position = 0.0
        self._since: float | None = None
        """Time of the clock at which playback was at `_position`; None: paused."""
        self.speed = 1.0
        """Seconds of the recording a second."""
        self.loop = True
        """Whether playback begins again at the end."""

    @property
    def playing(self) -> bool:
        """Whether the position moves."""
        return self._since is not None

    @property
    def duration(self) -> float:
        """Time from the first to the last image, seconds."""
        return float(self.seconds[-1]) if len(self.seconds) else 0.0

    def extend(self, seconds: npt.NDArray[np.float64]) -> None:
        """Replace the times of images by more of them."""
        self.seconds = seconds

    def play(self, now: float) -> None:
        """Start at the position; at the end, at the beginning. `now`: seconds of a steady clock."""
        if self.position(now) >= self.duration:
            self._position = 0.0
        self._since = now

    def pause(self, now: float) -> None:
        """Stop at the image that is shown."""
        self.seek(self.position(now))
        self._since = None

    def seek(self, seconds: float, now: float | None = None) -> None:
        """Move the position to a time of the recording; go on playing from `now` on."""
        self._position = min(max(seconds, 0.0), self.duration)
        if self._since is not None and now is not None:
            self._since = now

    def set_speed(self, speed: float, now: float) -> None:
        """Change the speed, at the position of this moment."""
        self.seek(self.position(now), now)
        self.speed = speed

    def step(self, images: int, now: float) -> None:
        """Pause and move by so many images, backwards if negative."""
        index = min(max(self.index(now) + images, 0), max(len(self.seconds) - 1, 0))
        self._since = None
        if len(self.seconds):
            self.seek(float(self.seconds[index]))

    def position(self, now: float) -> float:
        """Return the time of the recording, seconds. It stops at the end, or begins again."""
        if self._since is None:
            return self._position
        passed = self._position + self.speed * (now - self._since)
        if passed < self._period:
            return min(passed, self.duration)
        if self.loop and self.duration > 0.0:
            self._position, self._since = passed % self._period, now
        else:
            self._position, self._since = self.duration, None
        return min(self._position, self.duration)

    def index(self, now: float) -> int:
        """Return the index of the last image until the position; 0 before the first one."""
        found = int(np.searchsorted(self.seconds, self.position(now) + 1e-6, side="right")) - 1
        return max(found, 0)

    def wait(self, now: float) -> float | None:
        """Return the seconds until the next image; None while it is paused."""
        if self._since is None:
            return None
        after = self.index(now) + 1
        if after < len(self.seconds):
            return max(float(self.seconds[after]) - self.position(now), 0.0) / self.speed
        return (self._period - self.duration) / self.speed

    @property
    def _period(self) -> float:
        """Duration with that of the last image, which is as long as the others on average."""
        return self.duration * (1.0 + 1.0 / max(len(self.seconds) - 1, 1))
