# SPDX-License-Identifier: Apache-2.0
"""The short table at the end of `pear replay`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pear_ros.replay.replay import Tally

_COLUMN = 22


def replay_table(tally: Tally, damage: Sequence[str]) -> str:
    """What became of the images, as lines of text."""
    mean = tally.people / max(tally.humans, 1)
    rows = [
        ("images", str(tally.frames)),
        ("with results", str(tally.humans)),
        ("refused", _counts(tally.refused)),
        ("lacking something", _counts(tally.lacking)),
        ("people", f"{len(tally.ids)} ids, {mean:.2f} people an image, {tally.most} at most"),
        ("stamps went back", f"{tally.restarts} times"),
        *(("damage", text) for text in damage),
    ]
    return "\n".join(f"{name:{_COLUMN}}{value}" for name, value in rows)


def _counts(counts: Mapping[str, int]) -> str:
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(counts.items()))
    return f"{sum(counts.values())}: {causes}" if counts else "0"
