# SPDX-License-Identifier: Apache-2.0
"""The motion of whole people: what is measured of them, and what is known of them by now.

Everything is a batch: the first axis of each array is the person.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions
from pear_ros.core.people import (
    NUM_JOINTS,
    DepthSource,
    FlameParams,
    Person,
    SmplxParams,
    stack,
    unstack,
)
from pear_ros.smoothing import motion_filter
from pear_ros.smoothing.motion_filter import Channels, Doubles, Motion

_TURN_ERROR = 0.03
"""Usual error of a joint's rotation about an axis, radians."""
_RAY_ERROR = 0.001
"""Usual error of the pelvis across the line of sight, radians."""
_DEPTH_ERROR = 0.02
"""Usual error of the pelvis along the line of sight, as a share of its depth."""
_MEASURED_DEPTH_ERROR = 0.005
"""The same where a depth image tells it."""
_LEAST_CONFIDENCE = 0.2
"""No joint is held for less certain than this."""
_TURN_RATE = 4.0
"""Usual rate of a joint about an axis, radians per second."""
_SPEED = 0.7
"""Usual speed of a person along an axis, metres per second."""
_TURN_UNREST = (0.05, 20.0)
"""See Channels.unrest; radians."""
_ACROSS_UNREST = (0.3, 30.0)
"""The same of the pelvis, metres, across the line of sight."""
_DEPTH_UNREST = (0.01, 1.0)
"""The same along it."""

_FACE_JOINTS = slice(22, 25)
"""SMPL-X's jaw and eyes; the joints of the body come before them."""

_SHAPE_MEMORY = 5.0
"""Seconds after which a shape that turned out wrong is forgotten."""
_FACE_MEMORY = 0.04
"""Likewise of expressions: a blink takes a tenth of a second."""


@dataclass(frozen=True)
class Measurement:
    """What one image says of N people."""

    smplx: SmplxParams
    flame: FlameParams | None
    pelvis: Doubles
    """(N, 3) in the optical frame, metres."""
    confidence: npt.NDArray[np.floating]
    """(N, 55) of the joints, NaN where not said."""
    scale: Doubles
    """(N,) see Person."""
    source: npt.NDArray[np.integer]
    """(N,) where scale comes from, DepthSource."""

    @classmethod
    def of(cls, persons: Sequence[Person]) -> Measurement:
        """Of people, all of whom or none of whom have a FLAME head."""
        heads = [person.flame for person in persons if person.flame is not None]
        return cls(
            smplx=stack([person.smplx for person in persons]),
            flame=stack(heads) if heads else None,
            pelvis=np.array([person.joints[0] for person in persons], np.float64),
            confidence=np.array([person.joint_confidence for person in persons]),
            scale=np.array([person.scale for person in persons]),
            source=np.array([person.depth_source for person in persons]),
        )

    @functools.cached_property
    def turns(self) -> npt.NDArray[np.floating]:
        """(N, 55 or 58, 3) rotation vectors: SMPL-X's joints, then FLAME's jaw and eyes."""
        if self.flame is None:
            return self.smplx.pose
        eyes = self.flame.eyes.reshape(-1, 2, 3)
        return np.concatenate([self.smplx.pose, self.flame.jaw[:, None], eyes], axis=1)

    @property
    def shape(self) -> npt.NDArray[np.floating]:
        """(N, K) what never changes."""
        if self.flame is None:
            return self.smplx.betas
        return np.concatenate([self.smplx.betas, self.flame.shape, self.flame.head_scale], axis=1)

    @property
    def face(self) -> npt.NDArray[np.floating]:
        """(N, L) what changes quickly and cannot be foretold."""
        if self.flame is None:
            return self.smplx.expression
        expressions = [self.smplx.expression, self.flame.expression, self.flame.eyelids]
        return np.concatenate(expressions, axis=1)

    @property
    def errors(self) -> Doubles:
        """(N, C) standard deviations to be expected, for each of the channels."""
        # The lesser of 1 and NaN is 1: what is not said is not doubted.
        confidence = np.maximum(np.fmin(self.confidence, 1.0), _LEAST_CONFIDENCE)
        turns = [_TURN_ERROR / confidence]
        if self.flame is not None:
            turns.append(turns[0][:, _FACE_JOINTS])
        measured = self.source == DepthSource.MEASURED
        along = np.where(measured, _MEASURED_DEPTH_ERROR, _DEPTH_ERROR)
        across = np.full_like(along, _RAY_ERROR)
        place = self.pelvis[:, 2:] * np.stack([across, along], axis=1) / confidence[:, :1]
        return np.concatenate([*turns, place], axis=1)

    def replaced(self, known: Known) -> Measurement:
        """The same with turns, shape and face as they are known."""
        vectors = quaternions.to_vectors(known.rotations).astype(np.float32)
        shape, face = known.shape.astype(np.float32), known.face.astype(np.float32)
        betas, expression = self.smplx.betas.shape[1], self.smplx.expression.shape[1]
        smplx = replace(
            self.smplx,
            pose=vectors[:, :NUM_JOINTS],
            betas=shape[:, :betas],
            expression=face[:, :expression],
        )
        if self.flame is None:
            return replace(self, smplx=smplx)
        lids, scale = face.shape[1] - 2, shape.shape[1] - 3
        flame = replace(
            self.flame,
            shape=shape[:, betas:scale],
            expression=face[:, expression:lids],
            jaw=vectors[:, NUM_JOINTS],
            eyes=vectors[:, NUM_JOINTS + 1 :].reshape(-1, 6),
            eyelids=face[:, lids:],
            head_scale=shape[:, scale:],
        )
        return replace(self, smplx=smplx, flame=flame)

    def on(self, persons: Sequence[Person]) -> list[Person]:
        """The people who were measured, with these parameters; their joints are not computed."""
        heads = [None] * len(persons) if self.flame is None else unstack(self.flame)
        return [
            replace(person, smplx=smplx, flame=flame)
            for person, smplx, flame in zip(persons, unstack(self.smplx), heads, strict=True)
        ]

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """(N,) whether all is finite, and the person before the camera."""
        turns = self.turns.reshape(len(self.pelvis), -1)
        parts = [turns, self.shape, self.face, self.smplx.transl, self.pelvis]
        finite = np.isfinite(np.concatenate(parts, axis=1)).all(axis=1)
        return np.asarray(finite & (self.pelvis[:, 2] > 0.0))


