# SPDX-License-Identifier: Apache-2.0
"""Motion freed of jitter, person by person and causally: nothing waits for a later image."""

from __future__ import annotations

from collections.abc import Sequence

from pear_ros.bodies import Bodies
from pear_ros.camera import Camera
from pear_ros.people import Person


class Smoother:
    """Filters the people of one video; not thread-safe."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    def __call__(self, persons: Sequence[Person], camera: Camera, stamp: float) -> list[Person]:
        """The same people, in the same order, as they most likely are at `stamp` (seconds)."""
        return list(persons)

    def reset(self) -> None:
        """Forget everybody."""
