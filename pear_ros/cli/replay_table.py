# SPDX-License-Identifier: Apache-2.0
"""The table of statistics at the end of `pear replay`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pear_ros.replay.statistics import ReplayStatistics

_COLUMN = 22


def replay_table(statistics: ReplayStatistics, damage: Sequence[str]) -> str:
    """Return the statistics of a replay and the `damage` of its bag as lines of text."""
    rows = [
        ("images", str(statistics.images)),
        ("with results", str(statistics.with_results)),
        ("refused", _counts(statistics.refused)),
        ("incomplete inputs", _counts(statistics.incomplete)),
        ("odd inputs", _counts(statistics.odd)),
        ("people", _people(statistics)),
        ("track resets", f"{statistics.resets} (stamps jumped backwards)"),
        *(("damage", text) for text in damage),
    ]
    return "\n".join(f"{name:{_COLUMN}}{value}" for name, value in rows)


def _people(statistics: ReplayStatistics) -> str:
    mean = statistics.people / max(statistics.with_results, 1)
    return (
        f"{len(statistics.ids)} ids, {mean:.2f} people per image, at most {statistics.max_people}"
    )


def _counts(counts: Mapping[str, int]) -> str:
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(counts.items()))
    return f"{sum(counts.values())}: {causes}" if counts else "0"
