# SPDX-License-Identifier: Apache-2.0
"""Who is who from image to image: ids that stay with people while they are in sight.

A region that an estimator looks at is a *look*: what the estimator remembers belongs to it. Whom a
look shows is decided anew after each image, by where everybody is expected to be (`motion`), how
large and of which shape (`matching`): of two people who cross, looks may follow the wrong one.
"""

from pear_ros.tracking.track import PATIENCE
from pear_ros.tracking.tracker import Tracker

__all__ = ["PATIENCE", "Tracker"]
