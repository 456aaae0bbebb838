# SPDX-License-Identifier: Apache-2.0
"""Pieces of bags that are replayed independently, and the events that their workers report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pear_ros.replay.statistics import ReplayStatistics


@dataclass(frozen=True)
class Piece:
    """A bag, or one of its chunks."""

    source: Path
    folder: Path
    """Folder of the bag that is written."""
    chunk: int = 0


@dataclass(frozen=True)
class Begun:
    """A worker has started or resumed a piece."""

    piece: Piece
    done: int
    """Images done by an earlier run."""


@dataclass(frozen=True)
class Advanced:
    """A worker has replayed some images."""

    piece: Piece
    images: int
    """Images since the last event of the piece."""
    seconds: float
    """Seconds of the bag since the last event of the piece."""
    people: int
    """Number of ids so far."""


@dataclass(frozen=True)
class Warned:
    """A worker warns of a fault in a piece."""

    piece: Piece
    text: str


@dataclass(frozen=True)
class Finished:
    """A piece is complete."""

    piece: Piece
    statistics: ReplayStatistics | None
    """Statistics of the piece; None if they are no longer known."""
    damage: list[str] = field(default_factory=list)
    """Damage of the bag that was found while it was read."""
    earlier: bool = False
    """Whether the piece was complete before this run."""


@dataclass(frozen=True)
class Failed:
    """A piece cannot be replayed."""

    piece: Piece
    text: str


Event = Begun | Advanced | Warned | Finished | Failed
