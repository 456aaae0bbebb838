# SPDX-License-Identifier: Apache-2.0
"""Recorded results, grouped by person."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.estimate_arrays import ESTIMATE_ARRAYS
from pear_ros.core.people import (
    MEASURED_STATES,
    Array,
    FlameParams,
    People,
    Person,
    TrackingState,
    stack,
)

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,199}")
"""Valid ids: they become names of files."""


class ResultsError(ValueError):
    """Results that cannot be read or exported; the text gives the reason."""


@dataclass(frozen=True)
class Track:
    """One person in the T images in which they were present.

    Positions are in the camera's optical frame, in metres, as in pear_ros.core.people.
    """

    id: str
    """Id of the track."""
    model_id: str
    """Name and version of the estimator."""
    body_model: str
    """Name and version of the body that the parameters belong to."""
    frames: npt.NDArray[np.int64]
    """(T,) indices into Recording.stamps_ns, ascending."""
    states: npt.NDArray[np.uint8]
    """(T,) pear_ros.core.people.TrackingState, never LOST."""
    pose: Array
    """(T, 55, 3) axis-angle, in the order of SmplxParams."""
    betas: Array
    """(T, B) shape coefficients."""
    expression: Array
    """(T, E) expression coefficients."""
    transl: Array
    """(T, 3) translation of the posed body, metres."""
    scale: Array
    """(T,) ratio of the true size to that of the posed body."""
    depth_source: npt.NDArray[np.uint8]
    """(T,) pear_ros.core.people.DepthSource."""
    arrays: Mapping[str, Array]
    """(T, ...) by the names of pear_ros.core.estimate_arrays."""
    camera: npt.NDArray[np.float64]
    """(T, 6) width, height, fx, fy, cx, cy, pixels."""
    flame: FlameParams | None = None
    """FLAME's parameters with T as first axis; None where the estimator has no FLAME head."""

    @property
    def typical_betas(self) -> Array:
        """Shape coefficients (B,): medians over the images in which the body was measured.

        Over the other images where it never was; NaN where no image has finite ones.
        """
        return self._median(self.betas)

    @property
    def typical_scale(self) -> float:
        """Ratio of the true size to that of the posed body: its median, as of typical_betas."""
        return float(self._median(self.scale[:, None])[0])

    def _median(self, values: Array) -> Array:
        """Median (N,) of the rows of `values` (T, N) that tell the most."""
        known = np.isfinite(values).all(axis=1)
        measured = known & np.isin(self.states, MEASURED_STATES)
        if not known.any():
            return np.full(values.shape[1:], np.nan, np.float32)
        median: Array = np.median(values[measured if measured.any() else known], axis=0)
        return median.astype(np.float32)


@dataclass(frozen=True)
class Recording:
    """All people in F images, in order of time."""

    source: Path
    """File or bag that was read."""
    stamps_ns: npt.NDArray[np.int64]
    """(F,) stamps of all images, including those without people, nanoseconds."""
    frame_id: str
    """Name of the camera's optical frame; empty where it is unknown."""
    tracks: tuple[Track, ...]
    body_hashes: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the file of each body described in the recording, by the body's name."""
    damage: tuple[str, ...] = ()
    """Damage of the recording, one sentence each; results may be missing."""
    left_out: tuple[str, ...] = ()
    """What is not among the images since its stamps make no sense, one sentence each."""

    def only(self, ids: Sequence[str]) -> Recording:
        """Return the recording restricted to people with these ids; all where `ids` is empty.

        Raises ResultsError, which lists the existing ids, where an id does not exist.
        """
        there = [track.id for track in self.tracks]
        absent = [name for name in ids if name not in there]
        if absent:
            raise ResultsError(
                f"{self.source} has no person with the id {', '.join(absent)}; "
                f"it has: {', '.join(there) or 'none'}"
            )
        return replace(
            self, tracks=tuple(track for track in self.tracks if not ids or track.id in ids)
        )


@dataclass
class _Observations:
    """The images and persons that a Track is made of."""

    first: People
    frames: list[int] = field(default_factory=list)
    cameras: list[Camera] = field(default_factory=list)
    persons: list[Person] = field(default_factory=list)
    run: int = 0

    def continues_with(self, people: People, person: Person, run: int) -> bool:
        same = (people.model_id, people.body_model) == (self.first.model_id, self.first.body_model)
        return same and run == self.run and person.state is not TrackingState.NEW


def check_id(name: str) -> None:
    """Raise ResultsError where an id cannot be the name of a file."""
    if not _ID.fullmatch(name):
        raise ResultsError(
            f"an id of a person is {name[:200]!r}; it must start with a letter and have up to 200 "
            "letters, digits, _ and - only"
        )


def tracks_of(images: Iterable[People], runs: Iterable[int] | None = None) -> tuple[Track, ...]:
    """Return the tracks of all people in `images`, in order of appearance, without LOST persons.

    An id that is NEW again, as after a restart, begins another track: `h1`, then `h1_2`. `runs`:
    the number of the run of each image; one track is of one run. Raises ResultsError where an id
    cannot be the name of a file.
    """
    tracks: dict[str, list[_Observations]] = {}
    for frame, (people, run) in enumerate(zip(images, runs or repeat(0), strict=False)):
        for person in people.persons:
            if person.state is TrackingState.LOST:
                continue
            check_id(person.id)
            tracks_of_id = tracks.setdefault(person.id, [])
            if not tracks_of_id or not tracks_of_id[-1].continues_with(people, person, run):
                tracks_of_id.append(_Observations(people, run=run))
            tracks_of_id[-1].frames.append(frame)
            tracks_of_id[-1].cameras.append(people.camera)
            tracks_of_id[-1].persons.append(person)
    return tuple(
        _track(name if n == 1 else f"{name}_{n}", observations)
        for name, tracks_of_id in tracks.items()
        for n, observations in enumerate(tracks_of_id, 1)
    )


def _track(name: str, observations: _Observations) -> Track:
    persons = observations.persons
    smplx = stack([person.smplx for person in persons])
    heads = [person.flame for person in persons if person.flame is not None]

    def column(values: list[Any], kind: type[Any] = np.float32) -> Any:
        return np.array(values, kind)

    return Track(
        id=name,
        model_id=observations.first.model_id,
        body_model=observations.first.body_model,
        frames=column(observations.frames, np.int64),
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
            [(c.width, c.height, c.fx, c.fy, c.cx, c.cy) for c in observations.cameras], np.float64
        ),
        flame=stack(heads) if len(heads) == len(persons) else None,
    )