@dataclass(frozen=True)
class Known:
    """What is known of N people."""

    stamp: Doubles
    """(N,) of the last measurement, seconds."""
    rotations: Doubles
    """(N, 55 or 58, 4) see Measurement.turns."""
    pelvis: Doubles
    """(N, 3) in the optical frame, metres."""
    scale: Doubles
    """(N,) see Measurement."""
    source: npt.NDArray[np.integer]
    """(N,) see Measurement."""
    shape: Doubles
    """(N, K) see Measurement."""
    images: Doubles
    """(N,) how many have told of the shape."""
    face: Doubles
    """(N, L) see Measurement."""
    motion: Motion
    """Of the rotations, then of the pelvis across the line of sight, and along it."""


def begin(seen: Measurement, stamp: float) -> Known:
    """People seen for the first time."""
    turns = seen.turns
    count = len(turns)
    return Known(
        stamp=np.full(count, stamp),
        rotations=quaternions.from_vectors(turns),
        pelvis=seen.pelvis,
        scale=seen.scale,
        source=seen.source,
        shape=seen.shape.astype(np.float64),
        images=np.ones(count),
        face=seen.face.astype(np.float64),
        motion=motion_filter.start(_channels(turns.shape[1]), seen.errors),
    )


def follow(known: Known, seen: Measurement, stamp: float) -> Known:
    """What is known of the same people after one more image."""
    elapsed = stamp - known.stamp
    turns, errors = seen.turns, seen.errors
    channels = _channels(turns.shape[1])
    motion, advance = motion_filter.predict(channels, known.motion, elapsed)
    rotations, pelvis = _moved(known.rotations, _rescaled(known, seen), advance)
    surprise = _apart(rotations, pelvis, quaternions.from_vectors(turns), seen.pelvis)
    motion, correction = motion_filter.correct(channels, motion, elapsed, surprise, errors)
    rotations, pelvis = _moved(rotations, pelvis, correction)

    images = known.images + 1.0
    # Twice as much as in a mean, as estimators learn a shape themselves: their first is the worst.
    learning = np.maximum(2.0 / (images + 1.0), 1.0 - np.exp(-elapsed / _SHAPE_MEMORY))
    passing = 1.0 - np.exp(-elapsed / _FACE_MEMORY)
    return Known(
        stamp=np.full_like(elapsed, stamp),
        # Rounding would change their length in time.
        rotations=rotations / np.sqrt(np.einsum("nci,nci->nc", rotations, rotations))[..., None],
        pelvis=pelvis,
        scale=seen.scale,
        source=seen.source,
        shape=known.shape + learning[:, None] * (seen.shape - known.shape),
        images=images,
        face=known.face + passing[:, None] * (seen.face - known.face),
        motion=motion,
    )


