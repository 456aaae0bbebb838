# SPDX-License-Identifier: Apache-2.0
"""The modules of an annotation: each finds one part of a person and can be exchanged alone.

A module is any object with a `name` (name and version, kept with each sample) that can be called as
its protocol says. The fit (pear_ros.annotation.fit) makes what they find agree.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection
from pear_ros.core.people import Array, Image
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks, PoseLandmarks


class ModuleError(ValueError):
    """A module that cannot be used; the text names it and says why."""


@dataclass(frozen=True)
class View:
    """One person in one image, as modules see them."""

    image: Image
    """(height, width, 3) uint8 BGR; neighbours of the person may be black."""
    camera: Camera
    box: Array
    """(4,) x0 y0 x1 y1 around the visible part of the person, pixels."""


class DetectorModule(Protocol):
    """Finds the people in an image."""

    name: str

    def __call__(self, image: Image) -> Sequence[Detection]:
        """Return the people in an image (height, width, 3) uint8 BGR, each image on its own."""
        ...


class BodyModule(Protocol):
    """Finds the landmarks of a body."""

    name: str

    def __call__(self, view: View) -> PoseLandmarks | None:
        """Return the body's 33 landmarks in pixels of the image; None: not found."""
        ...


class HandModule(Protocol):
    """Finds the landmarks of one hand; there is one module for each side."""

    name: str

    def __call__(self, view: View, pose: PoseLandmarks) -> HandLandmarks | None:
        """Return the hand's 21 landmarks in pixels of the image; None: not found."""
        ...


class FaceModule(Protocol):
    """Finds the landmarks of a face."""

    name: str

    def __call__(self, view: View, pose: PoseLandmarks) -> FaceLandmarks | None:
        """Return the face's 468 landmarks in pixels of the image; None: not found."""
        ...


class PointsModule(Protocol):
    """Finds 2D points, with which the fit is compared."""

    name: str

    def __call__(
        self,
        view: View,
        pose: PoseLandmarks,
        left_hand: HandLandmarks | None,
        right_hand: HandLandmarks | None,
        face: FaceLandmarks | None,
    ) -> Array:
        """Return the points (133, 3) x, y, confidence in COCO-WholeBody's order, pixels."""
        ...


class MaskModule(Protocol):
    """Finds which pixels show a person."""

    name: str

    def __call__(self, view: View, pose: PoseLandmarks, square: Array) -> Array | None:
        """Return the probability (256, 256) of each pixel of PEAR's crop, 0 to 1; None: unknown.

        `square` (3,): x0, y0 and side of the crop, pixels of the image.
        """
        ...


@dataclass(frozen=True)
class Modules:
    """One module for each part."""

    detector: DetectorModule
    body: BodyModule
    left_hand: HandModule
    right_hand: HandModule
    face: FaceModule
    points: PointsModule
    mask: MaskModule

    @property
    def names(self) -> dict[str, str]:
        """Name and version of each module, by part."""
        return {part: module.name for part, module in vars(self).items()}


def exchanged(modules: Modules, given: Mapping[str, str]) -> Modules:
    """Return `modules` with those that are `given` as PACKAGE.MODULE:FUNCTION, by part.

    The function is called without arguments and returns the module. Raises ModuleError.
    """
    made = {part: _made(part, path) for part, path in given.items()}
    if unknown := sorted(set(made) - set(vars(modules))):
        parts = ", ".join(vars(modules))
        raise ModuleError(f"there is no part {unknown[0]}; modules are for {parts}")
    return replace(modules, **made)


def _made(part: str, path: str) -> Any:
    name, _, function = path.partition(":")
    try:
        make: Callable[[], Any] = getattr(importlib.import_module(name), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModuleError(
            f"the module for {part} cannot be loaded: {error}; give it as PACKAGE.MODULE:FUNCTION"
        ) from error
    module = make()
    if not callable(module) or not isinstance(getattr(module, "name", None), str):
        raise ModuleError(f"{path} is no module for {part}: it needs a name and has to be callable")
    return module
