# SPDX-License-Identifier: Apache-2.0
"""Body, hands and face of several people at once, on all cores."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from pear_ros.landmarks.face import FaceModel
from pear_ros.landmarks.hands import HandModel
from pear_ros.landmarks.pose import PoseModel
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks, PersonLandmarks, PoseLandmarks
from pear_ros.people import Image

MIN_SCORE = 0.5
"""Of the pose model; below, nobody is there."""
MIN_PRESENCE = 0.25
"""Mean over the body's landmarks; below, next to nothing of the person is in the image.

A face alone has 11 of the 33 landmarks.
"""


@dataclass(frozen=True)
class _Models:
    """What one thread needs."""

    pose: PoseModel
    hand: HandModel
    face: FaceModel


@dataclass(frozen=True)
class _Parts:
    """One person's landmarks while hands and face are being looked for."""

    pose: PoseLandmarks
    left_hand: Future[HandLandmarks | None]
    right_hand: Future[HandLandmarks | None]
    face: Future[FaceLandmarks | None]

    def result(self) -> PersonLandmarks:
        return PersonLandmarks(
            self.pose, self.left_hand.result(), self.right_hand.result(), self.face.result()
        )


class HolisticLandmarks:
    """Landmarks of given people; holds threads and models, and no state from image to image."""

    def __init__(self, threads: int = 2) -> None:
        """Load the models once for each thread.

        Raises pear_ros.assets.AssetError when a model's file is missing.
        """
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="landmarks")
        self._idle: queue.SimpleQueue[_Models] = queue.SimpleQueue()
        for _ in range(threads):
            self._idle.put(_Models(PoseModel(), HandModel(), FaceModel()))

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown()

    def __call__(
        self, image: Image, people: Sequence[Roi | PersonLandmarks]
    ) -> list[PersonLandmarks | None]:
        """Landmarks of each of `people`, in their order; None for those who are not there.

        A new person is given by a region (a Detection's, or pose.roi_from_box), a known one by
        the landmarks in the previous image.
        """
        bodies = [self._pool.submit(self._pose, image, person) for person in people]
        parts = [
            self._submit_parts(image, body.result(), person)
            for person, body in zip(people, bodies, strict=True)
        ]
        return [None if part is None else part.result() for part in parts]

    def _submit_parts(
        self, image: Image, pose: PoseLandmarks | None, person: Roi | PersonLandmarks
    ) -> _Parts | None:
        if pose is None:
            return None
        left, right, face = None, None, None
        if isinstance(person, PersonLandmarks):
            left, right, face = person.left_hand, person.right_hand, person.face
        return _Parts(
            pose,
            self._pool.submit(self._hand, image, pose, "LEFT", left),
            self._pool.submit(self._hand, image, pose, "RIGHT", right),
            self._pool.submit(self._face, image, pose, face),
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
                pose = models.pose(image, person.pose.roi)
            else:
                # A proposed region may be off, most of all where the image's edge cuts a person.
                pose = models.pose(image, models.pose(image, person).roi)
        seen = pose.score >= MIN_SCORE and float(pose.presence.mean()) >= MIN_PRESENCE
        return pose if seen else None

    def _hand(
        self, image: Image, pose: PoseLandmarks, side: str, previous: HandLandmarks | None
    ) -> HandLandmarks | None:
        with self._models() as models:
            return models.hand(image, pose, side, previous)

    def _face(
        self, image: Image, pose: PoseLandmarks, previous: FaceLandmarks | None
    ) -> FaceLandmarks | None:
        with self._models() as models:
            return models.face(image, pose, previous)
