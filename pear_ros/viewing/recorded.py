# SPDX-License-Identifier: Apache-2.0
"""The session of a browser that looks at recordings; each has its own time and view."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import viser

from pear_ros.viewing.bodies import Bodies
from pear_ros.viewing.colouring import run_colour
from pear_ros.viewing.comparison import Comparison
from pear_ros.viewing.moment import Moment
from pear_ros.viewing.notes import legend_html, notes_html
from pear_ros.viewing.page import page_state
from pear_ros.viewing.panels import Panels
from pear_ros.viewing.playback import Playback
from pear_ros.viewing.plot_panel import PlotPanel
from pear_ros.viewing.presence import presence_bars
from pear_ros.viewing.save_panel import VIDEO_SECONDS
from pear_ros.viewing.screen import Screen, Settings
from pear_ros.viewing.time_controls import TimeControls
from pear_ros.viewing.worker import Worker

_IDLE_SECONDS = 0.5
"""Time after which the address and, while a bag is still read, presence are renewed."""
_PLOT_SECONDS = 1.0
_OPENING_SECONDS = 0.2


class RecordedSession:
    """Shows the runs of a comparison at the time that one viewer chose."""

    def __init__(self, viewer: viser.ClientHandle, runs: Comparison, bodies: Bodies) -> None:
        """Build the page of `viewer`, and show the time and view of its address."""
        self._runs, self._bodies = runs, bodies
        page = page_state(viewer)
        self._seek = page.link.seconds
        self._playback = Playback(runs.seconds)
        self._screen = Screen(viewer, runs.names, bodies, page)
        self._changed = True
        self._shown = -1
        self._renewed = self._plotted = -np.inf
        self._moments: Sequence[Moment] = ()
        self._worker = Worker(self._work, f"viewer {viewer.client_id}")
        if len(runs.names) > 1:
            colours = {name: run_colour(n) for n, name in enumerate(runs.names)}
            viewer.gui.add_html(legend_html(colours))
        self._notes = viewer.gui.add_html("")
        self._time = TimeControls(viewer.gui, self._playback, self._wake)
        settings = Settings(link=page.link)
        self._panels = Panels(viewer, runs.names, settings, self._wake, narrow=page.narrow)
        with self._panels.tabs.add_tab("Plot", viser.Icon.CHART_LINE):
            self._plot = PlotPanel(viewer.gui, self._wake, runs.names)
        self._worker.start()

    def close(self) -> None:
        """End the session's thread."""
        self._worker.close()

    def _wake(self) -> None:
        self._changed = True
        self._worker.wake()

    def _work(self) -> float:
        """Show the present time; return the seconds until the next image is due."""
        now = time.monotonic()
        changed, self._changed = self._changed, False
        if now - self._renewed >= _IDLE_SECONDS:
            self._renew(now)
        if not len(self._playback.seconds):
            self._changed = True
            return _OPENING_SECONDS
        index = self._playback.index(now)
        if changed or index != self._shown:
            self._show(index)
        position = self._playback.position(now)
        self._time.show(position)
        if changed or now - self._plotted >= _PLOT_SECONDS:
            self._plotted = now
            self._plot.show(self._runs.summaries(), position)
        self._panels.save.serve(f"pear_{position:.2f}s", self._filmed)
        wait = self._playback.wait(time.monotonic())
        return _IDLE_SECONDS if wait is None else min(wait, _IDLE_SECONDS)

    def _show(self, index: int) -> None:
        if self._panels.take_reset():
            self._screen.reset_view()
        self._shown = index
        self._moments = self._runs.moments(float(self._playback.seconds[index]))
        self._screen.show(self._moments, self._panels.settings)
        self._panels.show_pictures(self._moments, often=not self._playback.playing)

    def _renew(self, now: float) -> None:
        """Renew what need not change with every image."""
        self._screen.tidy()
        self._renewed = now
        self._playback.extend(self._runs.seconds)
        if self._seek is not None and self._playback.duration >= self._seek:
            self._playback.seek(self._seek, now)
            self._seek = None
        tracks = self._runs.summaries()
        self._time.show_presence(presence_bars(tracks, self._playback.duration, self._runs.names))
        self._panels.offer(list(self._runs.runs[0].summary()))
        content = notes_html([*self._runs.notes, *self._lacks()])
        if content != self._notes.content:
            self._notes.content = content
        if self._moments and not self._playback.playing and self._seek is None:
            link = self._panels.settings.link
            self._screen.keep_link(replace(link, seconds=self._playback.position(now)))

    def _lacks(self) -> list[str]:
        """Sentences about bodies that are not shown as meshes."""
        shown = [moment.people for moment in self._moments if moment.people.persons]
        names = dict.fromkeys(people.body_model for people in shown)
        return [self._bodies.lack(name) for name in names if self._bodies.skin(name) is None]

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
