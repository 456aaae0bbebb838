# SPDX-License-Identifier: Apache-2.0
"""The plot of one quantity of all people over a recording, in a viewer's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import viser
from viser import uplot

from pear_ros.core.quoting import printable
from pear_ros.viewing.colouring import Rgb, track_colour
from pear_ros.viewing.moment import TrackSummary
from pear_ros.viewing.quantities import DISTANCE, QUANTITIES, Doubles, lines

_MAX_LINES = 10
Tracks = Mapping[str, tuple[TrackSummary, Doubles]]


class PlotPanel:
    """A list of quantities and the plot, in the present container of the page."""

    def __init__(
        self, gui: viser.GuiApi, changed: Callable[[], None], runs: Sequence[str] = ()
    ) -> None:
        """Add the list; `changed` is called when another quantity is chosen.

        `runs`: names of the runs, which have colours of their own where they are several.
        """
        self._gui, self._runs = gui, runs
        self._list = gui.add_dropdown("Quantity", QUANTITIES, initial_value=DISTANCE)
        self._list.on_update(lambda _: changed())
        self._known: tuple[object, ...] = ()
        self._drawn: tuple[object, ...] = ()
        self._times: Doubles = np.empty(0)
        self._values: list[Doubles] = []
        self._plot: viser.GuiUplotHandle | None = None
        self._folder = gui.add_folder("Over time")

    def show(self, tracks: Tracks, position: float) -> None:
        """Draw the quantity of `tracks`, with the present `position`, seconds, as a line."""
        shown = dict(list(tracks.items())[:_MAX_LINES])
        known = (self._list.value, *((n, len(t.frames)) for n, (t, _) in shown.items()))
        if known != self._known:
            self._known = known
            self._compute(shown)
            if self._plot:
                self._plot.scales = self._scales()
        drawn = (self._list.value, *shown)
        if drawn != self._drawn:
            self._drawn = drawn
            self._draw(list(shown), position)
        elif self._plot:
            self._plot.data = self._data(position)

    def _compute(self, tracks: Tracks) -> None:
        times = [seconds for _, seconds in tracks.values()]
        self._times = np.unique(np.concatenate(times)) if times else np.zeros(1)
        self._values = []
        for name, (track, seconds) in tracks.items():
            at, found = lines(self._list.value, {name: track}, seconds)
            values = np.full(len(self._times), np.nan)
            values[np.searchsorted(self._times, at)] = found[name]
            self._values.append(values)

    def _data(self, position: float) -> tuple[Doubles, ...]:
        """Return times, values, and a line through the extremes at the present time."""
        known = np.concatenate([*self._values, np.array([0.0])])
        known = known[np.isfinite(known)]
        now = np.full(len(self._times), np.nan)
        index = min(int(np.searchsorted(self._times, position)), len(self._times) - 1)
        if index > 0:
            now[index - 1], now[index] = known.min(), known.max()
        return (self._times, *self._values, now)

    def _scales(self) -> dict[str, uplot.Scale]:
        """Return the axes; with NaN among values, uPlot does not find their range itself."""
        known = np.concatenate([*self._values, np.zeros(1)])
        known = known[np.isfinite(known)]
        room = 0.05 * float(np.ptp(known)) or 1.0
        values = float(known.min()) - room, float(known.max()) + room
        return {"x": uplot.Scale(time=False), "y": uplot.Scale(auto=False, range=values)}

    def _draw(self, names: list[str], position: float) -> None:
        if self._plot:
            self._plot.remove()
        series = [
            uplot.Series(
                label=printable(name)[:30],
                stroke=_css(track_colour(name, self._runs)),
                width=2,
                spanGaps=False,
            )
            for name in names
        ]
        with self._folder:
            self._plot = self._gui.add_uplot(
                data=self._data(position),
                series=(
                    uplot.Series(label="time [s]"),
                    *series,
                    uplot.Series(label="now", stroke="#888888", width=1),
                ),
                scales=self._scales(),
                aspect=1.3,
            )


def _css(colour: Rgb) -> str:
    return "rgb({},{},{})".format(*colour)
