# SPDX-License-Identifier: Apache-2.0
"""Buttons of a viewer's page for a picture, and a short video, of what is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import viser

from pear_ros.viewing.capture import save_picture, save_video

VIDEO_SECONDS = 5.0
_PICTURE, _VIDEO = "Save picture", f"Save video, {VIDEO_SECONDS:g} s"


class SavePanel:
    """Two buttons in the present container; the session's thread makes the files."""

    def __init__(self, viewer: viser.ClientHandle, changed: Callable[[], None]) -> None:
        """Add the buttons; `changed` is called after a click."""
        self._viewer, self._changed = viewer, changed
        self._wanted = ""
        gui = viewer.gui
        self._buttons = {
            _PICTURE: gui.add_button(_PICTURE, icon=viser.Icon.CAMERA),
            _VIDEO: gui.add_button(_VIDEO, icon=viser.Icon.VIDEO),
        }
        self._buttons[_PICTURE].on_click(lambda _: self._ask(_PICTURE))
        self._buttons[_VIDEO].on_click(lambda _: self._ask(_VIDEO))

    def serve(self, name: str, frames: Callable[[], Iterable[float]]) -> None:
        """Make and send what was asked for since the last call.

        `name`: of the file, without suffix; `frames`: yields the times, seconds, of a video's
        pictures, each when it can be seen.
        """
        wanted, self._wanted = self._wanted, ""
        if not wanted:
            return
        self._block(wanted)
        try:
            if wanted == _PICTURE:
                save_picture(self._viewer, name)
            else:
                save_video(self._viewer, name, frames())
        except (RuntimeError, TimeoutError, OSError) as error:
            self._viewer.add_notification("Not saved", str(error), color="red")
        finally:
            self._block("")

    def _ask(self, what: str) -> None:
        self._wanted = what
        self._changed()

    def _block(self, wanted: str) -> None:
        """Say which file is being made, if any, and take no more wishes meanwhile."""
        for name, button in self._buttons.items():
            button.label = "Saving ..." if name == wanted else name
            button.disabled = bool(wanted)
