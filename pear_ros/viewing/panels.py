# SPDX-License-Identifier: Apache-2.0
"""The tabs of a viewer's page that live and recorded people have in common."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import viser

from pear_ros.viewing.drawing import annotated
from pear_ros.viewing.moment import Moment
from pear_ros.viewing.save_panel import SavePanel
from pear_ros.viewing.screen import Settings
from pear_ros.viewing.view_controls import ViewControls

_PICTURE_SECONDS = 0.2


class Panels:
    """View, picture and files, in tabs; `settings` is what the viewer chose."""

    def __init__(
        self,
        viewer: viser.ClientHandle,
        names: Sequence[str],
        settings: Settings,
        changed: Callable[[], None],
        *,
        narrow: bool,
    ) -> None:
        """Add the tabs. `names`: of the runs; `changed` is called when a control was used.

        `narrow`: see PageState; the tabs are folded there, since they would cover the scene.
        """
        self.settings = settings
        self._changed = changed
        self._anew = False
        self._pictured = -math.inf
        gui = viewer.gui
        gui.set_panel_label(" and ".join(names)[:60])
        # On viser's sheet a panel is folded at first; a group of tabs cannot be.
        self.tabs: viser.PanelHandle | viser.GuiTabGroupHandle = (
            gui.add_panel() if narrow else gui.add_tab_group()
        )
        with self.tabs.add_tab("View", viser.Icon.EYE):
            several = len(names) > 1
            self._view = ViewControls(gui, settings, self._set, self._reset, several=several)
        with self.tabs.add_tab("Picture", viser.Icon.PHOTO):
            blank = np.zeros((2, 2, 3), np.uint8)
            self._pictures = [gui.add_image(blank, label=name, format="jpeg") for name in names]
        with self.tabs.add_tab("Save", viser.Icon.DOWNLOAD):
            self.save = SavePanel(viewer, changed)

    def offer(self, people: Sequence[str]) -> None:
        """Offer these people to be followed."""
        self._view.offer(people)

    def show_pictures(self, moments: Sequence[Moment], *, often: bool = False) -> None:
        """Show the camera's picture of each run with people's joints, if they are wanted.

        `often`: each time; else a few times a second, as pictures are most of what is sent.
        """
        now = time.monotonic()
        if not self.settings.picture or not (often or now - self._pictured >= _PICTURE_SECONDS):
            return
        self._pictured = now
        for handle, moment in zip(self._pictures, moments, strict=True):
            handle.image = annotated(moment)

    def take_reset(self) -> bool:
        """Return whether the view was asked for anew since the last call."""
        anew, self._anew = self._anew, False
        return anew

    def _set(self, settings: Settings) -> None:
        self.settings = settings
        self._changed()

    def _reset(self) -> None:
        self._anew = True
