# SPDX-License-Identifier: Apache-2.0
"""Body, hands and face of several people at once, on all cores."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from pear_ros.core.people import Image
from pear_ros.landmarks.face import FaceModel
from pear_ros.landmarks.hands import HandModel
from pear_ros.landmarks.pose import PoseModel
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks, PersonLandmarks, PoseLandmarks

RETRY_EVERY = 3
"""Images; how often a hand or face that was not seen the last time is looked for."""
SMALL = 130.0
"""Pixels of a region; fingers and features in a smaller one are read coarsely at best."""
SMALL_EVERY = 3
"""Images; how often a small hand or face is looked at. In between it is taken to be as it was."""


_Part = TypeVar("_Part", HandLandmarks | None, FaceLandmarks | None)


@dataclass(frozen=True)
class _Models:
    """What one thread needs."""

    pose: PoseModel
    hand: HandModel
    face: FaceModel


@dataclass(frozen=True)
class Looking:
    """One person's landmarks while hands and face are being looked for."""

    pose: PoseLandmarks
    left_hand: Future[HandLandmarks | None]
    right_hand: Future[HandLandmarks | None]
    face: Future[FaceLandmarks | None]
    age: int

    def result(self) -> PersonLandmarks:
        """The landmarks, when all of them are there."""
        return PersonLandmarks(
            self.pose,
            self.left_hand.result(),
            self.right_hand.result(),
            self.face.result(),
            self.age,
        )


class HolisticLandmarks:
    """Landmarks of given people; holds threads and models, and no state from image to image."""

    def __init__(self, threads: int = 2) -> None:
        """Load the models once for each thread.

        Raises pear_ros.io.downloads.AssetError when a model's file is missing.
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
        return [None if one is None else one.result() for one in self.look(image, people)]

    def look(self, image: Image, people: Sequence[Roi | PersonLandmarks]) -> list[Looking | None]:
        """The same, returning as soon as the bodies are known: hands and face are on their way."""
        bodies = [self._pool.submit(self._pose, image, start) for start in people]
        return [
            self._look_for_parts(image, body.result(), start)
            for start, body in zip(people, bodies, strict=True)
        ]

    def _look_for_parts(
        self, image: Image, pose: PoseLandmarks | None, start: Roi | PersonLandmarks
    ) -> Looking | None:
        if pose is None:
            return None
        if isinstance(start, PersonLandmarks):
            last, age = start, start.age + 1
        else:
            last, age = PersonLandmarks(pose), 0

        def look(find: Callable[..., _Part], part: _Part, turn: int, *side: str) -> Future[_Part]:
            if age == 0 or _due(part, age + turn):
                return self._pool.submit(find, image, pose, part, *side)
            known: Future[_Part] = Future()
            known.set_result(part)
            return known

        return Looking(
            pose,
            look(self._hand, last.left_hand, 0, "LEFT"),
            look(self._hand, last.right_hand, 1, "RIGHT"),
            look(self._face, last.face, 2),
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
                return models.pose.find(image, person.pose.roi)
            return models.pose.find(image, person, proposed=True)

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


def _due(part: HandLandmarks | FaceLandmarks | None, turn: int) -> bool:
    """Whether it is the turn of a part, given how it was last seen."""
    if part is None:
        return turn % RETRY_EVERY == 0
    return part.roi.size >= SMALL or turn % SMALL_EVERY == 0
