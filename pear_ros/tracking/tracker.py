# SPDX-License-Identifier: Apache-2.0
"""Where to look in each image, and who was seen there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pear_ros.core.boxes import iou_matrix, move_boxes, same_person
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection, Estimate, Region
from pear_ros.core.people import Array, Person, TrackingState
from pear_ros.core.state import Stateful
from pear_ros.tracking.association import (
    distinct,
    is_somebody_else,
    match_detections,
    match_estimates,
)
from pear_ros.tracking.kalman import Doubles, Motion
from pear_ros.tracking.track import Track, elsewhere

_SAME_BOX = 0.6
"""IoU from which on two boxes of a detector that can tell people apart are of one person."""


@dataclass(frozen=True)
class _Sighting:
    """Somebody seen."""

    look: Region
    owner: int | None
    """The track that the look was made for; None: for nobody who is followed."""
    estimate: Estimate


class Tracker(Stateful):
    """Gives ids to people; not thread-safe."""

    def __init__(self, prefix: str = "h") -> None:
        """`prefix`: what ids begin with, before their number."""
        self.prefix = prefix
        self._tracks: list[Track] = []
        """Those followed for longest come first."""
        self._motion = Motion.begin(np.empty((0, 3)), 0.0)
        """As of the last image, a row for each track."""
        self._camera: Camera | None = None
        """Of the last image."""
        self._newcomers: list[Region] = []
        """Where people are looked for in this image whom nobody follows yet."""
        self._max_humans = 0
        self._last_person = 0
        self._last_look = 0

    @property
    def count(self) -> int:
        """How many people are followed at present."""
        return len(self._tracks)

    def missing(self) -> list[Array]:
        """Boxes around those, as expected, who were not seen in the last image."""
        return [track.whole for track in self._tracks if track.missing]

    def regions(
        self, detections: Sequence[Detection], stamp: float, max_humans: int = 8
    ) -> list[Region]:
        """Where to look: for those followed and, among `detections`, for new ones.

        `stamp` in seconds. Nobody beyond `max_humans` is followed.
        """
        self._max_humans = max_humans
        matches: dict[int, int] = {}
        if self._camera and self._tracks:
            motion, boxes, whole = self._expected(self._camera, stamp)
            matches = match_detections(boxes, motion, self._camera, detections)
            for n, track in enumerate(self._tracks):
                detection = detections[matches[n]] if n in matches else None
                self._tracks[n] = self._looked_at(track, boxes[n], whole[n], detection)
        # Whoever is in sight is looked at first.
        followed = sorted(self._tracks, key=lambda track: track.missing)
        looks = [track.look for track in followed if track.look][:max_humans]
        in_sight = [track.look for track in followed if track.look and not track.missing]
        new = [
            self._new_look(detection)
            for n, detection in enumerate(detections)
            if n not in matches.values() and not any(_covers(look, detection) for look in in_sight)
        ]
        self._newcomers = new[: max_humans - len(looks)]
        return looks + self._newcomers

    def update(self, found: Mapping[str, Estimate], camera: Camera, stamp: float) -> list[Person]:
        """Everybody followed, given who was found, by the ids of the regions last asked for.

        `stamp` as for `regions`.
        """
        sightings = self._sightings(found)
        estimates = [sighting.estimate for sighting in sightings]
        owners = [sighting.owner for sighting in sightings]
        self._camera = camera
        self._motion, boxes, _ = self._expected(camera, stamp)
        matches: dict[int, int] = {}
        if self._tracks:
            shapes = np.stack([track.shape for track in self._tracks])
            matches = match_estimates(boxes, self._motion, shapes, estimates, owners)
        for n, track in enumerate(self._tracks):
            if n in matches:
                sighting = sightings[matches[n]]
                self._tracks[n] = track.found(sighting.look, sighting.estimate, stamp)
            else:
                # A look that shows somebody else is no look at this person any more.
                vain = track.look is not None and track.look.id not in found
                person = elsewhere(track.person, self._motion.root[n], boxes[n], camera)
                self._tracks[n] = track.missed(track.look if vain else None, person, stamp)
        rows = sorted(matches)
        known = [estimates[matches[n]] for n in rows]
        self._motion = self._motion.corrected(rows, _roots(known))
        rest = [one for n, one in enumerate(sightings) if n not in matches.values()]
        self._welcome(rest, known, stamp)
        return self._part()

    def reset(self) -> None:
        """Forget everybody; ids go on counting, as no id is used twice."""
        self._tracks, self._newcomers = [], []
        self._motion = self._motion.of([])

    def _expected(self, camera: Camera, stamp: float) -> tuple[Motion, Array, Array]:
        """Everybody's motion, boxes (N, 4), and boxes around whole people, expected at `stamp`."""
        motion = self._motion.at(stamp)
        boxes = [track.person.box for track in self._tracks]
        boxes += [track.whole for track in self._tracks]
        roots, moved = (np.tile(roots, (2, 1)) for roots in (self._motion.root, motion.root))
        both = move_boxes(np.array(boxes, np.float32).reshape(-1, 4), roots, moved, camera)
        seen, whole = both.reshape(2, -1, 4)
        return motion, seen, whole

    def _looked_at(
        self, track: Track, expected: Array, whole: Array, detection: Detection | None
    ) -> Track:
        """The track with the region where its person is to be looked at."""
        followed = track.look is not None and not track.missing
        if detection is None or (followed and math.isnan(detection.score)):
            # Whoever is followed is seen more exactly than by a detector that proposes.
            return replace(track, look=track.look and Region(track.look.id, whole))
        if track.look is None or not same_person(expected, detection.box):
            return replace(track, look=self._new_look(detection), misses=0)
        look = Region(track.look.id, detection.box, detection.score)
        return replace(track, look=look, misses=0)

    def _new_look(self, detection: Detection) -> Region:
        self._last_look += 1
        return Region(f"look{self._last_look}", detection.box, detection.score)

    def _sightings(self, found: Mapping[str, Estimate]) -> list[_Sighting]:
        """Who was seen, each once: of two looks at one person, the surer one is kept."""
        order = sorted(range(len(self._tracks)), key=lambda n: self._tracks[n].missing)
        looks: list[tuple[Region, int | None]] = [
            (look, n) for n in order if (look := self._tracks[n].look)
        ]
        looks += [(look, None) for look in self._newcomers]
        seen = [
            _Sighting(look, owner, found[look.id])
            for look, owner in looks
            if look.id in found and np.isfinite(found[look.id].joints[0]).all()
        ]
        return [seen[n] for n in distinct([sighting.estimate for sighting in seen])]

    def _welcome(
        self, sightings: Sequence[_Sighting], known: Sequence[Estimate], stamp: float
    ) -> None:
        """Begin to follow who is none of those `known` to be seen in this image."""
        new: list[Estimate] = []
        for sighting in sightings:
            believed = not math.isnan(sighting.look.score)
            if is_somebody_else(sighting.estimate, [*known, *new], believed):
                self._last_person += 1
                name = f"{self.prefix}{self._last_person}"
                self._tracks.append(Track.begin(name, sighting.look, sighting.estimate, stamp))
                new.append(sighting.estimate)
        self._motion = self._motion.joined(Motion.begin(_roots(new), stamp))

    def _part(self) -> list[Person]:
        """Everybody in this image; those who are lost now are followed no more."""
        tracks = self._tracks
        waiting = [n for n, one in enumerate(tracks) if one.person.state is not TrackingState.LOST]
        # Of too many, those go whom nobody has seen for longest.
        waiting.sort(key=lambda n: (tracks[n].missing, -tracks[n].seen))
        stay = sorted(waiting[: self._max_humans])
        persons = [
            track.person if n in stay else replace(track.person, state=TrackingState.LOST)
            for n, track in enumerate(tracks)
        ]
        self._tracks = [tracks[n] for n in stay]
        self._motion = self._motion.of(stay)
        return persons


def _covers(look: Region, detection: Detection) -> bool:
    """Whether a detection is of the person of a look, though a better one may be so, too.

    One by somebody who can tell people apart is not, unless it is nearly the same box.
    """
    if math.isnan(detection.score):
        return same_person(look.box, detection.box)
    return bool(iou_matrix(look.box[None], detection.box[None])[0, 0] > _SAME_BOX)


def _roots(estimates: Sequence[Estimate]) -> Doubles:
    """(N, 3)"""
    return np.array([one.joints[0] for one in estimates], np.float64).reshape(-1, 3)
