# SPDX-License-Identifier: Apache-2.0
"""AnnotatedPerson: one person in one image, as written to shards and read for training.

This is the only description of a sample's fields. Positions are in the camera's optical frame
(REP-103: x right, y down, z forward), in metres; angles are radians; NaN is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, FlameParams, Image, SmplxParams
from pear_ros.pear.crop import crop_points

FORMAT = "pear_annotation/1"
"""Name and version of the layout of samples in a shard."""

PARTS = ("body", "left_hand", "right_hand", "face", "points", "mask")
"""Parts of an annotation; each has a module that finds it and a confidence."""


@dataclass(frozen=True)
class Provenance:
    """Where a sample comes from."""

    source: str
    """File name of the picture or video, or name of the bag, without its folder."""
    frame: int
    """Number of the image in its source, from 0 on."""
    stamp_ns: int
    """Stamp of the image, nanoseconds: from a bag's header, else since the source's beginning."""
    track: str
    """Same for one person in successive images of a source, within one shard."""
    modules: Mapping[str, str]
    """Name and version of the module that found each part, by PARTS, and of `detector`."""
    package: str
    """Version of pear_ros."""


@dataclass(frozen=True)
class AnnotatedPerson:
    """One person in one image."""

    key: str
    """Name of the sample, unique among the shards of one run."""
    crop: Image
    """(256, 256, 3) uint8 BGR, PEAR's square crop of the image, decoded from JPEG."""
    square: npt.NDArray[np.float64]
    """(3,) x0, y0, side in pixels of the image: pixel (u, v) of the crop is at
    (x0 + u side / 256, y0 + v side / 256), whole numbers being pixel centres."""
    box: Array
    """(4,) x0 y0 x1 y1 of the person, pixels of the image."""
    camera: Camera
    """Camera of the whole image, with lens distortion where it has some."""
    smplx: SmplxParams
    """Parameters in SMPL-X's layout: pose (55, 3), betas (B,), expression (E,), transl (3,)."""
    scale: float
    """Size over that of the posed body: vertex = scale * posed body + transl."""
    body_model: str
    """Name and version of the body that the parameters belong to."""
    body_sha256: str
    """SHA-256 of that body's file, hexadecimal; empty: unknown."""
    flame: FlameParams | None
    """FLAME's parameters; None: unknown."""
    joints: Array
    """(55, 3) joints of the body, metres; NaN: unknown."""
    joint_confidence: Array
    """(55,) 0 to 1; 0: not seen or rejected by a check; NaN: not estimated."""
    keypoints: Array
    """(55, 2) the joints in the image, pixels."""
    points: Array
    """(133, 3) x, y, confidence 0 to 1: 2D points in pixels of the image, in COCO-WholeBody's order
    (pear_ros.annotation.wholebody); x and y are NaN and confidence is 0 where unknown."""
    mask: npt.NDArray[np.uint8] | None
    """(256, 256) of the crop: probability that a pixel shows the person, 0 to 255; None: unknown.
    Pixels of the crop outside the image are 0."""
    confidence: Mapping[str, float]
    """By PARTS: 0 (not found, or rejected by a check) to 1; what a check doubts has less."""
    measures: Mapping[str, float]
    """Values of the checks by name (pear_ros.annotation.checks); NaN: could not be measured."""
    provenance: Provenance

    def crop_points(self, pixels: Array) -> Array:
        """Return points (..., 2) of the image, pixels, in pixels of the crop."""
        return crop_points(pixels, self.square)