def _rescaled(known: Known, seen: Measurement) -> Doubles:
    """(N, 3) the pelvis as it was known, at the scale that is believed now.

    Whose size becomes known from one image to the next was further or nearer all the time: that is
    no motion.
    """
    assumed = np.equal(known.source, DepthSource.ASSUMED)
    changed = assumed != (seen.source == DepthSource.ASSUMED)
    factor: Doubles = np.where(changed, seen.scale / known.scale, 1.0)
    return known.pelvis * factor[:, None]


@functools.lru_cache
def _channels(turning: int) -> Channels:
    """So many joints, then the pelvis across the line of sight, and along it."""
    body = _FACE_JOINTS.start
    return Channels(
        axes=np.array([3.0] * turning + [2.0, 1.0]),
        rate=np.array([_TURN_RATE] * turning + [_SPEED] * 2),
        unrest=np.array([_TURN_UNREST] * turning + [_ACROSS_UNREST, _DEPTH_UNREST]).T,
        telling=(np.arange(turning + 2) < body) / body,
    )


def _moved(rotations: Doubles, pelvis: Doubles, step: Doubles) -> tuple[Doubles, Doubles]:
    """Joints and pelvis after a step (N, 3, C) of all channels.

    Along the line of sight it is the step's first component, in metres of depth; nobody comes
    nearer than half their depth.
    """
    turned = quaternions.product(rotations, quaternions.from_vectors(step[..., :-2].swapaxes(1, 2)))
    depth = pelvis[:, 2:]
    further = np.maximum(step[:, :1, -1], -0.5 * depth)
    return turned, pelvis * (1.0 + further / depth) + step[..., -2]


def _apart(rotations: Doubles, pelvis: Doubles, turned: Doubles, moved: Doubles) -> Doubles:
    """The step (N, 3, C) from joints and pelvis to others; the inverse of `_moved`."""
    step = np.zeros((len(pelvis), 3, rotations.shape[1] + 2))
    turns = quaternions.to_vectors(quaternions.difference(rotations, turned))
    step[..., :-2] = turns.swapaxes(1, 2)
    step[..., -2] = moved - pelvis * (moved[:, 2:] / pelvis[:, 2:])
    step[:, 0, -1] = moved[:, 2] - pelvis[:, 2]
    return step


Table = TypeVar("Table", Measurement, Known)


def rows(table: Table, people: Sequence[int] | slice) -> Table:
    """Of a table of people those at some places."""
    chosen: Table = _each(lambda arrays: arrays[0][people], table)
    return chosen


def joined(tables: Sequence[Table]) -> Table:
    """Several tables, at least one, one below the other."""
    together: Table = tables[0] if len(tables) == 1 else _each(np.concatenate, *tables)
    return together


def _each(function: Callable[[list[Any]], Any], *tables: Any) -> Any:
    """Tables like those given, of which each array is made from their arrays."""
    values = {}
    for part in fields(tables[0]):
        arrays = [getattr(table, part.name) for table in tables]
        if is_dataclass(arrays[0]):
            values[part.name] = _each(function, *arrays)
        elif arrays[0] is not None:
            values[part.name] = function(arrays)
    return replace(tables[0], **values)
