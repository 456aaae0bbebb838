# SPDX-License-Identifier: Apache-2.0
"""Links that keep time and view: the query of the page's address.

    ?t=3.2&view=top&person=h1&paint=confidence&theme=dark&eye=1,2,3&at=0,0,1

Every part may be missing. Unknown parts and values that make no sense are ignored: a link that
somebody shortened or typed still opens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar
from urllib.parse import parse_qsl, quote

Point = tuple[float, float, float]
Choice = TypeVar("Choice", bound=Enum)


class View(Enum):
    """From where the scene is seen."""

    ORBIT = "orbit"
    FOLLOW = "follow"
    TOP = "top"
    CAMERA = "camera"


class Paint(Enum):
    """What the colours of people mean."""

    PERSON = "person"
    CONFIDENCE = "confidence"
    RUN = "run"


class Theme(Enum):
    """Colours of page and background."""

    LIGHT = "light"
    DARK = "dark"


class Display(Enum):
    """How people are drawn."""

    MESH = "mesh"
    JOINTS = "joints"
    BOTH = "both"


@dataclass(frozen=True)
class Link:
    """Time and view of a page."""

    seconds: float | None = None
    """Time since the start of the recording; None: its beginning, or live."""
    view: View = View.ORBIT
    person: str = ""
    """Id of the person who is followed; empty: the first one."""
    paint: Paint | None = None
    """None: by run where there are several, else by person."""
    display: Display = Display.MESH
    theme: Theme | None = None
    """None: that of the system."""
    eye: Point | None = None
    """Position of the eye in the world, or from the pelvis that is followed, metres.

    None: chosen by the view. The view `camera` has its own.
    """
    at: Point | None = None
    """Point that it looks at, metres."""

    @classmethod
    def parsed(cls, query: str) -> Link:
        """Return what a query says, with or without its question mark."""
        parts = dict(parse_qsl(query.lstrip("?")))
        eye, at = _point(parts.get("eye")), _point(parts.get("at"))
        return cls(
            seconds=_number(parts.get("t")),
            view=_one_of(View, parts, "view") or View.ORBIT,
            person=parts.get("person", "")[:200],
            paint=_one_of(Paint, parts, "paint"),
            display=_one_of(Display, parts, "show") or Display.MESH,
            theme=_one_of(Theme, parts, "theme"),
            eye=eye if eye and at and eye != at else None,
            at=at if eye and at and eye != at else None,
        )

    def query(self) -> str:
        """Return the query, which begins with a question mark; empty where all is as usual."""
        parts = {
            "t": None if self.seconds is None else f"{self.seconds:.3f}",
            "view": _unless(self.view, View.ORBIT),
            "person": quote(self.person) or None,
            "paint": self.paint and self.paint.value,
            "show": _unless(self.display, Display.MESH),
            "theme": self.theme and self.theme.value,
            "eye": self.eye and ",".join(f"{x:.2f}" for x in self.eye),
            "at": self.at and ",".join(f"{x:.2f}" for x in self.at),
        }
        given = [f"{name}={value}" for name, value in parts.items() if value is not None]
        return "?" + "&".join(given) if given else ""


def _unless(value: Enum, usual: Enum) -> str | None:
    return None if value is usual else str(value.value)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _point(text: str | None) -> Point | None:
    numbers = [_number(part) for part in (text or "").split(",")]
    known = tuple(number for number in numbers if number is not None)
    return (known[0], known[1], known[2]) if len(numbers) == len(known) == 3 else None


def _one_of(kind: type[Choice], parts: Mapping[str, str], name: str) -> Choice | None:
    try:
        return kind(parts.get(name))
    except ValueError:
        return None
