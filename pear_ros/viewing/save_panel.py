# SPDX-License-Identifier: Apache-2.0
"""Buttons of a viewer's page that ask for a picture or a video of what is seen."""

from __future__ import annotations

from collections.abc import Callable

import viser

VIDEO_SECONDS = 5.0


class SavePanel:
    """Two buttons in the present container; the session does what they ask for."""

    def __init__(self, gui: viser.GuiApi, changed: Callable[[], None]) -> None:
        """Add the buttons; `changed` is called after a click."""
        self._wanted = ""
        self._changed = changed
        self._buttons = [
            gui.add_button("Save picture", icon=viser.Icon.CAMERA),
            gui.add_button(f"Save video, {VIDEO_SECONDS:g} s", icon=viser.Icon.VIDEO),
        ]
        self._buttons[0].on_click(lambda _: self._ask("picture"))
        self._buttons[1].on_click(lambda _: self._ask("video"))

    def take(self) -> str:
        """Return what was asked for since the last call: `picture`, `video` or nothing."""
        wanted, self._wanted = self._wanted, ""
        return wanted

    def busy(self, busy: bool) -> None:
        """Block the buttons while a file is made."""
        for button in self._buttons:
            button.disabled = busy

    def _ask(self, what: str) -> None:
        self._wanted = what
        self._changed()
