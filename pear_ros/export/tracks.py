# SPDX-License-Identifier: Apache-2.0
"""Results of a recording, person by person."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.estimate_arrays import ESTIMATE_ARRAYS
from pear_ros.core.people import (
    Array,
    FlameParams,
    People,
    Person,
    TrackingState,
    stack,
)

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""Ids become names of files."""


class ResultsError(ValueError):
    """Results that cannot be read or exported; the text says why, for people."""


@dataclass(frozen=True)
class Track:
    """One person in the T images in which they were present. Frame and units:
    pear_ros.core.people."""

    id: str
    model_id: str
    body_model: str
    frames: npt.NDArray[np.int64]
    """(T,) indices into Recording.stamps_ns, ascending."""
    states: npt.NDArray[np.uint8]
    """(T,) pear_ros.core.people.TrackingState, never LOST."""
    pose: Array
    """(T, 55, 3) axis-angle, as SmplxParams has it."""
    betas: Array
    """(T, B)"""
    expression: Array
    """(T, E)"""
    transl: Array
    """(T, 3)"""
    scale: Array
    """(T,)"""
    depth_source: npt.NDArray[np.uint8]
    """(T,) pear_ros.core.people.DepthSource."""
    arrays: Mapping[str, Array]
    """(T, ...) by the names of pear_ros.core.estimate_arrays."""
    camera: npt.NDArray[np.float64]
    """(T, 6) width, height, fx, fy, cx, cy."""
    flame: FlameParams | None = None
    """Arrays with T as first axis; None where the estimator has no FLAME head."""


@dataclass(frozen=True)
class Recording:
    """Everybody in F images, in order of time."""

    source: Path
    """The file or bag."""
    stamps_ns: npt.NDArray[np.int64]
    """(F,) when the images were taken; those without people too."""
    frame_id: str
    """Name of the camera's optical frame; empty where it has none."""
    tracks: tuple[Track, ...]
    body_hashes: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the file of each body that is described in the recording, by name."""
    damage: tuple[str, ...] = ()
    """What is wrong with the recording, so that something may be missing; a sentence each."""

    def only(self, ids: Sequence[str]) -> Recording:
        """The same with these people alone; all of them where `ids` is empty.

        Raises ResultsError, naming those there are, where somebody is not among them.
        """
        there = [track.id for track in self.tracks]
        absent = [name for name in ids if name not in there]
        if absent:
            raise ResultsError(
                f"{self.source} has nobody with the id {', '.join(absent)}; "
                f"there are: {', '.join(there) or 'none'}"
            )
        return replace(
            self, tracks=tuple(track for track in self.tracks if not ids or track.id in ids)
        )


@dataclass
class _Sightings:
    """What a Track is made of."""

    first: People
    frames: list[int] = field(default_factory=list)
    cameras: list[Camera] = field(default_factory=list)
    persons: list[Person] = field(default_factory=list)

    def goes_on(self, people: People, person: Person) -> bool:
        same = (people.model_id, people.body_model) == (self.first.model_id, self.first.body_model)
        return same and person.state is not TrackingState.NEW


def tracks_of(images: Iterable[People]) -> tuple[Track, ...]:
    """Everybody in all images, in order of appearance; who is LOST is left out.

    An id that is new again, as after a restart, is somebody else: `h1`, then `h1_2`. Raises
    ResultsError where an id cannot be the name of a file.
    """
    tracks: dict[str, list[_Sightings]] = {}
    for frame, people in enumerate(images):
        for person in people.persons:
            if person.state is TrackingState.LOST:
                continue
            if not _ID.fullmatch(person.id):
                raise ResultsError(
                    f"an id of a person is {person.id!r}; it must start with a letter and have "
                    "letters, digits, _ and - only"
                )
            lives = tracks.setdefault(person.id, [])
            if not lives or not lives[-1].goes_on(people, person):
                lives.append(_Sightings(people))
            lives[-1].frames.append(frame)
            lives[-1].cameras.append(people.camera)
            lives[-1].persons.append(person)
    return tuple(
        _track(name if n == 1 else f"{name}_{n}", sightings)
        for name, lives in tracks.items()
        for n, sightings in enumerate(lives, 1)
    )


def _track(name: str, sightings: _Sightings) -> Track:
    persons = sightings.persons
    smplx = stack([person.smplx for person in persons])
    heads = [person.flame for person in persons if person.flame is not None]

    def column(values: list[Any], kind: type[Any] = np.float32) -> Any:
        return np.array(values, kind)

    return Track(
        id=name,
        model_id=sightings.first.model_id,
        body_model=sightings.first.body_model,
        frames=column(sightings.frames, np.int64),
        states=column([person.state for person in persons], np.uint8),
        pose=smplx.pose,
        betas=smplx.betas,
        expression=smplx.expression,
        transl=smplx.transl,
        scale=column([person.scale for person in persons]),
        depth_source=column([person.depth_source for person in persons], np.uint8),
        arrays={
            name: column([getattr(person, name) for person in persons]) for name in ESTIMATE_ARRAYS
        },
        camera=column(
            [(c.width, c.height, c.fx, c.fy, c.cx, c.cy) for c in sightings.cameras], np.float64
        ),
        flame=stack(heads) if len(heads) == len(persons) else None,
    )
