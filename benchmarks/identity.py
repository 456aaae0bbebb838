# SPDX-License-Identifier: Apache-2.0
"""Identity: how well ids stay with people who cross and occlude each other.

    python -m benchmarks.identity

Two to six people walk to and fro in front of a camera at a distance of 3 to 7.5 metres, turn, pause
and occlude each other. A person who is occluded by more than 70 % is not detected. Of the visible
people 5 % are missed, 3 % of the images have a false alarm, and estimates are noisy (standard
deviations): 3 % of the depth, 1.5 cm along each axis, 0.6 in each shape coefficient, 2 % of the
height in each edge of a box (benchmarks/crossing_people.py).

- IoU: boxes are assigned to those of the image before by IoU; tracks without a box stay where they
  were for the same time as in the package
- detections: the package's tracker with a detector that detects people in each image
- proposals: the package's tracker with a detector that proposes people in every third image. In
  between, people are estimated in their predicted regions, which may show another person

All three get the same people in the same images. IDF1 (Ristani et al. 2016): share of boxes with
the right id, each id being assigned to one person for the whole scene; the missed people leave 97
to 98 % at best. Switches (CLEAR MOT, Bernardin and Stiefelhagen 2008): changes of a person's id, in
all scenes together. A box matches a person at an IoU of 0.5 or more; boxes of predicted people and
occluded people are left out. Scenes take 20 seconds, four for each row; parameters were tuned on
other scenes. Times are those of the tracker alone.
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
MATCH_IOU = 0.5
"""Least IoU at which a box matches a person."""
REGION_IOU = 0.3
"""Least IoU of a region and a person's box at which the person is estimated there."""
ASSOCIATION_IOU = 0.3
"""Least IoU of two successive boxes that the baseline assigns to one track."""
PROPOSAL_INTERVAL = 3
"""Number of images from one with proposals to the next."""

Boxes = dict[str, Array]
"""Boxes (4,), pixels, by id."""


class IouTracker:
    """Baseline: ids by IoU with the last box."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last: dict[str, tuple[Array, float]] = {}
        self._count = 0

    def __call__(self, frame: Frame) -> Boxes:
        """Return the tracked boxes of an image."""
        start = time.perf_counter()
        boxes = [estimate.box for estimate in frame.estimates + frame.false_alarms]
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
                if overlaps[row, column] >= ASSOCIATION_IOU:
                    ids[int(column)] = names[row]
        for place in ids:
            if not ids[place]:
                self._count += 1
                ids[place] = str(self._count)
        self._last |= {name: (boxes[place], frame.stamp) for place, name in ids.items()}
        self.seconds.append(time.perf_counter() - start)
        return {name: boxes[place] for place, name in ids.items()}


class PackageTracker:
    """The package's tracker, used as by its pipeline."""

    def __init__(self, proposals: bool = False) -> None:
        self.seconds: list[float] = []
        self._tracker = Tracker()
        self._proposals = proposals
        self._images = 0

    def __call__(self, frame: Frame) -> Boxes:
        """Return the boxes of measured people in an image."""
        candidates = frame.estimates + frame.false_alarms
        detections = [
            Detection(one.box, math.nan if self._proposals else 0.9) for one in candidates
        ]
        if self._proposals and self._images % PROPOSAL_INTERVAL:
            detections = []
        self._images += 1
        start = time.perf_counter()
        plan = self._tracker.predict(detections, frame.stamp)
        predicted = time.perf_counter()
        estimates = [_estimate(region, frame) for region in plan.regions]
        estimated = time.perf_counter()
        persons = self._tracker.update(plan, estimates, CAMERA)
        self.seconds.append(time.perf_counter() - estimated + predicted - start)
        measured = (TrackingState.NEW, TrackingState.TRACKED)
        return {person.id: person.box for person in persons if person.state in measured}


def _estimate(region: Region, frame: Frame) -> Estimate | None:
    """The person with the largest IoU; false alarms only in regions of detections."""
    people = frame.estimates + ([] if math.isnan(region.score) else frame.false_alarms)
    if not people:
        return None
    overlaps = iou_matrix(region.box[None], np.stack([one.box for one in people]))[0]
    best = int(overlaps.argmax())
    return people[best] if overlaps[best] >= REGION_IOU else None


@dataclass
class Score:
    """Counts over some scenes."""

    right: int = 0
    boxes: int = 0
    """Number of true and of tracked boxes together."""
    switches: int = 0
    seconds: list[float] = field(default_factory=list)
    """Computing time of the tracker for each image."""

    @property
    def idf1(self) -> float:
        """Identification F1 score, 0 to 1."""
        return 2.0 * self.right / self.boxes

    def add(self, frames: Sequence[Frame], track: IouTracker | PackageTracker) -> None:
        """Add the results of a tracker on a scene."""
        shared: dict[tuple[int, str], int] = {}
        ids: dict[int, str] = {}
        for frame in frames:
            tracked = track(frame)
            self.boxes += len(frame.truth) + len(tracked)
            if not tracked or not frame.truth:
                continue
            people, names = list(frame.truth), list(tracked)
            overlaps = iou_matrix(
                np.stack(list(frame.truth.values())), np.stack(list(tracked.values()))
            )
            for row, column in zip(*np.nonzero(overlaps >= MATCH_IOU), strict=True):
                pair = people[row], names[column]
                shared[pair] = shared.get(pair, 0) + 1
            # A person keeps the id as long as its box matches.
            kept = np.array([[ids.get(person) == name for name in names] for person in people])
            gain = np.where(overlaps >= MATCH_IOU, overlaps + 1e3 * kept, 0.0)
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


TRACKERS: dict[str, Callable[[], IouTracker | PackageTracker]] = {
    "IoU": IouTracker,
    "detections": PackageTracker,
    "proposals": lambda: PackageTracker(proposals=True),
}


def measure(people: int, rate: float, seeds: Sequence[int]) -> dict[str, Score]:
    """Return the scores of all trackers on the same scenes."""
    scores = {name: Score() for name in TRACKERS}
    for seed in seeds:
        frames = scene(people, SECONDS, rate, seed)
        for name, make in TRACKERS.items():
            scores[name].add(frames, make())
    return scores


def main() -> None:
    """Run the benchmark and write the report."""
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
