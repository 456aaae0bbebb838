# SPDX-License-Identifier: Apache-2.0
"""The session of a browser that looks at recordings; each has its own time and view."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import viser

from pear_ros.viewing.bodies import Bodies
from pear_ros.viewing.capture import save_picture, save_video
from pear_ros.viewing.comparison import Comparison
from pear_ros.viewing.drawing import annotated
from pear_ros.viewing.moment import Moment
from pear_ros.viewing.notes import notes_html
from pear_ros.viewing.page import page_state
from pear_ros.viewing.playback import Playback
from pear_ros.viewing.plot_panel import PlotPanel
from pear_ros.viewing.presence import presence_bars
from pear_ros.viewing.save_panel import VIDEO_SECONDS, SavePanel
from pear_ros.viewing.screen import Screen, Settings
from pear_ros.viewing.time_controls import TimeControls
from pear_ros.viewing.view_controls import ViewControls
from pear_ros.viewing.worker import Worker

_IDLE_SECONDS = 0.5
"""Time after which the address and, while a bag is still read, presence are renewed."""
_PLOT_SECONDS = 0.25
_OPENING_SECONDS = 0.2


class RecordedSession:
    """Shows the runs of a comparison at the time that one viewer chose."""

    def __init__(self, viewer: viser.ClientHandle, runs: Comparison, bodies: Bodies) -> None:
        """Build the page of `viewer`, and show the time and view of its address."""
        self._viewer, self._runs, self._bodies = viewer, runs, bodies
        page = page_state(viewer)
        self._settings = Settings(link=replace(page.link, theme=page.link.theme))
        self._playback = Playback(runs.seconds)
        if page.link.seconds is not None:
            self._playback.seek(page.link.seconds)
        self._screen = Screen(viewer, runs.names, bodies, page)
        self._dirty, self._reset = True, False
        self._shown = -1
        self._renewed, self._plotted = -np.inf, -np.inf
        self._moments: Sequence[Moment] = ()
        self._build()
        self._worker = Worker(self._work, f"viewer {viewer.client_id}")

    def close(self) -> None:
        """End the session's thread."""
        self._worker.close()

    def _build(self) -> None:
        gui = self._viewer.gui
        gui.set_panel_label(" and ".join(self._runs.names)[:60])
        self._notes = gui.add_html("")
        self._time = TimeControls(gui, self._playback, self._wake)
        tabs = gui.add_tab_group()
        with tabs.add_tab("View", viser.Icon.EYE):
            self._view = ViewControls(
                gui, self._settings, self._choose, self._anew, several=len(self._runs.runs) > 1
            )
        with tabs.add_tab("Picture", viser.Icon.PHOTO):
            blank = np.zeros((2, 2, 3), np.uint8)
            self._pictures = [
                gui.add_image(blank, label=name, format="jpeg") for name in self._runs.names
            ]
        with tabs.add_tab("Plot", viser.Icon.CHART_LINE):
            self._plot = PlotPanel(gui, self._wake)
        with tabs.add_tab("Save", viser.Icon.DOWNLOAD):
            self._save = SavePanel(gui, self._wake)

    def _choose(self, settings: Settings) -> None:
        self._settings = settings
        self._wake()

    def _anew(self) -> None:
        self._reset = True

    def _wake(self) -> None:
        self._dirty = True
        if hasattr(self, "_worker"):
            self._worker.wake()

    def _work(self) -> float:
        """Show the present time; return the seconds until the next image is due."""
        now = time.monotonic()
        dirty, self._dirty = self._dirty, False
        if not len(self._runs.seconds):
            self._playback.extend(self._runs.seconds)
            self._notes.content = notes_html(["Reading ...", *self._runs.notes])
            return _OPENING_SECONDS
        index = self._playback.index(now)
        if dirty or index != self._shown:
            self._show(index)
        self._time.show(self._playback.position(now))
        self._renew(now, dirty)
        if wanted := self._save.take():
            self._capture(wanted)
        wait = self._playback.wait(time.monotonic())
        return _IDLE_SECONDS if wait is None else min(wait, _IDLE_SECONDS)

    def _show(self, index: int) -> None:
        if self._reset:
            self._screen.reset_view()
            self._reset = False
        self._shown = index
        self._moments = self._runs.moments(float(self._playback.seconds[index]))
        self._screen.show(self._moments, self._settings)
        if self._settings.picture:
            for handle, moment in zip(self._pictures, self._moments, strict=True):
                handle.image = annotated(moment)

    def _renew(self, now: float, dirty: bool) -> None:
        """Renew what need not change with every image."""
        if dirty or now - self._plotted >= _PLOT_SECONDS:
            self._plotted = now
            self._plot.show(self._runs.summaries(), self._playback.position(now))
        if now - self._renewed < _IDLE_SECONDS:
            return
        self._renewed = now
        self._playback.extend(self._runs.seconds)
        tracks = self._runs.summaries()
        self._time.show_presence(presence_bars(tracks, self._playback.duration))
        self._view.offer(list(self._runs.runs[0].summary()))
        notes = [*self._runs.notes, *self._lacks()]
        if (content := notes_html(notes)) != self._notes.content:
            self._notes.content = content
        if not self._playback.playing:
            position = self._playback.position(now)
            self._screen.keep_link(replace(self._settings.link, seconds=position))

    def _lacks(self) -> list[str]:
        """Sentences about bodies that are not shown as meshes."""
        names = dict.fromkeys(moment.people.body_model for moment in self._moments)
        return [self._bodies.lack(name) for name in names if self._bodies.skin(name) is None]

    def _capture(self, what: str) -> None:
        self._save.busy(True)
        name = f"pear_{self._playback.position(time.monotonic()):.2f}s"
        try:
            if what == "picture":
                save_picture(self._viewer, name)
            else:
                save_video(self._viewer, name, self._filmed())
        except (RuntimeError, TimeoutError, OSError) as error:
            self._viewer.add_notification("Not saved", str(error), color="red")
        finally:
            self._save.busy(False)

    def _filmed(self) -> Iterator[float]:
        """Show the images of the next seconds one by one; yield their times."""
        self._playback.pause(time.monotonic())
        begin = self._playback.position(time.monotonic())
        for index, seconds in enumerate(self._playback.seconds):
            if begin <= seconds + 1e-6 and seconds <= begin + VIDEO_SECONDS:
                if self._worker.closed:
                    return
                self._show(index)
                yield float(seconds)
