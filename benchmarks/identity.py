# SPDX-License-Identifier: Apache-2.0
"""Whether ids stay with people who cross and hide each other.

    python -m benchmarks.identity

Two to six people walk to and fro before a camera, 3 to 7.5 metres away, at times stand still and
turn, and hide each other: whoever is covered by more than 70 % by somebody nearer is not
seen. Of those in sight 5 % are missed, in 3 % of the images there is somebody who is not there, and
all that is estimated is noisy: 3 % of depth, 1.5 cm across, 0.6 standard deviations in each
coefficient of shape, 2 % of the height in each edge of a box (benchmarks/crossing_people.py).

- IoU: boxes joined to those of the image before by their overlap, best assignment; somebody who is
  not seen is expected where they were, for the same time as by the package
- detections: what the package does where a detector tells of everybody in each image
- proposals: what the package does where a detector merely proposes, in every third image: in
  between, people are found by looking where they are expected, which may show somebody else

All three see the same people in the same images. IDF1 (Ristani et al. 2016): share of boxes with
the right id, each id given to that person whom it suits best in the whole scene; those who are
missed leave 97 to 98 % at best. Switches (CLEAR MOT, Bernardin and Stiefelhagen 2008): how often
the id of a person changes, in all scenes together. A box is somebody's from an IoU of 0.5 on;
boxes of people merely expected are left out, those who are hidden are not asked for. Scenes take
20 seconds, four for each line; parameters were chosen on others. Time is that of the tracker alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from benchmarks.crossing_people import CAMERA, Frame, scene
from benchmarks.report import write_report
from pear_ros.core.boxes import iou_matrix
from pear_ros.core.estimator import Detection, Region
from pear_ros.core.people import Array, Estimate, TrackingState
from pear_ros.tracking import MAX_COASTING_TIME, Tracker

PEOPLE = (2, 3, 4, 5, 6)
RATES = (30.0, 10.0)
SECONDS = 20.0
SEEDS = range(100, 104)
SOMEBODYS = 0.5
"""IoU from which on a box is that of a person."""
FOUND = 0.3
"""IoU of a region and somebody's box from which on an estimator finds them there."""
JOINED = 0.3
"""The same of a box and the one before."""
PROPOSING = 3
"""Images from one in which somebody is proposed to the next."""

Boxes = dict[str, Array]
"""By id."""


class IouTracker:
    """Ids by overlap with the last box."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last: dict[str, tuple[Array, float]] = {}
        self._count = 0

    def __call__(self, frame: Frame) -> Boxes:
        """Who is seen."""
        start = time.perf_counter()
        boxes = [estimate.box for estimate in frame.seen + frame.false_alarms]
        self._last = {
            name: known
            for name, known in self._last.items()
            if frame.stamp - known[1] <= MAX_COASTING_TIME
        }
        names = list(self._last)
        ids = dict.fromkeys(range(len(boxes)), "")
        if names and boxes:
            overlaps = iou_matrix(
                np.stack([self._last[name][0] for name in names]), np.stack(boxes)
            )
            for row, column in zip(*linear_sum_assignment(-overlaps), strict=True):
                if overlaps[row, column] >= JOINED:
                    ids[int(column)] = names[row]
        for place in ids:
            if not ids[place]:
                self._count += 1
                ids[place] = str(self._count)
        self._last |= {name: (boxes[place], frame.stamp) for place, name in ids.items()}
        self.seconds.append(time.perf_counter() - start)
        return {name: boxes[place] for place, name in ids.items()}


class OurTracker:
    """The package's, asked as by its pipeline."""

    def __init__(self, proposals: bool = False) -> None:
        self.seconds: list[float] = []
        self._tracker = Tracker()
        self._proposals = proposals
        self._images = 0

    def __call__(self, frame: Frame) -> Boxes:
        """Who is seen."""
        told = frame.seen + frame.false_alarms
        detections = [Detection(one.box, math.nan if self._proposals else 0.9) for one in told]
        if self._proposals and self._images % PROPOSING:
            detections = []
        self._images += 1
        start = time.perf_counter()
        plan = self._tracker.predict(detections, frame.stamp)
        looking = time.perf_counter()
        estimates = [_look(region, frame) for region in plan.regions]
        looked = time.perf_counter()
        persons = self._tracker.update(plan, estimates, CAMERA)
        self.seconds.append(time.perf_counter() - looked + looking - start)
        seen = (TrackingState.NEW, TrackingState.TRACKED)
        return {person.id: person.box for person in persons if person.state in seen}


