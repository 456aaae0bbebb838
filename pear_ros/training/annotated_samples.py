# SPDX-License-Identifier: Apache-2.0
"""Samples of annotated people, from shards of `pear annotate`; unknown is NaN or has weight 0.

Each time a person is drawn, the crop differs a little: it is moved, scaled, at times mirrored, and
gets faults of cameras.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.annotation.encoding import SampleError as DamagedSample
from pear_ros.annotation.sample import AnnotatedPerson
from pear_ros.annotation.shard_index import ShardIndex
from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.mirroring import FLIP_X, OTHER_SIDE_JOINT, mirrored_rotations
from pear_ros.core.people import Array
from pear_ros.pear.body import PearBody, body_joints
from pear_ros.pear.crop import INPUT_SIZE, crop_points
from pear_ros.training.bodies import (
    FLAME_PARTS,
    JAW_AND_EYES,
    flame_parts,
    flame_size,
    parameters_of,
)
from pear_ros.training.body_parts import UNKNOWN
from pear_ros.training.camera_faults import with_camera_faults
from pear_ros.training.sample import (
    Sample,
    SampleError,
    Square,
    crop_camera,
    viewing_rotation,
)

_Pixels: TypeAlias = npt.NDArray[np.floating | np.integer]

_SHIFT = 0.06
"""Greatest shift of a crop, over its side."""
_SCALE = (0.9, 1.15)
"""Range of a crop's side, over the annotated one's."""
_MIRRORED = 0.5
"""Share of mirrored people."""
_LEAST_KNOWN = 0.5
"""Least share of a pixel of the mask that is known."""


class AnnotatedSamples:
    """Draws annotated people and cuts them out, each time a little differently."""

    def __init__(self, shards: ShardIndex, body: PearBody, size: int) -> None:
        """`size`: pixels of a side of mask, parts and normals, a divisor of 256."""
        self._shards, self._body, self._size = shards, body, size

    def __call__(self, rng: np.random.Generator) -> Sample:
        """Return a sample. Raises SampleError where it is damaged or belongs to another body."""
        try:
            person = self._shards[int(rng.integers(len(self._shards)))]
        except DamagedSample as error:
            raise SampleError(str(error)) from error
        if person.body_model != self._body.name:
            raise SampleError(
                f"{person.key} is annotated with the body {person.body_model}, not "
                f"{self._body.name}"
            )
        self._check(person)
        square = _moved(rng, person.square)
        crop = _warped(person.crop, person.square, square).astype(np.uint8, copy=False)
        sample = self._sample(person, with_camera_faults(rng, crop), square)
        return mirrored(sample) if rng.random() < _MIRRORED else sample

    def _check(self, person: AnnotatedPerson) -> None:
        """Raise SampleError where parameters are missing, or more or fewer than the body's."""
        counts = (len(person.smplx.betas), len(person.smplx.expression))
        own = (self._body.num_betas, self._body.num_expression)
        if counts != own:
            raise SampleError(
                f"{person.key} has {counts[0]} shape and {counts[1]} expression coefficients, not "
                f"{own[0]} and {own[1]}"
            )
        if flame_size(self._body) and person.flame is None:
            raise SampleError(f"{person.key} has no parameters of FLAME, the head of its body")

    def _sample(
        self, person: AnnotatedPerson, crop: npt.NDArray[np.uint8], square: Square
    ) -> Sample:
        rotations: Array = rotation_matrices(person.smplx.pose)
        flame: Array = np.empty(0, np.float32)
        if person.flame is not None and flame_size(self._body):
            head = person.flame
            rotations[JAW_AND_EYES] = rotation_matrices(
                np.stack([head.jaw, *head.eyes.reshape(2, 3)])
            )
            flame = np.concatenate([getattr(head, name) for name in FLAME_PARTS], dtype=np.float32)
        turn = viewing_rotation(person.camera, square).astype(np.float32)
        rotations[0] = turn.T @ rotations[0]
        weights = np.nan_to_num(person.joint_confidence).astype(np.float32)
        if person.flame is not None and not flame.size:
            weights[JAW_AND_EYES] = 0.0  # FLAME's turned, and the body's stayed at rest.
        keypoints = crop_points(person.keypoints, square)
        betas, expression = person.smplx.betas, person.smplx.expression
        one = (a[None] for a in (rotations, betas, expression, flame))
        joints = body_joints(self._body, parameters_of(self._body, *one))[0]
        if person.confidence["face"] <= 0.0:
            expression, flame = _without_face(expression, flame)
        size, unknown = self._size, np.float32(np.nan)
        return Sample(
            crop=crop,
            rotations=rotations,
            betas=betas,
            expression=expression,
            flame=flame,
            keypoints=keypoints,
            camera=crop_camera(joints, keypoints),
            joint_weights=weights,
            mask=_mask(person, square, size),
            parts=np.full((size, size), UNKNOWN, np.int64),
            normals=np.full((size, size, 3), unknown),
            colours=np.full((self._body.vertex_count, 3), unknown),
            confidence=np.array([person.confidence["mask"], 0.0, 0.0, 0.0], np.float32),
        )


