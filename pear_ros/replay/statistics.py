# SPDX-License-Identifier: Apache-2.0
"""Statistics of a replay, which the command prints and the bag keeps."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from pear_ros.ros.conversion.frame_input import DETECTIONS


@dataclass
class ReplayStatistics:
    """Counts of the images of a replay and of the people in them."""

    images: int = 0
    """All images, refused ones included."""
    with_results: int = 0
    """Images with results."""
    people: int = 0
    """Sum of people over all images."""
    max_people: int = 0
    """Greatest number of people in one image."""
    ids: list[str] = field(default_factory=list)
    """All ids, in the order of their first appearance."""
    resets: int = 0
    """How often all tracks were reset, as stamps jumped backwards."""
    refused: dict[str, int] = field(default_factory=dict)
    """Images without results, by cause."""
    incomplete: dict[str, int] = field(default_factory=dict)
    """Images that were processed without one of their inputs, by cause."""
    odd: dict[str, int] = field(default_factory=dict)
    """Images of which an input was odd, but used, by cause."""

    @property
    def useless(self) -> str:
        """Why nobody was found, if that is the fault of the detections; else empty."""
        if self.people or not self.with_results:
            return ""
        counts = {**self.incomplete, **self.odd}
        causes = [name for name in counts if DETECTIONS in name]
        most = max(causes, key=counts.__getitem__, default="")
        return most if most and 2 * counts[most] > self.with_results else ""

    @property
    def is_sound(self) -> bool:
        """Whether all fields are of their types, which may be wrong in a file of others."""
        values, own = vars(self), vars(ReplayStatistics())
        if any(type(values.get(name)) is not type(value) for name, value in own.items()):
            return False
        counts = [value for value in values.values() if isinstance(value, int)]
        for causes in (self.refused, self.incomplete, self.odd):
            counts += causes.values()
        return all(type(count) is int for count in counts) and all(
            isinstance(name, str) for name in self.ids
        )

    def add_people(self, ids: Sequence[str]) -> None:
        """Count an image with results, in which people with these `ids` are present."""
        self.with_results += 1
        self.people += len(ids)
        self.max_people = max(self.max_people, len(ids))
        self.ids += [name for name in ids if name not in self.ids]

    def __add__(self, other: ReplayStatistics) -> ReplayStatistics:
        """Return the statistics of two chunks, one after the other."""
        return ReplayStatistics(
            self.images + other.images,
            self.with_results + other.with_results,
            self.people + other.people,
            max(self.max_people, other.max_people),
            self.ids + other.ids,
            self.resets + other.resets,
            dict(Counter(self.refused) + Counter(other.refused)),
            dict(Counter(self.incomplete) + Counter(other.incomplete)),
            dict(Counter(self.odd) + Counter(other.odd)),
        )

    def dumps(self) -> str:
        """Return the statistics as a JSON text, for `loads`."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> ReplayStatistics | None:
        """Return the statistics that `dumps` wrote as this `text`; None for any other text."""
        try:
            found = cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return None
        return found if found.is_sound else None