def _look(region: Region, frame: Frame) -> Estimate | None:
    """Who fits a region best; nobody who is not there, unless a detector said so."""
    people = frame.seen + ([] if math.isnan(region.score) else frame.false_alarms)
    if not people:
        return None
    overlaps = iou_matrix(region.box[None], np.stack([one.box for one in people]))[0]
    best = int(overlaps.argmax())
    return people[best] if overlaps[best] >= FOUND else None


@dataclass
class Score:
    """Counts in some scenes."""

    right: int = 0
    boxes: int = 0
    """Of truth and tracker together."""
    switches: int = 0
    seconds: list[float] = field(default_factory=list)
    """That a tracker takes for each image."""

    @property
    def idf1(self) -> float:
        """0 to 1."""
        return 2.0 * self.right / self.boxes

    def add(self, frames: Sequence[Frame], track: IouTracker | OurTracker) -> None:
        """Follow people through a scene."""
        shared: dict[tuple[int, str], int] = {}
        ids: dict[int, str] = {}
        for frame in frames:
            told = track(frame)
            self.boxes += len(frame.truth) + len(told)
            if not told or not frame.truth:
                continue
            people, names = list(frame.truth), list(told)
            overlaps = iou_matrix(
                np.stack(list(frame.truth.values())), np.stack(list(told.values()))
            )
            for row, column in zip(*np.nonzero(overlaps >= SOMEBODYS), strict=True):
                pair = people[row], names[column]
                shared[pair] = shared.get(pair, 0) + 1
            # Who had an id keeps it as long as its box fits.
            kept = np.array([[ids.get(person) == name for name in names] for person in people])
            gain = np.where(overlaps >= SOMEBODYS, overlaps + 1e3 * kept, 0.0)
            for row, column in zip(*linear_sum_assignment(-gain), strict=True):
                if gain[row, column] > 0.0:
                    self.switches += ids.get(people[row], names[column]) != names[column]
                    ids[people[row]] = names[column]
        self.seconds += track.seconds
        rows = {person: n for n, person in enumerate({person for person, _ in shared})}
        columns = {name: n for n, name in enumerate({name for _, name in shared})}
        table = np.zeros((len(rows), len(columns)), int)
        for (person, name), count in shared.items():
            table[rows[person], columns[name]] = count
        self.right += int(table[linear_sum_assignment(-table)].sum())


TRACKERS: dict[str, Callable[[], IouTracker | OurTracker]] = {
    "IoU": IouTracker,
    "detections": OurTracker,
    "proposals": lambda: OurTracker(proposals=True),
}


def measure(people: int, rate: float, seeds: Sequence[int]) -> dict[str, Score]:
    """All trackers in the same scenes."""
    scores = {name: Score() for name in TRACKERS}
    for seed in seeds:
        frames = scene(people, SECONDS, rate, seed)
        for name, make in TRACKERS.items():
            scores[name].add(frames, make())
    return scores


def main() -> None:
    """Measure and write the report."""
    cases = [(rate, people) for rate in RATES for people in PEOPLE]
    results = {case: measure(case[1], case[0], SEEDS) for case in tqdm(cases, unit="case")}
    tables = {}
    for rate in RATES:
        rows = []
        for people in PEOPLE:
            scores = results[rate, people].values()
            figures = [f"{100 * score.idf1:.1f}" for score in scores]
            rows.append([str(people), *figures, *(str(score.switches) for score in scores)])
        headings = ["people", *(f"IDF1 %, {name}" for name in TRACKERS)]
        headings += [f"switches, {name}" for name in TRACKERS]
        tables[f"{rate:g} images per second"] = headings, rows
    cost = [
        [str(people), *(f"{1e3 * float(np.median(one.seconds)):.2f}" for one in scores.values())]
        for (rate, people), scores in results.items()
        if rate == RATES[0]
    ]
    tables["Milliseconds for an image, median"] = ["people", *TRACKERS], cost
    write_report("identity", __doc__ or "", tables)


if __name__ == "__main__":
    main()
