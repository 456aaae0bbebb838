# SPDX-License-Identifier: Apache-2.0
"""Controls of a viewer's page for the time of a recording; they move its Playback."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import viser

from pear_ros.viewing.playback import SPEEDS, Playback

_STEP_SECONDS = 0.001
_STEPS: dict[str, int] = {"-10": -10, "-1": -1, "+1": 1, "+10": 10}
_SPEEDS = {f"{speed:g} x": speed for speed in SPEEDS}


class TimeControls:
    """Button, slider and bars of presence in the present container of the page."""

    def __init__(self, gui: viser.GuiApi, playback: Playback, changed: Callable[[], None]) -> None:
        """Add the controls; `changed` is called after each that was used."""
        self._playback, self._changed = playback, changed
        self._known = 0.0
        """Value of the slider that was set by `show`, or taken by `_seek`."""
        self._button = gui.add_button("Play", icon=viser.Icon.PLAYER_PLAY)
        self._slider = gui.add_slider(
            "Time [s]", 0.0, _rounded(playback.duration), _STEP_SECONDS, 0.0
        )
        self._bars = gui.add_html("")
        steps = gui.add_button_group("Images", tuple(_STEPS))
        speed = gui.add_dropdown("Speed", tuple(_SPEEDS), initial_value="1 x")
        loop = gui.add_checkbox("Loop", playback.loop)
        self._button.on_click(lambda _: self._toggle())
        self._slider.on_update(self._seek)
        steps.on_click(lambda event: self._step(_STEPS[event.target.value]))
        speed.on_update(lambda event: self._speed(_SPEEDS[event.target.value]))
        loop.on_update(lambda event: self._loop(bool(event.target.value)))

    def show(self, position: float) -> None:
        """Show the time of the recording, seconds, and whether it plays."""
        if self._slider.max < (end := _rounded(self._playback.duration)):
            self._slider.max = end
        # A value that is not ours is the viewer's, which `_seek` has yet to be told of.
        ours = abs(float(self._slider.value) - self._known) < _STEP_SECONDS / 2
        if ours and (position := round(position, 3)) != self._known:
            self._known = position
            self._slider.value = position  # type: ignore[misc]
        label = "Pause" if self._playback.playing else "Play"
        if self._button.label != label:
            self._button.label = label
            playing = self._playback.playing
            self._button.icon = viser.Icon.PLAYER_PAUSE if playing else viser.Icon.PLAYER_PLAY

    def show_presence(self, bars: str) -> None:
        """Show the HTML of pear_ros.viewing.presence."""
        if self._bars.content != bars:
            self._bars.content = bars

    def _toggle(self) -> None:
        now = time.monotonic()
        if self._playback.playing:
            self._playback.pause(now)
        else:
            self._playback.play(now)
        self._changed()

    def _seek(self, event: Any) -> None:
        if event.client is not None:  # By the viewer, not by `show`.
            self._known = float(event.target.value)
            self._playback.seek(self._known, time.monotonic())
            self._changed()

    def _step(self, images: int) -> None:
        self._playback.step(images, time.monotonic())
        self._changed()

    def _speed(self, speed: float) -> None:
        self._playback.set_speed(speed, time.monotonic())
        self._changed()

    def _loop(self, loop: bool) -> None:
        self._playback.loop = loop
        self._changed()


def _rounded(duration: float) -> float:
    """Return the end of the slider: no recording is shorter than a step."""
    steps = math.ceil(duration / _STEP_SECONDS - 1e-3)
    return round(max(steps, 1) * _STEP_SECONDS, 3)
