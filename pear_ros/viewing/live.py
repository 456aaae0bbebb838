# SPDX-License-Identifier: Apache-2.0
"""People as they are published, for any number of browsers: each shows the newest that it can."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import viser

from pear_ros.core.people import TrackingState
from pear_ros.viewing.bodies import Bodies
from pear_ros.viewing.moment import Moment
from pear_ros.viewing.notes import notes_html
from pear_ros.viewing.page import page_state
from pear_ros.viewing.panels import Panels
from pear_ros.viewing.save_panel import VIDEO_SECONDS
from pear_ros.viewing.screen import Screen, Settings
from pear_ros.viewing.worker import Worker

_IDLE_SECONDS = 0.5
_FILM_STEP = 1.0 / 15.0


class LiveFeed:
    """The newest moment, and sentences about topics; older moments are dropped."""

    def __init__(self, name: str) -> None:
        """`name`: of what is shown, as the title of pages."""
        self.name = name
        self._lock = threading.Lock()
        self._moment: Moment | None = None
        self._warnings: tuple[str, ...] = ()
        self._notes: tuple[str, ...] = ()
        self._wake: dict[int, Callable[[], None]] = {}

    def put(self, moment: Moment, notes: Sequence[str] = ()) -> None:
        """Replace the newest moment, and what is to be said about it."""
        with self._lock:
            self._moment, self._notes = moment, tuple(notes)
            waiting = list(self._wake.values())
        for wake in waiting:
            wake()

    def warn(self, warnings: Sequence[str]) -> None:
        """Replace the warnings, such as that of a silent topic: one sentence each."""
        with self._lock:
            self._warnings = tuple(warnings)

    def newest(self) -> Moment | None:
        """Return the newest moment; None before the first one."""
        with self._lock:
            return self._moment

    def sentences(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return warnings and notes."""
        with self._lock:
            return self._warnings, self._notes

    def listen(self, wake: Callable[[], None]) -> int:
        """Call `wake` after each moment, until `leave` gets the number that is returned."""
        with self._lock:
            number = max(self._wake, default=0) + 1
            self._wake[number] = wake
            return number

    def leave(self, number: int) -> None:
        """End the calls."""
        with self._lock:
            self._wake.pop(number, None)


class LiveSession:
    """What one browser sees of a feed."""

    def __init__(self, viewer: viser.ClientHandle, feed: LiveFeed, bodies: Bodies) -> None:
        """Build the page of `viewer`, in the view of its address."""
        self._feed, self._bodies = feed, bodies
        page = page_state(viewer)
        self._screen = Screen(viewer, [feed.name], bodies, page)
        self._shown: Moment | None = None
        self._changed = True
        self._renewed = 0.0
        self._worker = Worker(self._work, f"viewer {viewer.client_id}")
        self._warnings = viewer.gui.add_html("")
        self._notes = viewer.gui.add_html("")
        settings = Settings(link=page.link)
        self._panels = Panels(viewer, [feed.name], settings, self._wake, narrow=page.narrow)
        self._number = feed.listen(self._worker.wake)
        self._worker.start()

    def close(self) -> None:
        """End the session's thread."""
        self._feed.leave(self._number)
        self._worker.close()

    def _wake(self) -> None:
        self._changed = True
        self._worker.wake()

    def _work(self) -> float:
        changed, self._changed = self._changed, False
        self._show(changed)
        now = time.monotonic()
        if changed or now - self._renewed >= _IDLE_SECONDS:
            self._renewed = now
            self._renew()
        self._panels.save.serve("pear_live", self._filmed)
        return _IDLE_SECONDS

    def _show(self, changed: bool) -> None:
        moment = self._feed.newest()
        if moment is None or (moment is self._shown and not changed):
            return
        if self._panels.take_reset():
            self._screen.reset_view()
        self._shown = moment
        self._screen.show([moment], self._panels.settings)
        self._panels.show_pictures([moment])

    def _renew(self) -> None:
        """Renew what need not change with every image."""
        self._screen.tidy()
        warnings, notes = self._feed.sentences()
        moment = self._shown
        if moment is not None:
            body = moment.people.body_model
            if moment.people.persons and self._bodies.skin(body) is None:
                notes = (*notes, self._bodies.lack(body))
            present = [p.id for p in moment.people.persons if p.state is not TrackingState.LOST]
            self._panels.offer(present)
            self._screen.keep_link(self._panels.settings.link)
        for handle, content in (
            (self._warnings, notes_html(warnings, warn=True)),
            (self._notes, notes_html(notes)),
        ):
            if handle.content != content:
                handle.content = content

    def _filmed(self) -> Iterator[float]:
        """Show what comes in the next seconds; yield the times."""
        begin = time.monotonic()
        while (passed := time.monotonic() - begin) < VIDEO_SECONDS and not self._worker.closed:
            self._show(changed=False)
            yield passed
            time.sleep(_FILM_STEP)
