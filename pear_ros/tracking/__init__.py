# SPDX-License-Identifier: Apache-2.0
"""Multi-person tracking by detection: ids that stay with people while they are in sight.

Each image is processed in two steps. `Tracker.predict` predicts all tracks with a Kalman filter
(`kalman`), assigns detections to them (`association`) and returns a `TrackingPlan` with the regions
of the image to estimate people in. `Tracker.update` assigns the estimates from these regions to
tracks, updates the filter, spawns tracks of new people and prunes lost ones.

A region belongs to a track only until the next assignment: when people cross, the estimator may
follow the wrong person within a region, and the assignment by position, size and shape corrects it.
"""

from pear_ros.tracking.plan import TrackingPlan
from pear_ros.tracking.track import MAX_COASTING_TIME
from pear_ros.tracking.tracker import Tracker

__all__ = ["MAX_COASTING_TIME", "Tracker", "TrackingPlan"]
