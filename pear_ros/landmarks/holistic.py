# SPDX-License-Identifier: Apache-2.0
"""Landmarks of body, hands and face of several people, in a pool of threads."""

from __future__ import annotations

import queue
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from pear_ros.core.log import get_logger
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Array, Image
from pear_ros.io.downloads import AssetError
from pear_ros.landmarks.detected_pose import (
    FOLLOWING_MARGIN,
    LENGTHS,
    follow_pose,
    framed,
    read_pose,
)
from pear_ros.landmarks.face import FaceModel
from pear_ros.landmarks.hands import HandModel
from pear_ros.landmarks.neighbours import without_neighbours
from pear_ros.landmarks.pose import (
    MIN_SCORE,
    PoseModel,
    person_box,
    roi_from_box,
    visible_box,
)
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks, PersonLandmarks, PoseLandmarks

_logger = get_logger(__name__)

RETRY_INTERVAL = 3
"""Images between two detections of a hand or face that was not found the last time."""
SMALL = 130.0
"""Side of a region, pixels; landmarks in a smaller one are coarse."""
SMALL_INTERVAL = 3
"""Images between two detections of a small hand or face; its landmarks move with the body in
between."""

_HEAD = slice(Pose.NOSE, Pose.MOUTH_RIGHT + 1)

_Part = TypeVar("_Part", HandLandmarks | None, FaceLandmarks | None)


@dataclass(frozen=True)
class _Models:
    """The models of one thread."""

    pose: PoseModel
    accurate_pose: PoseModel
    """For new people and those in doubt; the same as `pose` where there is only one."""
    hand: HandModel
    face: FaceModel


@dataclass(frozen=True)
class _Body:
    """The landmarks of a body."""

    pose: PoseLandmarks
    disagreements: int = 0
    """As of PersonLandmarks."""


@dataclass(frozen=True)
class DetectedPerson:
    """A person whom a detector found in this image."""

    box: Array
    """(4,) x0 y0 x1 y1 around the visible part of the person, pixels."""
    landmarks: PersonLandmarks | None = None
    """Landmarks in the image before; None: unknown."""
    lengths: tuple[float, ...] = LENGTHS
    """Where they are unknown: lengths of the body, over the height of the box, to try."""


@dataclass(frozen=True)
class ProposedPerson:
    """A box in which there may be a person."""

    box: Array
    """(4,) x0 y0 x1 y1, pixels."""


PersonStart = Roi | PersonLandmarks | DetectedPerson | ProposedPerson
"""What is known of a person before landmarks are detected: a proposed region of interest, the
landmarks in the image before, or a detection in this image."""


@dataclass(frozen=True)
class PendingLandmarks:
    """One person's landmarks: the body's, and futures of hands and face."""

    pose: PoseLandmarks
    left_hand: Future[HandLandmarks | None]
    right_hand: Future[HandLandmarks | None]
    face: Future[FaceLandmarks | None]
    age: int
    vouched: bool
    disagreements: int

    def result(self) -> PersonLandmarks:
        """Wait for hands and face and return all landmarks."""
        return PersonLandmarks(
            self.pose,
            self.left_hand.result(),
            self.right_hand.result(),
            self.face.result(),
            self.age,
            self.vouched,
            self.disagreements,
        )


