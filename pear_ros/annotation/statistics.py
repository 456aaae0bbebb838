# SPDX-License-Identifier: Apache-2.0
"""Statistics of annotated images: what was kept, what was rejected, and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pear_ros.annotation.annotator import Annotated, Rejected
from pear_ros.annotation.checks import CHECKS
from pear_ros.annotation.frames import Unreadable
from pear_ros.annotation.sample import PARTS

NAMED = 20
"""Images that a report names for each fault at most."""


@dataclass
class Statistics:
    """Counts over images; `+` adds two."""

    images: int = 0
    """Images that were to be read."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """Images that cannot be used, by reason."""
    empty: int = 0
    """Images without people."""
    people: int = 0
    """People found, or given."""
    kept: int = 0
    """People who became samples."""
    rejected: Counter[str] = field(default_factory=Counter)
    """People who did not, by name of the reason; one person may have several."""
    parts_rejected: Counter[str] = field(default_factory=Counter)
    """Parts of samples that were rejected, by name of the check."""
    doubted: Counter[str] = field(default_factory=Counter)
    """Samples of which a check lowered a confidence, by name of the check."""
    parts: Counter[str] = field(default_factory=Counter)
    """Samples with a part, by its name."""
    named: list[str] = field(default_factory=list)
    """Images that cannot be used, the first of them."""
    scores: dict[str, float] = field(default_factory=dict)
    """Worst value of a check over its limit, for each sample, by key."""
    values: dict[str, list[float]] = field(default_factory=dict)
    """Values of each check of all samples and of those that it rejected, by its name."""

    def add_unreadable(self, one: Unreadable) -> None:
        """Count an image that cannot be used."""
        self.images += 1
        self.unreadable[one.reason] += 1
        if len(self.named) < NAMED:
            self.named.append(f"{one.file.name}, image {one.number}: {one.reason}")

    def add_image(self, outcomes: Sequence[Annotated | Rejected]) -> None:
        """Count an image and its people."""
        self.images += 1
        self.empty += not outcomes
        self.people += len(outcomes)
        for outcome in outcomes:
            if isinstance(outcome, Annotated):
                self._add_sample(outcome)
            else:
                self.rejected.update(outcome.reasons)
                self._add_values(outcome.measures)

    def _add_sample(self, outcome: Annotated) -> None:
        person, verdict = outcome.person, outcome.verdict
        self.kept += 1
        self.parts.update(part for part in PARTS if person.confidence[part] > 0.0)
        for part in PARTS:
            self.parts_rejected.update(verdict.rejected(part))
        self.doubted.update(verdict.doubted())
        self.scores[person.key] = round(verdict.worst, 4)
        self._add_values(verdict.measures)

    def _add_values(self, measures: Mapping[str, float]) -> None:
        for name, value in measures.items():
            if not math.isnan(value):
                self.values.setdefault(name, []).append(round(value, 4))

    def __add__(self, other: Statistics) -> Statistics:
        """Return the sum."""
        names = [*self.values, *(name for name in other.values if name not in self.values)]
        return Statistics(
            self.images + other.images,
            self.unreadable + other.unreadable,
            self.empty + other.empty,
            self.people + other.people,
            self.kept + other.kept,
            self.rejected + other.rejected,
            self.parts_rejected + other.parts_rejected,
            self.doubted + other.doubted,
            self.parts + other.parts,
            (self.named + other.named)[:NAMED],
            {**self.scores, **other.scores},
            {name: [*self.values.get(name, []), *other.values.get(name, [])] for name in names},
        )

    def dumps(self) -> dict[str, Any]:
        """Return the statistics as plain data."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        return {k: dict(v) if isinstance(v, Counter) else v for k, v in values.items()}

    @classmethod
    def loads(cls, data: Mapping[str, Any]) -> Statistics:
        """Return the statistics that `dumps` has returned. Raises TypeError for other data."""
        counters = ("unreadable", "rejected", "parts_rejected", "doubted", "parts")
        values: dict[str, Any] = dict(data)
        values.update({key: Counter(values[key]) for key in counters})
        return cls(**values)

    def quantile(self, check: str, share: float) -> float:
        """Return the value of a check that this share of people does not exceed; NaN: none."""
        values = sorted(self.values.get(check, []))
        return values[min(int(share * len(values)), len(values) - 1)] if values else math.nan

    @property
    def checks(self) -> list[str]:
        """Names of the checks that measured something, in the order of CHECKS."""
        return [name for name in CHECKS if self.values.get(name)]


def worst_first(statistics: Statistics) -> list[str]:
    """Return the keys of all samples, the worst first."""
    scores = statistics.scores
    return sorted(scores, key=lambda key: (-scores[key], key))
