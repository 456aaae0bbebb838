# SPDX-License-Identifier: Apache-2.0
"""The tracker: prediction, assignment, update, and the spawning and pruning of tracks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pear_ros.core.boxes import intersection_area, iou_matrix, move_boxes, same_person
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection, Region
from pear_ros.core.people import Array, Estimate, Person, TrackingState
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.state import Stateful
from pear_ros.tracking.association import (
    assign_detections,
    assign_estimates,
    is_new_person,
    measurement_noise,
    suppress_duplicates,
)
from pear_ros.tracking.kalman import Doubles, RootStates
from pear_ros.tracking.plan import TrackingPlan
from pear_ros.tracking.track import Track, translate_person

_INSIDE = 0.8
"""Share of a detection that lies in the predicted box of the person of whom it shows a part."""
_PART = 0.6
"""Area of such a detection over the predicted box's at most: detectors miss limbs, and boxes may be
of the image before."""
_MIN_SIZE = 0.4
"""Size of a person who is found again without a detector, over the size before, at least."""
_SAME_DETECTION_IOU = 0.6
"""Boxes with a larger IoU belong to one person, even if the detector distinguishes people."""


@dataclass(frozen=True)
class _Observation:
    """An estimate and where it comes from."""

    region: Region
    track: int | None
    """Index of the track that the region belongs to; None if it belongs to none."""
    estimate: Estimate


class Tracker(Stateful):
    """Assigns ids to people from image to image; not thread-safe."""

    def __init__(self, prefix: str = "h") -> None:
        """Start without tracks; ids are `prefix` and a number from 1 on."""
        self.prefix = prefix
        self._tracks: list[Track] = []
        """From the oldest to the newest."""
        self._states = RootStates.initialise(np.empty((0, 3)), 0.0)
        """Filter states after the last image, one for each track."""
        self._camera: Camera | None = None
        """Camera of the last image; None: there was none."""
        self._last_track_number = 0
        self._last_region_number = 0

    @property
    def count(self) -> int:
        """Number of current tracks, coasting ones included."""
        return len(self._tracks)

    def move(self, transform: RigidTransform) -> None:
        """Move all tracks to the frame of the next image, after the camera has moved.

        `transform`: from the optical frame of the last image to that of the next one.
        """
        if self._camera is not None:
            self._tracks = [track.moved(transform, self._camera) for track in self._tracks]
            self._states = self._states.moved(transform)

    def coasting_boxes(self) -> list[Array]:
        """Return the predicted boxes (4,), pixels, of people not measured in the last image."""
        return [track.full_box for track in self._tracks if track.coasting]

    def predict(
        self, detections: Sequence[Detection], stamp: float, max_humans: int = 8
    ) -> TrackingPlan:
        """Predict all tracks for the image at `stamp`, seconds, and plan where to estimate people.

        `detections`: people detected in this image, or proposals of where they may be. There will
        be no more than `max_humans` tracks. The tracks change only with `update`.
        """
        predicted = self._states.predict(stamp)
        tracks = list(self._tracks)
        matches: dict[int, int] = {}
        if self._camera and tracks:
            boxes, full_boxes = _predicted_boxes(tracks, self._states, predicted, self._camera)
            matches = assign_detections(boxes, predicted, self._camera, detections)
            for n, track in enumerate(tracks):
                detection = detections[matches[n]] if n in matches else None
                tracks[n] = self._with_region(track, boxes[n], full_boxes[n], detection)
        # Tracks in sight have precedence over coasting ones.
        by_precedence = sorted(tracks, key=lambda track: track.coasting)
        regions = [track.region for track in by_precedence if track.region][:max_humans]
        in_sight = [track.region for track in tracks if track.region and not track.coasting]
        new = [
            self._new_region(detection)
            for n, detection in enumerate(detections)
            if n not in matches.values()
            and not any(_is_detected_in(region, detection) for region in in_sight)
        ]
        new = new[: max_humans - len(regions)]
        return TrackingPlan(
            stamp, max_humans, [*regions, *new], new, tracks, self._states, predicted
        )

    def update(
        self, plan: TrackingPlan, estimates: Sequence[Estimate | None], camera: Camera
    ) -> list[Person]:
        """Return the people of all tracks after the image of `plan`.

        `plan`: what `predict` has returned for this image; `estimates`: the person in each of
        `plan.regions`, in their order, None where there is none. Tracks that are lost with this
        image are returned for the last time, in state LOST. Raises ValueError if there are more or
        fewer estimates than regions.
        """
        stamp, tracks = plan.stamp, list(plan.tracks)
        observations = _observations(plan, estimates)
        observed = [observation.estimate for observation in observations]
        observed_regions = {
            region.id
            for region, estimate in zip(plan.regions, estimates, strict=True)
            if estimate is not None
        }
        boxes, _ = _predicted_boxes(tracks, plan.prior, plan.predicted, camera)
        matches: dict[int, int] = {}
        if tracks:
            betas = np.stack([track.betas for track in tracks])
            region_tracks = [observation.track for observation in observations]
            detected = [not math.isnan(one.region.score) for one in observations]
            matches = assign_estimates(
                boxes, plan.predicted, betas, observed, region_tracks, detected
            )
            matches = {
                n: index
                for n, index in matches.items()
                if not (tracks[n].coasting and _is_limb(observations[index], tracks[n]))
            }
        for n, track in enumerate(tracks):
            if n in matches:
                hit = observations[matches[n]]
                tracks[n] = track.hit(hit.region, hit.estimate, stamp)
            else:
                # A region that shows another person is of no more use for this track.
                empty = track.region is not None and track.region.id not in observed_regions
                person = translate_person(track.person, plan.predicted.root[n], boxes[n], camera)
                tracks[n] = track.miss(track.region if empty else None, person, stamp)
        measured = sorted(matches)
        assigned = [observed[matches[n]] for n in measured]
        noise = measurement_noise(assigned)
        self._states = plan.predicted.update(measured, _roots(assigned), noise)
        unassigned = [one for n, one in enumerate(observations) if n not in matches.values()]
        self._camera, self._tracks = camera, tracks
        self._spawn(unassigned, assigned, stamp)
        return self._prune(plan.max_humans)

    def reset(self) -> None:
        """Drop all tracks; ids continue to count, as no id is used twice."""
        self._tracks, self._camera = [], None
        self._states = self._states.take([])

    def _with_region(
        self, track: Track, box: Array, full_box: Array, detection: Detection | None
    ) -> Track:
        """The track with its region in the next image; boxes (4,) are the predicted ones."""
        in_sight = track.region is not None and not track.coasting
        if detection is None or (in_sight and math.isnan(detection.score)):
            # The prediction of a track in sight is more accurate than a proposal.
            return replace(track, region=track.region and Region(track.region.id, full_box))
        if track.region is None or not same_person(box, detection.box):
            return replace(track, region=self._new_region(detection), misses=0)
        part = in_sight and track.person.pose_observed and _is_part(detection.box, full_box)
        region = Region(track.region.id, full_box if part else detection.box, detection.score)
        return replace(track, region=region, misses=0)

    def _new_region(self, detection: Detection) -> Region:
        self._last_region_number += 1
        return Region(f"region{self._last_region_number}", detection.box, detection.score)

    def _spawn(
        self, unassigned: Sequence[_Observation], assigned: Sequence[Estimate], stamp: float
    ) -> None:
        """Add a track for each unassigned observation of a new person."""
        new: list[Estimate] = []
        coasting = [
            replace(track.person, box=_grown(track.full_box))
            for track in self._tracks
            if track.coasting
        ]
        for observation in unassigned:
            confirmed = not math.isnan(observation.region.score)
            # A proposal near where a track coasts is rather of that person, badly estimated.
            others = [*assigned, *new, *([] if confirmed else coasting)]
            if is_new_person(observation.estimate, others, confirmed):
                self._last_track_number += 1
                track_id = f"{self.prefix}{self._last_track_number}"
                region, estimate = observation.region, observation.estimate
                self._tracks.append(Track.initiate(track_id, region, estimate, stamp))
                new.append(estimate)
        initial = RootStates.initialise(_roots(new), stamp, measurement_noise(new))
        self._states = self._states.concatenate(initial)

    def _prune(self, max_humans: int) -> list[Person]:
        """All people of this image, after which lost tracks are removed."""
        tracks = self._tracks
        alive = [n for n, one in enumerate(tracks) if one.person.state is not TrackingState.LOST]
        # Of too many tracks, those that were not measured for longest are lost.
        alive.sort(key=lambda n: (tracks[n].coasting, -tracks[n].last_seen))
        kept = sorted(alive[:max_humans])
        persons = [
            track.person if n in kept else replace(track.person, state=TrackingState.LOST)
            for n, track in enumerate(tracks)
        ]
        self._tracks = [tracks[n] for n in kept]
        self._states = self._states.take(kept)
        return persons


def _predicted_boxes(
    tracks: Sequence[Track], prior: RootStates, predicted: RootStates, camera: Camera
) -> tuple[Array, Array]:
    """Boxes (N, 4) and full boxes (N, 4), pixels, moved with the predicted roots."""
    boxes = [track.person.box for track in tracks] + [track.full_box for track in tracks]
    roots, moved = (np.tile(states.root, (2, 1)) for states in (prior, predicted))
    both = move_boxes(np.array(boxes, np.float32).reshape(-1, 4), roots, moved, camera)
    predicted_boxes, full_boxes = both.reshape(2, -1, 4)
    return predicted_boxes, full_boxes


def _observations(plan: TrackingPlan, estimates: Sequence[Estimate | None]) -> list[_Observation]:
    """Finite estimates without duplicates; those from regions of tracks in sight come first."""
    found = {
        region.id: estimate
        for region, estimate in zip(plan.regions, estimates, strict=True)
        if estimate is not None and np.isfinite(estimate.joints[0]).all()
    }
    order = sorted(range(len(plan.tracks)), key=lambda n: plan.tracks[n].coasting)
    regions: list[tuple[Region, int | None]] = [
        (region, n) for n in order if (region := plan.tracks[n].region)
    ]
    regions += [(region, None) for region in plan.new_regions]
    observations = [
        _Observation(region, track, found[region.id])
        for region, track in regions
        if region.id in found
    ]
    return [observations[n] for n in suppress_duplicates([one.estimate for one in observations])]


def _is_detected_in(region: Region, detection: Detection) -> bool:
    """Whether a detection is of the person in `region`, though another one may be as well.

    If the detector distinguishes people, the boxes have to be nearly equal.
    """
    if math.isnan(detection.score):
        return same_person(region.box, detection.box)
    iou = iou_matrix(region.box[None], detection.box[None])[0, 0]
    return bool(iou > _SAME_DETECTION_IOU)


def _is_limb(observation: _Observation, track: Track) -> bool:
    """Whether what is estimated from a proposal is far too small to be the person of a track.

    Where fast motion hides a person, a limb may be taken for a body.
    """
    sizes = [float((box[2:] - box[:2]).max()) for box in (observation.estimate.box, track.full_box)]
    return math.isnan(observation.region.score) and sizes[0] < _MIN_SIZE * sizes[1]


def _grown(box: Array) -> Array:
    """Return a box (4,) of twice the width and height, with the same centre."""
    half = (box[2:] - box[:2]) / 2.0
    return np.concatenate([box[:2] - half, box[2:] + half])


def _is_part(box: Array, whole: Array) -> bool:
    """Whether a box (4,) shows only a part of a person in the box `whole` (4,)."""
    area, whole_area = (float(np.prod(one[2:] - one[:2])) for one in (box, whole))
    inside = intersection_area(box, whole) > _INSIDE * area
    return inside and area < _PART * whole_area


def _roots(estimates: Sequence[Estimate]) -> Doubles:
    """(N, 3) metres."""
    return np.array([one.joints[0] for one in estimates], np.float64).reshape(-1, 3)
