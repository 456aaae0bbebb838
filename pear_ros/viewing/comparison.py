# SPDX-License-Identifier: Apache-2.0
"""Several runs on one time line, such as two estimators on one video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.people import People
from pear_ros.viewing.moment import Moment, Recording, TrackSummary

Doubles = npt.NDArray[np.float64]
_NOBODY = Moment(0.0, People(Camera.from_field_of_view(640, 480), "", "", ()))


class Comparison:
    """Runs whose images are found by a common time.

    Runs recorded at overlapping times keep them; others begin together.
    """

    def __init__(self, runs: Sequence[Recording]) -> None:
        """Take one or more runs."""
        self.runs = runs

    @property
    def names(self) -> list[str]:
        """Names of the runs; a number follows on those of the same name."""
        names = [run.name for run in self.runs]
        return [
            f"{name} ({n + 1})" if names.count(name) > 1 else name for n, name in enumerate(names)
        ]

    @property
    def seconds(self) -> Doubles:
        """(F,) times of all images of all runs since the first one, ascending."""
        delays = self._delays()
        times = [run.seconds + delay for run, delay in zip(self.runs, delays, strict=True)]
        return times[0] if len(times) == 1 else np.unique(np.concatenate(times))

    def moments(self, seconds: float) -> list[Moment]:
        """Return of each run the last moment until a time, or its first one.

        A run without images, as a bag that is still being read, has nobody.
        """
        found = []
        for run, delay in zip(self.runs, self._delays(), strict=True):
            index = int(np.searchsorted(run.seconds, seconds - delay + 1e-6, side="right")) - 1
            found.append(run.moment(max(index, 0)) if len(run.seconds) else _NOBODY)
        return found

    def summaries(self) -> dict[str, tuple[TrackSummary, Doubles]]:
        """Return all people of all runs, with the times of their run's images.

        Keys are ids; of several runs, with the name of the run.
        """
        found = {}
        for run, delay, name in zip(self.runs, self._delays(), self.names, strict=True):
            for person, track in run.summary().items():
                key = f"{person} {name}" if len(self.runs) > 1 else person
                found[key] = track, run.seconds + delay
        return found

    @property
    def notes(self) -> list[str]:
        """What is damaged or missing, one sentence each."""
        return [note for run in self.runs for note in run.notes]

    def _delays(self) -> list[float]:
        """Seconds from the beginning of the time line to that of each run."""
        starts = [run.start for run in self.runs]
        ends = [run.start + (run.seconds[-1] if len(run.seconds) else 0.0) for run in self.runs]
        if min(starts) > 0.0 and max(starts) <= min(ends):
            return [start - min(starts) for start in starts]
        return [0.0] * len(starts)
