# SPDX-License-Identifier: Apache-2.0
"""Landmarks of body, hands and face of several people, in a pool of threads."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from pear_ros.core.people import Image
from pear_ros.landmarks.face import FaceModel
from pear_ros.landmarks.hands import HandModel
from pear_ros.landmarks.pose import PoseModel
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks, PersonLandmarks, PoseLandmarks

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
    hand: HandModel
    face: FaceModel


@dataclass(frozen=True)
class PendingLandmarks:
    """One person's landmarks: the body's, and futures of hands and face."""

    pose: PoseLandmarks
    left_hand: Future[HandLandmarks | None]
    right_hand: Future[HandLandmarks | None]
    face: Future[FaceLandmarks | None]
    age: int

    def result(self) -> PersonLandmarks:
        """Wait for hands and face and return all landmarks."""
        return PersonLandmarks(
            self.pose,
            self.left_hand.result(),
            self.right_hand.result(),
            self.face.result(),
            self.age,
        )


class HolisticLandmarks:
    """Detects the landmarks of given people; holds threads and models, stateless."""

    def __init__(self, threads: int = 2) -> None:
        """Start `threads` threads and load the models once for each.

        Raises pear_ros.io.downloads.AssetError when a model's file is missing.
        """
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="landmarks")
        self._idle: queue.SimpleQueue[_Models] = queue.SimpleQueue()
        for _ in range(threads):
            self._idle.put(_Models(PoseModel(), HandModel(), FaceModel()))

    def close(self) -> None:
        """Stop the threads; nothing can be detected afterwards."""
        self._pool.shutdown()

    def __call__(
        self, image: Image, people: Sequence[Roi | PersonLandmarks]
    ) -> list[PersonLandmarks | None]:
        """Return the landmarks of each of `people`, in their order; None: no person was found.

        A new person is given by a region of interest (Proposal.roi or roi_from_box), a known one by
        the landmarks in the previous image.
        """
        return [None if one is None else one.result() for one in self.submit(image, people)]

    def submit(
        self, image: Image, people: Sequence[Roi | PersonLandmarks]
    ) -> list[PendingLandmarks | None]:
        """Return the bodies' landmarks while hands and faces are detected in the background.

        A new person is given by a region of interest, a known one by the landmarks in the previous
        image; None: no person was found.
        """
        bodies = [self._pool.submit(self._pose, image, start) for start in people]
        return [
            self._submit_parts(image, body.result(), start)
            for start, body in zip(people, bodies, strict=True)
        ]

    def _submit_parts(
        self, image: Image, pose: PoseLandmarks | None, start: Roi | PersonLandmarks
    ) -> PendingLandmarks | None:
        if pose is None:
            return None
        if isinstance(start, PersonLandmarks):
            last, age = start, start.age + 1
        else:
            last, age = PersonLandmarks(pose), 0
        carried_along = partial(_carried_along, last.pose, pose)

        def submit(
            detect: Callable[..., _Part], part: _Part, turn: int, *side: str
        ) -> Future[_Part]:
            if age == 0 or _due(part, age + turn):
                return self._pool.submit(detect, image, pose, part, *side)
            known: Future[_Part] = Future()
            known.set_result(carried_along(part, *side))
            return known

        return PendingLandmarks(
            pose,
            submit(self._hand, last.left_hand, 0, "LEFT"),
            submit(self._hand, last.right_hand, 1, "RIGHT"),
            submit(self._face, last.face, 2),
            age,
        )

    @contextmanager
    def _models(self) -> Iterator[_Models]:
        models = self._idle.get()
        try:
            yield models
        finally:
            self._idle.put(models)

    def _pose(self, image: Image, person: Roi | PersonLandmarks) -> PoseLandmarks | None:
        with self._models() as models:
            if isinstance(person, PersonLandmarks):
                return models.pose.detect(image, person.pose.roi)
            return models.pose.detect(image, person, proposed=True)

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


def _carried_along(before: PoseLandmarks, now: PoseLandmarks, part: _Part, side: str = "") -> _Part:
    """Return a hand or, without `side`, a face, moved as the body's landmarks from `before`."""
    if part is None:
        return part
    place = [Pose[f"{side}_WRIST"]] if side else _HEAD
    movement = (now.image[place, :2] - before.image[place, :2]).mean(axis=0)
    dx, dy = (float(value) for value in movement)
    roi = replace(part.roi, x=part.roi.x + dx, y=part.roi.y + dy)
    return replace(part, image=part.image + np.array([dx, dy, 0.0], np.float32), roi=roi)


def _due(part: HandLandmarks | FaceLandmarks | None, turn: int) -> bool:
    """Return whether a hand or face is due for detection, given its last landmarks."""
    if part is None:
        return turn % RETRY_INTERVAL == 0
    return part.roi.size >= SMALL or turn % SMALL_INTERVAL == 0
