# SPDX-License-Identifier: Apache-2.0
"""Controls of a viewer's page for view and appearance; they change its Settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import viser

from pear_ros.viewing.colouring import confidence_legend
from pear_ros.viewing.link import Display, Paint, View
from pear_ros.viewing.notes import legend_html
from pear_ros.viewing.screen import Settings

_VIEWS = {
    "orbit": View.ORBIT,
    "follow a person": View.FOLLOW,
    "from above": View.TOP,
    "camera's eye": View.CAMERA,
}
_DISPLAYS = {"mesh": Display.MESH, "joints": Display.JOINTS, "mesh and joints": Display.BOTH}
_PAINTS = {"person": Paint.PERSON, "confidence": Paint.CONFIDENCE, "run": Paint.RUN}
_FIRST = "first"
"""Entry of the list of people that stands for nobody in particular."""


class ViewControls:
    """Lists and boxes in the present container of the page."""

    def __init__(
        self,
        gui: viser.GuiApi,
        settings: Settings,
        changed: Callable[[Settings], None],
        reset: Callable[[], None],
        *,
        several: bool = False,
    ) -> None:
        """Add the controls. `changed`: is called with new settings; `reset`: view anew.

        `several`: whether there is more than one run.
        """
        self._settings, self._changed, self._reset = settings, changed, reset
        link = settings.link
        view = gui.add_dropdown("View", tuple(_VIEWS), initial_value=_key(_VIEWS, link.view))
        self._person = gui.add_dropdown("Person", (_FIRST,), initial_value=_FIRST)
        display = gui.add_dropdown(
            "Draw", tuple(_DISPLAYS), initial_value=_key(_DISPLAYS, link.display)
        )
        paint = gui.add_dropdown(
            "Colour",
            tuple(_PAINTS)[: 3 if several else 2],
            initial_value=_key(_PAINTS, settings.paint(several=several)),
        )
        self._scale = gui.add_html(legend_html(confidence_legend()))
        self._several = several
        self._explain()
        view.on_update(lambda event: self._link(view=_VIEWS[event.target.value]))
        self._person.on_update(self._choose)
        display.on_update(lambda event: self._link(display=_DISPLAYS[event.target.value]))
        paint.on_update(lambda event: self._link(paint=_PAINTS[event.target.value]))
        for label, name in (
            ("Names", "names"),
            ("Trails", "trails"),
            ("Camera's picture", "picture"),
            ("Robot's frames", "frames"),
        ):
            box = gui.add_checkbox(label, getattr(settings, name))
            box.on_update(self._setter(name))
        if several:
            apart = gui.add_slider("Apart [m]", 0.0, 10.0, 0.5, settings.apart)
            apart.on_update(lambda event: self._set(apart=float(event.target.value)))
        gui.add_button("View anew").on_click(lambda _: self._anew())

    def offer(self, people: Sequence[str]) -> None:
        """Offer these people, and the one of the link, to be followed."""
        chosen = self._settings.link.person
        names = tuple(dict.fromkeys([_FIRST, *people, *([chosen] if chosen else [])]))
        if names != tuple(self._person.options):
            self._person.options = names
            self._person.value = chosen or _FIRST  # type: ignore[misc]

    def _choose(self, event: Any) -> None:
        if event.client is not None:  # By the viewer, not by `offer`.
            name = event.target.value
            self._link(person="" if name == _FIRST else name)

    def _setter(self, name: str) -> Callable[[Any], None]:
        return lambda event: self._set(**{name: bool(event.target.value)})

    def _link(self, **parts: Any) -> None:
        self._set(link=replace(self._settings.link, **parts))

    def _set(self, **parts: Any) -> None:
        self._settings = replace(self._settings, **parts)
        self._explain()
        self._changed(self._settings)

    def _explain(self) -> None:
        """Say what the colours of confidence mean while they are chosen."""
        paint = self._settings.paint(several=self._several)
        self._scale.visible = paint is Paint.CONFIDENCE

    def _anew(self) -> None:
        self._reset()
        self._changed(self._settings)


def _key(names: dict[str, Any], value: object) -> str:
    return next(name for name, one in names.items() if one is value)