class HolisticLandmarks:
    """Detects the landmarks of given people; holds threads and models, stateless."""

    def __init__(self, threads: int = 2, model: str = Parameters.landmarks) -> None:
        """Start `threads` threads and load the models once for each.

        `model`: one of LANDMARKS in pear_ros.core.parameters. Raises
        pear_ros.io.downloads.AssetError when a model's file is missing; where it is the heavy one
        and `model` is auto, a warning is logged and the full one is used.
        """
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="landmarks")
        self._idle: queue.SimpleQueue[_Models] = queue.SimpleQueue()
        for _ in range(threads):
            self._idle.put(_Models(*_pose_models(model), HandModel(), FaceModel()))

    def close(self) -> None:
        """Stop the threads; nothing can be detected afterwards."""
        self._pool.shutdown()

    def __call__(self, image: Image, people: Sequence[PersonStart]) -> list[PersonLandmarks | None]:
        """Return the landmarks of each of `people`, in their order; None: no person was found.

        A new person is given by a region of interest (Proposal.roi or roi_from_box) or a detection,
        a known one by the landmarks in the previous image.
        """
        return [None if one is None else one.result() for one in self.submit(image, people)]

    def submit(
        self,
        image: Image,
        people: Sequence[PersonStart | None],
        doubtful: Collection[int] = (),
    ) -> list[PendingLandmarks | None]:
        """Return the bodies' landmarks while hands and faces are detected in the background.

        A new person is given by a region of interest or a detection, a known one by the landmarks
        in the previous image; None: no person was found, or landmarks do not fill the detection.
        Those of `people` who are None are passed over; those with an index in `doubtful` get the
        more accurate model, if there is one.
        """
        known = [_known_pose(start) for start in people]
        bodies = []
        for index, start in enumerate(people):
            others = [pose for n, pose in enumerate(known) if pose and n != index]
            bodies.append(
                None
                if start is None
                else self._pool.submit(self._pose, image, start, others, index in doubtful)
            )
        return [
            None if start is None or body is None else self._submit_parts(image, body, start)
            for start, body in zip(people, bodies, strict=True)
        ]

    def _submit_parts(
        self, image: Image, body: Future[_Body | None], start: PersonStart
    ) -> PendingLandmarks | None:
        found = body.result()
        if found is None:
            return None
        pose = found.pose
        detected = isinstance(start, DetectedPerson)
        known = start.landmarks if isinstance(start, DetectedPerson) else start
        if isinstance(known, PersonLandmarks):
            last, age = known, known.age + 1
        else:
            last, age = PersonLandmarks(pose), 0
        carried_along = partial(_carried_along, last.pose, pose)

        def submit(
            detect: Callable[..., _Part], part: _Part, turn: int, *side: str
        ) -> Future[_Part]:
            if age == 0 or _due(part, age + turn):
                return self._pool.submit(detect, image, pose, part, *side)
            kept: Future[_Part] = Future()
            kept.set_result(carried_along(part, *side))
            return kept

        return PendingLandmarks(
            pose,
            submit(self._hand, last.left_hand, 0, "LEFT"),
            submit(self._hand, last.right_hand, 1, "RIGHT"),
            submit(self._face, last.face, 2),
            age,
            detected or last.vouched,
            found.disagreements,
        )

    @contextmanager
    def _models(self) -> Iterator[_Models]:
        models = self._idle.get()
        try:
            yield models
        finally:
            self._idle.put(models)

    def _pose(
        self, image: Image, person: PersonStart, others: Sequence[PoseLandmarks], doubtful: bool
    ) -> _Body | None:
        image = without_neighbours(image, _box(person), _known_pose(person), others)
        with self._models() as models:
            model = models.accurate_pose if doubtful else models.pose
            refine = model if model is not models.pose else None
            if isinstance(person, Roi):
                pose = model.detect(image, person, proposed=True)
                return _Body(pose) if pose else None
            if isinstance(person, ProposedPerson):
                pose = model.detect(image, roi_from_box(person.box), proposed=True)
                if pose is None:
                    read = read_pose(image, person.box, models.pose, LENGTHS[1:])
                    pose = read.pose if read.believed and read.pose.score >= MIN_SCORE else None
                return _Body(pose) if pose else None
            if isinstance(person, PersonLandmarks):
                roi = person.pose.roi
                if person.vouched:
                    # Of people close together each stays the own one.
                    roi = framed(roi, visible_box(person.pose), image, FOLLOWING_MARGIN)
                pose = model.detect(image, roi, vouched=person.vouched)
                return _Body(pose, person.disagreements) if pose else None
            if person.landmarks is None:
                read = read_pose(image, person.box, models.pose, person.lengths, refine)
                return _Body(read.pose) if read.believed else None
            known = person.landmarks
            followed = follow_pose(image, person.box, known.pose, model, known.disagreements)
            return _Body(followed.pose, followed.disagreements) if followed else None

    def _hand(
        self, image: Image, pose: PoseLandmarks, previous: HandLandmarks | None, side: str
    ) -> HandLandmarks | None:
        with self._models() as models:
            return models.hand(image, pose, side, previous)

    def _face(
        self, image: Image, pose: PoseLandmarks, previous: FaceLandmarks | None
    ) -> FaceLandmarks | None:
        with self._models() as models:
            return models.face(image, pose, previous)


def _known_pose(start: PersonStart | None) -> PoseLandmarks | None:
    """Return the body's landmarks in the image before; None: unknown."""
    known = start.landmarks if isinstance(start, DetectedPerson) else start
    return known.pose if isinstance(known, PersonLandmarks) else None


def _box(start: PersonStart) -> Array:
    """Return the box (4,) of a person, pixels."""
    if isinstance(start, Roi):
        return person_box(start)
    return visible_box(start.pose) if isinstance(start, PersonLandmarks) else start.box


def _carried_along(before: PoseLandmarks, now: PoseLandmarks, part: _Part, side: str = "") -> _Part:
    """Return a hand or, without `side`, a face, moved as the body's landmarks from `before`."""
    if part is None:
        return part
    place = [Pose[f"{side}_WRIST"]] if side else _HEAD
    movement = (now.image[place, :2] - before.image[place, :2]).mean(axis=0)
    dx, dy = (float(value) for value in movement)
    roi = replace(part.roi, x=part.roi.x + dx, y=part.roi.y + dy)
    return replace(part, image=part.image + np.array([dx, dy, 0.0], np.float32), roi=roi)


def _pose_models(model: str) -> tuple[PoseModel, PoseModel]:
    """Return the pose models for known people, and for new ones and those in doubt."""
    if model == "heavy":
        heavy = PoseModel(variant="heavy")
        return heavy, heavy
    full = PoseModel()
    if model == "auto":
        try:
            return full, PoseModel(variant="heavy")
        except AssetError as error:
            _logger.warning("New people get the full landmark model, too: %s", error)
    return full, full


def _due(part: HandLandmarks | FaceLandmarks | None, turn: int) -> bool:
    """Return whether a hand or face is due for detection, given its last landmarks."""
    if part is None:
        return turn % RETRY_INTERVAL == 0
    return part.roi.size >= SMALL or turn % SMALL_INTERVAL == 0