def mirrored(sample: Sample) -> Sample:
    """Return the sample as a mirror shows it, but for parts, normals and colours: unknown.

    So is the expression, whose coefficients belong to one side.
    """
    expression, flame = _without_face(sample.expression, _mirrored_head(sample.flame))
    keypoints = sample.keypoints[OTHER_SIDE_JOINT]
    # Column u goes to 256 - u, as the network's camera looks at 128; 0 and 1 are the same.
    keypoints = np.stack([INPUT_SIZE - keypoints[:, 0], keypoints[:, 1]], axis=1)
    return replace(
        sample,
        crop=np.concatenate([sample.crop[:, -1:], sample.crop[:, :0:-1]], axis=1),
        rotations=mirrored_rotations(sample.rotations),
        expression=expression,
        flame=flame,
        keypoints=keypoints,
        camera=sample.camera * FLIP_X,
        joint_weights=sample.joint_weights[OTHER_SIDE_JOINT],
        mask=np.ascontiguousarray(sample.mask[:, ::-1]),
        parts=np.full_like(sample.parts, UNKNOWN),
        normals=np.full_like(sample.normals, np.nan),
        colours=np.full_like(sample.colours, np.nan),
    )


def _mirrored_head(flame: Array) -> Array:
    """Return FLAME's parameters (F,) as a mirror shows them; shape and scale stay the same."""
    mirrored = flame.copy()
    old, new = flame_parts(flame), flame_parts(mirrored)
    if flame.size:
        # Of an axis-angle vector the mirror turns y and z about.
        new["jaw"][:] = old["jaw"] * -FLIP_X
        new["eyes"][:] = (old["eyes"].reshape(2, 3)[::-1] * -FLIP_X).ravel()
        new["eyelids"][:] = old["eyelids"][::-1]
    return mirrored


def _without_face(expression: Array, flame: Array) -> tuple[Array, Array]:
    """Return an expression and FLAME's parameters in which what the face does is unknown."""
    unknown = flame.copy()
    for name in ("expression", "eyelids"):
        flame_parts(unknown)[name][:] = np.nan
    return np.full_like(expression, np.nan), unknown


def _moved(rng: np.random.Generator, square: Square) -> Square:
    """Return a square about another centre, and of another side."""
    x, y, side = square
    scaled = side * rng.uniform(*_SCALE)
    shift = rng.uniform(-_SHIFT, _SHIFT, 2) * side + (side - scaled) / 2.0
    return np.array([x + shift[0], y + shift[1], scaled])


def _mask(person: AnnotatedPerson, square: Square, size: int) -> Array:
    """Return the mask (S, S) of a square; NaN beyond the image and the annotated crop."""
    if person.mask is None:
        return np.full((size, size), np.nan, np.float32)
    at = person.square[:2, None] + np.arange(INPUT_SIZE) * (person.square[2] / INPUT_SIZE)
    last = np.array([[person.camera.width - 1], [person.camera.height - 1]])
    columns, rows = (at >= 0.0) & (at <= last)
    known = (rows[:, None] & columns).astype(np.float32)
    shown = known * (person.mask / np.float32(255.0))
    moved = [_warped(a, person.square, square) for a in (shown, known)]
    small, share = (cv2.resize(a, (size, size), interpolation=cv2.INTER_AREA) for a in moved)
    with np.errstate(invalid="ignore", divide="ignore"):
        mask: Array = np.where(share >= _LEAST_KNOWN, small / share, np.nan).astype(np.float32)
    return mask


def _warped(picture: _Pixels, old: Square, new: Square) -> _Pixels:
    """Return a crop's picture as that of another square of the same image; black beyond it."""
    step = new[2] / old[2]
    begin = (new[:2] - old[:2]) * (INPUT_SIZE / old[2])
    matrix = np.array([[step, 0.0, begin[0]], [0.0, step, begin[1]]])
    size, flags = (INPUT_SIZE, INPUT_SIZE), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, matrix, size, flags=flags)
