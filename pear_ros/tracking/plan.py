# SPDX-License-Identifier: Apache-2.0
"""The plan of one image: what is predicted, and the regions in which to estimate people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pear_ros.core.estimator import Region
from pear_ros.tracking.kalman import RootStates
from pear_ros.tracking.track import Track


@dataclass(frozen=True)
class TrackingPlan:
    """Result of `Tracker.predict` for one image, to be handed back to `Tracker.update`."""

    stamp: float
    """Stamp of the image, seconds."""
    max_humans: int
    """Maximum number of tracks after this image."""
    regions: Sequence[Region]
    """At most `max_humans` regions to estimate people in: those of tracks, then new ones."""
    new_regions: Sequence[Region]
    """Those of `regions` that belong to no track."""
    tracks: Sequence[Track]
    """N tracks, each with its region in this image."""
    prior: RootStates
    """N states after the last image."""
    predicted: RootStates
    """N states predicted for this image."""
