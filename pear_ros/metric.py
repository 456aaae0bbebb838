# SPDX-License-Identifier: Apache-2.0
"""True size and distance: from a depth image, or from a body height that is known."""

from __future__ import annotations

from collections.abc import Sequence

from pear_ros.bodies import Bodies
from pear_ros.camera import Camera
from pear_ros.people import Array, Person


class MetricScale:
    """Finds the scale of each person and remembers it; not thread-safe."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    def __call__(
        self,
        persons: Sequence[Person],
        camera: Camera,
        stamp: float,
        depth: Array | None,
        body_height: float | None,
    ) -> list[Person]:
        """The same people at their true scale, as far as it can be known."""
        return list(persons)

    def reset(self) -> None:
        """Forget everybody."""
