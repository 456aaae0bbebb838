# SPDX-License-Identifier: Apache-2.0
"""Buttons of a viewer's page for a picture, and a short video, of what is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import viser

from pear_ros.viewing.capture import save_picture, save_video

VIDEO_SECONDS = 5.0


class SavePanel:
    """Two buttons in the present container; the session's thread makes the files."""

    def __init__(self, viewer: viser.ClientHandle, changed: Callable[[], None]) -> None:
        """Add the buttons; `changed` is called after a click."""
        self._viewer, self._changed = viewer, changed
        self._wanted = ""
        gui = viewer.gui
        self._picture = gui.add_button("Save picture", icon=viser.Icon.CAMERA)
        self._video = gui.add_button(f"Save video, {VIDEO_SECONDS:g} s", icon=viser.Icon.VIDEO)
        self._picture.on_click(lambda _: self._ask("picture"))
        self._video.on_click(lambda _: self._ask("video"))

    def serve(self, name: str, frames: Callable[[], Iterable[float]]) -> None:
        """Make and send what was asked for since the last call.

        `name`: of the file, without suffix; `frames`: yields the times, seconds, of a video's
        pictures, each when it can be seen.
        """
        wanted, self._wanted = self._wanted, ""
        if not wanted:
            return
        self._block(True)
        try:
            if wanted == "picture":
                save_picture(self._viewer, name)
            else:
                save_video(self._viewer, name, frames())
        except (RuntimeError, TimeoutError, OSError) as error:
            self._viewer.add_notification("Not saved", str(error), color="red")
        finally:
            self._block(False)

    def _ask(self, what: str) -> None:
        self._wanted = what
        self._changed()

    def _block(self, blocked: bool) -> None:
        self._picture.disabled = self._video.disabled = blocked
