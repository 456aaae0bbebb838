# SPDX-License-Identifier: Apache-2.0
"""What one browser shows: the stages of one or several runs, seen by an eye, with settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import viser

from pear_ros.viewing.bodies import Bodies
from pear_ros.viewing.eye import Eye, points_of
from pear_ros.viewing.link import Link, Paint, Theme, View
from pear_ros.viewing.moment import Moment
from pear_ros.viewing.page import PageState, set_link
from pear_ros.viewing.person_nodes import Look
from pear_ros.viewing.stage import Stage
from pear_ros.viewing.views import Vector

_BRAND = {Theme.LIGHT: (46, 92, 138), Theme.DARK: (96, 156, 214)}
"""Colour of buttons and chosen tabs."""
_OVER_NAMES = 0.3
"""Height of a run's title over the names of its people, metres."""
_GRID = {
    Theme.LIGHT: ((205, 208, 214), (170, 175, 184)),
    Theme.DARK: ((62, 66, 74), (92, 98, 110)),
}
"""Colours of the floor's thin and thick lines."""


@dataclass(frozen=True)
class Settings:
    """What a viewer chose; `link` is the part that the page's address keeps."""

    link: Link = field(default_factory=Link)
    names: bool = True
    trails: bool = True
    picture: bool = True
    frames: bool = True
    apart: float = 3.0
    """Distance of two runs in the scene, metres; 0: one over the other."""

    def paint(self, *, several: bool) -> Paint:
        """Return what colours mean. `several`: whether there is more than one run."""
        if not several and self.link.paint is Paint.RUN:  # A link to a comparison, shortened.
            return Paint.PERSON
        return self.link.paint or (Paint.RUN if several else Paint.PERSON)

    def look(self, run: int, *, several: bool) -> Look:
        """Return how people of a run, by its number, are drawn."""
        return Look(self.link.display, self.paint(several=several), run, self.names)


class Screen:
    """The scene of one browser. One thread at a time may call it."""

    def __init__(
        self, viewer: viser.ClientHandle, names: Sequence[str], bodies: Bodies, page: PageState
    ) -> None:
        """Make the scene of runs of these names; `page`: what the browser said about itself."""
        self._viewer = viewer
        scene = viewer.scene
        viewer.gui.configure_theme(
            dark_mode=page.theme is Theme.DARK,
            show_logo=False,
            show_share_button=False,
            brand_color=_BRAND[page.theme],
            control_width="medium",
        )
        self._floor = scene.add_grid(
            "/floor",
            infinite_grid=True,
            fade_distance=30.0,
            cell_size=0.5,
            section_size=1.0,
            cell_thickness=0.6,
            section_thickness=0.8,
            plane_opacity=0.0,
            shadow_opacity=0.25,
            cell_color=_GRID[page.theme][0],
            section_color=_GRID[page.theme][1],
        )
        self._axes = scene.add_frame("/axes", axes_length=0.5, axes_radius=0.01)
        self._stages = [Stage(scene, f"/{chr(ord('a') + n)}", bodies) for n in range(len(names))]
        self._titles = [
            scene.add_label(
                f"/{chr(ord('a') + n)}/title",
                name,
                anchor="bottom-center",
                font_screen_scale=1.5,
            )
            for n, name in enumerate(names)
            if len(names) > 1
        ]
        self._eye = Eye(viewer.camera, page.link)
        self._sent: Link | None = None

    def show(self, moments: Sequence[Moment], settings: Settings) -> None:
        """Show a moment of each run, all at once in the browser."""
        through_camera = settings.link.view is View.CAMERA
        with self._viewer.atomic():
            offsets = [np.array([0.0, -n * settings.apart, 0.0]) for n in range(len(moments))]
            self._eye.look(moments, offsets, settings.link.view, settings.link.person)
            origin = self._eye.origin
            self._floor.position = self._axes.position = -origin
            for number, (stage, moment) in enumerate(zip(self._stages, moments, strict=True)):
                stage.move(offsets[number] - origin)
                shown = moment if settings.picture else replace(moment, picture=None)
                shown = shown if settings.frames else replace(shown, frames={})
                stage.show(
                    shown,
                    settings.look(number, several=len(moments) > 1),
                    trails=settings.trails and not through_camera,
                    large_picture=through_camera and number == 0,
                )
            self._floor.visible = self._axes.visible = not through_camera
            for title, moment in zip(self._titles, moments):  # noqa: B905 (a single run has none)
                _put_over(title, points_of(moment))

    def reset_view(self) -> None:
        """Take the view anew at the next moment."""
        self._eye.reset()

    def tidy(self) -> None:
        """Do what is due some time after `show`; call this at least once a second."""
        for stage in self._stages:
            stage.tidy()

    def keep_link(self, link: Link) -> None:
        """Put time, view and eye into the page's address."""
        if place := self._eye.place():
            link = replace(link, eye=place[0], at=place[1])
        if link != self._sent:
            self._sent = link
            set_link(self._viewer, link)


def _put_over(title: viser.LabelHandle, points: Vector) -> None:
    """Put a run's title over the middle of its people, whose `points` (N, 3) are in its world."""
    if len(points):
        low, high = points.min(axis=0), points.max(axis=0)
        title.position = np.array([*(0.5 * (low + high))[:2], high[2] + _OVER_NAMES])
